//! Messages on their way into the stream: which wait, and who writes them.
//!
//! Knows a queue, a sink and who is at work; nothing of what the messages are, nor of why the
//! connection ends. Model-checked with loom in `tests/loom`.
//!
//! A message is queued by whoever decided to send it, in the order of the decisions, and then written by
//! the first thread that flushes. A thread that flushes while another writes leaves its messages to
//! that one, which looks again before it stops. So nothing that was queued before a flush is left
//! behind, unless the stream has no room: then whoever hears of room flushes.

use std::collections::VecDeque;
use std::io;

use super::super::sync::{Mutex, Rank, lock};

/// How far writing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// All of it is written.
    All,
    /// The stream takes no more now.
    Blocked,
}

/// Where messages go.
pub trait Sink: Default {
    /// What goes there.
    type Message;

    /// Takes over all of these messages.
    fn append(&mut self, messages: &mut VecDeque<Self::Message>);

    /// Writes until nothing is left or the stream takes no more. Adds to `done` what the messages
    /// cost that need their own memory no longer.
    ///
    /// # Errors
    /// What the stream says. Nothing is written after that.
    fn write(&mut self, done: &mut usize) -> io::Result<Wrote>;
}

/// What the output tells of its stream, under its lock.
pub trait Watch {
    /// Has the stream watched for room to write, or no longer.
    ///
    /// # Errors
    /// What the operating system says.
    fn watch(&self, writable: bool) -> io::Result<()>;

    /// The stream has no room: [`Output::unblock`] is called when it has.
    fn blocked(&self);
}

/// What became of a flush.
#[derive(Debug)]
pub enum Flushed {
    /// All is written, or somebody else will write it.
    Done,
    /// All is written, and nothing will follow.
    Ended,
    /// The stream has no room now.
    Blocked {
        /// What waits, in bytes.
        queued: usize,
        /// Tells this time from others, for [`Output::is_stalled`].
        turn: u64,
    },
    /// Another thread writes, or there is no room. So many bytes wait.
    Left(usize),
    /// Nothing can be written any more.
    Failed,
    /// The stream cannot be watched.
    Unwatched(io::Error),
}

/// The messages of one connection that are to be written.
pub struct Output<S: Sink> {
    pending: Mutex<Pending<S::Message>>,
    /// Only ever locked by the thread that has set `Pending::writing`, or at the end.
    sink: Mutex<S>,
}

struct Pending<M> {
    queue: VecDeque<M>,
    /// What all messages cost that are not written, in bytes.
    queued: usize,
    /// A thread is writing.
    writing: bool,
    /// There is no room to write.
    blocked: bool,
    /// The stream is watched for room to write.
    watched: bool,
    /// A part of what was taken from the queue is not written.
    unwritten: bool,
    /// How often a thread has written.
    turns: u64,
    /// Nothing follows what is queued.
    ending: bool,
    /// Why writing ended, while there may still be something to read.
    error: Option<String>,
    /// Nothing is written any more.
    over: bool,
}

impl<S: Sink> Output<S> {
    /// Nothing is queued. Messages go into `sink`.
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

    /// Queues messages of this cost, to be written by the next flush.
    pub fn queue(&self, messages: impl Iterator<Item = S::Message>, cost: usize) {
        let mut pending = lock(&self.pending);
        if pending.over || pending.error.is_some() {
            return;
        }
        pending.queued += cost;
        pending.queue.extend(messages);
    }

    /// Has the next flush that writes everything tell that it did.
    pub fn end(&self) {
        lock(&self.pending).ending = true;
    }

    /// Writes nothing any more, whatever is queued; tells whether a thread waits for room.
    pub fn close(&self) -> bool {
        let mut pending = lock(&self.pending);
        pending.over = true;
        pending.queued = 0;
        let queue = std::mem::take(&mut pending.queue);
        let blocked = std::mem::take(&mut pending.blocked);
        let writing = pending.writing;
        drop(pending);
        drop(queue);
        // Who writes at the moment, does so itself.
        if !writing {
            *lock(&self.sink) = S::default();
        }
        blocked
    }

    /// There is room to write again; tells whether that was waited for.
    pub fn unblock(&self) -> bool {
        std::mem::take(&mut lock(&self.pending).blocked)
    }

    /// Whether the stream has had no room since a turn that was [`Flushed::Blocked`].
    pub fn is_stalled(&self, turn: u64) -> bool {
        let pending = lock(&self.pending);
        pending.blocked && pending.turns == turn
    }

    /// Why writing ended, if it did.
    pub fn error(&self) -> Option<String> {
        lock(&self.pending).error.clone()
    }

    /// What waits to be written, in bytes.
    #[cfg(test)]
    pub fn queued(&self) -> usize {
        lock(&self.pending).queued
    }

    /// Writes what is queued, as far as the stream takes it. Where another thread is at that, it
    /// writes this, too.
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

    /// Watches for room to write, or no longer: under the lock, so that what is noted here and what
    /// the system was told last are the same.
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
