//! How what stands on a connection learns of its end. Knows the reason, and nothing else.

use super::wire::reason::CloseReason;

/// Is told of the end of a connection, once, on any thread. It must not block.
pub trait Lifecycle: Send + Sync {
    /// The connection is over. Nobody who waits for something of it has been told yet.
    fn closing(&self, reason: &CloseReason);

    /// Everybody has been told.
    fn closed(&self);
}
