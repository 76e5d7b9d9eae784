//! The tasks that wait for one event.
//!
//! Knows wakers; nothing of the event.

use std::task::Waker;

use slab::Slab;

use super::event_loop::run_guarded;
use super::sync::{Mutex, lock};

/// The tasks that wait for one event.
#[derive(Default)]
pub struct Wakers(Mutex<Slab<Waker>>);

impl Wakers {
    /// Wakes all of them, and forgets them.
    pub fn wake(&self) {
        let wakers: Vec<_> = lock(&self.0).drain().collect();
        for waker in wakers {
            // It is an application's, and a panic must not keep the others waiting.
            run_guarded("a waker", || waker.wake());
        }
    }

    /// Registers a task, in the place that it has if it has one.
    pub fn register(&self, place: &mut Option<usize>, waker: &Waker) {
        let mut wakers = lock(&self.0);
        let mut before = None;
        match place.and_then(|place| wakers.get_mut(place)) {
            Some(registered) if registered.will_wake(waker) => {}
            Some(registered) => before = Some(std::mem::replace(registered, waker.clone())),
            None => *place = Some(wakers.insert(waker.clone())),
        }
        drop(wakers);
        // Without the lock, since a waker may own anything.
        drop(before);
    }

    /// Removes the task in this place, if there is one.
    pub fn remove(&self, place: usize) {
        let removed = lock(&self.0).try_remove(place);
        drop(removed);
    }
}
