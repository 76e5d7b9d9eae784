//! When the queued messages of a connection are written: by this thread now, or by the one that drives
//! the event loop.
//!
//! Knows who is at work on the loop; nothing of what is written.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::super::event_loop::{EventLoop, Token};
use super::state::Flush;

thread_local! {
    /// The number of the connection whose messages this thread holds back.
    static HELD_BACK: Cell<usize> = const { Cell::new(0) };
}

/// Decides who flushes one connection.
pub struct Schedule {
    connection: usize,
    event_loop: Arc<EventLoop>,
    token: Token,
    /// Whether the event loop has been told to flush, and how soon: a [`Flush`].
    listed: AtomicU8,
}

impl Schedule {
    /// The schedule of a connection, which the event loop flushes by `token`.
    pub fn new(connection: usize, event_loop: &Arc<EventLoop>, token: Token) -> Self {
        Self {
            connection,
            event_loop: event_loop.clone(),
            token,
            listed: AtomicU8::new(0),
        }
    }

    /// Messages were queued. Tells whether this thread is to flush now; otherwise they are written at the
    /// end of this turn of the loop, or if they are for [`Flush::Later`], with what comes next.
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
        // Who is reading at the moment writes before it sleeps. So what several threads send at once
        // goes out together.
        if self.event_loop.is_busy() {
            self.list(Flush::Soon);
            // Looked at again, since it may have looked for what is to be written before this was.
            return !self.event_loop.is_busy();
        }
        true
    }

    /// A flush begins. Called first, so that who finds itself listed after this has its message written
    /// by it.
    pub fn begin(&self) {
        self.listed.store(0, Ordering::SeqCst);
    }

    /// Has who drives the loop flush.
    fn list(&self, flush: Flush) {
        let flush = flush as u8;
        if self.listed.fetch_max(flush, Ordering::SeqCst) < flush {
            let soon = flush == Flush::Soon as u8;
            self.event_loop.write(self.token, soon);
        }
    }

    /// Flushes nothing that `f` has this thread queue, but with what is queued after it.
    pub fn hold_back<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Ends it, also after a panic.
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
