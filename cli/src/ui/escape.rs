//! Text of others, made safe to look at: it neither moves a cursor nor begins a line, whether a
//! terminal shows it or a log keeps it.
//!
//! Knows characters and JSON; nothing of where text comes from or goes to.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// Returns a text as one line, with what [`is_unsafe`] escaped as in a Rust string.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Returns a text of several lines, whose line breaks and tabs are ours.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Returns the JSON of a value, on one line or indented. It has the same value for every reader:
/// what JSON may have as it stands and a terminal takes for a command is escaped as JSON has it.
pub(crate) fn json(value: &Value, indented: bool) -> String {
    let text = match indented {
        true => format!("{value:#}"),
        false => value.to_string(),
    };
    // Outside its strings JSON has no such characters, except the line breaks of our own.
    let is_ours = |character| character == '\n' || !is_unsafe(character);
    if text.chars().all(is_ours) {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_ours(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

/// Whether a character is a command to a terminal, ends a line, or reverses the order in which a
/// line is shown.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn escape(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_safe = |character| !is_unsafe(character) || keeps(character);
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        // Writing to a string does not fail.
        let _ = match character {
            _ if is_safe(character) => safe.write_char(character),
            '\n' => safe.write_str("\\n"),
            '\r' => safe.write_str("\\r"),
            '\t' => safe.write_str("\\t"),
            '\0'..='\u{7f}' => write!(safe, "\\x{:02x}", u32::from(character)),
            _ => write!(safe, "\\u{{{:x}}}", u32::from(character)),
        };
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_to_a_terminal_are_escaped() {
        for (text, shown) in [
            ("plain é \u{1f600} \\ ~", "plain é \u{1f600} \\ ~"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            (
                "\0\u{7}\u{1b}[31m\u{1f}\u{7f}",
                "\\x00\\x07\\x1b[31m\\x1f\\x7f",
            ),
            (
                "\u{80}\u{85}\u{9b}\u{9f}\u{a0}",
                "\\u{80}\\u{85}\\u{9b}\\u{9f}\u{a0}",
            ),
            (
                "\u{202e}txt\u{2066}\u{2028}",
                "\\u{202e}txt\\u{2066}\\u{2028}",
            ),
        ] {
            assert_eq!(line(text), shown);
        }
        let all = ('\0'..'\u{2100}').collect::<String>();
        assert!(!line(&all).contains(is_unsafe));
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\x1b");
    }

    #[test]
    fn json_keeps_its_value() {
        let all = ('\0'..'\u{2100}').collect::<String>();
        let value = json!({ "a\u{9b}": [all, "\u{7f}", "\u{1f600}"] });
        for indented in [false, true] {
            let text = json(&value, indented);
            assert!(!text.replace('\n', "").contains(is_unsafe), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        assert!(!json(&value, false).contains('\n'));
    }
}
