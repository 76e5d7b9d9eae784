//! Bitcoin Core's multiprocess IPC: spawn, serve, connect to and call its processes.
//!
//! Bitcoin Core can run its node, wallet and GUI as processes of their own that call each other
//! through plain interfaces. This library is the Rust side of that, compatible on the wire with
//! Bitcoin Core 30, 31 and 32 and with libmultiprocess. An interface is a trait; a call to one of
//! its methods runs here or in another process, and the caller's code is the same.
//!
//! - A program that talks to a node begins with [`Client`], or with [`client::Reconnecting`] where the
//!   node may stop and start again:
//!
//!   ```no_run
//!   use bitcoin_ipc::client::{Client, Reconnecting, TemplateOptions};
//!
//!   # fn main() -> bitcoin_ipc::Result<()> {
//!   let node = Reconnecting::new(Client::builder().data_dir("/var/lib/bitcoin"));
//!   for work in node.templates(TemplateOptions::new()) {
//!       println!("a template on {}", work?.previous());
//!   }
//!   # Ok(()) }
//!   ```
//! - A program that spawns, is spawned, or serves begins with [`Ipc`].
//! - A test calls an implementor over the wire, in one process, by [`pair()`].
//! - An object that answers as several interfaces is a [`Several`]; [`cast()`] asks an object for another one.
//! - The interfaces are in [`interfaces`], the errors in [`error`](mod@error), and [`generation`] tells
//!   what differs between the releases of Bitcoin Core.
//! - Interfaces of other schemas come from `bitcoin-ipc-codegen` and [`include_schema!`].

#[cfg(feature = "bitcoin")]
mod blocks;
pub mod call;
pub mod client;
#[cfg(feature = "dynamic")]
pub mod dynamic;
pub mod error;
pub mod generation;
pub mod interfaces;
pub mod ipc;
pub mod limits;
#[cfg(feature = "bitcoin")]
pub mod miner;
mod opaque;
mod pair;
mod peer;
pub mod process;
pub mod protocol;
pub mod roles;
pub mod transport;

#[cfg(feature = "bitcoin")]
pub use blocks::{BlockTemplateExt, MiningExt};
pub use call::{CallOptions, CancelToken};
pub use client::Client;
pub use error::{Error, RemoteKind, Result};
pub use generation::Generation;
pub use interfaces::{BlockHash, MerkleHash, Txid, Wtxid};
pub use ipc::{Ipc, Listener, Relay, Spawned};
pub use limits::Limits;
pub use pair::pair;
pub use process::Program;
#[doc(hidden)]
pub use protocol::capnp::rt;
pub use protocol::capnp::rt::{Several, cast, cast_async};
pub use transport::Address;

/// Includes the code that `bitcoin-ipc-codegen` generated under this name. Use it inside a module
/// of the same name at the crate's root.
#[macro_export]
macro_rules! include_schema {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, "/mod.rs"));
    };
}

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
