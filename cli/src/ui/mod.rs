//! Input and output of users: results, errors, the log, signals, the prompt.
//!
//! Knows terminals, streams and formats; nothing of peers or of what is called.

pub(crate) mod errors;
pub(crate) mod escape;
pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod output;
pub(crate) mod prompt;
pub(crate) mod queue;
pub(crate) mod signals;
pub(crate) mod spinner;
pub(crate) mod stdout;
