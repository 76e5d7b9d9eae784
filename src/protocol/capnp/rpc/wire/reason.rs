//! Why a connection ended: who ended it, and why, in words fit for an error and a log.

use std::fmt;

use super::super::super::accounts::Exceeded;

/// Why a connection ended. The first reason counts: what follows from it does not replace it. Every
/// call that is pending then fails with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed the stream between two messages.
    PeerClosed,
    /// The peer wanted no more of the connection, and said so with these words.
    Farewell(String),
    /// The peer ended the connection because something was wrong, with these words.
    Aborted(String),
    /// This process ended the connection because it wanted no more of it.
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
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::PeerClosed | Self::Farewell(_) | Self::Local(_))
    }
}

/// The result for what the peer broke.
pub fn violation<T>(text: impl Into<String>) -> Result<T, CloseReason> {
    Err(CloseReason::Violation(text.into()))
}

/// What capnp found wrong with a message that a peer sent.
impl From<capnp::Error> for CloseReason {
    fn from(error: capnp::Error) -> Self {
        Self::Violation(format!("malformed message: {error}"))
    }
}

/// What was read of a message, or that it could not be.
///
/// # Errors
/// [`CloseReason::Violation`], then.
pub fn readable<T>(read: Option<T>, what: &str) -> Result<T, CloseReason> {
    match read {
        Some(read) => Ok(read),
        None => violation(format!("malformed message: {what} that cannot be read")),
    }
}

/// What a peer sent that is not in the schema of RPC.
impl From<capnp::NotInSchema> for CloseReason {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::Violation(format!("unknown kind of message: {error}"))
    }
}

/// A peer that would make this process hold too much.
impl From<Exceeded> for CloseReason {
    fn from(exceeded: Exceeded) -> Self {
        Self::Violation(exceeded.to_string())
    }
}
