//! Channels between processes, and the addresses by which they are found.
//!
//! Knows paths, sockets and their permissions. Must not know what is said over a stream (the
//! protocol), what a child is (a program's address is only parsed here), or what the processes
//! are for (roles). Reads neither the environment nor a configuration: the data directory comes
//! in as a parameter. Of [`crate::process`] it uses the one thing that is about numbers on a
//! command line: taking over an inherited descriptor.
//!
//! The addresses are Bitcoin Core's (`src/ipc/process.cpp`, `ParseAddress`, and
//! `src/ipc/interfaces.cpp`, `connectAddress`), and two more: `fd:N` and `exec:PROGRAM`.
//!
//! # Channels
//! A channel is a [`Stream`], and an [`Acceptor`] where peers connect to this process: all that a
//! protocol knows of it. Those of the library are unix sockets. A program brings another by implementing
//! the two traits, here the first for TCP:
//!
//! ```no_run
//! use std::io::{self, IoSlice};
//! use std::net::{Shutdown, TcpStream};
//! use std::os::fd::{AsFd, BorrowedFd};
//!
//! use bitcoin_ipc::Ipc;
//! use bitcoin_ipc::interfaces::init::Init;
//! use bitcoin_ipc::roles::Role;
//! use bitcoin_ipc::transport::{Peer, Stream, socket};
//!
//! struct Tcp(TcpStream);
//!
//! impl AsFd for Tcp {
//!     fn as_fd(&self) -> BorrowedFd<'_> {
//!         self.0.as_fd()
//!     }
//! }
//!
//! impl Stream for Tcp {
//!     fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
//!         socket::receive(self, buffer)
//!     }
//!     fn takes_all(&self) -> bool {
//!         true
//!     }
//!     fn send(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
//!         socket::send(self, bytes)
//!     }
//!     fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
//!         socket::set_nonblocking(self, nonblocking)
//!     }
//!     fn shut_down(&self) -> io::Result<()> {
//!         self.0.shutdown(Shutdown::Both)
//!     }
//!     fn peer(&self) -> Peer {
//!         match self.0.peer_addr() {
//!             Ok(address) => Peer::Named(address.ip().to_string().into()),
//!             Err(_) => Peer::Unknown,
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stream = TcpStream::connect("192.0.2.1:8331")?;
//! // A message is complete when it is sent: nothing follows that it could wait for.
//! stream.set_nodelay(true)?;
//! let ipc = Ipc::<dyn Init>::new("my-program", Role::Node.init())?;
//! let init = ipc.connect_stream(Tcp(stream))?;
//! # Ok(()) }
//! ```

mod address;
mod connect;
mod datadir;
mod listener;
pub mod socket;
mod socket_file;
mod stream;
mod trust;
mod unix;

pub use crate::peer::{Credentials, Peer};
pub use address::Address;
pub use connect::connect;
pub use datadir::{Chain, DataDir, MAX_SOCKET_PATH};
pub use listener::{Listener, bind};
pub use stream::{Acceptor, Stream};
pub use trust::Trust;
