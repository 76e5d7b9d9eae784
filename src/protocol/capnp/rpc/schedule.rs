//! The time at which the queued messages of a connection are written: by this thread now or with what it
//! writes next, or by the thread that drives the event loop.
//!
//! Knows whether a thread drives the loop; nothing of the messages.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::super::event_loop::{EventLoop, Token};
use super::state::Flush;

thread_local! {
    /// The number of the connection whose messages this thread holds back.
    static HELD_BACK: Cell<usize> = const { Cell::new(0) };
}

/// Decides which thread flushes one connection.
pub struct Schedule {
    connection: usize,
    event_loop: Arc<EventLoop>,
    token: Token,
    /// The [`Flush`] that the event loop has been told, as a number; 0 for none.
    listed: AtomicU8,
}

impl Schedule {
    /// Makes the schedule of a connection, which the event loop flushes by `token`.
    pub fn new(connection: usize, event_loop: &Arc<EventLoop>, token: Token) -> Self {
        Self {
            connection,
            event_loop: event_loop.clone(),
            token,
            listed: AtomicU8::new(0),
        }
    }

    /// Schedules a flush of queued messages. Returns whether this thread must flush now; otherwise a
    /// later flush writes them: at the end of this loop turn, or, for [`Flush::Later`], before the loop
    /// sleeps.
    pub fn is_now(&self, flush: Flush) -> bool {
        if flush == Flush::None {
            return false;
        }
        if self.event_loop.is_driven_here() {
            self.list(flush);
            return false;
        }
        if HELD_BACK.get() == self.connection {
            return false;
        }
        if self.event_loop.is_gathering() {
            self.list(Flush::Soon);
            return false;
        }
        // The thread that reads at the moment flushes before it sleeps. So messages that several
        // threads send at once are written together.
        if self.event_loop.is_busy() {
            self.list(Flush::Soon);
            // Checked again, since it may have taken the list before this was added.
            return !self.event_loop.is_busy();
        }
        true
    }

    /// Begins a flush. Must be called first, so that this flush writes the messages of a thread that
    /// finds itself listed.
    pub fn begin(&self) {
        self.listed.store(0, Ordering::SeqCst);
    }

    /// Makes the thread that drives the loop flush.
    fn list(&self, flush: Flush) {
        let flush = flush as u8;
        if self.listed.fetch_max(flush, Ordering::SeqCst) < flush {
            let soon = flush == Flush::Soon as u8;
            self.event_loop.write(self.token, soon);
        }
    }

    /// Runs `f` without flushing the messages that it queues: the next flush writes them.
    pub fn hold_back<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Stops holding back, even after a panic.
        struct Ends(usize);
        impl Drop for Ends {
            fn drop(&mut self) {
                HELD_BACK.set(self.0);
            }
        }
        let _ends = Ends(HELD_BACK.replace(self.connection));
        f()
    }
}
