//! Children that this program starts: a role under its name, or a program. They end with this
//! program in any case.
//!
//! Knows processes and the terminal; nothing of the calls that are made to the children.

use std::ffi::{OsStr, OsString};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::process::{self, Child, ExitStatus, Signal, Stderr, Stdin};
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Error, Program};
use eyre::Result;

use crate::context::Context;
use crate::ui::errors::Failure;
use crate::ui::log;
use crate::ui::signals::Signals;

/// The time a child has to end by itself after its stream is closed, and then after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_AFTER_TERM: Duration = Duration::from_secs(1);

/// The program to start as a child.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// This program, under a role's name.
    Role(Role),
    /// Another program.
    Program(PathBuf),
}

impl What {
    /// Parses a role's name, also as `bitcoin-wallet`, or the path of a program: a word with a slash
    /// in it.
    pub(crate) fn parse(word: &OsStr) -> Result<Self, Failure> {
        if word.as_encoded_bytes().contains(&b'/') {
            return Ok(Self::Program(word.into()));
        }
        let word = word.to_string_lossy();
        let role = Role::of_exe(&word).map_or_else(|| word.parse(), Ok);
        role.map(Self::Role).map_err(|_: Error| {
            Failure::usage(format!("{word:?} is no role: node, wallet or gui"))
                .hint(format!("a program's path has a slash in it: ./{word}"))
        })
    }

    /// Returns the name for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Role(role) => role.exe_name().to_owned(),
            Self::Program(path) => path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Returns the name for errors, in which a program's path matters.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Role(role) => role.exe_name().to_owned(),
            Self::Program(path) => path.display().to_string(),
        }
    }
}

/// A child that is ended when this is dropped. The caller must drop its `Init` first.
pub(crate) struct Guard {
    child: Arc<Child>,
    signals: Signals,
}

/// Starts a child. Its standard error reaches the terminal line by line, marked with its name
/// and pid.
pub(crate) fn start(context: &Context, what: &What) -> Result<(UnixStream, Guard)> {
    let path = match what {
        What::Role(_) => std::env::current_exe()
            .map_err(|error| Error::io("find this program's own executable", error))?,
        What::Program(path) => path.clone(),
    };
    let pid = Arc::new(OnceLock::new());
    let (name, output, started) = (what.name(), context.output.clone(), pid.clone());
    let on_line = move |line: &str| {
        let pid: &u32 = started.wait();
        output.stderr_line(&format!("{name}[{pid}]: {line}"));
    };
    let mut program = Program::new(path)
        .stdin(Stdin::Null)
        .stderr(Stderr::Lines(Box::new(on_line)));
    if let What::Role(role) = what {
        let level = log::level(&context.options, true);
        program = program
            .arg0(role.exe_name())
            .env(log::VARIABLE, level.to_string());
    }
    let (stream, child) = process::spawn(program).map_err(Failure::from)?;
    let _ = pid.set(child.pid());
    let guard = Guard {
        child: Arc::new(child),
        signals: context.signals.clone(),
    };
    Ok((stream, guard))
}

impl Guard {
    pub(crate) fn child(&self) -> &Arc<Child> {
        &self.child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Waits for the child to end by itself, and ends it by a signal when it does not.
    pub(crate) fn end(&self) -> Result<ExitStatus, Error> {
        let events = self.signals.events();
        let (child, ringer) = (self.child.clone(), events.ringer());
        let watch = move || {
            let _ringer = ringer;
            // Its status is asked for below.
            let _ = child.wait();
        };
        // Without a thread, its end is noticed when patience is over.
        let _ = thread::Builder::new().name("child".into()).spawn(watch);
        for (patience, signal) in [
            (PATIENCE, Signal::TERM),
            (PATIENCE_AFTER_TERM, Signal::KILL),
        ] {
            let end = Instant::now() + patience;
            loop {
                let seen = events.seen();
                if let Some(status) = self.child.try_wait()? {
                    self.child.finish_stderr(process::STDERR_GRACE);
                    return Ok(status);
                }
                if Instant::now() >= end || self.signals.insisted() {
                    break;
                }
                events.wait(seen, Some(end));
            }
            self.child.kill(signal)?;
        }
        self.child.wait()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = self.end()
        {
            tracing::warn!("child {}: {error}", self.pid());
        }
        self.child.finish_stderr(process::STDERR_GRACE);
    }
}

/// Returns the user's command that `spawn … -- COMMAND` runs, which is not a peer, and its program.
pub(crate) fn command(words: &[OsString]) -> Option<(std::process::Command, &Path)> {
    let (program, arguments) = words.split_first()?;
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    Some((command, Path::new(program)))
}
