//! Hex in any layout.
//!
//! Knows characters; nothing of types or of where a text comes from.

/// The byte order mark that some editors begin a text with.
pub(super) const BOM: char = '\u{feff}';

/// Returns the hex digits of a text without the white space between them.
pub(super) fn digits(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches(BOM);
    let mut digits = String::with_capacity(text.len());
    let (mut line, mut column) = (1, 0);
    for character in text.chars() {
        column += 1;
        match character {
            '\n' => (line, column) = (line + 1, 0),
            space if space.is_ascii_whitespace() => {}
            digit if digit.is_ascii_hexdigit() => digits.push(digit),
            other => {
                let line = match text.trim_end().contains('\n') {
                    true => format!("line {line}, "),
                    false => String::new(),
                };
                return Err(format!(
                    "{line}character {column}, {other:?}, is no hex digit"
                ));
            }
        }
    }
    match digits.len() % 2 {
        0 => Ok(digits),
        _ => Err(format!(
            "it has an odd number of hex digits, {}",
            digits.len()
        )),
    }
}
