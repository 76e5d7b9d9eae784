//! RPC over one stream, level 1 of Cap'n Proto's: calls, answers, objects of both sides, and calls on
//! what has not been answered yet. Objects and calls may be used by any thread.
//!
//! Nothing that a peer sends may panic, hang, or make memory grow without bound. What comes in goes
//! through these steps, each in its file:
//!
//! 1. [`read`] makes frames of bytes, within a size;
//! 2. [`check`] walks a frame's pointers once, so that every later reader of it is safe;
//! 3. [`incoming`] looks at what the message is; [`answers`] knows the peer's calls and refuses what is
//!    too much, [`pipeline`] has them wait for each other, [`forward`] hands on what is for others, and
//!    [`call`] is what the object gets; [`questions`] knows our calls;
//! 4. [`tables`] is what all of them have to remember;
//! 5. [`flush`] is when messages go out, and [`mod@write`] how, in few system calls.
//!
//! [`cap`] is what a capability stands for, [`message`] writes what holds no values, [`link`] ties it
//! all to one stream and its end, and [`reason`] are the words for that.
//!
//! Nothing in this module knows an interface or a thread, an address or a process. It never prints.

mod answers;
mod call;
mod cap;
mod check;
mod flush;
mod forward;
mod frame;
mod incoming;
mod link;
mod message;
mod pipeline;
mod questions;
mod read;
mod reason;
mod tables;
mod write;

#[cfg(test)]
mod tests;

pub use call::{Incoming, Results};
pub use cap::{Cap, Caps, Host, Import, find};
pub use forward::forward as hand_on;
pub use link::Link;
pub use questions::{AFTER_DISCONNECT, Ask, Param, Request, Response, Target};
pub use reason::CloseReason;
pub use tables::INTERRUPTED;
