//! The communication of two processes, independent of the wire protocol.
//!
//! Knows streams, acceptors of streams, and the two processes' `Init` objects, whose type is a
//! parameter; nothing of sockets, addresses, child processes or roles, and no word of the wire's own
//! language, which is the implementation's: [`capnp`].

pub mod capnp;

use std::sync::Arc;

use crate::error::Result;
use crate::transport::{Acceptor, Stream};

/// A wire protocol for processes whose bootstrap interface is `I`, a trait object such as
/// `dyn Init`.
pub trait Protocol<I: ?Sized>: Send + Sync {
    /// Makes a connected stream a client connection and returns the peer's `Init`. The connection ends
    /// when the last handle to that `Init`, and to every object that came from the peer, is dropped.
    ///
    /// # Errors
    /// Fails when the peer does not answer the handshake, or not in time.
    fn connect(&self, stream: Box<dyn Stream>) -> Result<Arc<I>>;

    /// Serves `init` to the peer of a connected stream, and blocks until the connection has ended and
    /// the objects it used are destroyed. A method that still runs then, on a thread of its own, is not
    /// waited for, and keeps its object.
    ///
    /// # Errors
    /// Fails when the stream cannot be used at all.
    fn serve(&self, stream: Box<dyn Stream>, init: Arc<I>) -> Result<()>;

    /// Serves `init` to every peer that connects to `acceptor`, until the returned value is dropped,
    /// which drops the acceptor. Connections that exist then go on.
    ///
    /// # Errors
    /// Fails when the acceptor cannot be used at all.
    fn listen(&self, acceptor: Box<dyn Acceptor>, init: Arc<I>) -> Result<Listening>;

    /// Ends every connection that was served or accepted.
    fn disconnect_incoming(&self);

    /// Returns the number of connections that are being served.
    fn incoming(&self) -> usize;
}

/// Accepts connections until it is dropped.
#[must_use = "dropping it stops accepting connections"]
pub struct Listening {
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Listening {
    /// Calls `stop` once, when dropped.
    pub fn new(stop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            stop: Some(Box::new(stop)),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

crate::opaque::opaque!(Listening, "Listening");
