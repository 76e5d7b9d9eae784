//! One connection's frames: the place between the stream and capnp-rpc that every message passes,
//! in both directions, and where the bounds on a peer are kept.
//!
//! capnp-rpc and its stream framing trust the other side. What is put in their place here does
//! not: nothing that a peer sends may panic, hang, or make memory grow without bound. What comes
//! in goes through these steps, each in its file:
//!
//! 1. [`read`] takes frames from the stream, within a size and a time;
//! 2. [`check`] walks a frame's pointers once, so that every later reader of it is safe;
//! 3. [`envelope`] looks at what the message does, refuses what is too much, and rejects what
//!    capnp-rpc cannot bear;
//! 4. [`network`] hands it to capnp-rpc, and takes from it what is to be sent;
//! 5. [`mod@write`] queues that, bounded, and writes it in few system calls.
//!
//! [`link`] ties these to one stream and knows how and why it ended; [`reason`] are the words for
//! that.
//!
//! Nothing in this module knows a schema other than that of RPC itself, an address, a process, or
//! a thread. It never prints.

mod check;
mod envelope;
mod link;
mod message;
mod network;
mod read;
mod reason;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use link::Handle;
pub(crate) use network::{Side, connect};
pub(crate) use reason::CloseReason;
