//! The description of a program to start, which is complete before anything is forked.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The source of a child's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// The parent's own, as in Bitcoin Core.
    #[default]
    Inherit,
    /// `/dev/null`: the child cannot take the parent's input.
    Null,
}

/// The destination of a child's standard error.
#[derive(Default)]
#[non_exhaustive]
pub enum Stderr {
    /// The parent's own, as in Bitcoin Core.
    #[default]
    Inherit,
    /// `/dev/null`.
    Null,
    /// Passes it line by line to this function, without the newline, on a thread of its own. Lines
    /// longer than [`MAX_LINE`](super::MAX_LINE) bytes are cut, bytes that are not UTF-8 are
    /// replaced. The function must not panic: the child would find its standard error closed.
    Lines(Box<dyn FnMut(&str) + Send>),
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Null => "Null",
            Self::Lines(_) => "Lines",
        })
    }
}

/// A program to start as a child with `-ipcfd <N>`.
#[derive(Debug)]
pub struct Program {
    pub(super) path: PathBuf,
    pub(super) arg0: Option<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) stdin: Stdin,
    pub(super) stderr: Stderr,
}

impl Program {
    /// Creates the description of the program at `path`. A name without a slash is looked for in
    /// `PATH` by the operating system.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arg0: None,
            environment: Vec::new(),
            stdin: Stdin::default(),
            stderr: Stderr::default(),
        }
    }

    /// Sets the name that it is started under, its first word; by default that is its path. A
    /// program that has several roles learns its role from this.
    #[must_use]
    pub fn arg0(mut self, name: impl Into<OsString>) -> Self {
        self.arg0 = Some(name.into());
        self
    }

    /// Sets a variable in the child's environment, which otherwise is the parent's.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the source of its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets the destination of its standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// Returns the path of the program.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether the operating system takes this as a path, and not as a name to look for in `PATH`.
pub(super) fn is_path(program: &Path) -> bool {
    program.as_os_str().as_encoded_bytes().contains(&b'/')
}
