//! The locks that the protocol is built on, and the order in which a thread may take them.
//!
//! Knows the standard library's locks, and nothing else. `tests/loom` puts loom's in their place to
//! model-check the files that coordinate threads with them.
//!
//! A thread takes a lock only while all the locks that it holds are of lower [`Rank`], so no two
//! threads can wait for each other. Builds with debug assertions check that each time a lock is taken.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
pub use std::sync::{Condvar, OnceLock};
pub use std::thread_local;
use std::time::Duration;

/// The ranks of locks, from the first taken to the last: a thread that holds one may take only those
/// below it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The jobs of the thread that destroys objects, held while it runs them.
    Cleanup,
    /// The buffer that streams are read into, held by the leader while it processes events.
    Scratch,
    /// The poller, held by the leader while it waits and while it processes events.
    Poller,
    /// The reading side of a connection, held while its messages are handled.
    Input,
    /// A connection's state and effects.
    Decisions,
    /// A connection's messages that wait to be written.
    Pending,
    /// The writing side of a connection's stream.
    Sink,
    /// The threads of a pool.
    Pool,
    /// The status of a connection: whether it has ended.
    Status,
    /// The pending `destroy` calls of a connection.
    Destroying,
    /// A waiter's state: the jobs and calls of its thread.
    Waiter,
    /// The lines about a process in the log.
    Log,
    /// Any other lock. While a thread holds one of these it takes no further lock.
    Leaf,
}

thread_local! {
    /// The ranks of the locks that this thread holds, one bit each.
    static HELD: Cell<u16> = const { Cell::new(0) };
}

/// A held lock's entry in the rank check.
struct Held(Rank);

impl Held {
    fn bit(rank: Rank) -> u16 {
        1 << rank as u8
    }

    /// Checks the rank of a lock that this thread is about to take, and records it.
    fn taking(rank: Rank) -> Self {
        if cfg!(debug_assertions) {
            let held = HELD.try_with(Cell::get).unwrap_or_default();
            assert!(
                held < Self::bit(rank),
                "a lock of rank {rank:?} is taken while one of the same or a higher rank is held"
            );
        }
        Self::taken(rank)
    }

    fn taken(rank: Rank) -> Self {
        if cfg!(debug_assertions) {
            let _ = HELD.try_with(|held| held.set(held.get() | Self::bit(rank)));
        }
        Self(rank)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            let _ = HELD.try_with(|held| held.set(held.get() & !Self::bit(self.0)));
        }
    }
}

/// A lock around a value.
#[derive(Debug)]
pub struct Mutex<T> {
    value: std::sync::Mutex<T>,
    rank: Rank,
}

/// A lock that is held. Dropping it releases the lock.
pub struct MutexGuard<'a, T> {
    // Declared first, so that the lock is released before its rank.
    value: std::sync::MutexGuard<'a, T>,
    held: Held,
}

impl<T> Mutex<T> {
    /// Makes a lock of rank [`Rank::Leaf`].
    pub const fn new(value: T) -> Self {
        Self::ranked(Rank::Leaf, value)
    }

    /// Makes a lock of this rank.
    pub const fn ranked(rank: Rank, value: T) -> Self {
        Self {
            value: std::sync::Mutex::new(value),
            rank,
        }
    }

    /// Takes the lock, unless a thread holds it. The rank does not matter, since this does not wait.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        let held = Held::taken(self.rank);
        Some(MutexGuard { value, held })
    }

    /// Returns the value; the exclusive borrow makes locking unnecessary.
    pub fn get_mut(&mut self) -> &mut T {
        let value = self.value.get_mut();
        value.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Takes the lock, even after another thread panicked while it held it: nothing is left half changed by
/// a panic, since only the standard library's own code runs under these locks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let held = Held::taking(mutex.rank);
    let value = mutex.value.lock().unwrap_or_else(PoisonError::into_inner);
    MutexGuard { value, held }
}

/// Waits until `condvar` is notified.
pub fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let MutexGuard { value, held } = guard;
    let value = condvar.wait(value).unwrap_or_else(PoisonError::into_inner);
    MutexGuard { value, held }
}

/// Waits until `condvar` is notified, for at most `time`; returns whether the time has passed.
pub fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Duration,
) -> (MutexGuard<'a, T>, bool) {
    let MutexGuard { value, held } = guard;
    let waited = condvar.wait_timeout(value, time);
    let (value, waited) = waited.unwrap_or_else(PoisonError::into_inner);
    (MutexGuard { value, held }, waited.timed_out())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_taken_in_the_order_of_their_ranks() {
        let (outer, inner) = (Mutex::ranked(Rank::Decisions, 1), Mutex::new(2));
        let first = lock(&outer);
        assert_eq!(*first + *lock(&inner), 3);
        // In any order, since it does not wait.
        let second = lock(&inner);
        assert!(outer.try_lock().is_none());
        drop((second, first));
        assert_eq!(*lock(&outer), 1);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_lock_taken_against_its_rank_is_found() {
        for rank in [Rank::Decisions, Rank::Leaf] {
            let taken = std::thread::spawn(move || {
                let (outer, inner) = (Mutex::ranked(rank, 1), Mutex::new(2));
                let _inner = lock(&inner);
                drop(lock(&outer));
            });
            let panic = taken.join().unwrap_err();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            assert!(
                text.is_some_and(|text| text.contains("is taken while")),
                "{text:?}"
            );
        }
    }
}
