//! Messages that wait to be written, and their way into the stream.
//!
//! Knows messages and their sizes, nothing of what is in them. Small messages are joined into one
//! write; large segments are written from where they are.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use capnp::OutputSegments;
use futures::AsyncWrite;

use super::envelope::Outgoing;
use super::message::Built;

/// What a message costs beyond its content while it waits, in bytes.
pub(super) const OVERHEAD: usize = 256;
/// The size up to which a segment is copied, to be written with what is beside it.
const SMALL: usize = 16 * 1024;
/// How many bytes are joined into one write, but for the last segment copied.
const JOINED: usize = 32 * 1024;

/// A message of which part is still to be staged.
struct Current {
    message: Built,
    segment: usize,
    /// Bytes of the segment that are written already.
    written: usize,
    cost: usize,
}

/// The messages that are to be written to one stream.
#[derive(Default)]
pub(super) struct WriteQueue {
    waiting: VecDeque<Outgoing>,
    current: Option<Current>,
    /// Headers and small segments, joined.
    joined: Vec<u8>,
    /// Bytes of `joined` that are written already.
    written: usize,
    cost: usize,
}

impl WriteQueue {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.cost += outgoing.cost;
        self.waiting.push_back(outgoing);
    }

    /// The memory, in bytes, of what was pushed and is not yet written, except for what is about
    /// to be written with the next system call.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Drops everything that is not written.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until nothing is left or the stream takes no more.
    pub(super) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            self.stage();
            if let Some(rest) = self.joined.get(self.written..)
                && !rest.is_empty()
            {
                self.written += ready!(poll_write(stream, cx, rest))?;
                if self.written == self.joined.len() {
                    self.joined.clear();
                    self.written = 0;
                }
                continue;
            }
            let Some(current) = &mut self.current else {
                return Poll::Ready(Ok(()));
            };
            let segments = current.message.get_segments_for_output();
            let segment = segment(&segments, current.segment);
            if let Some(rest) = segment.get(current.written..)
                && !rest.is_empty()
            {
                current.written += ready!(poll_write(stream, cx, rest))?;
            }
            if current.written >= segment.len() {
                current.segment += 1;
                current.written = 0;
            }
        }
    }

    /// Fills `joined`, if all of it is written, up to the next large segment.
    fn stage(&mut self) {
        if !self.joined.is_empty() {
            return;
        }
        while self.joined.len() < JOINED {
            let current = match &mut self.current {
                Some(current) => current,
                empty => {
                    let Some(next) = self.waiting.pop_front() else {
                        return;
                    };
                    table(&next.message, &mut self.joined);
                    empty.insert(Current {
                        message: next.message,
                        segment: 0,
                        written: 0,
                        cost: next.cost,
                    })
                }
            };
            let segments = current.message.get_segments_for_output();
            while let Some(segment) = segments.get(current.segment) {
                if current.written > 0 || segment.len() > SMALL {
                    return;
                }
                self.joined.extend_from_slice(segment);
                current.segment += 1;
            }
            self.cost -= current.cost;
            self.current = None;
        }
    }
}

/// Writes once. A stream that takes nothing is an error, so that nothing can spin.
fn poll_write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        match ready!(Pin::new(&mut *stream).poll_write(cx, bytes)) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

/// Appends a message's segment table.
fn table(message: &Built, to: &mut Vec<u8>) {
    let segments = message.get_segments_for_output();
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
