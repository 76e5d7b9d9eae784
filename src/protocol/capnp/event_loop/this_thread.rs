//! The calling thread's part in an event loop.
//!
//! Knows thread-locals; nothing of what driving a loop consists of.

use std::cell::Cell;

thread_local! {
    /// The address of the loop that this thread drives, not merely waits on.
    static DRIVES: Cell<usize> = const { Cell::new(0) };
    /// The address of the loop for which this thread gathers its writes.
    static GATHERS: Cell<usize> = const { Cell::new(0) };
}

/// Returns the address of the loop that this thread drives; 0 if none.
pub fn driven() -> usize {
    DRIVES.try_with(Cell::get).unwrap_or_default()
}

/// Returns whether this thread drives a loop at the moment.
pub fn is_on_loop() -> bool {
    driven() != 0
}

/// Marks this thread as driving a loop, until it is dropped.
pub struct Driving(());

impl Driving {
    /// Marks this thread as driving the loop at this address.
    pub fn begin(address: usize) -> Self {
        DRIVES.set(address);
        Self(())
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        DRIVES.set(0);
    }
}

/// Returns whether this thread gathers its writes for the loop at this address.
pub fn gathers(address: usize) -> bool {
    GATHERS.try_with(Cell::get) == Ok(address)
}

/// Sets whether this thread gathers its writes for the loop at this address; returns whether it did
/// before.
pub fn gather(address: usize, gathers: bool) -> bool {
    let has = self::gathers(address);
    if has != gathers {
        let address = if gathers { address } else { 0 };
        let _ = GATHERS.try_with(|loop_of| loop_of.set(address));
    }
    has
}
