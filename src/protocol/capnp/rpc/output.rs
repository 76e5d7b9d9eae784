//! The queue of messages to a stream, and the choice of the thread that writes them.
//!
//! Knows a queue, a sink and whether a thread writes; nothing of what the messages are, nor of why the
//! connection ends. Model-checked with loom in `tests/loom`.
//!
//! A message is queued by the thread that decided to send it, in the order of the decisions, and then
//! written by the first thread that flushes. A thread that flushes while another writes leaves its
//! messages to that one, which checks the queue again before it stops. So nothing that was queued
//! before a flush is left behind, unless the stream has no room: then the thread that gets the event
//! for room flushes.

use std::collections::VecDeque;
use std::io;

use super::super::sync::{Mutex, Rank, lock};

/// The result of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// All messages are written.
    All,
    /// The stream has no room now.
    Blocked,
}

/// The destination of messages.
pub trait Sink: Default {
    /// The type of message.
    type Message;

    /// Appends all of these messages, and leaves `messages` empty.
    fn append(&mut self, messages: &mut VecDeque<Self::Message>);

    /// Writes until nothing is left or the stream has no room. Adds to `done` the cost, in bytes, of
    /// the messages whose own memory is no longer needed.
    ///
    /// # Errors
    /// Returns the error of the stream. Nothing is written after that.
    fn write(&mut self, done: &mut usize) -> io::Result<Wrote>;
}

/// A watch on the output's stream, called under the output's lock.
pub trait Watch {
    /// Watches the stream for room to write, or no longer.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    fn watch(&self, writable: bool) -> io::Result<()>;

    /// Runs when the stream has no room. [`Output::unblock`] must be called once it has.
    fn blocked(&self);
}

/// The result of a flush.
#[derive(Debug)]
pub enum Flushed {
    /// All is written, or writing is over.
    Done,
    /// All is written, and nothing will follow.
    Ended,
    /// The stream has no room now.
    Blocked {
        /// The cost of the messages that are not written, in bytes.
        queued: usize,
        /// The number of this turn, for [`Output::is_stalled`].
        turn: u64,
    },
    /// Another thread writes, or there is no room. The value is the cost of the messages that are not
    /// written, in bytes.
    Left(usize),
    /// Writing failed: nothing can be written any more.
    Failed,
    /// Watching the stream failed.
    Unwatched(io::Error),
}

/// The messages of one connection that are to be written.
pub struct Output<S: Sink> {
    pending: Mutex<Pending<S::Message>>,
    /// Locked only by the thread that has set `Pending::writing`, or at the end.
    sink: Mutex<S>,
}

struct Pending<M> {
    queue: VecDeque<M>,
    /// The cost of all messages that are not written, in bytes.
    queued: usize,
    /// Set while a thread writes.
    writing: bool,
    /// Set while the stream has no room.
    blocked: bool,
    /// Set while the stream is watched for room to write.
    watched: bool,
    /// Set while a part of what was taken from the queue is not written.
    unwritten: bool,
    /// The number of times that a thread has written.
    turns: u64,
    /// Set when nothing follows what is queued.
    ending: bool,
    /// The error that ended writing; there may still be something to read.
    error: Option<String>,
    /// Set when nothing is written any more.
    over: bool,
}

impl<S: Sink> Output<S> {
    /// Makes an output with an empty queue that writes to `sink`.
    pub fn new(sink: S) -> Self {
        Self {
            pending: Mutex::ranked(
                Rank::Pending,
                Pending {
                    queue: VecDeque::new(),
                    queued: 0,
                    writing: false,
                    blocked: false,
                    watched: false,
                    unwritten: false,
                    turns: 0,
                    ending: false,
                    error: None,
                    over: false,
                },
            ),
            sink: Mutex::ranked(Rank::Sink, sink),
        }
    }

