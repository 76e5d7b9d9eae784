//! Application values whose destructors must not run on the event loop.
//!
//! Knows whether this thread drives a loop; nothing of what the values are.

use std::sync::Arc;

use super::{EventLoop, is_on_loop};

/// An application value that passes through the event loop. If it is dropped there, on any path, its
/// destructor runs on the cleanup thread.
pub struct OffLoop<T: Send + 'static> {
    /// `Some` until this is dropped.
    value: Option<T>,
    event_loop: Arc<EventLoop>,
}

impl<T: Send + 'static> OffLoop<T> {
    /// Wraps `value` on its way through `event_loop`.
    pub fn new(event_loop: &Arc<EventLoop>, value: T) -> Self {
        Self {
            value: Some(value),
            event_loop: event_loop.clone(),
        }
    }

    /// Returns the value.
    pub fn get(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("only the drop takes the value"),
        }
    }
}

impl<T: Send + 'static> Drop for OffLoop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take()
            && is_on_loop()
        {
            self.event_loop.clean_up(move || drop(value));
        }
    }
}
