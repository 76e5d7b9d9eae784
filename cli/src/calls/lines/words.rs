//! The words of a session's line: a call, what its result is for, or a command of the session.
//!
//! Knows quoting and the signs `=`, `&` and `|`; nothing of methods or of the session.

use crate::ui::errors::Failure;

/// A line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing, or a comment.
    Empty,
    /// Words that begin with a dot, or one of those that other programs have.
    Command(Vec<String>),
    Call(Words),
}

/// The words of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The name that its objects are to have.
    pub(super) name: Option<String>,
    pub(super) path: String,
    pub(super) arguments: Vec<String>,
    pub(super) background: bool,
    /// The shell command that gets its result.
    pub(super) pipe: Option<String>,
}

/// The words that stand for commands of a session, and those commands, where no method has such a name.
pub(super) const OTHER_WORDS: &[(&str, &str)] = &[
    ("help", ".help"),
    ("?", ".help"),
    ("quit", ".quit"),
    ("exit", ".quit"),
];

/// Reads a line. `pipes` tells whether `|` passes a result on; otherwise it is refused, unless quoted.
pub(super) fn read(line: &str, pipes: bool) -> Result<Line, Failure> {
    let (call, pipe) = match bar(line) {
        None => (line, None),
        Some(_) if !pipes => {
            return Err(Failure::usage("`|` passes a result on only at a prompt")
                .hint("as a value it is quoted: '|'"));
        }
        Some(at) => (&line[..at], Some(line[at + 1..].trim().to_owned())),
    };
    if pipe.as_deref() == Some("") {
        return Err(Failure::usage("no command follows `|`")
            .hint("it is a shell's, such as `METHOD | jq .hash`; as a value it is quoted: '|'"));
    }
    let mut words = shlex::split(call).ok_or_else(|| {
        Failure::usage("a quote is not closed").hint("words are quoted as in a shell")
    })?;
    // In quotes it is a value.
    let background = pipe.is_none() && call.split_whitespace().next_back() == Some("&");
    if background {
        words.pop();
    }
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return match pipe {
            None => Ok(Line::Empty),
            Some(_) => Err(Failure::usage("no call stands before `|`")
                .hint("the result of a METHOD is passed on")),
        };
    };
    let rest: Vec<String> = words.collect();
    if first.starts_with('.') {
        return match pipe {
            None => Ok(Line::Command([vec![first], rest].concat())),
            Some(_) => Err(Failure::usage(format!("{first} has no result to pass on"))
                .hint("the result of a METHOD is passed on")),
        };
    }
    let (name, path, arguments) = match rest.split_first() {
        Some((equals, [path, arguments @ ..])) if equals == "=" => {
            (Some(first), path.clone(), arguments.to_vec())
        }
        _ => (None, first, rest),
    };
    Ok(Line::Call(Words {
        name,
        path,
        arguments,
        background,
        pipe,
    }))
}

/// Returns the place of the first `|` that is neither quoted nor in a comment.
fn bar(line: &str) -> Option<usize> {
    let (mut quote, mut escaped, mut begins) = (None, false, true);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') if begins => return None,
            (None, '|') => return Some(at),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        begins = quote.is_none() && c.is_whitespace();
    }
    None
}

/// Whether quotes of JSON were taken for those of words: `options:={"a":1}` has none left.
pub(super) fn lost_quotes(line: &str, words: &Words) -> bool {
    let is_json = |word: &String| {
        let value = word
            .split_once(":=")
            .map_or(word.as_str(), |(_, value)| value);
        value.starts_with(['{', '[']) && !value.contains('"')
    };
    line.contains('"') && words.arguments.iter().any(is_json)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn call(line: &str) -> Words {
        match read(line, true).unwrap() {
            Line::Call(words) => words,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn lines_are_calls_commands_or_nothing() {
        for empty in ["", "  \n", "# a comment | with a bar", "\t# x"] {
            assert_eq!(read(empty, true).unwrap(), Line::Empty, "{empty:?}");
        }
        let command = read(".list Echo\n", true).unwrap();
        assert_eq!(command, Line::Command(vec![".list".into(), "Echo".into()]));
        let words = call("e = init.makeEcho x='a b' &");
        assert_eq!(words.name.as_deref(), Some("e"));
        assert_eq!(words.path, "init.makeEcho");
        assert_eq!(words.arguments, ["x=a b"]);
        assert!(words.background && words.pipe.is_none());
        // A value and no sign.
        assert!(!call("echo '&'").background);
        assert_eq!(call("echo = x").name.as_deref(), Some("echo"));
        assert!(read("echo 'open", true).is_err());
    }

    #[test]
    fn a_bar_passes_a_result_on_where_it_is_not_quoted() {
        for (line, path, arguments, pipe) in [
            ("getTip | jq .hash", "getTip", &[][..], "jq .hash"),
            ("echo hi|cat", "echo", &["hi"], "cat"),
            ("echo a | tr a b | cat &", "echo", &["a"], "tr a b | cat &"),
            ("echo '|' | cat", "echo", &["|"], "cat"),
        ] {
            let words = call(line);
            assert_eq!(words.path, path);
            assert_eq!(words.arguments, arguments);
            assert_eq!(words.pipe.as_deref(), Some(pipe), "{line}");
            assert!(!words.background);
            assert!(read(line, false).is_err(), "{line}");
        }
        for quoted in ["echo '|'", "echo \"a|b\"", "echo a\\|b", "echo a # | b"] {
            assert_eq!(call(quoted).pipe, None, "{quoted}");
            assert!(read(quoted, false).is_ok(), "{quoted}");
        }
        for wrong in ["getTip |", "| cat", ".caps | cat"] {
            assert!(read(wrong, true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_without_its_quotes_is_known() {
        for (line, lost) in [
            ("createNewBlock options:={\"useMempool\":false}", true),
            ("executeRpc {\"request\":\"x\"}", true),
            ("createNewBlock options:='{\"useMempool\":false}'", false),
            ("createNewBlock options:={}", false),
            ("echo \"{a}\"", true),
            ("echo \"a\"", false),
        ] {
            assert_eq!(lost_quotes(line, &call(line)), lost, "{line}");
        }
    }
}
