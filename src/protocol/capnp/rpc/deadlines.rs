//! The times within which a peer has to do something.
//!
//! Knows timers; nothing of what happens when one fires.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::super::event_loop::{EventLoop, Timer};
use super::super::sync::{Mutex, lock};

/// An event that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The first message of an incoming connection.
    Handshake,
    /// The end of an incomplete message.
    Frame,
    /// The peer reads something of the queued messages.
    Write,
    /// An ending connection has written its queued messages.
    Flush,
}

/// The deadlines of one connection.
pub struct Deadlines {
    event_loop: Arc<EventLoop>,
    /// The timers in the order of [`Deadline`].
    timers: Mutex<[Option<Timer>; 4]>,
    /// The deadlines that are set, one bit each: most messages come without any.
    set: AtomicU8,
}

impl Deadlines {
    /// Makes deadlines of which none is set.
    pub fn new(event_loop: &Arc<EventLoop>) -> Self {
        Self {
            event_loop: event_loop.clone(),
            timers: Mutex::default(),
            set: AtomicU8::new(0),
        }
    }

    /// Runs `action` on the event loop after `time`, unless the deadline is cleared before. It must not
    /// block.
    pub fn set(&self, deadline: Deadline, time: Duration, action: impl FnOnce() + Send + 'static) {
        let timer = self.event_loop.after(time, action);
        let before = std::mem::replace(&mut lock(&self.timers)[deadline as usize], timer);
        self.set.fetch_or(1 << deadline as u8, Ordering::SeqCst);
        // Without the lock, as everything that a timer owns.
        drop(before);
    }

    /// Returns whether a deadline is set.
    pub fn is_set(&self, deadline: Deadline) -> bool {
        self.set.load(Ordering::SeqCst) & (1 << deadline as u8) != 0
    }

    /// Clears a deadline: its event has come.
    pub fn clear(&self, deadline: Deadline) {
        if self.is_set(deadline) {
            self.set.fetch_and(!(1 << deadline as u8), Ordering::SeqCst);
            let timer = lock(&self.timers)[deadline as usize].take();
            drop(timer);
        }
    }

    /// Clears all of them.
    pub fn clear_all(&self) {
        let timers = std::mem::take(&mut *lock(&self.timers));
        drop(timers);
    }
}
