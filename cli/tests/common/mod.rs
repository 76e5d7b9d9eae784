//! Runs the real executable: with a home and a temporary directory of its own, within a time limit,
//! and without leaving anything behind.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::Mining;
use bitcoin_ipc::interfaces::rpc::Rpc;
use bitcoin_ipc::{Address, Error, Ipc, Listener, Result};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

pub mod mining;
#[cfg(target_os = "linux")]
pub mod terminal;

pub const EXE: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");

/// No command of a test may take longer.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A home, a temporary directory and a place for files.
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "tmp", "files"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    /// Returns a path for a file of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes an executable script.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Returns a command for any program in this sandbox, with the executable in its PATH, and
    /// without input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let directory = Path::new(EXE).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", directory.display()))
            .env("HOME", self.directory.path().join("home"))
            .env("TMPDIR", self.directory.path().join("tmp"))
            .env("TERM", "xterm")
            .env_remove("BITCOIN_IPC_ADDRESS")
            .env_remove("BITCOIN_IPC_LOG")
            .env_remove("RUST_BACKTRACE")
            .env_remove("NO_COLOR")
            .current_dir(self.directory.path().join("files"))
            .stdin(Stdio::null());
        command
    }

    /// Returns a command for the executable with these words.
    pub fn ipc<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = self.command(EXE);
        command.args(words);
        command
    }

    /// Runs the executable to its end.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        self.start(self.ipc(words)).wait()
    }

    /// Runs the executable to its end, with input.
    pub fn run_with(&self, words: &[&str], input: &str) -> Output {
        let file = self.write("input", input);
        let mut command = self.ipc(words);
        command.stdin(File::open(file).unwrap());
        self.start(command).wait()
    }

    /// Starts a command in a process group of its own.
    pub fn start(&self, command: Command) -> Running {
        self.start_with(command, None)
    }

    /// Starts a command whose stderr is `stderr`; [`Running::stderr`] is empty then.
    pub fn start_with(&self, command: Command, stderr: Option<Stdio>) -> Running {
        self.start_to(command, None, stderr)
    }

    /// Starts a command whose stdout is `stdout`; [`Running::stdout`] is empty then.
    pub fn start_with_output(&self, command: Command, stdout: Stdio) -> Running {
        self.start_to(command, Some(stdout), None)
    }

    fn start_to(
        &self,
        mut command: Command,
        stdout: Option<Stdio>,
        stderr: Option<Stdio>,
    ) -> Running {
        let output = tempfile::NamedTempFile::new_in(self.directory.path()).unwrap();
        let errors = tempfile::NamedTempFile::new_in(self.directory.path()).unwrap();
        let child = command
            .stdout(stdout.unwrap_or_else(|| output.reopen().unwrap().into()))
            .stderr(stderr.unwrap_or_else(|| errors.reopen().unwrap().into()))
            .process_group(0)
            .spawn()
            .unwrap();
        Running {
            group: Pid::from_child(&child),
            child,
            output,
            errors,
        }
    }

    /// Asserts that nothing is left in the temporary directory, and no process of this sandbox.
    pub fn assert_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.directory.path().join("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still running: {left:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the processes whose environment names this sandbox's home.
    #[cfg(target_os = "linux")]
    fn processes(&self) -> Vec<String> {
        let home = format!("HOME={}", self.directory.path().join("home").display());
        let names = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let ours = environment
                    .split(|byte| *byte == 0)
                    .any(|word| word == home.as_bytes());
                ours.then(|| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
            });
        names.collect()
    }

    #[cfg(not(target_os = "linux"))]
    fn processes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The end of a command, and its output.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Output {
    #[track_caller]
    pub fn expect(&self, code: i32, stdout: &str) -> &Self {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (code, stdout),
            "{self:#?}"
        );
        self
    }

    /// Asserts that it fails in the usual two lines, of which the first has these words.
    #[track_caller]
    pub fn expect_error(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:#?}");
        let lines: Vec<_> = self.stderr.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("error: "));
        let at = at.unwrap_or_else(|| panic!("no error: {self:#?}"));
        for word in words {
            assert!(lines[at].contains(word), "{word:?} is not in {self:#?}");
        }
        let hint = lines
            .get(at + 1)
            .is_some_and(|line| line.starts_with("hint: "));
        assert!(hint && lines.len() == at + 2, "{self:#?}");
        self
    }
}

/// A command that runs; it and its group are killed when this is dropped.
pub struct Running {
    pub child: Child,
    group: Pid,
    output: tempfile::NamedTempFile,
    errors: tempfile::NamedTempFile,
}

