//! The lines that were typed before, in the user's state folder.
//!
//! Knows files and what an editor keeps of lines; nothing of what they mean.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use etcetera::BaseStrategy;
use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper};

use crate::ui::output::Output;

/// How many lines are kept.
pub(super) const LENGTH: usize = 1000;

/// Where the lines are kept; nowhere after something went wrong, which is said once.
pub(super) struct History {
    path: Option<PathBuf>,
    output: Output,
}

impl History {
    /// Reads what was typed before.
    pub(super) fn load<H: Helper>(editor: &mut Editor<H, DefaultHistory>, output: &Output) -> Self {
        let mut this = Self {
            path: None,
            output: output.clone(),
        };
        let loaded = path().and_then(|path| {
            editor.load_history(&path).map_err(io::Error::other)?;
            Ok(path)
        });
        match loaded {
            Ok(path) => this.path = Some(path),
            Err(error) => this.warn("read", &error),
        }
        this
    }

    /// Keeps a line, beside those that other prompts have kept meanwhile.
    pub(super) fn add<H: Helper>(&mut self, editor: &mut Editor<H, DefaultHistory>, line: &str) {
        let added = editor.add_history_entry(line);
        if let (Some(path), Ok(true)) = (&self.path, added)
            && let Err(error) = editor.append_history(path)
        {
            self.path = None;
            self.warn("kept", &error);
        }
    }

    fn warn(&self, what: &str, error: &dyn std::fmt::Display) {
        let note = format!("the history cannot be {what}: {error}");
        self.output.note(&note);
    }
}

/// The file, which is there afterwards and which only its owner can read.
fn path() -> io::Result<PathBuf> {
    let folders = etcetera::choose_base_strategy().map_err(io::Error::other)?;
    let state = folders.state_dir().ok_or(io::ErrorKind::NotFound)?;
    let folder = state.join("bitcoin-ipc");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join("history");
    let mut options = OpenOptions::new();
    // Before the first line: two prompts that both make it would lose one's.
    options.create(true).append(true).mode(0o600).open(&path)?;
    Ok(path)
}
