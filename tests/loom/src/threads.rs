//! The files under test, where they expect to be.

#[path = "../../../src/protocol/capnp/threads/on_demand.rs"]
pub mod on_demand;
#[path = "../../../src/protocol/capnp/threads/slots.rs"]
pub mod slots;
