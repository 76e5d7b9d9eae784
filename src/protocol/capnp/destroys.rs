//! The pending `destroy` calls of a connection, and the end that waits for them.
//!
//! Knows their number; nothing of objects or messages.

use std::time::{Duration, Instant};

use super::event_loop::Timer;
use super::sync::{Condvar, Mutex, Rank, lock, wait_timeout};

/// The pending `destroy` calls of a connection.
pub struct Destroys {
    state: Mutex<State>,
    /// Told when none is pending any more.
    done: Condvar,
}

#[derive(Default)]
struct State {
    count: usize,
    /// Set when the connection ends with the last of them, or when this timer fires.
    closing: Option<Option<Timer>>,
}

impl Default for Destroys {
    fn default() -> Self {
        Self {
            state: Mutex::ranked(Rank::Destroying, State::default()),
            done: Condvar::new(),
        }
    }
}

impl Destroys {
    /// Counts one more.
    pub fn begin(&self) {
        lock(&self.state).count += 1;
    }

    /// Counts one less. Returns whether the connection waited for the last of them to end.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.state);
        state.count = state.count.saturating_sub(1);
        if state.count > 0 {
            return false;
        }
        let closing = state.closing.take();
        drop(state);
        self.done.notify_all();
        closing.is_some()
    }

    /// Returns whether there are any.
    pub fn any(&self) -> bool {
        lock(&self.state).count > 0
    }

    /// Has the connection end with the last of them, or when `timer`, which this makes, fires. Returns
    /// true if there are none: then it may end now.
    pub fn close(&self, timer: impl FnOnce() -> Option<Timer>) -> bool {
        let mut state = lock(&self.state);
        if state.count > 0 {
            state.closing = Some(timer());
        }
        state.count == 0
    }

    /// Takes the timer of an end that waits: the connection has ended.
    pub fn stop(&self) -> Option<Option<Timer>> {
        lock(&self.state).closing.take()
    }

    /// Blocks until there are none, or `limit` has passed.
    pub fn wait(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.state);
        while state.count > 0 && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            state = wait_timeout(&self.done, state, left).0;
        }
    }
}
