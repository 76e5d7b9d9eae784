//! Dropped imports whose Release is not queued yet.
//!
//! Knows their numbers. An import may be dropped anywhere, even on a thread that holds the state's
//! lock.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::sync::{Mutex, lock};

/// Dropped imports, each with the number of references that the peer had given.
#[derive(Default)]
pub struct Released {
    imports: Mutex<Vec<(u32, u64)>>,
    /// Set if there are any: most flushes find none.
    any: AtomicBool,
}

impl Released {
    /// Adds an import.
    pub fn push(&self, id: u32, given: u64) {
        lock(&self.imports).push((id, given));
        self.any.store(true, Ordering::SeqCst);
    }

    /// Takes all of them, if there are any.
    pub fn take(&self) -> Option<Vec<(u32, u64)>> {
        let any = self.any.load(Ordering::SeqCst) && self.any.swap(false, Ordering::SeqCst);
        any.then(|| std::mem::take(&mut *lock(&self.imports)))
    }
}
