//! The forms of one word of a call: a value by its type, `name=value`, `name:=JSON`.
//!
//! Knows types and their spellings; nothing of methods or of the objects that are held.

use bitcoin_ipc::dynamic::schema::model::Type;
use serde_json::Value as Json;

use super::hex::digits;

/// The value of `name:=print`: an object that is hosted here and prints its calls.
pub(super) const PRINT: &str = "print";

/// Converts a word to the value that its type has in JSON. A value of another type is refused
/// later, except where JSON cannot express it.
pub(super) fn from_text(ty: &Type, text: &str) -> Result<Json, String> {
    let json = || serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"));
    match ty {
        Type::Text => Ok(text.into()),
        Type::Data => Ok(digits(text)?.into()),
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
        // One value stands for a list of it.
        Type::List(element) => match json() {
            Ok(list @ Json::Array(_)) => Ok(list),
            Err(reason) if text.trim_start().starts_with('[') => Err(reason),
            _ => Ok(Json::Array(vec![from_text(element, text)?])),
        },
        // A struct, or what stands for any.
        _ => json(),
    }
}

/// Splits `name=value`; the flag is true for `name:=JSON`. The name may have fields after dots.
pub(super) fn named(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let is_identifier = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.split('.')
        .all(is_identifier)
        .then_some((name, json, value))
}

/// Shortens a value to what an error message has room for.
pub(crate) fn shortened(value: &str) -> String {
    const LENGTH: usize = 60;
    match value.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
