//! Calls by name: reading their words, making them on a session, and the ways to make many.
//!
//! Knows peers, schemas and output; nothing of the commands' words, but for those of `call`.

pub(crate) mod each;
pub(crate) mod jobs;
pub(crate) mod lines;
mod pick;
pub(crate) mod printing;
pub(crate) mod repeat;
pub(crate) mod rpc;
pub(crate) mod running;
pub(crate) mod session;
mod shell;
pub(crate) mod telling;
pub(crate) mod values;
pub(crate) mod watching;
