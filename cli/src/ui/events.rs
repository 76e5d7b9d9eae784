//! The one thing that a command waits for. Each source of events keeps what it has to say, a signal, an
//! answer, a line, the end of a connection or of a child, and rings; who waits looks at all of its sources
//! when something has rung, or when its time is over. Nothing looks again and again.
//!
//! Knows threads and time; nothing of the sources.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

/// The events of a process. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: Mutex<u64>,
    rung: Condvar,
}

/// The events so far. To be had before the sources are looked at, so that an event after that ends the
/// wait.
#[derive(Clone, Copy)]
pub(crate) struct Seen(u64);

impl Events {
    pub(crate) fn seen(&self) -> Seen {
        Seen(*self.0.count())
    }

    /// Ends the waits that began before, also those that are about to begin.
    pub(crate) fn ring(&self) {
        self.0.ring();
    }

    /// Waits until something rings that was not seen, or until `deadline`.
    pub(crate) fn wait(&self, seen: Seen, deadline: Option<Instant>) {
        let mut count = self.0.count();
        while *count == seen.0 {
            let rung = &self.0.rung;
            count = match deadline {
                None => rung.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return;
                    }
                    let woken = rung.wait_timeout(count, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Returns a waker of futures that rings.
    pub(crate) fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Returns a value that rings when it is dropped, also by a panic.
    pub(crate) fn ringer(&self) -> Ringer {
        Ringer(self.clone())
    }
}

impl Shared {
    fn count(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        *self.count() += 1;
        self.rung.notify_all();
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// Rings when dropped.
pub(crate) struct Ringer(Events);

impl Drop for Ringer {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn what_rings_after_a_look_ends_the_wait() {
        let events = Events::default();
        let far = || Instant::now().checked_add(LONG);
        let seen = events.seen();
        events.ring();
        events.wait(seen, far());
        // Each way of ringing, from another thread.
        let rings: [fn(&Events); 3] = [
            |events| events.ring(),
            |events| events.waker().wake(),
            |events| drop(events.ringer()),
        ];
        for ring in rings {
            let (seen, other) = (events.seen(), events.clone());
            let thread = thread::spawn(move || ring(&other));
            events.wait(seen, far());
            thread.join().unwrap_or_default();
        }
        // Nothing has rung since.
        let start = Instant::now();
        let (seen, limit) = (events.seen(), Duration::from_millis(10));
        events.wait(seen, start.checked_add(limit));
        assert!(start.elapsed() >= limit);
    }
}
