//! Values between messages and Rust that no schema can say: errors, text, lengths.
//!
//! Knows capnp's types and the library's errors; nothing of connections.

use std::fmt;

use capnp::{ErrorKind, any_pointer};

use super::connection::REMOTE;
use crate::error::{Error, RemoteKind, Result};
use crate::limits::Limits;

/// The longest list, text or data the wire can hold: its length has 29 bits (Cap'n Proto encoding
/// specification, list pointers), one byte of a text being its final zero.
const MAX_LENGTH: usize = (1 << 29) - 2;

/// What capnp-rpc reports, in this library's kinds. The mark that capnp-rpc puts before a peer's
/// own words is taken off, but for disconnections, where it tells whose connection is meant.
pub fn from_capnp(error: capnp::Error) -> Error {
    let text = if error.extra.is_empty() {
        error.to_string()
    } else {
        error.extra.clone()
    };
    let own = text.strip_prefix(REMOTE).unwrap_or(&text).to_owned();
    match error.kind {
        ErrorKind::Disconnected => Error::Disconnected(text),
        ErrorKind::Unimplemented => Error::Unimplemented(own),
        ErrorKind::Overloaded => Error::Remote {
            kind: RemoteKind::Overloaded,
            text: own,
        },
        _ => Error::Remote {
            kind: RemoteKind::Failed,
            text: own,
        },
    }
}

/// An error of an implementation as the exception its caller gets.
pub fn to_capnp(error: &Error) -> capnp::Error {
    let text = error.to_string();
    match error {
        Error::Disconnected(_) => capnp::Error::disconnected(text),
        Error::Unimplemented(_) => capnp::Error::unimplemented(text),
        Error::Remote {
            kind: RemoteKind::Overloaded,
            ..
        } => capnp::Error::overloaded(text),
        _ => capnp::Error::failed(text),
    }
}

/// Makes a conversion error for `field` of what capnp says of a message's content.
pub fn malformed(field: &str) -> impl Fn(capnp::Error) -> Error + '_ {
    move |error| {
        let reason = if error.extra.is_empty() {
            error.to_string()
        } else {
            error.extra
        };
        Error::conversion(field, reason)
    }
}

/// A Text field.
///
/// # Errors
/// [`Error::Conversion`] when the message is malformed or the text is not UTF-8.
pub fn text(reader: capnp::Result<capnp::text::Reader<'_>>, field: &str) -> Result<String> {
    let bytes = reader.map_err(malformed(field))?;
    bytes
        .to_string()
        .map_err(|error| Error::conversion(field, format!("text is not UTF-8: {error}")))
}

/// A Data field.
///
/// # Errors
/// [`Error::Conversion`] when the message is malformed.
pub fn data(reader: capnp::Result<capnp::data::Reader<'_>>, field: &str) -> Result<Vec<u8>> {
    Ok(reader.map_err(malformed(field))?.to_vec())
}

/// A list's, text's or data's length for the wire.
///
/// # Errors
/// [`Error::Conversion`] when it is longer than the wire can say.
pub fn length(length: usize, field: &str) -> Result<u32> {
    if length > MAX_LENGTH {
        return Err(Error::conversion(
            field,
            format!("length {length} is more than a message can hold ({MAX_LENGTH})"),
        ));
    }
    u32::try_from(length).map_err(|error| Error::conversion(field, error.to_string()))
}

/// Refuses what would ruin the connection on receipt.
pub fn check_size(
    limits: &Limits,
    message: any_pointer::Reader<'_>,
    what: impl FnOnce() -> String,
) -> Result<()> {
    /// Words for the envelope around the message.
    const ENVELOPE: u64 = 1024;
    let words = message.target_size().map_err(from_capnp)?.word_count;
    let limit = (limits.message_bytes / 8) as u64;
    if words + ENVELOPE > limit {
        return Err(Error::conversion(
            what(),
            format!(
                "a message of {} bytes is beyond the limit of {} bytes",
                words * 8,
                limit * 8
            ),
        ));
    }
    Ok(())
}

/// Writes a struct in the schema language.
///
/// # Errors
/// What the writer says; a malformed message is written as such.
pub fn show<T>(reader: any_pointer::Reader<'_>, writer: &mut dyn fmt::Write) -> fmt::Result
where
    T: capnp::traits::Owned,
    for<'a> T::Reader<'a>: fmt::Debug,
{
    match reader.get_as::<T::Reader<'_>>() {
        Ok(value) => write!(writer, "{value:?}"),
        Err(error) => write!(writer, "(malformed: {error})"),
    }
}
