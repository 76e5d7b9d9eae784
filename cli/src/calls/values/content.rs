//! The content of a file or of stdin that stands in place of a value.
//!
//! Knows bytes and text; nothing of methods.

use std::io::{self, Read};

use bitcoin_ipc::dynamic::schema::model::Type;
use serde_json::Value as Json;

use super::hex::{BOM, digits};
use super::word::from_text;

/// The largest value that is read, in bytes: that of the largest message.
const MAX_VALUE: u64 = 64 * 1024 * 1024;

/// Reads an input to its end, at most [`MAX_VALUE`] bytes.
pub(super) fn read_limited(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Data of the largest size takes twice as many digits.
    input.take(2 * MAX_VALUE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > 2 * MAX_VALUE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "more than {} bytes, the hex of the largest message",
                2 * MAX_VALUE
            ),
        ));
    }
    Ok(bytes)
}

/// Converts what a file holds to the value that its type has in JSON. Data is hex in any layout, or
/// the bytes themselves where they are no text. The end of a line is no part of a value, except of a
/// text.
pub(super) fn from_file(ty: &Type, bytes: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(bytes);
    match (ty, text) {
        (Type::Data, Ok(text)) if is_plain(text) => Ok(digits(text)?.into()),
        (Type::Data, _) => Ok(bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into()),
        (_, Err(error)) => Err(format!(
            "it is no UTF-8 from byte {} on",
            error.valid_up_to() + 1
        )),
        (Type::Text, Ok(text)) => Ok(text.into()),
        (ty, Ok(text)) => from_text(ty, text.trim_start_matches(BOM).trim()),
    }
}

/// Whether a text has no characters but those that are printed, and white space.
fn is_plain(text: &str) -> bool {
    let mut characters = text.trim_start_matches(BOM).chars();
    characters.all(|character| !character.is_control() || character.is_ascii_whitespace())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// FAULTS F1.
    #[test]
    fn hex_from_a_file_has_any_layout_and_bytes_are_taken_as_they_are() {
        let data = |bytes: &[u8]| {
            from_file(&Type::Data, bytes).map(|json| json.as_str().unwrap().to_owned())
        };
        for hex in [
            "00ff10\n",
            "00ff10\r\n",
            "00ff\n10\n",
            "00 FF\t10",
            "\u{feff}00ff10",
        ] {
            assert_eq!(
                data(hex.as_bytes()).unwrap().to_lowercase(),
                "00ff10",
                "{hex:?}"
            );
        }
        assert_eq!(data(&[0, 255, 16]).unwrap(), "00ff10");
        assert_eq!(data(b"a\0b").unwrap(), "610062");
        assert_eq!(data(b"").unwrap(), "");
        for (text, reason) in [
            ("00fg", "character 4, 'g', is no hex digit"),
            ("00ff\n1x\n", "line 2, character 2, 'x', is no hex digit"),
            ("0x00", "character 2, 'x', is no hex digit"),
            ("00f\n", "it has an odd number of hex digits, 3"),
            ("é", "character 1, 'é', is no hex digit"),
        ] {
            assert_eq!(data(text.as_bytes()).unwrap_err(), reason);
        }
    }

    #[test]
    fn the_end_of_a_line_is_part_of_a_text_alone() {
        assert_eq!(from_file(&Type::Text, b"a\n").unwrap(), "a\n");
        assert_eq!(from_file(&Type::Bool, b"true\r\n").unwrap(), true);
        assert_eq!(from_file(&Type::UInt8, b"\xef\xbb\xbf7\n").unwrap(), 7);
        let error = from_file(&Type::Text, b"ab\xff").unwrap_err();
        assert_eq!(error, "it is no UTF-8 from byte 3 on");
    }
}
