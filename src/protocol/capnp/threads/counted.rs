//! The number of worker threads that run for a peer.
//!
//! Knows a number, its limit, and the account of the peer; nothing of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::accounts::{Account, Charge, Resource};
use crate::error::{Error, Result};

/// One counted worker thread of a connection, until the thread has ended.
pub struct Counted {
    count: Arc<AtomicUsize>,
    /// The charge to the peer's process, for all its connections.
    _charge: Charge,
}

impl Counted {
    /// Counts one more thread.
    ///
    /// # Errors
    /// Returns an error of kind overloaded when the thread would exceed `limit`, or the peer's share.
    pub fn new(count: &Arc<AtomicUsize>, limit: usize, account: &Arc<Account>) -> Result<Self> {
        if count.fetch_add(1, Ordering::SeqCst) >= limit {
            count.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::overloaded(format!(
                "too many threads on this connection (limit {limit})"
            )));
        }
        match account.charge(Resource::Threads, 1) {
            Ok(charge) => Ok(Self {
                count: count.clone(),
                _charge: charge,
            }),
            Err(exceeded) => {
                count.fetch_sub(1, Ordering::SeqCst);
                Err(Error::overloaded(exceeded.to_string()))
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}
