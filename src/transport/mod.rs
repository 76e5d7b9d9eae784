//! Addresses, and the connected streams behind them.
//!
//! Knows paths, sockets and their permissions. Must not know what is said over a stream (the
//! protocol), what a child is (a program's address is only parsed here), or what the processes
//! are for (roles). Reads neither the environment nor a configuration: the data directory comes
//! in as a parameter. Of [`crate::process`] it uses the one thing that is about numbers on a
//! command line: taking over an inherited descriptor.
//!
//! The addresses are Bitcoin Core's (`src/ipc/process.cpp`, `ParseAddress`, and
//! `src/ipc/interfaces.cpp`, `connectAddress`), and two more: `fd:N` and `exec:PROGRAM`.

mod address;
mod connect;
mod datadir;
mod listener;
mod socket_file;
mod trust;

pub use crate::peer::Peer;
pub use address::Address;
pub use connect::connect;
pub use datadir::{Chain, DataDir, MAX_SOCKET_PATH};
pub use listener::{Listener, bind};
pub use socket_file::SocketFile;
pub use trust::Trust;
