//! Numbers, text and bytes between JSON and Rust, whatever holds them.
//!
//! Knows JSON's forms of these; nothing of messages. What is refused is told as the rest of a
//! sentence that begins with the field and its type.

use serde_json::{Map, Number, Value as Json};

/// The key of the object that stands for text that is not UTF-8.
const TEXT_KEY: &str = "$text";

/// How many characters of a value an error shows.
const SHOWN: usize = 60;

/// Why a value is not of its type.
pub(super) type Refused = String;

/// An integer of type `T`.
pub(super) fn integer<T: TryFrom<i128>>(json: &Json) -> Result<T, Refused> {
    let Json::Number(number) = json else {
        return Err("is no number".into());
    };
    let wide = match (number.as_i64(), number.as_u64()) {
        (Some(value), _) => i128::from(value),
        (_, Some(value)) => i128::from(value),
        _ if number.as_f64().is_some_and(|value| value.fract() != 0.0) => {
            return Err("is no whole number".into());
        }
        // Beyond 64 bits, or with an exponent, which a double may have rounded.
        _ => return Err("is out of range, or not written as a plain whole number".into()),
    };
    T::try_from(wide).map_err(|_| "is out of range".into())
}

/// A floating-point number.
pub(super) fn float64(json: &Json) -> Result<f64, Refused> {
    match json {
        Json::Number(number) => match number.as_f64() {
            Some(value) if value.is_finite() => Ok(value),
            _ => Err("is out of range".into()),
        },
        Json::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err("is no number (\"NaN\", \"Infinity\" and \"-Infinity\" are)".into()),
        },
        _ => Err("is no number".into()),
    }
}

/// A floating-point number of half the size.
pub(super) fn float32(json: &Json) -> Result<f32, Refused> {
    let wide = float64(json)?;
    #[allow(clippy::cast_possible_truncation, reason = "the nearest is meant")]
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err("is out of range".into());
    }
    Ok(narrow)
}

/// Milliseconds: a number, or a duration such as `5s`, or `forever`.
pub fn milliseconds(json: &Json) -> Result<f64, Refused> {
    let Json::String(text) = json else {
        return float64(json);
    };
    if text == "forever" {
        return Ok(f64::MAX);
    }
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        _ => {
            return float64(json)
                .map_err(|_| "is no duration such as \"5s\", \"250ms\" or \"forever\"".into());
        }
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "is no duration such as \"5s\"")?;
    let value = number * factor;
    if value.is_finite() {
        Ok(value)
    } else {
        Err("is out of range".into())
    }
}

/// The JSON of a floating-point number.
pub(super) fn show_float64(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// The JSON of a floating-point number of half the size: the shortest that reads as the same.
pub(super) fn show_float32(value: f32) -> Json {
    let short = value.to_string().parse::<f64>();
    #[allow(clippy::cast_possible_truncation, reason = "it is what is checked")]
    match short {
        Ok(short) if short as f32 == value => show_float64(short),
        _ => show_float64(value.into()),
    }
}

/// The JSON of milliseconds.
pub(super) fn show_milliseconds(value: f64) -> Json {
    if value == f64::MAX {
        "forever".into()
    } else {
        show_float64(value)
    }
}

/// The JSON of text.
pub(super) fn show_text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let mut object = Map::new();
            object.insert(TEXT_KEY.into(), hex(bytes).into());
            Json::Object(object)
        }
    }
}

/// Text's bytes.
pub(super) fn text(json: &Json) -> Result<std::borrow::Cow<'_, [u8]>, Refused> {
    match json {
        Json::String(text) => Ok(text.as_bytes().into()),
        Json::Object(object) => match (object.len(), object.get(TEXT_KEY)) {
            (1, Some(Json::String(digits))) => Ok(unhex(digits)?.into()),
            _ => Err(format!(
                "is no string, and no {{\"{TEXT_KEY}\": hex}} alone"
            )),
        },
        _ => Err("is no string".into()),
    }
}

