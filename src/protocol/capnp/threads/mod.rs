//! The threads of a connection. For each thread of one side that makes calls, the other side has one
//! thread that runs all of them, as in libmultiprocess.
//!
//! Knows threads, capabilities and `proxy.capnp`; nothing of methods, values or objects, nor of the
//! connection that the threads belong to. [`peer_threads`] has the peer's threads that stand for this
//! process's, [`own_threads`] those of this process that the peer runs calls on, and [`thread_context`]
//! tells which of them a call of the calling thread runs on. [`errands`] runs the calls that may run on
//! any thread. [`slots`] and [`on_demand`] coordinate the calls that share a thread of the peer.

mod counted;
pub mod errands;
mod names;
mod on_demand;
pub mod own_threads;
pub mod peer_threads;
pub mod slots;
pub mod thread_context;
