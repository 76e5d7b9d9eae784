//! Commands of a shell that get lines and results.
//!
//! Knows processes and signals; nothing of what the commands are given.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::Error;
use eyre::Result;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::context::Context;

/// The time that a command has to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command that `sh` runs.
pub(crate) struct Shell<'a> {
    context: &'a Context,
    command: &'a str,
    shell: Command,
    input: Option<String>,
    /// Whether it has a process group of its own.
    apart: bool,
}

impl<'a> Shell<'a> {
    /// Prepares a command that runs beside this program, without input: a terminal's Ctrl-C does not
    /// reach it.
    pub(crate) fn apart(context: &'a Context, command: &'a str) -> Self {
        let mut this = Self::new(context, command);
        this.shell.stdin(Stdio::null()).process_group(0);
        this.apart = true;
        this
    }

    /// Prepares a command that is in the foreground of the terminal, so that Ctrl-C reaches it, and gets
    /// this input.
    pub(crate) fn with_input(context: &'a Context, command: &'a str, input: String) -> Self {
        let mut this = Self::new(context, command);
        this.shell.stdin(Stdio::piped());
        this.input = Some(input);
        this
    }

    fn new(context: &'a Context, command: &'a str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        Self {
            context,
            command,
            shell,
            input: None,
            apart: false,
        }
    }

    /// Sets variables of its environment.
    pub(crate) fn variables(mut self, variables: Vec<(String, String)>) -> Self {
        self.shell.envs(variables);
        self
    }

    /// Runs it to its end, and says where that is a failure. A signal that ends this program ends it too.
    pub(crate) fn run(mut self) -> Result<()> {
        let child = self.shell.spawn().map_err(|error| self.failed(error))?;
        let status = self.supervise(child).map_err(|error| self.failed(error))?;
        self.context.signals.check()?;
        if !status.success() {
            let told = format!("{}: {status}", self.command);
            self.context.output.note(&told);
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format!("run {:?}", self.command), error)
    }

    fn supervise(&mut self, mut child: Child) -> io::Result<ExitStatus> {
        let signals = &self.context.signals;
        let events = signals.events();
        let pid = Pid::from_child(&child);
        let ringer = events.ringer();
        // It stays a zombie until it is asked for below, so that its number is no other's.
        let watch = move || {
            let _ringer = ringer;
            let _ = waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
        };
        thread::Builder::new().name("shell".into()).spawn(watch)?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), self.input.take()) {
            // A command need not read all, as `head` does not, nor at once, as `less` does not.
            let feed = move || drop(pipe.write_all(input.as_bytes()));
            thread::Builder::new().name("input".into()).spawn(feed)?;
        }
        let mut deadline: Option<Instant> = None;
        loop {
            let seen = events.seen();
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            match deadline {
                None if signals.received().is_some() => {
                    self.kill(pid, Signal::TERM);
                    deadline = Instant::now().checked_add(PATIENCE);
                }
                Some(passed) if Instant::now() >= passed => {
                    self.kill(pid, Signal::KILL);
                    return child.wait();
                }
                _ => {}
            }
            events.wait(seen, deadline);
        }
    }

    fn kill(&self, pid: Pid, signal: Signal) {
        // It may have ended meanwhile.
        let _ = match self.apart {
            true => kill_process_group(pid, signal),
            false => kill_process(pid, signal),
        };
    }
}
