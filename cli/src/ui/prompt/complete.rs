//! Completion of a session's line: its words, and the commands that begin with a dot.
//!
//! Knows how a line is split into words and what the session keeps; a call's words are
//! [`crate::schema::complete`]'s. Except for file names, a line's completions depend on the line and
//! the [`View`] alone.

use bitcoin_ipc::dynamic::core;

use crate::schema::choice::Schema;
use crate::schema::complete::{Candidate, Completer, Found, left};
use crate::schema::methods::Param;
use crate::ui::escape::is_unsafe;

/// The parts of a session that lines can name.
pub(crate) struct View {
    pub(crate) schema: Schema,
    /// The objects that are kept: name and interface.
    pub(crate) held: Vec<(String, String)>,
    /// The numbers of the calls in the background.
    pub(crate) jobs: Vec<u32>,
}

/// Splits the text before the cursor into the whole words, and the word being typed with its
/// offset. `None` inside quotes.
fn split(line: &str) -> Option<(Vec<String>, &str, usize)> {
    let (mut quote, mut start, mut escaped) = (None, 0, false);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => start = at + c.len_utf8(),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    let word = line.get(start..)?;
    let plain = quote.is_none() && !word.contains(['"', '\'', '\\']);
    let words = shlex::split(line.get(..start)?)?;
    plain.then_some((words, word, start))
}

/// Returns the offset of the word before the cursor, and the candidates for it.
pub(super) fn complete(line: &str, cursor: usize, view: &View) -> Option<(usize, Vec<Candidate>)> {
    let (words, word, start) = split(line.get(..cursor)?)?;
    let words: &[String] = match words.as_slice() {
        [_, equals, call @ ..] if equals == "=" => call,
        words => words,
    };
    let completer = view.completer();
    let found = match words {
        [] if word.starts_with('.') => commands(),
        [] => completer.paths(word),
        [command] if command.starts_with('.') => view.operands(command),
        [command, ..] if command.starts_with('.') => return None,
        [path, given @ ..] => completer.arguments(&completer.method(path)?, given, word),
    };
    let Found { at, mut all } = found.matching(word);
    // A name of someone else's schema or folder that a terminal would take for a command.
    all.retain(|candidate| !candidate.text.contains(is_unsafe));
    Some((start + at, all))
}

/// Returns the parameters that a line has not given, for people; `None` where there is nothing to
/// show.
pub(super) fn missing(line: &str, view: &View) -> Option<String> {
    let (words, word, _) = split(line)?;
    let words: &[String] = match words.as_slice() {
        [_, equals, call @ ..] if equals == "=" => call,
        words => words,
    };
    let (path, given) = words.split_first()?;
    if !word.is_empty() || path.starts_with('.') {
        return None;
    }
    let method = view.completer().method(path)?;
    let left = left(&method, given);
    let left: Vec<_> = left.map(Param::usage).collect();
    let left = left.join(" ");
    Some(left).filter(|hint| !hint.is_empty() && !hint.contains(is_unsafe))
}

fn commands() -> Found {
    let alone = [".caps", ".help", ".jobs", ".quit", ".reconnect"].map(Candidate::new);
    let more = [".cancel", ".describe", ".list", ".release", ".wait"];
    let more = more.map(|name| Candidate::new(name).needs_more());
    let all = alone.into_iter().chain(more);
    Found {
        at: 0,
        all: all.collect(),
    }
}

/// Whether a line holds a secret: one that words tell of, or the value of a parameter that is one.
/// Such a line is not kept.
pub(super) fn has_secrets(line: &str, view: &View) -> bool {
    core::has_secrets(line) || has_secret_values(line, view).unwrap_or(false)
}

fn has_secret_values(line: &str, view: &View) -> Option<bool> {
    let words = shlex::split(line)?;
    let words: &[String] = match words.as_slice() {
        [_, equals, call @ ..] if equals == "=" => call,
        words => words,
    };
    let (path, given) = words.split_first()?;
    let method = view.completer().method(path)?;
    let mut secrets = method.params.iter();
    Some(!given.is_empty() && secrets.any(|param| core::is_secret(&param.name)))
}

