//! Python programs as peers: an environment for them, and their processes.
//!
//! Knows the peer's processes and their output; nothing of their messages over a socket.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The packages to install; a change of this makes the environment anew.
const REQUIREMENTS: &str = include_str!("../peers/requirements.txt");

/// The time that making the environment may take.
const SETUP_TIME: Duration = Duration::from_secs(180);

/// Returns the interpreter of an environment that has the peer's package, made once a machine.
/// Returns `None`, after a notice, where it cannot be made; on a CI machine that fails the test.
pub fn pycapnp() -> Option<&'static Path> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let python = environment();
        match &python {
            Ok((_, version)) => announce(&format!("peer: {version}")),
            Err(reason) => announce(&format!("SKIPPED: pycapnp, every test of it: {reason}")),
        }
        python.map(|(path, _)| path)
    });
    match python {
        Ok(path) => Some(path),
        Err(reason) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => {
            panic!("pycapnp must be there on CI: {reason}")
        }
        Err(_) => None,
    }
}

/// Prints a notice to the user who runs the tests. Not `eprintln!`, which is shown for failed tests
/// only.
fn announce(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "\n{text}");
}

/// Returns the environment's interpreter and its versions.
fn environment() -> Result<(PathBuf, String), String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .ok_or("no target folder")?
        .join("peers");
    let text = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(text)?;
    // Held until the environment is whole: test binaries run side by side.
    let lock = File::create(folder.join("pycapnp-venv.lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    let venv = folder.join("pycapnp-venv");
    let python = venv.join("bin/python");
    let made = venv.join("requirements.txt");
    if fs::read_to_string(&made).is_ok_and(|made| made == REQUIREMENTS)
        && let Ok(version) = version(&python)
    {
        return Ok((python, version));
    }
    // Made for other requirements, not made to the end, or its Python is gone.
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(text)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/requirements.txt");
    // A package that would have to be compiled is none: that takes minutes and a C++ toolchain.
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args([
            "--only-binary",
            ":all:",
            "--retries",
            "1",
            "--timeout",
            "20",
            "--requirement",
        ])
        .arg(requirements))?;
    let version = version(&python)?;
    fs::write(made, REQUIREMENTS).map_err(text)?;
    Ok((python, version))
}

fn version(python: &Path) -> Result<String, String> {
    let program = "import capnp, platform; v = capnp.version\n\
        print(f\"pycapnp {v.version} (Cap'n Proto C++ {v.LIBCAPNP_VERSION_MAJOR}.\
        {v.LIBCAPNP_VERSION_MINOR}.{v.LIBCAPNP_VERSION_MICRO}, \
        Python {platform.python_version()})\")";
    let output = run(Command::new(python).args(["-c", program]))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program to its end, which must be successful.
fn run(command: &mut Command) -> Result<Output, String> {
    let name = format!("{command:?}");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let mut process = Process::new(child);
    let status = process
        .wait(SETUP_TIME)
        .ok_or(format!("{name}: not done in {SETUP_TIME:?}"))?;
    let (stdout, stderr) = process.output();
    if !status.success() {
        let last = stderr.lines().last().unwrap_or_default().to_owned();
        return Err(format!("{name}: {status}: {last}"));
    }
    Ok(Output {
        status,
        stdout: stdout.into_bytes(),
        stderr: stderr.into_bytes(),
    })
}

/// A process and its output. Killed and reaped when dropped.
pub struct Process {
    child: Child,
    printed: Arc<(Mutex<Printed>, Condvar)>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    stderr: String,
    ended: bool,
}

impl Process {
    /// Starts a script of `tests/peers`. It ends when its stdin does, so also when the test is
    /// killed.
    pub fn script(python: &Path, script: &str, args: &[&std::ffi::OsStr]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        let mut command = Command::new(python);
        // No caches beside the sources.
        command.arg("-B").arg(folder.join(script)).args(args);
        Self::start(&mut command)
    }

    /// Starts a program with pipes to all its streams.
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self::new(child)
    }

    /// Writes its whole input.
    pub fn input(&mut self, text: &str) {
        if let Some(mut stdin) = self.child.stdin.take() {
            stdin.write_all(text.as_bytes()).unwrap();
        }
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn new(mut child: Child) -> Self {
        let printed = Arc::<(Mutex<Printed>, Condvar)>::default();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let printed = printed.clone();
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    printed.0.lock().unwrap().lines.push(line);
                    printed.1.notify_all();
                }
                printed.0.lock().unwrap().ended = true;
                printed.1.notify_all();
            }));
        }
        if let Some(mut stderr) = child.stderr.take() {
            let printed = printed.clone();
            readers.push(std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stderr.read_to_end(&mut bytes);
                printed.0.lock().unwrap().stderr = String::from_utf8_lossy(&bytes).into_owned();
            }));
        }
        Self {
            child,
            printed,
            readers,
        }
    }

    /// Returns the lines it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.printed.0.lock().unwrap().lines.clone()
    }

    /// Counts the lines for which `is` is true.
    pub fn count(&self, is: impl Fn(&str) -> bool) -> usize {
        self.lines().iter().filter(|line| is(line)).count()
    }

    /// Waits for a line for which `is` is true.
    ///
    /// # Panics
    /// Panics when there is none after ten seconds or at the end of the output.
    pub fn wait_line(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut printed = self.printed.0.lock().unwrap();
        loop {
            if let Some(line) = printed.lines.iter().find(|line| is(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.ended {
                // Released first: the output is shown when this process is dropped.
                drop(printed);
                panic!("the peer never printed {what}");
            }
            printed = self.printed.1.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// Waits for its end; kills it when it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                self.kill();
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it with SIGKILL, and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns all output of an ended process: stdout and stderr.
    pub fn output(&mut self) -> (String, String) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let printed = self.printed.0.lock().unwrap();
        (printed.lines.join("\n"), printed.stderr.clone())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let (stdout, stderr) = self.output();
        if std::thread::panicking() {
            eprintln!("the peer's output:\n{stdout}\n{stderr}");
        }
    }
}
