//! Conversions between messages and Rust that no schema expresses: errors, text, lengths.
//!
//! Knows capnp's types and the library's errors; nothing of connections.

use std::fmt;

use capnp::any_pointer;

use super::info::Method;
use crate::error::{Error, Result};
use crate::interfaces::DataValue;
use crate::limits::Limits;

/// The longest list, text or data that the wire can hold: its length has 29 bits (Cap'n Proto encoding
/// specification, list pointers), and one byte of a text is its final zero.
const MAX_LENGTH: usize = (1 << 29) - 2;
/// The beginning of the text with which the implementations of [`NO_METHOD`](crate::error::NO_METHOD)
/// refuse a call of an interface that an object does not have.
pub const NO_INTERFACE: &str = "Requested interface not implemented";
/// Room for the envelope around a message, in bytes.
const ENVELOPE: usize = 8 * 1024;

/// Returns the text of a capnp error.
fn words_of(error: capnp::Error) -> String {
    match error.extra.is_empty() {
        true => error.to_string(),
        false => error.extra,
    }
}

/// Makes the error for a message that does not match its schema.
pub fn from_capnp(error: capnp::Error) -> Error {
    Error::failed(words_of(error))
}

/// Makes a function that turns a capnp error about a message's content into a conversion error for
/// `field`.
pub fn malformed(field: &str) -> impl Fn(capnp::Error) -> Error + '_ {
    move |error| Error::conversion(field, words_of(error))
}

/// Reads a Text field.
///
/// # Errors
/// Returns [`Error::Conversion`] when the message is malformed or the text is not UTF-8.
pub fn text(reader: capnp::Result<capnp::text::Reader<'_>>, field: &str) -> Result<String> {
    text_in(reader, field).map(str::to_owned)
}

/// Reads a Text field, borrowed from the message.
///
/// # Errors
/// Returns the errors of [`text`].
pub fn text_in<'m>(reader: capnp::Result<capnp::text::Reader<'m>>, field: &str) -> Result<&'m str> {
    let text = reader.map_err(malformed(field))?;
    text.to_str()
        .map_err(|error| Error::conversion(field, format!("text is not UTF-8: {error}")))
}

/// Reads a Data field.
///
/// # Errors
/// Returns [`Error::Conversion`] when the message is malformed.
pub fn data(reader: capnp::Result<capnp::data::Reader<'_>>, field: &str) -> Result<Vec<u8>> {
    data_in(reader, field).map(<[u8]>::to_vec)
}

/// Reads a Data field, borrowed from the message.
///
/// # Errors
/// Returns the errors of [`data`].
pub fn data_in<'m>(
    reader: capnp::Result<capnp::data::Reader<'m>>,
    field: &str,
) -> Result<&'m [u8]> {
    reader.map_err(malformed(field))
}

/// Reads a Data field that a type stands for.
///
/// # Errors
/// Returns [`Error::Conversion`] when the message is malformed or the bytes are no such value.
pub fn data_value<T: DataValue>(
    reader: capnp::Result<capnp::data::Reader<'_>>,
    field: &str,
) -> Result<T> {
    let bytes = reader.map_err(malformed(field))?;
    T::of_wire(bytes).ok_or_else(|| {
        Error::conversion(
            field,
            format!("{} bytes, which is not {}", bytes.len(), T::NAME),
        )
    })
}

/// Converts the length of a list, text or data for the wire.
///
/// # Errors
/// Returns [`Error::Conversion`] when it is longer than the wire can express.
pub fn length(length: usize, field: &str) -> Result<u32> {
    if length > MAX_LENGTH {
        return Err(Error::conversion(
            field,
            format!("length {length} is more than a message can hold ({MAX_LENGTH})"),
        ));
    }
    u32::try_from(length).map_err(|error| Error::conversion(field, error.to_string()))
}

/// Refuses a message of `size` bytes of this method if its receiver would end the connection over it.
///
/// # Errors
/// Returns [`Error::Conversion`] when the message, with its envelope, exceeds the limit.
pub fn check_size(limits: &Limits, size: usize, method: &Method) -> Result<()> {
    let limit = limits.message_bytes;
    let whole = size.saturating_add(ENVELOPE);
    if whole > limit {
        return Err(Error::conversion(
            method.full_name(),
            format!(
                "a message of {whole} bytes, with its envelope, exceeds the limit of {limit} bytes"
            ),
        ));
    }
    Ok(())
}

/// Writes a struct in the schema language.
///
/// # Errors
/// Returns the errors of the writer; a malformed message is written as such.
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

#[cfg(test)]
mod tests {
    use super::super::values::Interface;
    use super::*;
    use crate::interfaces::echo::Echo;

    /// Guards against an error that names a size below the limit.
    #[test]
    fn a_message_that_is_too_large_is_larger_than_the_limit_that_is_told() {
        let limits = Limits::default();
        let method = &<dyn Echo as Interface>::INFO.methods[1];
        let most = limits.message_bytes - ENVELOPE;
        assert!(check_size(&limits, most, method).is_ok());
        let error = check_size(&limits, most + 8, method).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Echo.echo: a message of 67108872 bytes, with its envelope, exceeds the limit of \
             67108864 bytes"
        );
    }
}
