//! Why a connection ended, in words fit for a log.

use std::fmt;

/// Why a connection ended. The first reason counts: what follows from it does not replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed the stream between two messages, or said that it would.
    PeerClosed,
    /// The peer gave up on us, and said why.
    Aborted(String),
    /// This side ended it, and this is why.
    Local(String),
    /// The stream failed, or ended inside a message.
    Io(String),
    /// The peer broke the protocol or a limit.
    Violation(String),
    /// The peer was too slow.
    Timeout(String),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Aborted(text) => write!(f, "the peer gave up: {text}"),
            Self::Local(text) | Self::Io(text) | Self::Violation(text) | Self::Timeout(text) => {
                f.write_str(text)
            }
        }
    }
}

impl CloseReason {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::PeerClosed | Self::Local(_))
    }
}

/// What the peer broke.
pub(super) fn violation<T>(text: impl Into<String>) -> Result<T, CloseReason> {
    Err(CloseReason::Violation(text.into()))
}

/// What capnp found wrong with a message that a peer sent.
impl From<capnp::Error> for CloseReason {
    fn from(error: capnp::Error) -> Self {
        Self::Violation(format!("malformed message: {error}"))
    }
}

/// What a peer sent that is not in the schema of RPC.
impl From<capnp::NotInSchema> for CloseReason {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::Violation(format!("unknown kind of message: {error}"))
    }
}
