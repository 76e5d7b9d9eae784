//! A child that was started: waiting for it, and ending it.
//!
//! A thread per child waits for its end and reaps it, whether the status is asked for or not. So no
//! child stays a zombie, any number of threads can ask for the status at any time, and a signal
//! never reaches another process that got the same number: reaping and signalling exclude each
//! other.

use std::fmt;
use std::io::{self, PipeReader};
use std::process;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::lines::read_lines;
use super::status::ExitStatus;
use crate::error::{Error, Result};

/// The time that a wait for a child also waits, after the child's end, for the rest of its standard
/// error. A process that the child started may hold that open for much longer.
pub const STDERR_GRACE: Duration = Duration::from_secs(1);

/// A child process. Usable from any thread.
///
/// Dropping it neither ends the child nor waits for it. The child is still reaped when it ends,
/// by a thread that lives until then; after this process, the system's init does it.
pub struct Child {
    pid: u32,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    process: Process,
    /// Whether lines of its standard error may still come.
    stderr_open: bool,
    /// Whether a wait for the rest of the standard error was in vain; the next one does not try.
    stderr_held: bool,
}

enum Process {
    /// Not started yet.
    Prepared,
    /// Not reaped: its pid is its own.
    Running(process::Child),
    Ended(ExitStatus),
    /// Its status cannot be known, for example because this program ignores SIGCHLD.
    Lost(Arc<io::Error>),
}

impl Child {
    /// Returns its process id. After its end another process may get the same.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Blocks until the child has ended, and returns how. The last lines of its standard error, if
    /// they are captured, have been passed on then, unless another process holds it open: that is
    /// waited for no longer than [`STDERR_GRACE`], once.
    ///
    /// A child that serves does not end before its stream is closed.
    ///
    /// # Errors
    /// [`Error::Io`] where the status was lost: another part of this program ignores SIGCHLD or
    /// waits for every child.
    pub fn wait(&self) -> Result<ExitStatus> {
        let state = self.shared.lock();
        let mut state = self
            .shared
            .changed
            .wait_while(state, |state| state.is_running())
            .unwrap_or_else(PoisonError::into_inner);
        if state.stderr_open && !state.stderr_held {
            state = self.shared.wait_stderr(state, STDERR_GRACE);
            state.stderr_held = state.stderr_open;
        }
        self.outcome(&state)
    }

    /// Waits as [`wait`](Self::wait) does, but gives up after `timeout`, with `None`, if the child
    /// has not ended by then. The rest of `timeout` bounds the wait for its last lines too.
    ///
    /// # Errors
    /// Returns the errors of [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>> {
        let started = Instant::now();
        let state = self.shared.lock();
        let (mut state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, timeout, |state| state.is_running())
            .unwrap_or_else(PoisonError::into_inner);
        if state.is_running() {
            return Ok(None);
        }
        if !state.stderr_held {
            let left = timeout.saturating_sub(started.elapsed());
            state = self.shared.wait_stderr(state, left.min(STDERR_GRACE));
        }
        self.outcome(&state).map(Some)
    }

    /// Returns how the child ended, or `None` while it runs. Does not block.
    ///
    /// # Errors
    /// Returns the errors of [`wait`](Self::wait).
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        let state = self.shared.lock();
        if state.is_running() {
            return Ok(None);
        }
        self.outcome(&state).map(Some)
    }

    /// Blocks until the last line of the child's standard error has been passed on, at most for
    /// `timeout`. Returns whether it has: true at once where lines are not captured. The function
    /// that gets the lines must not call this.
    pub fn finish_stderr(&self, timeout: Duration) -> bool {
        let state = self.shared.lock();
        !self.shared.wait_stderr(state, timeout).stderr_open
    }

    /// Sends the child a signal. Returns false where it has ended already: then nothing was sent to
    /// any process.
    ///
    /// # Errors
    /// [`Error::Io`] where the operating system refuses, as for a child that runs as another user.
    pub fn kill(&self, signal: Signal) -> Result<bool> {
        let state = self.shared.lock();
        let Process::Running(child) = &state.process else {
            return Ok(false);
        };
        rustix::process::kill_process(Pid::from_child(child), signal)
            .map(|()| true)
            .map_err(|errno| Error::io(format!("send a signal to process {}", self.pid), errno))
    }

    fn outcome(&self, state: &State) -> Result<ExitStatus> {
        match &state.process {
            Process::Ended(status) => Ok(*status),
            Process::Lost(source) => Err(Error::Io {
                what: format!("wait for process {}", self.pid),
                source: source.clone(),
            }),
            Process::Prepared | Process::Running(_) => Err(Error::Usage(format!(
                "process {} is still running",
                self.pid
            ))),
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("pid", &self.pid).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_stderr<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        let (state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |state| state.stderr_open)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }

    /// Waits for the child's end without reaping it, and reaps it when nobody can signal it.
    fn reap(&self, pid: Pid) {
        // Only an interruption is worth another attempt; any other error is found again, and kept,
        // below.
        while matches!(
            rustix::process::waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            ),
            Err(Errno::INTR)
        ) {}
        let mut state = self.lock();
        let Process::Running(child) = &mut state.process else {
            return;
        };
        let ended = child.wait().map(ExitStatus::from).map_err(Arc::new);
        state.process = match ended.clone() {
            Ok(status) => Process::Ended(status),
            Err(error) => Process::Lost(error),
        };
        drop(state);
        self.changed.notify_all();
        tracing::debug!(pid = pid.as_raw_pid(), status = ?ended, "a child ended");
    }
}

impl State {
    fn is_running(&self) -> bool {
        matches!(self.process, Process::Prepared | Process::Running(_))
    }
}

/// The function that gets the lines of a child's standard error.
type OnLine = Box<dyn FnMut(&str) + Send>;

/// The threads of a child that is yet to be started. They end when this is dropped.
pub(super) struct Prepared {
    shared: Arc<Shared>,
    started: SyncSender<Pid>,
}

impl Prepared {
    /// Starts the threads: one that waits for the child's end, and one that reads its lines.
    pub(super) fn new(lines: Option<(PipeReader, OnLine)>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                process: Process::Prepared,
                stderr_open: lines.is_some(),
                stderr_held: false,
            }),
            changed: Condvar::new(),
        });
        let (started, child): (_, Receiver<Pid>) = mpsc::sync_channel(1);
        let waiter = shared.clone();
        thread::Builder::new()
            .name("wait-child".into())
            .spawn(move || {
                if let Ok(pid) = child.recv() {
                    waiter.reap(pid);
                }
            })?;
        if let Some((reader, mut on_line)) = lines {
            let open = StderrOpen(shared.clone());
            thread::Builder::new()
                .name("child-stderr".into())
                .spawn(move || {
                    let _open = open;
                    read_lines(reader, &mut on_line);
                })?;
        }
        Ok(Self { shared, started })
    }

    /// Hands the child that was started to the threads.
    pub(super) fn take(self, child: process::Child) -> Child {
        let id = child.id();
        let pid = Pid::from_child(&child);
        self.shared.lock().process = Process::Running(child);
        if self.started.send(pid).is_err() {
            // The thread that receives ends only after it has.
            tracing::error!(pid = id, "nobody waits for a child");
        }
        Child {
            pid: id,
            shared: self.shared,
        }
    }
}

/// Notes, when dropped, that no more lines come, also when the function for lines panicked.
struct StderrOpen(Arc<Shared>);

impl Drop for StderrOpen {
    fn drop(&mut self) {
        self.0.lock().stderr_open = false;
        self.0.changed.notify_all();
    }
}
