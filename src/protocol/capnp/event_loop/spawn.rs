//! Named threads.
//!
//! Knows the operating system's errors; nothing of what the threads do.

use std::thread;

use crate::error::{Error, Result};

/// Starts a named thread.
///
/// # Errors
/// Returns [`Error::Io`] when the operating system gives no thread.
pub fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    start_thread(name, body).map_err(|error| Error::io(format!("start the thread {name}"), error))
}

/// Starts a named thread.
///
/// # Errors
/// Returns the error of the operating system.
pub fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(body).map(drop)
}
