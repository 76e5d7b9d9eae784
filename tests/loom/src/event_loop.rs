//! The files under test, where they expect to be.

#[path = "../../../src/protocol/capnp/event_loop/leader.rs"]
pub mod leader;
#[path = "../../../src/protocol/capnp/event_loop/waiter.rs"]
pub mod waiter;
