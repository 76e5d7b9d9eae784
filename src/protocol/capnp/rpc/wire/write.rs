//! Messages that wait to be written, and their way into the stream.
//!
//! Knows messages and their sizes; nothing of what is in them. Small messages are joined into one
//! write; large segments are written from their own memory, together with the bytes before them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use capnp::OutputSegments;

use super::super::super::accounts::Charge;
use super::frame::WORD;
use super::message::Building;

/// A complete message, and the charge for its memory until it is dropped.
pub struct Complete {
    message: Building,
    cost: usize,
    _charge: Charge,
}

impl Complete {
    /// Completes a message. `charge` gets its cost in bytes and makes the charge for it.
    pub fn new(message: Building, charge: impl FnOnce(usize) -> Charge) -> Built {
        let cost = message.size_in_words() * WORD + OVERHEAD;
        Arc::new(Self {
            message,
            cost,
            _charge: charge(cost),
        })
    }

    /// Returns the message.
    pub fn message(&self) -> &Building {
        &self.message
    }

    /// Returns the cost of the message, in bytes: its content and [`OVERHEAD`].
    pub fn cost(&self) -> usize {
        self.cost
    }
}

/// A complete message. Results are shared with the calls that are pipelined on them.
pub type Built = Arc<Complete>;

/// The cost of a message beyond its content while it is queued, in bytes.
const OVERHEAD: usize = 256;
/// The size up to which a segment is copied, to be written with its neighbours.
const SMALL: usize = 16 * 1024;
/// The number of bytes that are joined into one write, apart from the last segment copied.
const JOINED: usize = 32 * 1024;

/// A message of which a part is still to be staged.
struct Current {
    message: Built,
    segment: usize,
    /// The number of bytes of the segment that are written.
    written: usize,
}

/// The messages that are to be written to one stream.
#[derive(Default)]
pub struct WriteQueue {
    waiting: VecDeque<Built>,
    current: Option<Current>,
    /// Headers and small segments, joined.
    joined: Vec<u8>,
    /// The number of bytes of `joined` that are written.
    written: usize,
}

impl WriteQueue {
    /// Appends all of these messages, and leaves `messages` empty.
    pub fn append(&mut self, messages: &mut VecDeque<Built>) {
        match self.waiting.is_empty() {
            true => std::mem::swap(&mut self.waiting, messages),
            false => self.waiting.append(messages),
        }
    }

    /// Writes until nothing is left or the stream has no room; returns whether all is written. Adds to
    /// `done` the cost, in bytes, of the messages whose own memory is no longer needed.
    ///
    /// # Errors
    /// Returns the error of the stream.
    pub fn write(&mut self, stream: &mut impl Write, done: &mut usize) -> io::Result<bool> {
        loop {
            self.stage(done);
            let joined = self.joined.get(self.written..).unwrap_or_default();
            let segments = self.current.as_ref();
            let segments =
                segments.map(|current| current.message.message.get_segments_for_output());
            let large = match (&self.current, &segments) {
                (Some(current), Some(segments)) => {
                    let segment = segment(segments, current.segment);
                    segment.get(current.written..).unwrap_or_default()
                }
                _ => &[],
            };
            if joined.is_empty() && self.current.is_none() {
                return Ok(true);
            }
            let wrote = match (joined.is_empty(), large.is_empty()) {
                (false, true) => stream.write(joined),
                (true, _) => stream.write(large),
                (false, false) => {
                    stream.write_vectored(&[IoSlice::new(joined), IoSlice::new(large)])
                }
            };
            let count = match wrote {
                // So that nothing can spin.
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let (of_joined, is_joined) = (count.min(joined.len()), count >= joined.len());
            let (of_large, is_large) = (count - of_joined, count == joined.len() + large.len());
            self.written += of_joined;
            if is_joined {
                self.joined.clear();
                self.written = 0;
            }
            if let Some(current) = &mut self.current {
                current.written += of_large;
                if is_large && current.written > 0 {
                    current.segment += 1;
                    current.written = 0;
                }
            }
        }
    }

    /// Fills `joined`, if all of it is written, up to the next large segment.
    fn stage(&mut self, done: &mut usize) {
        if !self.joined.is_empty() {
            return;
        }
        if self.joined.capacity() > 2 * JOINED {
            self.joined = Vec::new();
        }
        while self.joined.len() < JOINED {
            let current = match &mut self.current {
                Some(current) => current,
                empty => {
                    let Some(message) = self.waiting.pop_front() else {
                        return;
                    };
                    table(&message, &mut self.joined);
                    empty.insert(Current {
                        message,
                        segment: 0,
                        written: 0,
                    })
                }
            };
            let segments = current.message.message.get_segments_for_output();
            while let Some(segment) = segments.get(current.segment) {
                if current.written > 0 || segment.len() > SMALL {
                    return;
                }
                self.joined.extend_from_slice(segment);
                current.segment += 1;
            }
            *done += current.message.cost;
            self.current = None;
        }
    }
}

/// Appends a message's segment table.
fn table(message: &Built, to: &mut Vec<u8>) {
    let segments = message.message.get_segments_for_output();
    let mut number = |number: usize| {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        to.extend_from_slice(&number.to_le_bytes());
    };
    number(segments.len() - 1);
    for segment in segments.iter() {
        number(segment.len() / 8);
    }
    if segments.len().is_multiple_of(2) {
        number(0);
    }
}

fn segment<'a>(segments: &OutputSegments<'a>, index: usize) -> &'a [u8] {
    segments.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
