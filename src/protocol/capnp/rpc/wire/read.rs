//! Frames from bytes: the segment table, then as many words as it announces.
//!
//! Knows sizes; nothing of what is in a frame, of streams or of time. Memory grows as bytes arrive, and
//! not by the announced size, and is charged to the peer before it is allocated. Nothing is kept
//! between two frames. Many small frames come out of one piece of input; the caller reads a large one
//! into the frame's own memory.

use std::sync::Arc;

use super::super::super::accounts::{Account, Charge};
use super::frame::{Frame, WORD};
use super::reason::CloseReason;
use crate::limits::Limits;

/// The initial memory of a frame, in bytes.
const FIRST: usize = 64 * 1024;
/// The factor by which a frame's memory may exceed the bytes that have arrived.
const GROWTH: usize = 8;
/// The most segments that a frame may have, as on the C++ sides.
const MAX_SEGMENTS: usize = 512;

/// A frame whose table was read.
struct Body {
    bytes: Vec<u8>,
    charge: Charge,
    ends: Vec<usize>,
    /// The announced size in bytes.
    total: usize,
}

/// Makes frames of the bytes that arrive on a stream.
pub struct FrameReader {
    /// The beginning of a segment table.
    table: Vec<u8>,
    body: Option<Body>,
    max_words: usize,
    /// The account that the memory is charged to.
    account: Arc<Account>,
}

impl FrameReader {
    /// Makes a reader to which nothing has arrived. Memory is charged to `account`.
    pub fn new(limits: &Limits, account: &Arc<Account>) -> Self {
        Self {
            table: Vec::new(),
            body: None,
            max_words: limits.message_bytes / WORD,
            account: account.clone(),
        }
    }

    /// Takes from the beginning of `input` the bytes that belong to the next frame, and returns that
    /// once it is complete. When it returns `None`, it has taken all of the input.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, CloseReason> {
        if self.body.is_none() {
            self.body = self.take_table(input)?;
        }
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        while !input.is_empty() && body.bytes.len() < body.total {
            body.grow()?;
            let room = body.bytes.capacity() - body.bytes.len();
            let wanted = room.min(body.total - body.bytes.len()).min(input.len());
            let (taken, rest) = input.split_at(wanted);
            body.bytes.extend_from_slice(taken);
            *input = rest;
        }
        Ok(self.take_body())
    }

    /// Returns the frame, if it is complete.
    fn take_body(&mut self) -> Option<Frame> {
        let body = self.body.take_if(|body| body.bytes.len() == body.total)?;
        Some(Frame::new(body.bytes, body.ends, body.charge))
    }

    /// Takes a segment table, once it is complete.
    fn take_table(&mut self, input: &mut &[u8]) -> Result<Option<Body>, CloseReason> {
        loop {
            let known = match self.table.is_empty() {
                true => *input,
                false => &self.table,
            };
            let size = match number(known, 0) {
                Some(last) => table_size(last.saturating_add(1))?,
                None => size_of::<u32>(),
            };
            if known.len() >= size && size > size_of::<u32>() {
                let body = self.read_table(&known[..size])?;
                match self.table.is_empty() {
                    true => *input = &input[size..],
                    false => self.table = Vec::new(),
                }
                return Ok(Some(body));
            }
            // The part that has arrived is kept, and the missing bytes are added.
            let wanted = (size - self.table.len()).min(input.len());
            if wanted == 0 {
                return Ok(None);
            }
            let (taken, rest) = input.split_at(wanted);
            self.table.extend_from_slice(taken);
            *input = rest;
        }
    }

    fn read_table(&self, table: &[u8]) -> Result<Body, CloseReason> {
        let count = number(table, 0).map_or(0, |last| last.saturating_add(1));
        let mut ends = Vec::new();
        let mut words = 0_usize;
        for index in 1..=count {
            words = words.saturating_add(number(table, index).unwrap_or(usize::MAX));
            if index < count {
                ends.push(words);
            }
        }
        if words > self.max_words {
            return Err(CloseReason::Violation(format!(
                "a message of {} bytes (limit {})",
                words.saturating_mul(WORD),
                self.max_words * WORD
            )));
        }
        let total = words * WORD;
        let first = total.min(FIRST);
        Ok(Body {
            charge: self.account.bytes(first)?,
            bytes: Vec::with_capacity(first),
            ends,
            total,
        })
    }

    /// Returns how many bytes of the frame are missing; 0 while its size is not known.
    pub fn missing(&self) -> usize {
        let body = self.body.as_ref();
        body.map_or(0, |body| body.total - body.bytes.len())
    }

    /// Returns whether a part of a frame has arrived.
    pub fn is_inside(&self) -> bool {
        self.body.is_some() || !self.table.is_empty()
    }

    /// Returns the memory of the incomplete frame, with room at its end to read into. The caller must
    /// then call [`FrameReader::filled`].
    ///
    /// # Errors
    /// Fails when the peer holds too much memory to be given more.
    pub fn body(&mut self) -> Result<Option<&mut Vec<u8>>, CloseReason> {
        match &mut self.body {
            Some(body) => {
                body.grow()?;
                Ok(Some(&mut body.bytes))
            }
            None => Ok(None),
        }
    }

    /// Takes what was read into [`FrameReader::body`]; returns the bytes after the end of the frame.
    pub fn filled(&mut self) -> Vec<u8> {
        match &mut self.body {
            // An allocator may give more memory than is asked for, and so more may be read.
            Some(body) => body.bytes.split_off(body.total.min(body.bytes.len())),
            None => Vec::new(),
        }
    }

    /// Returns the reason that the end of the stream at this point gives.
    pub fn at_end(&self) -> CloseReason {
        match &self.body {
            None if self.table.is_empty() => CloseReason::PeerClosed,
            None => CloseReason::Io(format!(
                "the stream ended inside a message's segment table, after {} bytes",
                self.table.len()
            )),
            Some(body) => CloseReason::Io(format!(
                "the stream ended inside a message, after {} of {} bytes",
                body.bytes.len(),
                body.total
            )),
        }
    }
}

impl Body {
    /// Reserves memory when the frame's is full: up to [`GROWTH`] times as much, and no more than the
    /// announced size. The system commits it when it is written to.
    fn grow(&mut self) -> Result<(), CloseReason> {
        let filled = self.bytes.len();
        if filled == self.bytes.capacity() {
            let most = filled.saturating_mul(GROWTH).max(FIRST);
            let more = self.total.min(most) - filled;
            self.charge.add(more)?;
            self.bytes.reserve_exact(more);
        }
        Ok(())
    }
}

/// Returns the size in bytes of the table of so many segments: a count, then a size each, padded to a
/// whole word.
fn table_size(count: usize) -> Result<usize, CloseReason> {
    if count > MAX_SEGMENTS {
        return Err(CloseReason::Violation(format!(
            "a message of {count} segments (limit {MAX_SEGMENTS})"
        )));
    }
    Ok((count / 2 + 1) * WORD)
}

/// Returns the number at `index` in a table of 32-bit numbers.
fn number(table: &[u8], index: usize) -> Option<usize> {
    let bytes = table.get(index * 4..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests;
