//! The reason that a connection ended: which side ended it, and why, in words fit for an error and a
//! log.

use std::fmt;

use super::super::super::accounts::Exceeded;

/// The reason that a connection ended. The first reason counts: later ones do not replace it. Every
/// pending call fails with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed the stream between two messages.
    PeerClosed,
    /// The peer ended the connection in good order, with these words.
    Farewell(String),
    /// The peer ended the connection because something was wrong, with these words.
    Aborted(String),
    /// This process ended the connection in good order, with these words.
    Local(String),
    /// The stream failed, or ended inside a message.
    Io(String),
    /// This process ended the connection because the peer broke the protocol or a limit.
    Violation(String),
    /// This process ended the connection because the peer was too slow.
    Timeout(String),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Farewell(text) | Self::Aborted(text) => {
                write!(f, "the peer ended the connection: {text}")
            }
            Self::Io(text) => write!(f, "the connection failed: {text}"),
            Self::Local(text) => write!(f, "this process ended the connection: {text}"),
            Self::Violation(text) | Self::Timeout(text) => write!(
                f,
                "this process ended the connection because of its peer: {text}"
            ),
        }
    }
}

impl CloseReason {
    /// Returns whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::PeerClosed | Self::Farewell(_) | Self::Local(_))
    }
}

/// Returns [`CloseReason::Violation`] as an error.
pub fn violation<T>(text: impl Into<String>) -> Result<T, CloseReason> {
    Err(CloseReason::Violation(text.into()))
}

/// Converts capnp's error about a message that a peer sent.
#[doc(hidden)]
impl From<capnp::Error> for CloseReason {
    fn from(error: capnp::Error) -> Self {
        Self::Violation(format!("malformed message: {error}"))
    }
}

/// Returns a value read from a message.
///
/// # Errors
/// Returns [`CloseReason::Violation`] when `read` is `None`: `what` could not be read.
pub fn readable<T>(read: Option<T>, what: &str) -> Result<T, CloseReason> {
    match read {
        Some(read) => Ok(read),
        None => violation(format!("malformed message: {what} that cannot be read")),
    }
}

/// Converts the error about a union member that is not in the RPC schema.
#[doc(hidden)]
impl From<capnp::NotInSchema> for CloseReason {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::Violation(format!("unknown kind of message: {error}"))
    }
}

/// Converts the error of a peer that would make this process hold too much.
#[doc(hidden)]
impl From<Exceeded> for CloseReason {
    fn from(exceeded: Exceeded) -> Self {
        Self::Violation(exceeded.to_string())
    }
}
