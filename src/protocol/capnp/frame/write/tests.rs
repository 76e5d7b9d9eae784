//! What is written, and when, over a stream that takes a little at a time.

#![allow(clippy::unwrap_used)]

use capnp::message::{Builder, HeapAllocator};
use futures::executor::block_on;
use std::future::poll_fn;
use std::io::Cursor;

use super::*;

/// A stream that takes at most so many bytes a write, and keeps the writes apart.
struct Sink {
    most: usize,
    writes: Vec<Vec<u8>>,
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.most);
        self.writes.push(bytes[..count].to_vec());
        Poll::Ready(Ok(count))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A message with one piece of data, in as many segments as the first one's size makes it.
fn message(first_words: u32, data: &[u8]) -> Outgoing {
    let allocator = HeapAllocator::new().first_segment_words(first_words);
    let mut builder = Builder::new(allocator);
    builder.set_root::<capnp::data::Owned>(data).unwrap();
    Outgoing::new(builder)
}

fn flush(queue: &mut WriteQueue, sink: &mut Sink) -> io::Result<()> {
    block_on(poll_fn(|cx| queue.poll_flush(sink, cx)))
}

#[test]
fn small_messages_are_joined_into_one_write() {
    let mut queue = WriteQueue::default();
    let mut sink = Sink {
        most: usize::MAX,
        writes: Vec::new(),
    };
    queue.push(message(64, b"one"));
    flush(&mut queue, &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 1);
    for _ in 0..50 {
        queue.push(message(4, &[7; 100]));
    }
    flush(&mut queue, &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 2);
    assert_eq!(queue.cost(), 0);
}

#[test]
fn what_is_written_is_what_was_queued_whatever_the_stream_takes() {
    let data: Vec<Vec<u8>> = [0, 10, 5_000, 20_000, 3, 300_000, 17_000, 1]
        .iter()
        .map(|size| (0..*size).map(|byte| (byte % 251) as u8).collect())
        .collect();
    for most in [usize::MAX, 40_000, 1000, 7] {
        let mut queue = WriteQueue::default();
        for (index, data) in data.iter().enumerate() {
            queue.push(message(if index % 2 == 0 { 4 } else { 2048 }, data));
        }
        assert!(queue.cost() > 340_000);
        let mut sink = Sink {
            most,
            writes: Vec::new(),
        };
        flush(&mut queue, &mut sink).unwrap();
        assert_eq!(queue.cost(), 0);
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
fn a_large_segment_is_not_copied() {
    let mut queue = WriteQueue::default();
    let mut sink = Sink {
        most: usize::MAX,
        writes: Vec::new(),
    };
    queue.push(message(4, &vec![1; 1 << 20]));
    flush(&mut queue, &mut sink).unwrap();
    assert_eq!(sink.writes.len(), 2);
    assert!(queue.joined.capacity() <= SMALL);
}

#[test]
fn a_stream_that_takes_nothing_is_an_error() {
    let mut queue = WriteQueue::default();
    queue.push(message(4, b"x"));
    let mut sink = Sink {
        most: 0,
        writes: Vec::new(),
    };
    assert_eq!(
        flush(&mut queue, &mut sink).unwrap_err().kind(),
        io::ErrorKind::WriteZero
    );
}
