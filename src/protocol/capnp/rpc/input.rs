//! The reading side of a connection's stream.
//!
//! Knows a stream and frames; nothing of what is in them, nor of time.

use std::io::ErrorKind;
use std::sync::Arc;

use super::super::accounts::Account;
use super::wire::check::{Trail, check};
use super::wire::read::FrameReader;
use super::wire::reason::CloseReason;
use super::wire::received::Received;
use crate::limits::Limits;
use crate::transport::Stream;

/// The reader of one stream's messages.
pub struct Input {
    stream: Arc<dyn Stream>,
    /// Set when a read that does not fill its buffer shows that no more is there.
    takes_all: bool,
    frames: FrameReader,
    trail: Trail,
    nesting: u32,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more to read.
    More,
    /// All that has arrived is read.
    Drained,
}

impl Input {
    /// Makes a reader of a non-blocking stream. The memory of its messages is charged to `account`.
    pub fn new(stream: &Arc<dyn Stream>, limits: &Limits, account: &Arc<Account>) -> Self {
        Self {
            stream: stream.clone(),
            takes_all: stream.takes_all(),
            frames: FrameReader::new(limits, account),
            trail: Trail::default(),
            nesting: limits.nesting,
        }
    }

    /// Returns whether a part of a message has arrived.
    pub fn is_inside(&self) -> bool {
        self.frames.is_inside()
    }

    /// Reads once, into `scratch` up to its capacity, or into the memory of a large message, and passes
    /// every complete message to `accept`. `closed` tells that the poller has reported the end of the
    /// stream.
    ///
    /// # Errors
    /// Returns the reason that nothing more can be read, and the errors of `accept`.
    pub fn read(
        &mut self,
        scratch: &mut Vec<u8>,
        closed: bool,
        mut accept: impl FnMut(Received) -> Result<(), CloseReason>,
    ) -> Result<Progress, CloseReason> {
        let direct = self.frames.missing() >= scratch.capacity();
        scratch.clear();
        let body = match direct {
            true => self.frames.body()?,
            false => None,
        };
        let buffer = body.unwrap_or(&mut *scratch);
        let room = buffer.capacity() - buffer.len();
        let count = match self.stream.receive(buffer) {
            Ok(count) => count,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Ok(Progress::Drained),
                ErrorKind::Interrupted => return Ok(Progress::More),
                // The peer has closed without reading all that it was sent.
                ErrorKind::ConnectionReset => return Err(self.frames.at_end()),
                _ => return Err(CloseReason::Io(format!("reading failed: {error}"))),
            },
        };
        if count == 0 {
            return Err(self.frames.at_end());
        }
        let rest = match direct {
            true => self.frames.filled(),
            false => Vec::new(),
        };
        let mut bytes = match direct {
            true => rest.as_slice(),
            false => scratch.as_slice(),
        };
        while let Some(mut frame) = self.frames.next(&mut bytes)? {
            check(&mut frame, self.nesting, &mut self.trail).map_err(CloseReason::Violation)?;
            accept(Received::new(frame, self.nesting))?;
        }
        // This saves the next read. The end of the stream is reported only once, so then it is read for.
        match count < room && self.takes_all && !closed {
            true => Ok(Progress::Drained),
            false => Ok(Progress::More),
        }
    }
}
