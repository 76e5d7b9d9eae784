//! The real executable from outside: its commands, output, exit statuses and prompt, and the
//! README's sessions.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod call;
mod completion;
mod generated;
mod hostile;
mod interrupt;
mod libmultiprocess_example;
mod lines;
mod log;
mod print;
#[cfg(target_os = "linux")]
mod prompt;
mod readme;
mod repeat;
mod safe;
mod schema;
mod spawn;
mod trouble;
#[cfg(target_os = "linux")]
mod waiting;

use bitcoin_ipc_foo::{foo, implementation};
