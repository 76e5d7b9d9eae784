//! The forms of one word of a call: a value by its type, `name=value`, `name:=JSON`.
//!
//! Knows types and their spellings; nothing of methods or of the objects that are held.

use std::io::{self, Read};

use bitcoin_ipc::dynamic::schema::model::Type;
use serde_json::Value as Json;

/// The largest value that is read, in bytes: that of the largest message.
const MAX_VALUE: u64 = 64 * 1024 * 1024;

/// The value of `name:=print`: an object that is hosted here and prints its calls.
pub(super) const PRINT: &str = "print";

/// Converts a word to the value that its type has in JSON. A value of another type is refused
/// later, except where JSON cannot express it.
pub(super) fn from_text(ty: &Type, text: &str) -> Result<Json, String> {
    let json = || serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"));
    match ty {
        Type::Text | Type::Data => Ok(text.into()),
        Type::Void => match text {
            "" | "null" => Ok(Json::Null),
            _ => Err("it is Void, of which the only value is null".into()),
        },
        Type::Bool => match text {
            "true" | "1" => Ok(true.into()),
            "false" | "0" => Ok(false.into()),
            _ => Err("it is true, false, 1 or 0".into()),
        },
        Type::Int8
        | Type::Int16
        | Type::Int32
        | Type::Int64
        | Type::UInt8
        | Type::UInt16
        | Type::UInt32
        | Type::UInt64 => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => Ok(number.into()),
            (_, Ok(number)) => Ok(number.into()),
            _ => Err("no whole number in decimal, or out of range".into()),
        },
        Type::Float32 | Type::Float64 => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number.into()),
            // A duration, or a number that JSON has no form of.
            _ => Ok(text.into()),
        },
        Type::Enum(_) => match text.parse::<u16>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Ok(text.into()),
        },
        Type::Interface(..) => match text {
            "null" => Ok(Json::Null),
            handle => Ok(handle.into()),
        },
        // A list, a struct, or what stands for any.
        _ => json(),
    }
}

/// Splits `name=value`; the flag is true for `name:=JSON`.
pub(super) fn named(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let mut letters = name.chars();
    let identifier = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    identifier.then_some((name, json, value))
}

/// Reads an input to its end, as text of at most [`MAX_VALUE`] bytes.
pub(super) fn read_limited(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MAX_VALUE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_VALUE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {MAX_VALUE} bytes, the size of the largest message"),
        ));
    }
    Ok(text)
}

/// Shortens a value to what an error message has room for.
pub(super) fn shortened(value: &str) -> String {
    const LENGTH: usize = 60;
    match value.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
