//! Writes, and their order, over a stream that takes a little at a time.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use capnp::message::{Builder, HeapAllocator};

use super::*;

/// A stream that takes at most so many bytes a write, and keeps the writes apart.
struct Sink {
    most: usize,
    writes: Vec<Vec<u8>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = pieces.iter().flat_map(|piece| piece.iter().copied());
        let taken: Vec<u8> = bytes.by_ref().take(self.most).collect();
        let count = taken.len();
        self.writes.push(taken);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A message with one piece of data, in as many segments as the first one's size makes it.
fn message(first_words: u32, data: &[u8]) -> Built {
    let allocator = HeapAllocator::new().first_segment_words(first_words);
    let mut builder = Builder::new(allocator);
    builder.set_root::<capnp::data::Owned>(data).unwrap();
    Complete::new(builder, |_| Charge::none())
}

/// Writes these messages; returns the cost of those that are written.
fn write(queue: &mut WriteQueue, messages: Vec<Built>, sink: &mut Sink) -> io::Result<usize> {
    queue.append(&mut messages.into());
    let mut done = 0;
    assert!(queue.write(sink, &mut done)?);
    Ok(done)
}

fn sink(most: usize) -> Sink {
    Sink {
        most,
        writes: Vec::new(),
    }
}

#[test]
fn small_messages_are_joined_into_one_write() {
    let mut queue = WriteQueue::default();
    let mut sink = sink(usize::MAX);
    write(&mut queue, vec![message(64, b"one")], &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 1);
    let messages = vec![message(4, &[7; 100]); 50];
    write(&mut queue, messages, &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 2);
}

#[test]
fn what_is_written_is_what_was_queued_whatever_the_stream_takes() {
    let data: Vec<Vec<u8>> = [0, 10, 5_000, 20_000, 3, 300_000, 17_000, 1]
        .iter()
        .map(|size| (0..*size).map(|byte| (byte % 251) as u8).collect())
        .collect();
    for most in [usize::MAX, 40_000, 1000, 7] {
        let messages: Vec<Built> = data
            .iter()
            .enumerate()
            .map(|(index, data)| message(if index % 2 == 0 { 4 } else { 2048 }, data))
            .collect();
        let whole: usize = messages.iter().map(|message| message.cost()).sum();
        assert!(whole > 340_000);
        let mut sink = sink(most);
        let done = write(&mut WriteQueue::default(), messages, &mut sink).unwrap();
        assert_eq!(done, whole);
        let bytes = sink.writes.concat();
        let mut bytes = Cursor::new(bytes);
        for data in &data {
            let read = capnp::serialize::read_message(&mut bytes, Default::default()).unwrap();
            assert_eq!(read.get_root::<capnp::data::Reader<'_>>().unwrap(), data);
        }
        assert_eq!(bytes.position(), bytes.get_ref().len() as u64);
    }
}

#[test]
fn a_large_segment_is_written_with_what_is_before_it_and_not_copied() {
    let mut queue = WriteQueue::default();
    let mut sink = sink(usize::MAX);
    let messages = vec![message(4, b"small"), message(4, &vec![1; 1 << 20])];
    write(&mut queue, messages, &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 1);
    assert!(queue.joined.capacity() <= SMALL);
}

#[test]
fn memory_for_a_burst_is_given_back() {
    let mut queue = WriteQueue::default();
    let mut sink = sink(usize::MAX);
    let large = message(4096, &vec![1; SMALL - 100]);
    for _ in 0..10 {
        write(&mut queue, vec![large.clone(); 100], &mut sink).unwrap();
    }
    write(&mut queue, vec![message(4, b"small")], &mut sink).unwrap();
    assert!(queue.joined.capacity() <= 2 * JOINED);
}

#[test]
fn a_stream_that_takes_nothing_is_an_error() {
    let mut queue = WriteQueue::default();
    let wrote = write(&mut queue, vec![message(4, b"x")], &mut sink(0));
    assert_eq!(wrote.unwrap_err().kind(), ErrorKind::WriteZero);
}

/// A stream without room.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_stream_has_no_room_for_is_written_later() {
    let mut queue = WriteQueue::default();
    queue.append(&mut vec![message(4, b"later")].into());
    let mut done = 0;
    assert!(!queue.write(&mut Full, &mut done).unwrap());
    let mut sink = sink(5);
    assert!(queue.write(&mut sink, &mut done).unwrap());
    let bytes = sink.writes.concat();
    let read = capnp::serialize::read_message(&mut &bytes[..], Default::default()).unwrap();
    assert_eq!(
        read.get_root::<capnp::data::Reader<'_>>().unwrap(),
        b"later"
    );
}
