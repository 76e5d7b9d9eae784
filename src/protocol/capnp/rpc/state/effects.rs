//! The effects to carry out once the state is unlocked, in the order in which they were decided.
//!
//! Knows capabilities and calls; nothing of the thread that carries the effects out.

use std::collections::VecDeque;

use super::super::cap::{Cap, Done, Host, Incoming, Response, Results};
use super::super::wire::reason::CloseReason;
use super::super::wire::write::Built;
use super::answers::Outcome;
use crate::error::{Error, Result};

/// The time at which queued messages are to be written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flush {
    /// No message is queued.
    #[default]
    None,
    /// Flush before the loop sleeps; an earlier flush takes them along.
    Later,
    /// Flush at the end of this loop turn: a caller is blocked on it.
    Soon,
}

/// An action that must run without the lock of the state: it may run application code, or take the lock
/// itself.
pub enum Effect {
    /// Delivers a call of the peer to its object.
    Deliver(Cap, Incoming),
    /// Fails a call of the peer before it reaches an object.
    Fail(Incoming, Error),
    /// Passes an answer to its callback. The capabilities that the question kept are dropped before.
    Tell(Done, Result<Response>, Vec<Cap>),
    /// Tells the peer that all calls to be forwarded to its object `import` have been: it may lift
    /// embargo `embargo`.
    Loopback {
        /// The peer's number for its object.
        import: u32,
        /// The peer's number for the embargo.
        embargo: u32,
    },
    /// Runs [`Lifecycle::closing`](super::super::lifecycle::Lifecycle::closing): the connection is
    /// over, and no pending call has failed yet.
    Closing(CloseReason),
    /// Runs [`Lifecycle::closed`](super::super::lifecycle::Lifecycle::closed): all pending calls have
    /// failed.
    Closed,
    /// Drops this.
    Drop(Dropped),
}

/// A value that must not be dropped under the lock of the state, since its destructor may take that.
#[allow(dead_code, reason = "kept to be dropped elsewhere")]
pub enum Dropped {
    /// An object.
    Cap(Cap),
    /// The bootstrap object of this process.
    Host(Option<std::sync::Arc<dyn Host>>),
    /// An answer that the peer has finished.
    Outcome(Outcome),
    /// Results that could not be sent, or came too late.
    Results(Result<Results>),
    /// Calls that waited for a target or a parameter.
    Calls(Vec<Incoming>),
}

/// The effects of a message or a command.
#[derive(Default)]
pub struct Effects {
    /// Messages to send, in order.
    pub messages: Vec<Built>,
    /// The time to write them.
    pub flush: Flush,
    /// All other effects, in order.
    pub todo: VecDeque<Effect>,
    /// Set to end the connection: the peer would make this process hold too much.
    pub exceeded: Option<CloseReason>,
}

impl Effects {
    /// Schedules the queued messages to be written no later than `flush`.
    pub fn flush(&mut self, flush: Flush) {
        self.flush = self.flush.max(flush);
    }

    /// Appends an effect.
    pub fn then(&mut self, effect: Effect) {
        self.todo.push_back(effect);
    }

    /// Drops capabilities without the lock.
    pub fn drop(&mut self, cap: impl IntoIterator<Item = Cap>) {
        for cap in cap {
            self.then(Effect::Drop(Dropped::Cap(cap)));
        }
    }
}
