//! The interfaces as traits, and the values they carry, generated from the schemas.
//!
//! Knows the standard library and [`crate::Error`], nothing of proxies, wires or processes: a
//! program that only implements or uses an interface needs nothing else.

mod call;
#[cfg(feature = "dynamic")]
#[allow(dead_code, reason = "`build.rs` reads the rest")]
pub(crate) mod meaning;
mod offload;
#[doc(hidden)]
pub mod secrets;
mod values;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::peer::Peer;

pub use call::{Call, ready};
pub use offload::{Offload, Offloaded, offload};
pub use values::{BlockHash, DataValue, MerkleHash, NumberValue, Txid, Wtxid};

/// Returns the error of a method that an implementor of its trait leaves out. `method` names its
/// interface as well, such as `Mining.getTip`.
///
/// # Errors
/// Returns [`Error::Unimplemented`] always.
#[doc(hidden)]
pub fn unimplemented<T>(method: &str) -> Result<T> {
    Err(Error::Unimplemented(format!(
        "{method} is not implemented by this object"
    )))
}

/// The remote end of an object in another process, and its connection. Every trait's `remote()`
/// returns it; a local object has none.
pub trait Remote: Any + Send + Sync {
    /// Whether calls can still reach the object.
    fn is_connected(&self) -> bool;

    /// Returns the end of the connection, which can be waited for without holding the object.
    fn disconnection(&self) -> Disconnection;

    /// Blocks until the connection is gone, or `timeout` has passed. Returns whether it is gone.
    fn wait_disconnected(&self, timeout: Option<Duration>) -> bool {
        self.disconnection().wait(timeout)
    }

    /// Returns the process at the other end of the connection, as its channel tells it.
    fn peer(&self) -> Peer {
        Peer::Unknown
    }

    /// Returns whether the peer implements a method, by its name in the schema, such as `makeMining`.
    /// The peer is asked the first time.
    ///
    /// The method is not run: the call's parameters are no struct, which a peer finds before it runs
    /// anything, while it answers for a method that it does not have before it looks at them. (A spawned
    /// Core 31.99 node exits when its `makeMining` does run.) A node logs nothing of it. A peer whose
    /// library reads parameters only when the method asks for them, as `capnp-rpc` does, runs a method that
    /// asks for none.
    ///
    /// # Errors
    /// Fails when there is no such method in the schema, and when the connection fails.
    fn implements(&self, method: &str) -> Result<bool>;

    /// The async form of [`implements`](Self::implements).
    fn implements_async(&self, method: &str) -> Call<bool>;

    /// Returns the first of these ordinals at which the peer implements a method, as its place among
    /// them. The peer is asked in their order, as [`implements`](Self::implements) does, whatever the
    /// schema has there.
    ///
    /// # Errors
    /// Fails when the connection fails.
    #[doc(hidden)]
    fn first_implemented(&self, ordinals: &'static [u16]) -> Result<Option<usize>>;

    /// The async form of [`first_implemented`](Self::first_implemented).
    #[doc(hidden)]
    fn first_implemented_async(&self, ordinals: &'static [u16]) -> Call<Option<usize>>;

    /// Ends the connection. Calls under way, on any of its objects, fail as disconnected. Only the
    /// destruction of dropped objects in the peer is waited for, two seconds at most.
    fn disconnect(&self);

    /// Runs `f` once when this object is gone: when its last handle is dropped or its connection
    /// ends, whichever is first. `f` runs on a thread for cleanups, never on the event loop.
    fn on_cleanup(&self, f: Box<dyn FnOnce() + Send>);

    /// Returns the object to the protocol that made it.
    #[doc(hidden)]
    fn as_any(&self) -> &dyn Any;
}

/// The end of a connection, to be waited for: with [`Disconnection::wait`], or as a future of the
/// reason. Waiting for it does not keep the connection.
#[must_use = "nothing is waited for"]
pub struct Disconnection(Box<dyn End>);

/// The end of a connection, as a protocol tells it.
pub trait End: Send + Sync {
    /// Blocks until the connection is gone, or `timeout` has passed. Returns whether it is gone.
    fn wait(&self, timeout: Option<Duration>) -> bool;

    /// Returns who ended the connection and why, once it has ended.
    fn reason(&self) -> Option<Error>;

    /// Returns whether the connection is gone; if it is not, has the task woken when it is.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

impl Disconnection {
    /// Wraps the end of a protocol's connection.
    pub fn new(end: impl End + 'static) -> Self {
        Self(Box::new(end))
    }

    /// Blocks until the connection is gone, or `timeout` has passed. Returns whether it is gone.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        self.0.wait(timeout)
    }

    /// Returns who ended the connection and why, once it has ended.
    pub fn reason(&self) -> Option<Error> {
        self.0.reason()
    }
}

impl Future for Disconnection {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Error> {
        let end = &mut self.0;
        end.poll(context).map(|()| {
            let unknown = || Error::Disconnected("the connection has ended".into());
            end.reason().unwrap_or_else(unknown)
        })
    }
}

impl fmt::Debug for Disconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason();
        f.debug_struct("Disconnection")
            .field("reason", &reason)
            .finish_non_exhaustive()
    }
}

include!(concat!(env!("OUT_DIR"), "/newest/interfaces.rs"));
include!(concat!(env!("OUT_DIR"), "/older_interfaces.rs"));
