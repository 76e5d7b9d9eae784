//! The files under test, where they expect to be.

#[path = "../../../src/protocol/capnp/event_loop/leader.rs"]
pub mod leader;
#[path = "../../../src/protocol/capnp/event_loop/waiter.rs"]
pub mod waiter;

/// A panic here is a model's, and ends it.
pub fn run_guarded<R>(_: impl std::fmt::Display, f: impl FnOnce() -> R) -> Option<R> {
    Some(f())
}
