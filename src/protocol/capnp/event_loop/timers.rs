//! Actions that run at a time.
//!
//! Knows clocks and closures; nothing of which thread looks at the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::sync::{Mutex, lock};
use super::guard::run_guarded;

type Action = Box<dyn FnOnce() + Send>;

/// The timers of an event loop.
#[derive(Default)]
pub struct Timers(Mutex<State>);

#[derive(Default)]
struct State {
    /// The actions by time, and in order of addition for the same time.
    due: BTreeMap<(Instant, u64), Action>,
    next: u64,
}

/// A timer that fires unless it is dropped before.
#[must_use = "dropping it stops it"]
pub struct Timer {
    timers: Arc<Timers>,
    key: (Instant, u64),
}

impl Drop for Timer {
    fn drop(&mut self) {
        let action = lock(&self.timers.0).due.remove(&self.key);
        // Without the lock, since the action may own anything.
        drop(action);
    }
}

impl Timers {
    /// Runs `action` at `time`, unless the timer is dropped before. It runs on the event loop and must
    /// not block.
    pub fn add(self: &Arc<Self>, time: Instant, action: impl FnOnce() + Send + 'static) -> Timer {
        Timer {
            key: self.add_certain(time, action),
            timers: self.clone(),
        }
    }

    /// Runs `action` at `time`, as [`Timers::add`] does; only the end of the loop prevents it. Returns
    /// its key.
    pub fn add_certain(
        &self,
        time: Instant,
        action: impl FnOnce() + Send + 'static,
    ) -> (Instant, u64) {
        let mut state = lock(&self.0);
        let key = (time, state.next);
        state.next += 1;
        state.due.insert(key, Box::new(action));
        key
    }

    /// Returns the time at which the next timer fires.
    pub fn next(&self) -> Option<Instant> {
        lock(&self.0).due.keys().next().map(|(time, _)| *time)
    }

    /// Runs the actions that are due.
    pub fn run(&self) {
        let mut now = None;
        loop {
            let mut state = lock(&self.0);
            let Some(entry) = state.due.first_entry() else {
                return;
            };
            // The clock is not read where there is no timer.
            if entry.key().0 > *now.get_or_insert_with(Instant::now) {
                return;
            }
            let action = entry.remove();
            drop(state);
            run_guarded("a timer", action);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn they_go_off_in_their_order_and_once() {
        let timers = Arc::new(Timers::default());
        let ran = Arc::new(Mutex::new(Vec::new()));
        let now = Instant::now();
        let note = |number| {
            let ran = ran.clone();
            move || lock(&ran).push(number)
        };
        let _third = timers.add(now, note(3));
        let _first = timers.add(now - Duration::from_secs(1), note(1));
        let _later = timers.add(now + Duration::from_secs(60), note(9));
        let _fourth = timers.add(now, note(4));
        let stopped = timers.add(now - Duration::from_millis(1), note(2));
        assert_eq!(timers.next(), Some(now - Duration::from_secs(1)));
        drop(stopped);
        timers.run();
        timers.run();
        assert_eq!(*lock(&ran), [1, 3, 4]);
        assert_eq!(timers.next(), Some(now + Duration::from_secs(60)));
    }

    #[test]
    fn one_may_stop_another_and_make_one() {
        let timers = Arc::new(Timers::default());
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let counter = ran.clone();
        let other = timers.add(now, move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let (making, counter) = (timers.clone(), ran.clone());
        let made = Arc::new(Mutex::new(None));
        let keep = made.clone();
        let _first = timers.add(now - Duration::from_secs(1), move || {
            drop(other);
            let timer = making.add(now, move || {
                counter.fetch_add(10, Ordering::SeqCst);
            });
            *lock(&keep) = Some(timer);
        });
        timers.run();
        assert_eq!(ran.load(Ordering::SeqCst), 10);
    }
}
