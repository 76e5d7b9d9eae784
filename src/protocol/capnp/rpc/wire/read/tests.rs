//! Frames that arrive whole, in pieces, too large or broken.

#![allow(clippy::unwrap_used)]

use super::super::super::super::accounts::Accounts;
use super::super::random::Random;
use super::*;

/// Returns the bytes of a frame whose words count up from `first`.
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
            frame
                .segment(segment)
                .unwrap()
                .chunks(8)
                .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
                .collect()
        })
        .collect()
}

/// Returns all frames in one piece of input.
fn feed(reader: &mut FrameReader, mut input: &[u8]) -> Result<Vec<Frame>, CloseReason> {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next(&mut input)? {
        frames.push(frame);
    }
    assert!(input.is_empty());
    Ok(frames)
}

fn with_limits(limits: &Limits) -> FrameReader {
    FrameReader::new(
        limits,
        &Accounts::new(limits).of(crate::peer::Peer::Unknown),
    )
}

fn reader() -> FrameReader {
    with_limits(&Limits::default())
}

#[test]
fn a_frame_split_at_any_byte_is_the_same_frame() {
    let bytes = frame(&[3, 0, 2], 7);
    for split in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(split);
        let mut reader = reader();
        let mut frames = feed(&mut reader, head).unwrap();
        assert_eq!(reader.is_inside(), split > 0 && split < bytes.len());
        frames.extend(feed(&mut reader, tail).unwrap());
        assert_eq!(frames.len(), 1);
        assert_eq!(
            contents(&frames[0], 3),
            [vec![7, 8, 9], vec![], vec![10, 11]],
            "split at {split}"
        );
        assert!(frames[0].segment(3).is_none());
        assert_eq!(reader.at_end(), CloseReason::PeerClosed);
        assert_eq!(reader.missing(), 0);
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_the_same_frame() {
    let mut bytes = frame(&[3, 0, 2], 7);
    bytes.extend(frame(&[2], 0));
    let mut reader = reader();
    let mut frames = Vec::new();
    for byte in bytes {
        frames.extend(feed(&mut reader, &[byte]).unwrap());
    }
    assert_eq!(
        contents(&frames[0], 3),
        [vec![7, 8, 9], vec![], vec![10, 11]]
    );
    assert_eq!(contents(&frames[1], 1), [vec![0, 1]]);
}

#[test]
fn frames_that_come_together_are_kept_apart() {
    let mut bytes = Vec::new();
    for number in 0..100 {
        bytes.extend(frame(&[4], number * 10));
    }
    let frames = feed(&mut reader(), &bytes).unwrap();
    assert_eq!(frames.len(), 100);
    for (number, frame) in (0..).zip(&frames) {
        assert_eq!(contents(frame, 1)[0][0], number * 10);
    }
}

/// Reads into the memory of the frame as much as there is room for, as from a stream; returns the bytes
/// after its end.
fn read_body(reader: &mut FrameReader, input: &mut &[u8]) -> Vec<u8> {
    let body = reader.body().unwrap().unwrap();
    let room = body.capacity() - body.len();
    assert!(room > 0);
    let (taken, rest) = input.split_at(room.min(input.len()));
    body.extend_from_slice(taken);
    *input = rest;
    reader.filled()
}

#[test]
fn a_large_frame_is_read_into_its_own_memory() {
    let words = 10_000_u64;
    let bytes = frame(&[1, 9_999], 5);
    let mut reader = reader();
    assert!(feed(&mut reader, &bytes[..100]).unwrap().is_empty());
    let mut input = &bytes[100..];
    while reader.missing() > 0 {
        assert!(read_body(&mut reader, &mut input).is_empty());
    }
    let frames = feed(&mut reader, &[]).unwrap();
    let expected: Vec<u64> = (6..5 + words).collect();
    assert_eq!(contents(&frames[0], 2), [vec![5], expected]);
}

/// An allocator may give more memory than is asked for.
#[test]
fn what_is_read_beyond_a_frame_belongs_to_the_next() {
    let mut bytes = frame(&[100], 0);
    bytes.extend(frame(&[2], 7));
    let mut reader = reader();
    assert!(feed(&mut reader, &bytes[..80]).unwrap().is_empty());
    reader.body.as_mut().unwrap().bytes.reserve_exact(2_000);
    let mut input = &bytes[80..];
    let rest = read_body(&mut reader, &mut input);
    assert!(input.is_empty());
    let frames = feed(&mut reader, &rest).unwrap();
    assert_eq!(contents(&frames[0], 1)[0].len(), 100);
    assert_eq!(contents(&frames[1], 1), [vec![7, 8]]);
}

#[test]
fn an_announced_size_takes_no_memory() {
    let announced = Limits::default().message_bytes / WORD;
    let mut head = frame(&[1], 0);
    head.truncate(8);
    head[4..8].copy_from_slice(&u32::try_from(announced).unwrap().to_le_bytes());
    let mut reader = reader();
    assert!(feed(&mut reader, &head).unwrap().is_empty());
    let memory = |reader: &FrameReader| reader.body.as_ref().unwrap().bytes.capacity();
    assert!(memory(&reader) <= FIRST);

    // It grows with the bytes that arrive, by a limited factor, whichever way they are read.
    assert!(feed(&mut reader, &[1; 100_000]).unwrap().is_empty());
    assert!(memory(&reader) <= GROWTH * 100_000);
    let mut input = &[1; 200_000][..];
    let before = reader.missing();
    while before - reader.missing() < 100_000 {
        read_body(&mut reader, &mut input);
        assert!(memory(&reader) <= GROWTH * 200_000);
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_table() {
    let limits = Limits::default().message_bytes(800);
    let read = |bytes: &[u8]| feed(&mut with_limits(&limits), bytes);
    assert!(read(&frame(&[50, 50], 0)).is_ok());
    let mut over = frame(&[50, 51], 0);
    over.truncate(16);
    let reason = read(&over).unwrap_err();
    assert_eq!(
        reason,
        CloseReason::Violation("a message of 808 bytes (limit 800)".into())
    );

    let most = [1; MAX_SEGMENTS];
    assert_eq!(feed(&mut reader(), &frame(&most, 0)).unwrap().len(), 1);
    for count in [MAX_SEGMENTS as u32, u32::MAX] {
        let reason = read(&count.to_le_bytes()).unwrap_err();
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
        let mut reader = reader();
        assert!(feed(&mut reader, &bytes[..length]).unwrap().is_empty());
        let CloseReason::Io(text) = reader.at_end() else {
            panic!("{:?}", reader.at_end())
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
fn garbage_ends_in_an_error_or_the_end() {
    let mut random = Random::new(88_172_645_463_325_252);
    for _ in 0..2000 {
        // Many zeros, so that some get past the table.
        let mut byte = || match random.below(4) {
            0 => random.next() as u8,
            _ => 0,
        };
        let bytes: Vec<u8> = (0..200).map(|_| byte()).collect();
        let _ = feed(&mut reader(), &bytes);
    }
}
