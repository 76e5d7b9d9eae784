//! Imports that were dropped, until the peer is told.
//!
//! They may be dropped anywhere, and so also where a thread has the state locked. Knows their numbers.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::sync::{Mutex, lock};

/// Dropped imports, and how often the peer had given each.
#[derive(Default)]
pub struct Released {
    imports: Mutex<Vec<(u32, u64)>>,
    /// Whether there are any: most flushes find none.
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