/// Bytes, from hex digits or an array of numbers.
pub(super) fn data(json: &Json) -> Result<Vec<u8>, Refused> {
    match json {
        Json::String(digits) => unhex(digits),
        Json::Array(numbers) => numbers.iter().map(integer::<u8>).collect(),
        _ => Err("is no string of hex digits".into()),
    }
}

/// Hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    digits.collect()
}

/// The bytes of hex digits.
pub fn unhex(digits: &str) -> Result<Vec<u8>, Refused> {
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("has an odd number of hex digits, {}", digits.len()));
    }
    let bytes = pairs.iter().map(|[high, low]| {
        let (high, low) = digit(*high).zip(digit(*low))?;
        Some(high << 4 | low)
    });
    bytes.collect::<Option<Vec<u8>>>().ok_or_else(|| {
        let mut characters = digits.chars().enumerate();
        let wrong = characters.find(|(_, character)| !character.is_ascii_hexdigit());
        let (place, character) = wrong.unwrap_or_default();
        format!(
            "has {character:?} as character {}, which is no hex digit",
            place + 1
        )
    })
}

/// A value for an error, cut where it is long.
pub(super) fn shown(json: &Json) -> String {
    // A large value is not written out to be cut.
    let text = match json {
        Json::Array(values) if values.len() > SHOWN => {
            return format!("an array of {}", values.len());
        }
        Json::Object(members) if members.len() > SHOWN => return "a large object".into(),
        Json::String(text) if text.len() > SHOWN => {
            let cut: String = text.chars().take(SHOWN).collect();
            return format!("{cut:?}…");
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn integers_are_exact_and_in_range() {
        assert_eq!(integer::<u64>(&json!(u64::MAX)), Ok(u64::MAX));
        assert_eq!(integer::<i64>(&json!(i64::MIN)), Ok(i64::MIN));
        assert_eq!(
            integer::<i64>(&json!(9_007_199_254_740_993_i64)),
            Ok(9_007_199_254_740_993)
        );
        assert!(integer::<i64>(&json!(u64::MAX)).is_err());
        assert!(integer::<u8>(&json!(256)).is_err());
        assert!(integer::<u8>(&json!(-1)).is_err());
        assert!(integer::<u8>(&json!(1.5)).is_err());
        assert!(integer::<u8>(&json!("1")).is_err());
        let huge: Json = serde_json::from_str("18446744073709551616").unwrap();
        assert!(integer::<u64>(&huge).is_err());
    }

    #[test]
    fn floats_have_names_for_what_json_lacks() {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0, 5e-324] {
            let back = float64(&show_float64(value)).unwrap();
            assert_eq!(back.to_bits(), value.to_bits());
        }
        assert!(float64(&show_float64(f64::NAN)).unwrap().is_nan());
        assert_eq!(show_float32(0.1).to_string(), "0.1");
        assert!(float32(&json!(1e300)).is_err());
        assert!(float64(&json!("nan")).is_err());
    }

    #[test]
    fn text_that_is_no_utf8_is_kept() {
        let json = show_text(&[b'a', 0xff]);
        assert_eq!(json, json!({"$text": "61ff"}));
        assert_eq!(&*text(&json).unwrap(), &[b'a', 0xff]);
        assert!(text(&json!({"$text": "6"})).is_err());
        assert!(text(&json!({"$text": "61", "x": 1})).is_err());
    }

    #[test]
    fn data_is_hex_or_numbers() {
        assert_eq!(data(&json!("00fF")), Ok(vec![0, 255]));
        assert_eq!(data(&json!([0, 255])), Ok(vec![0, 255]));
        for wrong in [json!("0"), json!("0g"), json!("é0"), json!([256]), json!(1)] {
            assert!(data(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(milliseconds(&json!("5s")), Ok(5000.0));
        assert_eq!(milliseconds(&json!("250ms")), Ok(250.0));
        assert_eq!(milliseconds(&json!("1.5m")), Ok(90_000.0));
        assert_eq!(milliseconds(&json!("forever")), Ok(f64::MAX));
        assert_eq!(milliseconds(&json!(7)), Ok(7.0));
        for wrong in ["", "s", "5 s", "5y", "..s"] {
            assert!(milliseconds(&json!(wrong)).is_err(), "{wrong}");
        }
    }
}
