//! The spawned child's deafness to Ctrl-C.

use std::thread;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::error::{Error, Result};

/// Makes this process ignore SIGINT from now on, and calls `on_first`, on a thread of its own,
/// when the first one comes.
///
/// A Ctrl-C on a terminal reaches the whole group of processes; the parent decides what it means
/// and ends a spawned child by closing its stream, so the child itself must not die of it (Bitcoin
/// Core's `startSpawnedProcess` does the same). `on_first` is there to say so once.
///
/// # Errors
/// [`Error::Io`] where the handler or its thread cannot be set up.
pub fn ignore_sigint(on_first: impl FnOnce() + Send + 'static) -> Result<()> {
    let failed = |error| Error::io("ignore SIGINT", error);
    // The operating system's handler stays in place when the iterator goes, and does nothing.
    let mut signals = Signals::new([SIGINT]).map_err(failed)?;
    thread::Builder::new()
        .name("sigint".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                on_first();
            }
        })
        .map_err(failed)?;
    Ok(())
}
