//! Comments of a schema as rustdoc.
//!
//! Knows what rustdoc reads as markup, links or tests, and keeps comments from being taken for it.

/// The lines of a comment, each safe to stand behind `///`.
pub(crate) fn lines(comment: &str) -> Vec<String> {
    let mut fenced = false;
    let mut out: Vec<String> = Vec::new();
    for line in comment.trim().lines() {
        let line = clean(line);
        if line.trim_start().starts_with("```") {
            // An unnamed fence would be compiled as a test.
            let named = line.trim_start().trim_start_matches('`').trim();
            out.push(match (fenced, named.is_empty()) {
                (false, true) => "```text".to_owned(),
                (false, false) => format!("```{named},ignore"),
                (true, _) => "```".to_owned(),
            });
            fenced = !fenced;
        } else if fenced {
            out.push(line.trim_end().to_owned());
        } else {
            // Indented text would be a code block, and so a test.
            out.push(escape(line.trim()));
        }
    }
    if fenced {
        out.push("```".to_owned());
    }
    out
}

/// A line without control characters, which doc comments do not allow.
fn clean(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Escapes `<x>` (HTML) and `[x]` (links) outside of `code`.
fn escape(line: &str) -> String {
    let balanced = line.matches('`').count().is_multiple_of(2);
    let mut code = false;
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '`' if balanced => code = !code,
            '`' => out.push('\\'),
            '<' | '>' | '[' | ']' if !code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_outside_code() {
        assert_eq!(
            lines("A <b> and [x] but `Vec<[u8]>`.\n"),
            ["A \\<b\\> and \\[x\\] but `Vec<[u8]>`."]
        );
        assert_eq!(lines("one ` tick <x>"), ["one \\` tick \\<x\\>"]);
    }

    #[test]
    fn nothing_becomes_a_test() {
        assert_eq!(lines("a\n\n     let x;\n"), ["a", "", "let x;"]);
        assert_eq!(
            lines("```\nlet <x>;\n```\n```sh\nls"),
            ["```text", "let <x>;", "```", "```sh,ignore", "ls", "```"]
        );
    }

    #[test]
    fn control_characters_go() {
        assert_eq!(lines("a\rb\x07c"), ["a b c"]);
    }
}
