//! Schemas as the command line uses them: which one is meant, the methods that users name, and the
//! completion of those names.
//!
//! Knows schemas; nothing of connections or calls.

pub(crate) mod choice;
pub(crate) mod complete;
pub(crate) mod completion;
pub(crate) mod methods;
pub(crate) mod shells;
pub(crate) mod ways;
