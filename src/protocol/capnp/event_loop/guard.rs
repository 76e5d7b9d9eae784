//! Code that may panic without ending the thread that runs it.
//!
//! Knows panics and the log; nothing of the loop.

use std::fmt;
use std::panic::AssertUnwindSafe;

/// Runs application code. A panic is logged with `what`, and ends nothing else.
pub fn run_guarded<R>(what: impl fmt::Display, f: impl FnOnce() -> R) -> Option<R> {
    match std::panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!("{what} panicked");
            None
        }
    }
}
