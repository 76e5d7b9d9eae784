//! The times within which a peer has to do something.
//!
//! Knows timers; nothing of what happens when one goes off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::super::event_loop::{EventLoop, Timer};
use super::super::sync::{Mutex, lock};

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The first message of a connection that came in.
    Handshake,
    /// The end of the message that has begun.
    Frame,
    /// The peer reads something of what is queued for it.
    Write,
    /// An ending connection has written what is queued.
    Flush,
}

/// The deadlines of one connection.
pub struct Deadlines {
    event_loop: Arc<EventLoop>,
    /// In the order of [`Deadline`].
    timers: Mutex<[Option<Timer>; 4]>,
    /// Which of them have been set, a bit each: most messages come without any.
    set: AtomicU8,
}

impl Deadlines {
    /// None is set.
    pub fn new(event_loop: &Arc<EventLoop>) -> Self {
        Self {
            event_loop: event_loop.clone(),
            timers: Mutex::default(),
            set: AtomicU8::new(0),
        }
    }

    /// Has `action` run on the event loop after a time. It must not block.
    pub fn set(&self, deadline: Deadline, time: Duration, action: impl FnOnce() + Send + 'static) {
        let timer = self.event_loop.after(time, action);
        let before = std::mem::replace(&mut lock(&self.timers)[deadline as usize], timer);
        self.set.fetch_or(1 << deadline as u8, Ordering::SeqCst);
        // Without the lock, as everything that a timer holds.
        drop(before);
    }

    /// Whether a deadline is set.
    pub fn is_set(&self, deadline: Deadline) -> bool {
        self.set.load(Ordering::SeqCst) & (1 << deadline as u8) != 0
    }

    /// What was waited for has come.
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
