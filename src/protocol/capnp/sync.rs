//! The locks that the protocol is built on. Knows nothing else. `tests/loom` puts loom's in their
//! place to model-check the event loop's `leader` and `waiter`.

use std::sync::PoisonError;
pub use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Locks, also after another thread panicked while it held the lock: nothing here is left half
/// changed by a panic, since only the standard library's own code runs under these locks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condvar` is notified.
pub fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// The same for `time` at most; tells whether that has passed.
pub fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Duration,
) -> (MutexGuard<'a, T>, bool) {
    let (guard, waited) = condvar
        .wait_timeout(guard, time)
        .unwrap_or_else(PoisonError::into_inner);
    (guard, waited.timed_out())
}
