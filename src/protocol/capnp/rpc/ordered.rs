//! Effects that are carried out in the order in which they were decided, whichever threads decide.
//!
//! Knows a state under a lock, and a queue; nothing of what the effects are. Model-checked with loom in
//! `tests/loom`.
//!
//! A decision is made under the lock, and its effects are queued there. One thread at a time takes the
//! queue and carries it out without the lock; a thread that finds another at it leaves its effects to
//! that one, which checks the queue again before it stops. So an effect may itself make a decision:
//! that one's effects come after it, and not within it.

use std::collections::VecDeque;

use super::super::sync::{Mutex, Rank, lock};

/// A state, and the effects of its decisions.
pub struct Ordered<S, E> {
    decisions: Mutex<Decisions<S, E>>,
}

struct Decisions<S, E> {
    state: S,
    queue: VecDeque<E>,
    /// Set while a thread carries effects out.
    carrying_out: bool,
}

/// Effects that this thread must carry out with [`Ordered::carry_out`].
#[must_use = "others leave theirs to this thread"]
pub struct Todo<E>(VecDeque<E>);

impl<S, E> Ordered<S, E> {
    /// Wraps a state, with no effects queued.
    pub fn new(state: S) -> Self {
        Self {
            decisions: Mutex::ranked(
                Rank::Decisions,
                Decisions {
                    state,
                    queue: VecDeque::new(),
                    carrying_out: false,
                },
            ),
        }
    }

    /// Calls `look` with the state.
    pub fn look<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&lock(&self.decisions).state)
    }

    /// Returns whether no thread holds the state's lock; the holder may be the calling thread.
    pub fn is_free(&self) -> bool {
        self.decisions.try_lock().is_some()
    }

    /// Lets `decide` change the state and queue effects. Returns the effects that this thread must
    /// carry out, unless another thread does.
    pub fn decide<R>(
        &self,
        decide: impl FnOnce(&mut S, &mut VecDeque<E>) -> R,
    ) -> (R, Option<Todo<E>>) {
        let mut decisions = lock(&self.decisions);
        let decisions = &mut *decisions;
        let result = decide(&mut decisions.state, &mut decisions.queue);
        let is_mine = !decisions.carrying_out && !decisions.queue.is_empty();
        decisions.carrying_out |= is_mine;
        let todo = is_mine.then(|| Todo(std::mem::take(&mut decisions.queue)));
        (result, todo)
    }

    /// Carries effects out, and those that other threads queue meanwhile. `apply` must not panic.
    pub fn carry_out(&self, todo: Todo<E>, mut apply: impl FnMut(E)) {
        let Todo(mut todo) = todo;
        loop {
            todo.drain(..).for_each(&mut apply);
            let mut decisions = lock(&self.decisions);
            // Its memory serves the next ones.
            std::mem::swap(&mut decisions.queue, &mut todo);
            if todo.is_empty() {
                decisions.carrying_out = false;
                return;
            }
        }
    }
}
