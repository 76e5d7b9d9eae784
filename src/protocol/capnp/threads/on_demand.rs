//! A value that is made once, for the first caller that needs it, while the others wait.
//!
//! Knows a lock and a queue; nothing of the value, nor of how it is made. Model-checked with loom in
//! `tests/loom`.

use super::super::event_loop::run_guarded;
use super::super::sync::{Mutex, OnceLock, lock};

/// A value, or the recipe by which it is made when it is first needed.
pub struct OnDemand<R, T> {
    value: OnceLock<T>,
    making: Mutex<Making<R>>,
}

/// The progress of making a value.
enum Making<R> {
    /// No caller has needed it.
    ToDo(R),
    /// A caller makes the value. These closures run once it is made.
    UnderWay(Vec<Box<dyn FnOnce() + Send>>),
    Done,
}

/// The answer to a caller that needs the value now.
pub enum Demand<'a, R, T> {
    /// The value.
    Made(&'a T),
    /// The caller makes the value by this recipe, and then calls [`OnDemand::set`].
    ToBeMade(R),
    /// Another caller makes it, or has just made it: see [`OnDemand::once_made`].
    UnderWay,
}

impl<R, T> OnDemand<R, T> {
    /// Makes a value that is made by `recipe` when it is first needed.
    pub fn new(recipe: R) -> Self {
        Self {
            value: OnceLock::new(),
            making: Mutex::new(Making::ToDo(recipe)),
        }
    }

    /// Wraps a value that is already made.
    pub fn made(value: T) -> Self {
        Self {
            value: OnceLock::from(value),
            making: Mutex::new(Making::Done),
        }
    }

    /// Returns the value, if it is made.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Returns the value, or the recipe for the first caller, which must make the value.
    pub fn demand(&self) -> Demand<'_, R, T> {
        if let Some(value) = self.value.get() {
            return Demand::Made(value);
        }
        let mut making = lock(&self.making);
        match std::mem::replace(&mut *making, Making::UnderWay(Vec::new())) {
            Making::ToDo(recipe) => Demand::ToBeMade(recipe),
            before => {
                *making = before;
                Demand::UnderWay
            }
        }
    }

    /// Sets the value, and runs the closures that wait for it, in order.
    pub fn set(&self, value: T) {
        let mut making = lock(&self.making);
        let set = self.value.set(value);
        debug_assert!(set.is_ok(), "made once");
        let before = std::mem::replace(&mut *making, Making::Done);
        drop(making);
        if let Making::UnderWay(waiting) = before {
            for then in waiting {
                run_guarded("what waits for a value", then);
            }
        }
    }

    /// Runs `then` once the value is made: on this thread if no caller is making it, otherwise on the
    /// one that sets it. `then` must not block.
    pub fn once_made(&self, then: impl FnOnce() + Send + 'static) {
        let mut making = lock(&self.making);
        match &mut *making {
            Making::UnderWay(waiting) => waiting.push(Box::new(then)),
            Making::ToDo(_) | Making::Done => {
                drop(making);
                then();
            }
        }
    }
}
