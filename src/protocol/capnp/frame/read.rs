//! Frames from a stream: the segment table, then as many words as it announces.
//!
//! Knows sizes and times, nothing of what is in a frame. Memory grows as bytes arrive, never by
//! what is announced. Small frames take one system call, and what came with them is kept.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use capnp::Word;
use futures::AsyncRead;

use super::super::runtime::sleep;
use super::message::Frame;
use super::reason::CloseReason;
use crate::limits::Limits;

/// The input buffer, in bytes. Also the size up to which the rest of a frame is read through it.
const INPUT: usize = 16 * 1024;
/// The memory a frame starts with, in words: 64 KiB.
const FIRST_WORDS: usize = 8 * 1024;
/// The most segments that a frame may have, as on the C++ sides.
const MAX_SEGMENTS: usize = 512;
const WORD: usize = size_of::<Word>();
const ZERO: Word = capnp::word(0, 0, 0, 0, 0, 0, 0, 0);

type Timer = Pin<Box<dyn Future<Output = ()>>>;

/// A frame whose table was read.
struct Body {
    words: Vec<Word>,
    ends: Vec<usize>,
    /// Bytes of `words` that have arrived.
    filled: usize,
    /// The announced size in words.
    total: usize,
}

/// Reads frames from a stream.
pub(super) struct FrameReader<R> {
    stream: R,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    body: Option<Body>,
    max_words: usize,
    frame_time: Duration,
    frame_timer: Option<Timer>,
    /// The time left to a connection that has sent no complete frame yet, if it has a limit.
    handshake_time: Option<Duration>,
    handshake_timer: Option<Timer>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `stream`; the first frame has to be complete within the handshake time if
    /// `handshake` says so.
    pub(super) fn new(stream: R, limits: &Limits, handshake: bool) -> Self {
        Self {
            stream,
            input: vec![0; INPUT].into_boxed_slice(),
            start: 0,
            end: 0,
            body: None,
            max_words: limits.message_bytes / WORD,
            frame_time: limits.frame_time,
            frame_timer: None,
            handshake_time: handshake.then_some(limits.handshake_time),
            handshake_timer: None,
        }
    }

    /// The next frame, or `None` at the end of the stream between two frames.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, CloseReason>> {
        loop {
            if self.body.is_none() {
                self.body = self.take_table()?;
            }
            if let Some(frame) = self.take_body() {
                self.frame_timer = None;
                self.handshake_time = None;
                self.handshake_timer = None;
                return Poll::Ready(Ok(Some(frame)));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.at_end()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(CloseReason::Io(format!("reading failed: {error}"))));
                }
                Poll::Pending => return self.poll_timers(cx).map(Err),
            }
        }
    }

    /// Reads the segment table from the input, once all of it is there.
    fn take_table(&mut self) -> Result<Option<Body>, CloseReason> {
        let input = self.input.get(self.start..self.end).unwrap_or_default();
        let Some(last) = number(input, 0) else {
            return Ok(None);
        };
        let count = last.saturating_add(1);
        if count > MAX_SEGMENTS {
            return Err(CloseReason::Violation(format!(
                "a message of {count} segments (limit {MAX_SEGMENTS})"
            )));
        }
        // A count, then a size each, padded to a whole word.
        let table = (count / 2 + 1) * WORD;
        if input.len() < table {
            return Ok(None);
        }
        let mut ends = Vec::new();
        let mut total = 0_usize;
        for index in 1..=count {
            total = total.saturating_add(number(input, index).unwrap_or(usize::MAX));
            if index < count {
                ends.push(total);
            }
        }
        if total > self.max_words {
            return Err(CloseReason::Violation(format!(
                "a message of {} bytes (limit {})",
                total.saturating_mul(WORD),
                self.max_words * WORD
            )));
        }
        self.start += table;
        Ok(Some(Body {
            words: vec![ZERO; total.min(FIRST_WORDS)],
            ends,
            filled: 0,
            total,
        }))
    }

    /// Moves what the input has of the body, and gives the frame when it is complete.
    fn take_body(&mut self) -> Option<Frame> {
        let body = self.body.as_mut()?;
        loop {
            body.grow();
            let room = body.room();
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let moved = room.len().min(input.len());
            if moved == 0 {
                break;
            }
            room[..moved].copy_from_slice(&input[..moved]);
            self.start += moved;
            body.filled += moved;
        }
        if body.filled < body.total * WORD {
            return None;
        }
        let body = self.body.take()?;
        Some(Frame::new(body.words, body.ends))
    }

    /// Reads once: into the frame itself while much of it is missing, else into the input, so
    /// that the same call brings what follows.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if let Some(body) = &mut self.body
            && body.total * WORD - body.filled >= INPUT
        {
            let read = Pin::new(&mut self.stream).poll_read(cx, body.room());
            if let Poll::Ready(Ok(count)) = read {
                body.filled += count;
            }
            return read;
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.input[self.end..]);
        if let Poll::Ready(Ok(count)) = read {
            self.end += count;
        }
        read
    }

    fn at_end(&self) -> Result<Option<Frame>, CloseReason> {
        match &self.body {
            None if self.start == self.end => Ok(None),
            None => Err(CloseReason::Io(format!(
                "the stream ended inside a message's segment table, after {} bytes",
                self.end - self.start
            ))),
            Some(body) => Err(CloseReason::Io(format!(
                "the stream ended inside a message, after {} of {} bytes",
                body.filled,
                body.total * WORD
            ))),
        }
    }

    /// The deadlines, which are only set now that there is something to wait for.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Some(time) = self.handshake_time {
            let timer = self.handshake_timer.get_or_insert_with(|| timer(time));
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(CloseReason::Timeout(format!(
                    "no complete message within {time:?} of connecting"
                )));
            }
        }
        if self.body.is_some() || self.start < self.end {
            let time = self.frame_time;
            let timer = self.frame_timer.get_or_insert_with(|| timer(time));
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(CloseReason::Timeout(format!(
                    "a message was not complete {time:?} after its first byte"
                )));
            }
        }
        Poll::Pending
    }
}

impl Body {
    /// Adds memory when what there is has been filled: as much again, up to the announced size.
    fn grow(&mut self) {
        let words = self.words.len();
        if self.filled == words * WORD && words < self.total {
            let words = self.total.min(words.saturating_mul(2).max(FIRST_WORDS));
            self.words.resize(words, ZERO);
        }
    }

    /// The memory that has no bytes yet.
    fn room(&mut self) -> &mut [u8] {
        Word::words_to_bytes_mut(&mut self.words)
            .get_mut(self.filled..)
            .unwrap_or_default()
    }
}

fn timer(time: Duration) -> Timer {
    Box::pin(sleep(time))
}

/// The number at `index` in a table of 32-bit numbers.
fn number(table: &[u8], index: usize) -> Option<usize> {
    let bytes = table.get(index * 4..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests;