    /// Queues messages of this cost, in bytes, to be written by the next flush.
    pub fn queue(&self, messages: impl Iterator<Item = S::Message>, cost: usize) {
        let mut pending = lock(&self.pending);
        if pending.over || pending.error.is_some() {
            return;
        }
        pending.queued += cost;
        pending.queue.extend(messages);
    }

    /// Makes each later flush that leaves nothing unwritten return [`Flushed::Ended`].
    pub fn end(&self) {
        lock(&self.pending).ending = true;
    }

    /// Drops the queue and writes nothing from now on; returns whether the stream had no room.
    pub fn close(&self) -> bool {
        let mut pending = lock(&self.pending);
        pending.over = true;
        pending.queued = 0;
        let queue = std::mem::take(&mut pending.queue);
        let blocked = std::mem::take(&mut pending.blocked);
        let writing = pending.writing;
        drop(pending);
        drop(queue);
        // A thread that writes at the moment does so itself.
        if !writing {
            *lock(&self.sink) = S::default();
        }
        blocked
    }

    /// Records that there is room to write again; returns whether there was none.
    pub fn unblock(&self) -> bool {
        std::mem::take(&mut lock(&self.pending).blocked)
    }

    /// Returns whether the stream has had no room since a turn that was [`Flushed::Blocked`].
    pub fn is_stalled(&self, turn: u64) -> bool {
        let pending = lock(&self.pending);
        pending.blocked && pending.turns == turn
    }

    /// Returns the error that ended writing, if any.
    pub fn error(&self) -> Option<String> {
        lock(&self.pending).error.clone()
    }

    /// Returns the cost of the messages that are not written, in bytes.
    #[cfg(test)]
    pub fn queued(&self) -> usize {
        lock(&self.pending).queued
    }

    /// Writes the queued messages until the stream has no room. If another thread writes, it writes
    /// these, too.
    pub fn flush(&self, stream: &impl Watch) -> Flushed {
        loop {
            let mut pending = lock(&self.pending);
            if pending.over {
                return Flushed::Done;
            }
            if pending.writing || pending.blocked {
                return Flushed::Left(pending.queued);
            }
            if pending.error.is_some() || (pending.queue.is_empty() && !pending.unwritten) {
                return match Self::watch(&mut pending, stream, false) {
                    Err(error) => Flushed::Unwatched(error),
                    Ok(()) if pending.ending => Flushed::Ended,
                    Ok(()) => Flushed::Done,
                };
            }
            pending.writing = true;
            pending.turns += 1;
            let turn = pending.turns;
            let mut sink = lock(&self.sink);
            sink.append(&mut pending.queue);
            drop(pending);
            let mut done = 0;
            let wrote = sink.write(&mut done);
            drop(sink);
            let mut pending = lock(&self.pending);
            pending.writing = false;
            pending.queued = pending.queued.saturating_sub(done);
            if pending.over {
                drop(pending);
                *lock(&self.sink) = S::default();
                return Flushed::Done;
            }
            match wrote {
                Ok(Wrote::All) => pending.unwritten = false,
                Ok(Wrote::Blocked) => {
                    pending.unwritten = true;
                    pending.blocked = true;
                    stream.blocked();
                    return match Self::watch(&mut pending, stream, true) {
                        Ok(()) => Flushed::Blocked {
                            queued: pending.queued,
                            turn,
                        },
                        Err(error) => Flushed::Unwatched(error),
                    };
                }
                Err(error) => {
                    // There may still be something to read.
                    pending.error = Some(format!("writing failed: {error}"));
                    let queue = std::mem::take(&mut pending.queue);
                    drop(pending);
                    drop(queue);
                    return Flushed::Failed;
                }
            }
        }
    }

    /// Watches for room to write, or no longer: under the lock, so that `watched` matches the last
    /// registration.
    fn watch(
        pending: &mut Pending<S::Message>,
        stream: &impl Watch,
        writable: bool,
    ) -> io::Result<()> {
        match std::mem::replace(&mut pending.watched, writable) == writable {
            true => Ok(()),
            false => stream.watch(writable),
        }
    }
}
