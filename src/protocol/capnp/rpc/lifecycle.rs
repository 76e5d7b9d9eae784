//! The notification of a connection's end. Knows the reason; nothing else.

use super::wire::reason::CloseReason;

/// The callbacks for the end of a connection. Each runs once, on any thread, and must not block.
pub trait Lifecycle: Send + Sync {
    /// Runs when the connection is over, before pending calls fail.
    fn closing(&self, reason: &CloseReason);

    /// Runs after all pending calls have failed.
    fn closed(&self);
}
