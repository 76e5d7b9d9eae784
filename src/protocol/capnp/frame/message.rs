//! A message in memory: a received frame, and what capnp-rpc is handed as incoming.
//!
//! Knows nothing of streams. A frame's memory is counted for as long as anyone holds it.

use std::cell::Cell;
use std::rc::Rc;

use capnp::Word;
use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator, Reader, ReaderOptions, ReaderSegments};

/// A built message, shared between the queue and capnp-rpc, which keeps results for pipelining.
pub(super) type Built = Rc<Builder<HeapAllocator>>;

/// The segments of one complete frame, in memory that is aligned for capnp.
#[derive(Debug, Default)]
pub(super) struct Frame {
    words: Vec<Word>,
    /// Where each segment but the last ends, in words. Empty for the usual single segment.
    ends: Vec<usize>,
}

impl Frame {
    /// A frame of the given words, cut into segments at `ends`; the last runs to the end.
    pub(super) fn new(words: Vec<Word>, ends: Vec<usize>) -> Self {
        Self { words, ends }
    }

    /// The words of one segment.
    pub(super) fn segment(&self, index: usize) -> Option<&[Word]> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let end = match self.ends.get(index) {
            Some(end) => *end,
            None if index == self.ends.len() => self.words.len(),
            None => return None,
        };
        self.words.get(start..end)
    }

    /// The size of all segments together, in words.
    pub(super) fn word_count(&self) -> usize {
        self.words.len()
    }

    #[cfg(test)]
    pub(super) fn words_mut(&mut self) -> &mut [Word] {
        &mut self.words
    }
}

impl ReaderSegments for Frame {
    fn get_segment(&self, index: u32) -> Option<&[u8]> {
        self.segment(usize::try_from(index).ok()?)
            .map(Word::words_to_bytes)
    }

    fn len(&self) -> usize {
        self.ends.len() + 1
    }
}

/// A count of bytes that goes down by itself when what was counted is dropped.
struct Counted {
    total: Rc<Cell<usize>>,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.total.set(self.total.get().saturating_sub(self.bytes));
    }
}

/// A received message that was found safe to read.
pub(super) struct Received {
    reader: Reader<Frame>,
    counted: Counted,
}

impl Received {
    /// Makes a checked frame readable, and counts its bytes in `total` until it is dropped.
    ///
    /// There is no traversal limit: the check has bounded what one reading of the message can
    /// cost, and capnp-rpc takes for granted that what it could read once it can read again.
    pub(super) fn new(frame: Frame, nesting: u32, total: &Rc<Cell<usize>>) -> Self {
        let bytes = frame.word_count() * size_of::<Word>();
        total.set(total.get().saturating_add(bytes));
        let options = ReaderOptions {
            traversal_limit_in_words: None,
            nesting_limit: i32::try_from(nesting).unwrap_or(i32::MAX),
        };
        Self {
            reader: Reader::new(frame, options),
            counted: Counted {
                total: Rc::clone(total),
                bytes,
            },
        }
    }

    /// The message's size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.counted.bytes
    }

    /// The message as RPC sees it.
    pub(super) fn root(&self) -> capnp::Result<capnp_rpc::rpc_capnp::message::Reader<'_>> {
        self.reader.get_root()
    }
}

impl capnp_rpc::IncomingMessage for Received {
    fn get_body(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.reader.get_root()
    }
}

/// A message made on this side that capnp-rpc shall take for one of the peer's.
pub(super) struct Inserted(pub(super) Builder<HeapAllocator>);

impl capnp_rpc::IncomingMessage for Inserted {
    fn get_body(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.0.get_root_as_reader()
    }
}
