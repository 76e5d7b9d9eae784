//! The real executable from outside: its commands, output, exit statuses and prompt, and the
//! README's sessions.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod absence;
mod call;
mod completion;
mod conf;
mod foreign;
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
mod schema_files;
mod serve;
mod spawn;
mod trouble;
mod values;
#[cfg(target_os = "linux")]
mod waiting;
mod watch;
mod words;

use bitcoin_ipc_foo::{foo, implementation};
