//! What is to be done once the state is unlocked, in the order in which it was decided.
//!
//! Knows capabilities and calls; nothing of who carries the effects out.

use std::collections::VecDeque;

use super::super::cap::{Cap, Done, Host, Incoming, Response, Results};
use super::super::wire::reason::CloseReason;
use super::super::wire::write::Built;
use super::answers::Outcome;
use crate::error::{Error, Result};

/// When queued messages are to be written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flush {
    /// There is nothing to write.
    #[default]
    None,
    /// With what is sent next.
    Later,
    /// At the end of this loop turn: a caller is blocked on it.
    Soon,
}

/// Something to do without the lock of the state: it may run an application's code, or want the state
/// again.
pub enum Effect {
    /// A call of the peer's reaches its object.
    Deliver(Cap, Incoming),
    /// A call of the peer's fails before it reaches an object.
    Fail(Incoming, Error),
    /// An answer reaches who asked. What the question kept is dropped before.
    Tell(Done, Result<Response>, Vec<Cap>),
    /// All calls that were to be forwarded to the peer's object `import` have been: the peer may lift
    /// embargo `embargo`.
    Loopback {
        /// The peer's number for its object.
        import: u32,
        /// The peer's number for the embargo.
        embargo: u32,
    },
    /// The connection is over, and nobody has been told yet.
    Closing(CloseReason),
    /// Everybody has been told that the connection is over.
    Closed,
    /// This is dropped.
    Drop(Dropped),
}

/// What must not be dropped under the lock of the state, since its destructor may want that.
#[allow(dead_code, reason = "kept to be dropped elsewhere")]
pub enum Dropped {
    /// An object.
    Cap(Cap),
    /// What this process offers.
    Host(Option<std::sync::Arc<dyn Host>>),
    /// An answer that the peer has finished.
    Outcome(Outcome),
    /// Results that could not be sent, or came too late.
    Results(Result<Results>),
    /// Calls that waited.
    Calls(Vec<Incoming>),
}

/// What follows from a message or a command.
#[derive(Default)]
pub struct Effects {
    /// Messages to send, in order.
    pub messages: Vec<Built>,
    /// When to write them.
    pub flush: Flush,
    /// Everything else, in order.
    pub todo: VecDeque<Effect>,
    /// Ends the connection: the peer would make this process hold too much.
    pub exceeded: Option<CloseReason>,
}

impl Effects {
    /// Has queued messages written no later than `flush`.
    pub fn flush(&mut self, flush: Flush) {
        self.flush = self.flush.max(flush);
    }

    /// Does something after what is to be done so far.
    pub fn then(&mut self, effect: Effect) {
        self.todo.push_back(effect);
    }

    /// Drops something that may be an object.
    pub fn drop(&mut self, cap: impl IntoIterator<Item = Cap>) {
        for cap in cap {
            self.then(Effect::Drop(Dropped::Cap(cap)));
        }
    }
}