impl Running {
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.output.path()).unwrap()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.errors.path()).unwrap()
    }

    /// Waits until its stderr has these words. Returns the line.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> String {
        let found = || {
            self.stderr()
                .lines()
                .find(|line| line.contains(words))
                .map(String::from)
        };
        poll(words, found)
    }

    #[track_caller]
    pub fn wait_for_stdout(&self, words: &str) {
        poll(words, || self.stdout().contains(words).then_some(()));
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has a handler for this signal.
    #[track_caller]
    pub fn wait_caught(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        poll("a handler", || has(pid, "SigCgt:", signal)?.then_some(()));
    }

    #[track_caller]
    pub fn wait(mut self) -> Output {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let took = started.elapsed();
            let (stdout, stderr) = (self.stdout(), self.stderr());
            assert!(
                took < LIMIT,
                "does not end\nstdout: {stdout}\nstderr: {stderr}"
            );
            thread::sleep(Duration::from_millis(5));
        };
        Output {
            code: code(status),
            stdout: self.stdout(),
            stderr: self.stderr(),
            took: started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group has the number for as long as its leader is not reaped.
        if let Ok(None) = self.child.try_wait() {
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap())
}

/// Tells whether a tool is installed. Prints a notice of it, or of what is not tested where it is not
/// there, which is a failure with `CI=true`.
pub fn has_tool(tool: &str, for_what: &str) -> bool {
    use std::io::Write;
    let found = Command::new(tool).arg("--version").output();
    let line = match &found {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stdout);
            format!("peer: {}", version.lines().next().unwrap_or(tool))
        }
        Err(_) => format!("SKIPPED: {tool}, {for_what}: it is not there"),
    };
    // Past the test harness, which shows only what failing tests print.
    let _ = writeln!(std::io::stderr(), "{line}");
    let needed = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found.is_ok() || !needed, "{line}");
    found.is_ok()
}

/// Waits until `f` returns something.
#[track_caller]
pub fn poll<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = f() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the signals that end a command, and its exit status then. Leaves out those that this
/// process ignores, which the executable respects.
pub fn ending_signals() -> Vec<(Signal, i32)> {
    let own = rustix::process::getpid();
    [Signal::TERM, Signal::INT, Signal::HUP]
        .into_iter()
        .filter(|signal| has(own, "SigIgn:", *signal) != Some(true))
        .map(|signal| (signal, 128 + signal.as_raw()))
        .collect()
}

/// Returns whether a signal is in a set of a process, such as `SigCgt:`, where the system tells.
pub fn has(process: Pid, set: &str, signal: Signal) -> Option<bool> {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = fs::read_to_string(path).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix(set))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// Returns the pid in a line such as `bitcoin-node (pid 12) is ready`.
pub fn pid_in(line: &str) -> Pid {
    let (_, rest) = line.split_once("(pid ").unwrap();
    let (pid, _) = rest.split_once(')').unwrap();
    Pid::from_raw(pid.parse().unwrap()).unwrap()
}

/// Whether a process exists, also as a zombie.
pub fn exists(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

/// A peer in this process, whose `Echo` does what its argument says: `block`, `fail`, `overload`,
/// `unimplemented`, or echo.
pub struct Peer {
    pub address: String,
    block: Arc<(Mutex<Block>, Condvar)>,
    _listener: Listener,
    ipc: Ipc<dyn Init>,
}

#[derive(Default)]
struct Block {
    blocked: usize,
    over: bool,
}

struct PeerInit(Arc<(Mutex<Block>, Condvar)>, Option<()>);

struct PeerEcho(Arc<(Mutex<Block>, Condvar)>);

impl Peer {
    pub fn new(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, Some(()))
    }

    /// Starts a peer that offers nothing.
    pub fn empty(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, None)
    }

    fn with(sandbox: &Sandbox, echo: Option<()>) -> Self {
        let block = Arc::<(Mutex<Block>, Condvar)>::default();
        let ipc = Ipc::<dyn Init>::new("peer", Arc::new(PeerInit(block.clone(), echo))).unwrap();
        let address = format!("unix:{}", sandbox.path("peer.sock").display());
        let listener = ipc.listen(&address.parse::<Address>().unwrap()).unwrap();
        Self {
            address,
            block,
            _listener: listener,
            ipc,
        }
    }

    /// Ends the connections of all clients.
    pub fn disconnect(&self) {
        self.ipc.disconnect_incoming();
    }

    /// Waits until this many calls have blocked.
    pub fn wait_blocked(&self, calls: usize) {
        let blocked = || self.block.0.lock().unwrap().blocked;
        poll("a call that blocks", || (blocked() >= calls).then_some(()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.block.0.lock().unwrap().over = true;
        self.block.1.notify_all();
    }
}

impl Echo for PeerEcho {
    fn echo(&self, echo: &str) -> Result<String> {
        match echo {
            "block" => {
                let mut block = self.0.0.lock().unwrap();
                block.blocked += 1;
                drop(
                    self.0
                        .1
                        .wait_timeout_while(block, LIMIT, |block| !block.over)
                        .unwrap(),
                );
                Ok("unblocked".into())
            }
            "fail" => Err(Error::failed("no\nsuch \u{1b}[31mluck")),
            "overload" => Err(Error::overloaded("too much")),
            "unimplemented" => Err(Error::Unimplemented("not here".into())),
            echo => Ok(echo.into()),
        }
    }
}

impl Init for PeerInit {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        Ok(self
            .1
            .map(|()| Arc::new(PeerEcho(self.0.clone())) as Arc<dyn Echo>))
    }

    fn make_mining_old2(&self) -> Result<()> {
        Ok(())
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(None)
    }

    fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
        Err(Error::Unimplemented("Method not implemented.".into()))
    }
}
