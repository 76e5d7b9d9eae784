//! The files under test, where they expect to be.

#[path = "../../../src/protocol/capnp/rpc/ordered.rs"]
pub mod ordered;
#[path = "../../../src/protocol/capnp/rpc/output.rs"]
pub mod output;
