//! RPC over one stream, level 1 of Cap'n Proto's: calls, answers, objects of both sides, and pipelined
//! calls. Objects and calls may be used by any thread.
//!
//! Nothing that a peer sends may panic, hang, or make memory grow without bound. A message passes, on
//! its way in, through these:
//!
//! 1. [`link`] reads the stream, with [`input`];
//! 2. [`wire`] makes checked messages of the bytes;
//! 3. [`state`] decides, under one lock, what a message does: its answer is a list of effects;
//! 4. [`link`] carries the effects out, without the lock and in their order ([`ordered`]):
//!    [`mod@carry_out`] delivers calls to objects ([`cap`]), forwards those for objects of peers
//!    ([`mod@forward`]), and passes answers to their callbacks;
//! 5. [`output`] writes the queued messages, into the [`stream`]; [`schedule`] decides when,
//!    and [`deadlines`] how long the peer has for its part.
//!
//! An [`observer`] sees every message between 2 and 3, and where it is queued.
//!
//! A call of this process goes the same way from 3. [`call`] has calls and answers as messages.
//!
//! Nothing in this module knows an interface, an address or a process. It never prints.

mod call;
mod cap;
mod carry_out;
mod deadlines;
mod forward;
mod input;
mod lifecycle;
mod link;
mod observer;
mod ordered;
mod output;
mod released;
mod schedule;
mod state;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

pub use cap::{
    Ask, Cap, Host, Import, Incoming, Param, Request, Response, Results, Target, supply,
};
pub use forward::{Passage, forward_through};
pub use lifecycle::Lifecycle;
pub use link::Link;
pub use observer::{Direction, Observer, Seen};
pub use state::{AFTER_DISCONNECT, INTERRUPTED};
pub use stream::refuse;
pub use wire::cap_table::{Caps, find};
pub use wire::envelope::{self, Envelope};
pub use wire::reason::CloseReason;
