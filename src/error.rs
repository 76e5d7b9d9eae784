//! The library's error type: what failed, on what, and what to do about it.
//!
//! Knows only the standard library, so that the interfaces can name it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A [`std::result::Result`] with this library's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The beginning of the text with which Cap'n Proto's C++ refuses a method that an interface does not have
/// (`Capability::Server::internalUnimplemented` in `capability.c++`), and so do Core, pycapnp, and the
/// code that capnpc generates for Rust. An object that refuses a method itself may use other words.
pub(crate) const NO_METHOD: &str = "Method not implemented";

/// Everything that can go wrong between two processes.
///
/// Cheap to clone, so that one cause can fail every call that waited on a connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; `what` names the action and its object.
    #[error("{what}: {source}")]
    Io {
        /// The action and its object, such as `connect to /run/node.sock`.
        what: String,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The connection is gone, or was never established.
    #[error("{0}")]
    Disconnected(String),
    /// The peer answered with an exception. The connection goes on.
    #[error("{text}")]
    Remote {
        /// The exception's kind on the wire.
        kind: RemoteKind,
        /// The peer's own words.
        text: String,
    },
    /// The peer does not have this interface or method.
    #[error("{0}")]
    Unimplemented(String),
    /// A deadline passed.
    #[error("{what}: no answer within {}", Seconds(*.after))]
    Timeout {
        /// The method or action that had no answer in time.
        what: String,
        /// The time limit that passed.
        after: Duration,
    },
    /// The caller cancelled the call.
    #[error("{0}: cancelled")]
    Cancelled(String),
    /// A value cannot cross: it is malformed, or too large.
    #[error("{field}: {reason}")]
    Conversion {
        /// The field's path, such as `Mining.getTip.result.hash`.
        field: String,
        /// The reason why its value cannot cross.
        reason: String,
    },
    /// An address that cannot be used.
    #[error("address {address:?}: {reason}")]
    Address {
        /// The address as it was given.
        address: String,
        /// The reason why it cannot be used.
        reason: String,
    },
    /// Nothing listens there: no socket has this path, or the one that has it is a leftover.
    #[error("nothing listens at {}: {source}", path.display())]
    NoListener {
        /// The path of the socket that was tried.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A user who is not trusted serves there, or may have put the socket there.
    #[error("not connected to {}: {reason}", path.display())]
    Untrusted {
        /// The path of the socket.
        path: PathBuf,
        /// The user, and the part of the path that is that user's.
        reason: String,
    },
    /// A program could not be started, or ended before it answered.
    #[error("{program}: {reason}")]
    Spawn {
        /// The program as it was given.
        program: String,
        /// The reason why it did not become a peer.
        reason: String,
        /// The operating system's reason, where starting it failed.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// The caller used the library in a way that can never work.
    #[error("{0}")]
    Usage(String),
}

/// The kinds of exception on the wire (`rpc.capnp`, `Exception.Type`) that have no variant of
/// their own in [`enum@Error`]: `unimplemented` is [`Error::Unimplemented`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteKind {
    /// The method threw.
    Failed,
    /// The peer is at one of its limits; trying again later may work.
    Overloaded,
    /// Something that the method needed at the peer is gone, such as a third process. The connection
    /// to the peer goes on: when that ends, calls fail with [`Error::Disconnected`].
    Disconnected,
}

impl Error {
    /// Returns the exception with this text that a caller gets from an implementation that fails.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Remote {
            kind: RemoteKind::Failed,
            text: text.into(),
        }
    }

    /// Returns the exception that a caller gets from an implementation that is at a limit.
    pub fn overloaded(text: impl Into<String>) -> Self {
        Self::Remote {
            kind: RemoteKind::Overloaded,
            text: text.into(),
        }
    }

    /// Returns an operating-system error with the action and object that it is about.
    pub fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what: what.into(),
            source: Arc::new(source.into()),
        }
    }

    /// Returns the error of a value that cannot cross, by its field.
    pub fn conversion(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Conversion {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// Puts the name of a field's container before the field's own, where this is a conversion
    /// error; returns other errors unchanged.
    #[must_use]
    pub fn within(self, container: &str) -> Self {
        match self {
            Self::Conversion { field, reason } => Self::Conversion {
                field: format!("{container}.{field}"),
                reason,
            },
            other => other,
        }
    }

    /// Whether the peer lacks the method or interface.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Unimplemented(_))
    }

    /// Whether nothing listens there; trying again later may work.
    pub fn is_no_listener(&self) -> bool {
        matches!(self, Self::NoListener { .. })
    }

    /// Whether the same may succeed later, over this connection or over a new one: nothing listened, the
    /// connection ended, no answer came in time, or the peer was at a limit or had lost something that it
    /// needed.
    pub fn is_retryable(&self) -> bool {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted,
            TimedOut, WouldBlock,
        };
        match self {
            Self::NoListener { .. } | Self::Disconnected(_) | Self::Timeout { .. } => true,
            Self::Remote { kind, .. } => {
                matches!(kind, RemoteKind::Overloaded | RemoteKind::Disconnected)
            }
            Self::Io { source, .. } => matches!(
                source.kind(),
                BrokenPipe
                    | ConnectionAborted
                    | ConnectionRefused
                    | ConnectionReset
                    | Interrupted
                    | TimedOut
                    | WouldBlock
            ),
            _ => false,
        }
    }

    /// Whether the connection is gone.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

/// A duration in the largest unit that keeps it readable.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{} s", self.0.as_secs_f64())
        }
    }
}
