//! Frames that come whole, in pieces, too large, too slowly or broken.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Instant;

use futures::executor::block_on;

use super::super::super::runtime::reactor;
use super::*;

/// A stream that gives what it is told, one piece a read, and counts the reads.
struct Script {
    pieces: VecDeque<Vec<u8>>,
    /// What comes after the last piece: the end, or nothing for ever.
    ends: bool,
    reads: usize,
}

impl Script {
    fn new(pieces: impl IntoIterator<Item = Vec<u8>>, ends: bool) -> Self {
        Self {
            pieces: pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
            ends,
            reads: 0,
        }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        self.reads += 1;
        let Some(piece) = self.pieces.front_mut() else {
            return if self.ends {
                Poll::Ready(Ok(0))
            } else {
                Poll::Pending
            };
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Poll::Ready(Ok(count))
    }
}

/// The bytes of a frame whose words count up from `first`.
fn frame(sizes: &[usize], first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(sizes.len() - 1).unwrap().to_le_bytes());
    for size in sizes {
        bytes.extend(u32::try_from(*size).unwrap().to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    for word in 0..sizes.iter().sum::<usize>() as u64 {
        bytes.extend((first + word).to_le_bytes());
    }
    bytes
}

fn contents(frame: &Frame, count: usize) -> Vec<Vec<u64>> {
    (0..count)
        .map(|segment| {
            Word::words_to_bytes(frame.segment(segment).unwrap())
                .chunks(8)
                .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
                .collect()
        })
        .collect()
}

fn next(reader: &mut FrameReader<Script>) -> Result<Option<Frame>, CloseReason> {
    let _reactor = reactor();
    block_on(poll_fn(|cx| reader.poll_frame(cx)))
}

fn poll_once(reader: &mut FrameReader<Script>) -> Poll<Result<Option<Frame>, CloseReason>> {
    let _reactor = reactor();
    reader.poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn a_frame_split_at_any_byte_is_the_same_frame() {
    let bytes = frame(&[3, 0, 2], 7);
    for split in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(split);
        let script = Script::new([head.to_vec(), tail.to_vec()], true);
        let mut reader = FrameReader::new(script, &Limits::default(), false);
        let frame = next(&mut reader).unwrap().unwrap();
        assert_eq!(
            contents(&frame, 3),
            [vec![7, 8, 9], vec![], vec![10, 11]],
            "split at {split}"
        );
        assert!(frame.segment(3).is_none());
        assert!(next(&mut reader).unwrap().is_none());
    }
}

#[test]
fn frames_that_come_together_take_one_read() {
    let mut bytes = Vec::new();
    for number in 0..100 {
        bytes.extend(frame(&[4], number * 10));
    }
    let mut reader = FrameReader::new(Script::new([bytes], true), &Limits::default(), false);
    for number in 0..100 {
        let frame = next(&mut reader).unwrap().unwrap();
        assert_eq!(contents(&frame, 1)[0][0], number * 10);
    }
    assert_eq!(reader.stream.reads, 1);
    assert!(next(&mut reader).unwrap().is_none());
}

#[test]
fn a_large_frame_among_small_ones_arrives_whole() {
    let large = 100_000;
    let mut bytes = frame(&[4], 0);
    bytes.extend(frame(&[1, large], 5));
    bytes.extend(frame(&[4], 9));
    let mut reader = FrameReader::new(Script::new([bytes], true), &Limits::default(), false);
    assert_eq!(contents(&next(&mut reader).unwrap().unwrap(), 1)[0][0], 0);
    let frame = next(&mut reader).unwrap().unwrap();
    let expected: Vec<u64> = (6..6 + large as u64).collect();
    assert_eq!(contents(&frame, 2), [vec![5], expected]);
    assert_eq!(contents(&next(&mut reader).unwrap().unwrap(), 1)[0][0], 9);
    assert!(next(&mut reader).unwrap().is_none());
}

#[test]
fn an_announced_size_takes_no_memory() {
    let announced = Limits::default().message_bytes / WORD;
    let mut head = frame(&[1], 0);
    head.truncate(8);
    head[4..8].copy_from_slice(&u32::try_from(announced).unwrap().to_le_bytes());
    let mut reader = FrameReader::new(Script::new([head], false), &Limits::default(), false);
    assert!(poll_once(&mut reader).is_pending());
    assert!(reader.body.as_ref().unwrap().words.capacity() <= FIRST_WORDS);

    // And what arrives is at most doubled.
    reader.stream.pieces.push_back(vec![1; 100_000]);
    assert!(poll_once(&mut reader).is_pending());
    assert!(reader.body.as_ref().unwrap().words.capacity() <= 200_000 / WORD);
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_table() {
    let limits = Limits::default().with_message_bytes(800);
    let read = |bytes: Vec<u8>| {
        let script = Script::new([bytes], false);
        next(&mut FrameReader::new(script, &limits, false))
    };
    assert!(read(frame(&[50, 50], 0)).is_ok());
    let mut over = frame(&[50, 51], 0);
    over.truncate(16);
    let reason = read(over).unwrap_err();
    assert_eq!(
        reason,
        CloseReason::Violation("a message of 808 bytes (limit 800)".into())
    );

    let most = [1; MAX_SEGMENTS];
    let plenty = Limits::default();
    let script = Script::new([frame(&most, 0)], false);
    assert!(next(&mut FrameReader::new(script, &plenty, false)).is_ok());
    for count in [MAX_SEGMENTS as u32, u32::MAX] {
        let reason = read(count.to_le_bytes().to_vec()).unwrap_err();
        assert!(
            reason.to_string().contains("segments (limit 512)"),
            "{reason}"
        );
    }
}

#[test]
fn the_end_inside_a_frame_says_how_far_it_came() {
    let bytes = frame(&[4], 0);
    for length in 1..bytes.len() {
        let script = Script::new([bytes[..length].to_vec()], true);
        let reason = next(&mut FrameReader::new(script, &Limits::default(), false)).unwrap_err();
        let CloseReason::Io(text) = reason else {
            panic!("{reason:?}")
        };
        let expected = if length < 8 {
            format!("inside a message's segment table, after {length} bytes")
        } else {
            format!("inside a message, after {} of 32 bytes", length - 8)
        };
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_slow_frame_times_out_and_silence_does_not() {
    let limits = Limits::default()
        .with_frame_time(Duration::from_millis(50))
        .with_handshake_time(Duration::from_millis(50));
    for length in [1, 9] {
        let part = frame(&[4], 0)[..length].to_vec();
        let mut reader = FrameReader::new(Script::new([part], false), &limits, false);
        let start = Instant::now();
        let reason = next(&mut reader).unwrap_err();
        assert!(matches!(reason, CloseReason::Timeout(_)), "{reason:?}");
        assert!(start.elapsed() >= Duration::from_millis(50));
    }

    let mut reader = FrameReader::new(Script::new([frame(&[4], 0)], false), &limits, false);
    assert!(next(&mut reader).unwrap().is_some());
    assert!(poll_once(&mut reader).is_pending());
    assert!(reader.frame_timer.is_none() && reader.handshake_timer.is_none());

    let mut reader = FrameReader::new(Script::new([], false), &limits, true);
    let reason = next(&mut reader).unwrap_err();
    assert!(matches!(reason, CloseReason::Timeout(_)), "{reason:?}");
}

#[test]
fn garbage_ends_in_an_error_or_the_end() {
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Many zeros, so that some get past the table.
                if random & 3 == 0 {
                    random.to_le_bytes()[3]
                } else {
                    0
                }
            })
            .collect();
        let mut reader = FrameReader::new(Script::new([bytes], true), &Limits::default(), false);
        while let Ok(Some(_)) = next(&mut reader) {}
    }
}
