//! The editor of lines: its setup, and the completions and hints that it shows.
//!
//! Knows the editor's traits; what completes a line is [`super::complete`]'s.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, ColorMode, CompletionType, Config, Context, Editor, Helper};

use super::complete::{View, complete, missing};
use super::history::LENGTH;
use crate::schema::complete::Candidate;
use crate::ui::output::Output;

/// Creates an editor, which leaves stdout alone where that is no terminal.
pub(super) fn new(output: &Output) -> rustyline::Result<Editor<Words, DefaultHistory>> {
    let color = match output.color() {
        true => ColorMode::Enabled,
        false => ColorMode::Disabled,
    };
    let behavior = match io::stdout().is_terminal() {
        true => Behavior::Stdio,
        false => Behavior::PreferTerm,
    };
    let config = Config::builder()
        .max_history_size(LENGTH)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .color_mode(color)
        .behavior(behavior)
        .build();
    Editor::with_config(config)
}

/// The editor's completions and hints.
pub(super) struct Words {
    pub(super) view: Arc<Mutex<View>>,
    pub(super) color: bool,
}

/// A hint that is shown after the cursor and never typed.
pub(super) struct Missing(String);

impl Hint for Missing {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, found) = complete(line, pos, &view).unwrap_or((pos, Vec::new()));
        let pair = |candidate: Candidate| Pair {
            replacement: candidate.typed(),
            display: candidate.text,
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Words {
    type Hint = Missing;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Missing> {
        // Without a colour of its own it would look typed.
        if pos < line.len() || !self.color {
            return None;
        }
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        missing(line, &view).map(Missing)
    }
}

impl Highlighter for Words {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Validator for Words {}

impl Helper for Words {}