impl View {
    fn completer(&self) -> Completer<'_> {
        Completer::in_session(&self.schema, &self.held)
    }

    fn operands(&self, command: &str) -> Found {
        let all = match command {
            ".cancel" | ".wait" => {
                let jobs = self.jobs.iter();
                jobs.map(|n| Candidate::new(n.to_string())).collect()
            }
            ".release" => {
                let names = self.held.iter().map(|(name, _)| name.as_str());
                names.map(Candidate::new).collect()
            }
            ".list" => return self.completer().interfaces(),
            ".describe" => return self.completer().describable(),
            _ => Vec::new(),
        };
        Found { at: 0, all }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::schema::choice::NEWEST;
    use bitcoin_ipc::dynamic::schema::Registry;

    fn view() -> View {
        let held = [("template", "BlockTemplate"), ("Echo#2", "Echo")];
        View {
            schema: Schema::of_core(NEWEST),
            held: held.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            jobs: vec![1, 3],
        }
    }

    /// Returns the completions of a line with the cursor at its end.
    fn completed(line: &str) -> Vec<String> {
        let (start, found) = complete(line, line.len(), &view()).unwrap_or_default();
        let all = found.iter();
        all.map(|candidate| format!("{}{}", &line[..start], candidate.typed()))
            .collect()
    }

    #[test]
    fn words_are_completed_by_what_they_stand_for() {
        for (line, all) in [
            // Commands, and what they are about.
            (".ca", &[".caps", ".cancel "][..]),
            (".release t", &[".release template"]),
            (".cancel ", &[".cancel 1", ".cancel 3"]),
            (".quit ", &[]),
            // Interfaces, objects and the methods that have their names alone.
            ("ec", &["Echo.", "Echo#2.", "echo "]),
            ("tem", &["template."]),
            ("waitT", &["waitTipChanged "]),
            ("BlockT", &[]),
            ("mining.wait", &["mining.waitTipChanged "]),
            ("Echo#2.", &["Echo#2.echo "]),
            ("template.wait", &["template.waitNext"]),
            ("nosuch.", &[]),
            // A chain's objects, by what returns them.
            (
                "createNewBlock/getBlock",
                &["createNewBlock/getBlockHeader", "createNewBlock/getBlock"],
            ),
            ("template.waitNext/wait", &["template.waitNext/waitNext"]),
            ("getTip/", &[]),
            // An object that is to be kept.
            ("t = template.wait", &["t = template.waitNext"]),
            ("t = createNewBlock cool", &["t = createNewBlock cooldown="]),
            // Parameters that are not given yet, by name or by place.
            (
                "waitTipChanged ",
                &["waitTipChanged currentTip=", "waitTipChanged timeout="],
            ),
            (
                "waitTipChanged timeout=1s ",
                &["waitTipChanged timeout=1s currentTip="],
            ),
            (
                "waitTipChanged 00 ",
                &[
                    "waitTipChanged 00 1s",
                    "waitTipChanged 00 forever",
                    "waitTipChanged 00 timeout=",
                ],
            ),
            ("createNewBlock opt", &["createNewBlock options="]),
            ("nosuch ", &[]),
            // Values.
            (
                "createNewBlock cooldown=",
                &[
                    "createNewBlock cooldown=true",
                    "createNewBlock cooldown=false",
                ],
            ),
            (
                "waitTipChanged timeout=f",
                &["waitTipChanged timeout=forever"],
            ),
            ("echo @Cargo.t", &["echo @Cargo.toml"]),
            ("echo echo=@src/ui/prom", &["echo echo=@src/ui/prompt/"]),
            // Nothing is completed inside quotes.
            ("echo 'wait", &[]),
            ("echo 'a b' ec", &[]),
        ] {
            assert_eq!(completed(line), all, "{line:?}");
        }
        // Only up to the cursor.
        let (start, found) = complete("getTi 00", 5, &view()).unwrap();
        assert_eq!((start, found[0].text.as_str()), (0, "getTip"));
        assert!(complete("é", 1, &view()).is_none());
    }

    #[test]
    fn values_are_completed_by_their_types() {
        let mut registry = Registry::core(NEWEST).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
        registry.add_path(path.as_ref()).unwrap();
        let root = registry.find_interface("FooInit").unwrap();
        let held = [("foo", "FooInterface"), ("cb", "FooCallback")];
        let view = View {
            schema: Schema::new(registry, root, None),
            held: held.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            jobs: Vec::new(),
        };
        let completed = |line: &str| {
            let (_, found) = complete(line, line.len(), &view).unwrap_or_default();
            let texts = found.iter().map(Candidate::typed);
            texts.collect::<Vec<_>>().join(" ")
        };
        // Only what fits.
        assert_eq!(completed("foo.callback callback="), "cb null");
        assert_eq!(completed("foo.callback callback:"), "callback:=print");
        assert_eq!(completed("foo.callback callback:="), "print");
        assert_eq!(completed("foo.passEnum "), "red green blue arg=");
        assert_eq!(completed("makeFoo/passEnum arg=g"), "green");
    }

    #[test]
    fn what_is_missing_is_shown_once_a_word_is_over() {
        let missing = |line| missing(line, &view());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(missing("waitTipChanged"), None);
        assert_eq!(
            missing("waitTipChanged "),
            some("currentTip=DATA [timeout=FLOAT64]")
        );
        assert_eq!(
            missing("x = Mining.waitTipChanged timeout=1s "),
            some("currentTip=DATA")
        );
        assert_eq!(missing("waitTipChanged 00 "), some("[timeout=FLOAT64]"));
        assert_eq!(missing("waitTipChanged 00 1s "), None);
        for line in ["", "getTip ", ".release ", "nosuch ", "echo 'a "] {
            assert_eq!(missing(line), None, "{line:?}");
        }
    }
}
