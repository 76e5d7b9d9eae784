//! Errors of the generator, each with the place in the schema that it is about.
//!
//! Knows nothing of how schemas are read or code is written.

use std::fmt;
use std::io;

/// A [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why nothing, or not everything, was generated.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The schema has something that has no counterpart in the generated code.
    Schema {
        /// The place, such as `mining.capnp: Mining.foo: parameter x`.
        place: String,
        /// The reason why it cannot be expressed.
        reason: String,
    },
    /// The compiled request is not one, or contradicts itself.
    Malformed {
        /// The request, or the place in it.
        place: String,
        /// The reason why it is rejected.
        reason: String,
    },
    /// The operating system refused.
    Io {
        /// The action and its object, such as `read schema/compiled.bin`.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The `capnp` tool is missing or rejected the schema.
    Tool(String),
    /// An option of the builder that can never work.
    Usage(String),
}

impl Error {
    pub(crate) fn schema(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Schema {
            place: place.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn malformed(place: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Malformed {
            place: place.into(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema { place, reason } => write!(f, "{place}: {reason}"),
            Self::Malformed { place, reason } => write!(f, "{place}: malformed: {reason}"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Tool(text) | Self::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
