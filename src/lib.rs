//! Bitcoin Core's multiprocess IPC: spawn, serve, connect to and call its processes.
//!
//! Bitcoin Core can run its node, wallet and GUI as processes of their own that call each other
//! through plain interfaces. This library is the Rust side of that, compatible on the wire with
//! Bitcoin Core 30, 31 and 32 and with libmultiprocess. An interface is a trait; a call to one of
//! its methods runs here or in another process, and the caller's code is the same.

pub mod error;
pub mod interfaces;
pub mod process;
pub mod transport;

pub use error::{Error, RemoteKind, Result};
pub use process::Program;
pub use transport::Address;

/// Includes the code that `bitcoin-ipc-codegen` generated under this name. Use it inside a module
/// of the same name at the crate's root.
#[macro_export]
macro_rules! include_schema {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, "/mod.rs"));
    };
}
