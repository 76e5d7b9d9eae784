//! The memory of a received message.
//!
//! Knows memory and its alignment; nothing of streams. A message's memory is charged to the peer that
//! sent it until the message is dropped.

use capnp::Word;
use capnp::message::ReaderSegments;

use super::super::super::accounts::Charge;

/// The size of a word in bytes.
pub const WORD: usize = size_of::<Word>();

/// The segments of one complete frame, in memory that is aligned for capnp.
#[derive(Debug)]
pub struct Frame {
    memory: Memory,
    /// The end of each segment but the last, in bytes. Empty for the usual single segment.
    ends: Vec<usize>,
    /// Set if there is one segment, in which every object begins after its pointer.
    is_forward: bool,
    _charge: Charge,
}

/// Bytes that are aligned for words. Allocators give such memory anyway, but do not promise it where
/// only bytes are asked for.
#[derive(Debug)]
enum Memory {
    Bytes(Vec<u8>),
    Words(Vec<Word>),
}

impl Frame {
    /// Makes a frame of the given bytes, whole words, cut into segments at `ends`, in words; the last
    /// segment runs to the end. `charge` is for the memory.
    pub fn new(bytes: Vec<u8>, mut ends: Vec<usize>, charge: Charge) -> Self {
        for end in &mut ends {
            *end *= WORD;
        }
        let memory = match bytes.as_ptr().addr().is_multiple_of(WORD) {
            true => Memory::Bytes(bytes),
            false => Memory::Words(aligned(&bytes)),
        };
        Self {
            memory,
            ends,
            is_forward: false,
            _charge: charge,
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Bytes(bytes) => bytes,
            Memory::Words(words) => Word::words_to_bytes(words),
        }
    }

    /// Returns the number of segments.
    pub fn segments(&self) -> usize {
        self.ends.len() + 1
    }

    /// Returns the bytes of one segment.
    pub fn segment(&self, index: usize) -> Option<&[u8]> {
        if self.ends.is_empty() {
            return (index == 0).then(|| self.bytes());
        }
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let end = match self.ends.get(index) {
            Some(end) => *end,
            None if index == self.ends.len() => self.bytes().len(),
            None => return None,
        };
        self.bytes().get(start..end)
    }

    /// Returns the words of one segment; empty if there is no such segment.
    pub fn words(&self, segment: usize) -> &[[u8; WORD]] {
        let bytes = self.segment(segment).unwrap_or_default();
        bytes.as_chunks().0
    }

    /// Returns its bytes from the word at `at` on, if every object begins after its pointer, in the
    /// same segment.
    pub fn forward_from(&self, at: usize) -> Option<&[u8]> {
        match self.is_forward {
            true => self.bytes().get(at * WORD..),
            false => None,
        }
    }

    /// Records that every object begins after its pointer, in the same segment.
    pub fn set_forward(&mut self) {
        self.is_forward = self.ends.is_empty();
    }

    #[cfg(test)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Bytes(bytes) => bytes,
            Memory::Words(words) => Word::words_to_bytes_mut(words),
        }
    }

    /// Returns the size of all segments together, in bytes.
    pub fn size(&self) -> usize {
        self.bytes().len()
    }
}

/// Copies bytes into words, which are aligned.
fn aligned(bytes: &[u8]) -> Vec<Word> {
    let mut words = vec![capnp::word(0, 0, 0, 0, 0, 0, 0, 0); bytes.len() / WORD];
    Word::words_to_bytes_mut(&mut words).copy_from_slice(bytes);
    words
}

impl ReaderSegments for Frame {
    fn get_segment(&self, index: u32) -> Option<&[u8]> {
        self.segment(usize::try_from(index).ok()?)
    }

    fn len(&self) -> usize {
        self.segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers the copy, which is otherwise not reached: the system's allocator gives aligned memory.
    #[test]
    fn memory_that_is_not_aligned_is_copied() {
        let bytes: Vec<u8> = (0..32).collect();
        let frame = Frame {
            memory: Memory::Words(aligned(&bytes)),
            ends: vec![8],
            is_forward: false,
            _charge: Charge::none(),
        };
        assert_eq!(frame.segment(0), Some(&bytes[..8]));
        assert_eq!(frame.segment(1), Some(&bytes[8..]));
        assert_eq!(frame.segment(2), None);
        assert_eq!(frame.size(), 32);
    }
}
