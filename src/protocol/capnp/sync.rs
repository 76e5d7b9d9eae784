//! The locks that the protocol is built on. Knows nothing else. `tests/loom` puts loom's in their
//! place to model-check [`super::waiter`].

pub use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks, also after another thread panicked while it held the lock: nothing here is left half
/// changed by a panic, since only the standard library's own code runs under these locks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
