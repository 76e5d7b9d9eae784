//! Children: starting them with one end of a stream, their exit statuses, and the descriptors
//! and signals of a process that was itself started that way.
//!
//! Knows the operating system's processes and descriptors. Must not know what is said over the
//! stream (the protocol), where streams come from otherwise (addresses), or what the processes
//! are for (roles). Reads neither the environment nor its own command line: what it needs of
//! them comes in as parameters.
//!
//! The contract between parent and child is Bitcoin Core's (`src/ipc/process.cpp`,
//! `SpawnProcess` in libmultiprocess's `src/mp/util.cpp`): the command line is exactly
//! `<program> -ipcfd <N>`, and N is one end of a connected stream socket.

mod args;
mod child;
mod fd;
mod format;
mod lines;
mod program;
mod sigint;
mod spawn;
mod status;

pub use args::check_spawned;
pub use child::{Child, STDERR_GRACE};
pub use fd::{inherited_listener, inherited_stream};
pub use lines::MAX_LINE;
pub use program::{Program, Stderr, Stdin};
pub use rustix::process::Signal;
pub use sigint::ignore_sigint;
pub use spawn::spawn;
pub use status::{ExitStatus, exec_failure_code};

#[cfg(test)]
pub(crate) mod tests;
