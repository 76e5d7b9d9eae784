//! The words in which the `capnp` tool refuses sources, as one line that names the file, the line and
//! what is wrong.
//!
//! Knows how the tool writes and what people do about it; nothing of how it is run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The mark of a line that tells an error.
const ERROR: &str = ": error: ";

/// The beginning of what the tool says of an import that it does not find.
const IMPORT_FAILED: &str = "Import failed: ";

/// The beginning of what the tool says of an id that two files have.
const DUPLICATE: &str = "Duplicate ID ";

/// A refusal.
pub(super) struct Complaint {
    /// The reason, of one line.
    pub(super) text: String,
    /// The files that it is about, the first one where the error is.
    pub(super) files: Vec<PathBuf>,
    /// The line and column in the first file.
    place: Option<String>,
    /// The path of an import that was not found.
    pub(super) import: Option<String>,
    /// How many other errors there are.
    more: usize,
}

/// Reads what the tool has written. Its paths are relative to one of `prefixes` or to the root.
pub(super) fn read(text: &str, prefixes: &[PathBuf]) -> Complaint {
    let mut errors: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(ERROR))
        .collect();
    // An import that fails makes other errors, which come before it at times.
    let cause = errors
        .iter()
        .position(|(_, reason)| reason.starts_with(IMPORT_FAILED));
    if let Some(cause) = cause {
        errors.swap(0, cause);
    }
    let Some((place, reason)) = errors.first() else {
        return Complaint::of_failure(text);
    };
    let split = |place: &str| {
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next(), parts.next(), parts.next());
        let at = column.zip(line).map(|(column, line)| {
            let column = column.split('-').next().unwrap_or_default();
            format!("{line}:{column}")
        });
        (located(file.unwrap_or(place), prefixes), at)
    };
    let (file, at) = split(place);
    let mut files = vec![file];
    if reason.starts_with(DUPLICATE)
        && let Some((other, _)) = errors.get(1)
    {
        files.push(split(other).0);
    }
    Complaint {
        text: reason.trim_end_matches('.').to_owned(),
        more: errors.len() - files.len(),
        files,
        place: at,
        import: reason.strip_prefix(IMPORT_FAILED).map(str::to_owned),
    }
}

impl Complaint {
    /// Reads what the tool says where it fails itself: its own trace, or a line about a file.
    fn of_failure(text: &str) -> Self {
        let line = text.lines().find_map(|line| line.split_once("failed: "));
        let line = line.map(|(_, reason)| match reason.rsplit_once("; ") {
            // The condition that did not hold is of no use to anybody else.
            Some((_, reason)) => reason,
            None => reason,
        });
        let first = text.lines().map(str::trim).find(|line| !line.is_empty());
        let first = first.map(|line| line.strip_prefix("capnp compile: ").unwrap_or(line));
        Self {
            text: line
                .or(first)
                .unwrap_or("it ended without a word")
                .to_owned(),
            files: Vec::new(),
            place: None,
            import: None,
            more: 0,
        }
    }

    /// Whether two files have this id.
    pub(super) fn is_duplicate(&self, id: &str) -> bool {
        let duplicate = self.text.strip_prefix(DUPLICATE);
        duplicate.is_some_and(|found| found == id) && self.files.len() == 2
    }

    /// Returns it as one line.
    pub(super) fn tell(&self, sources: &[PathBuf], folders: &Folders) -> String {
        let shown = |path: &Path| shown(path, folders);
        let mut line = String::from("capnp compile: ");
        match (self.files.first(), sources) {
            (Some(file), _) => {
                let _ = write!(line, "{}:", shown(file));
                if let Some(at) = &self.place {
                    let _ = write!(line, "{at}:");
                }
                line.push(' ');
            }
            (None, [source]) => {
                let _ = write!(line, "{}: ", shown(source));
            }
            (None, _) => {}
        }
        line.push_str(&self.text);
        if let Some(other) = self.files.get(1) {
            let _ = write!(line, ", which {} has too", shown(other));
        }
        if let (Some(import), Some(file)) = (&self.import, self.files.first())
            && let Some(folder) = folder_of(import, file)
        {
            let _ = write!(line, ", which is in {}", shown(&folder));
        }
        match self.more {
            0 => {}
            1 => line.push_str(" (and 1 more error)"),
            more => {
                let _ = write!(line, " (and {more} more errors)");
            }
        }
        line
    }
}

/// Returns the folder above a file in which an import that begins with a slash would be found.
fn folder_of(import: &str, file: &Path) -> Option<PathBuf> {
    let import = import.strip_prefix('/')?;
    let mut above = file.ancestors().skip(1);
    let found = above.find(|folder| folder.join(import).is_file());
    found.map(Path::to_owned)
}

/// Returns the file that the tool calls so.
fn located(name: &str, prefixes: &[PathBuf]) -> PathBuf {
    let places = prefixes
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/")]);
    let mut places = places.map(|place| place.join(name));
    places
        .find(|file| file.exists())
        .unwrap_or_else(|| name.into())
}

/// Folders as they are named to the tool, each with its name to the user.
pub(super) type Folders = [(PathBuf, PathBuf)];

/// Returns a path for people: below a folder that they named, as they named it.
fn shown(path: &Path, folders: &Folders) -> String {
    let mut below = folders.iter().filter_map(|(folder, theirs)| {
        let rest = path.strip_prefix(folder).ok()?;
        Some(match theirs == Path::new(".") {
            true => rest.to_owned(),
            false => theirs.join(rest),
        })
    });
    below
        .next()
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        read(text, &[]).tell(&["/nosuch/x.capnp".into()], &[])
    }

    #[test]
    fn a_refusal_is_one_line_with_its_place() {
        for (text, line) in [
            (
                "a.capnp:1:66-67: error: Type names must begin with a capital letter.\n\
                 a.capnp:1:39-43: error: Not defined: Nope\n",
                "capnp compile: a.capnp:1:66: Type names must begin with a capital letter \
                 (and 1 more error)",
            ),
            (
                "a.capnp:2:9: error: Not defined: Q\na.capnp:1:3-9: error: Import failed: /q.capnp\n",
                "capnp compile: a.capnp:1:3: Import failed: /q.capnp (and 1 more error)",
            ),
            (
                "b.capnp:1:1: error: Duplicate ID @0x1.\n\
                 a.capnp:1:1: error: ID @0x1 originally used here.\n",
                "capnp compile: b.capnp:1:1: Duplicate ID @0x1, which a.capnp has too",
            ),
            (
                "*** Uncaught exception ***\nsrc/x.c++:1: context: member.name = x\n\
                 kj/y.c++:315: failed: expected a > 0 [0 > 0]; too deep\nstack: 7fdd 7fde\n",
                "capnp compile: /nosuch/x.capnp: too deep",
            ),
            (
                "capnp compile: q.capnp: no such file\nTry 'capnp compile --help'.\n",
                "capnp compile: /nosuch/x.capnp: q.capnp: no such file",
            ),
            (
                "",
                "capnp compile: /nosuch/x.capnp: it ended without a word",
            ),
        ] {
            assert_eq!(told(text), line);
        }
    }
}
