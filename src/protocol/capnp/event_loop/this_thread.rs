//! The calling thread's part in an event loop.
//!
//! Knows thread-locals; nothing of what driving a loop consists of.

use std::cell::Cell;

thread_local! {
    /// The address of the loop that this thread drives, not merely waits on.
    static DRIVES: Cell<usize> = const { Cell::new(0) };
    /// The address of the loop for which this thread gathers its writes.
    static GATHERS: Cell<usize> = const { Cell::new(0) };
    /// The address of the loop for which this thread has gathered writes that it has not flushed.
    static GATHERED: Cell<usize> = const { Cell::new(0) };
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

/// Gathers this thread's writes for the loop at this address, until it is dropped.
pub struct Gathering(());

impl Gathering {
    /// Begins to gather.
    pub fn begin(address: usize) -> Self {
        let _ = GATHERS.try_with(|gathers| gathers.set(address));
        Self(())
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let _ = GATHERS.try_with(|gathers| gathers.set(0));
    }
}

/// Notes that this thread has gathered writes for the loop at this address that it is to flush.
pub fn set_gathered(address: usize) {
    let _ = GATHERED.try_with(|gathered| gathered.set(address));
}

/// Returns whether this thread has gathered writes for the loop at this address.
pub fn has_gathered(address: usize) -> bool {
    GATHERED.try_with(Cell::get) == Ok(address)
}

/// Forgets the gathered writes for the loop at this address; returns whether there were any.
pub fn take_gathered(address: usize) -> bool {
    let has = has_gathered(address);
    if has {
        set_gathered(0);
    }
    has
}
