//! Children, through real processes. Each test ends by itself: what waits, waits with a bound.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::error::Error;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A shell script in a directory of its own. Another process writes it: as long as this one
/// could have it open for writing, in any child that another test forks, it cannot be executed.
struct Script(TempDir);

impl Script {
    fn new(body: &str) -> Self {
        Self::file(&format!("#!/bin/sh\n{body}\n"), "755")
    }

    fn file(text: &str, mode: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let written = Command::new("/bin/sh")
            .args([
                "-c",
                "printf %s \"$1\" >\"$2\" && chmod $3 \"$2\"",
                "sh",
                text,
            ])
            .arg(directory.path().join("program"))
            .arg(mode)
            .status()
            .unwrap();
        assert!(written.success());
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("program")
    }

    fn program(&self) -> Program {
        Program::new(self.path())
    }
}

/// A descriptor as exec leaves it, numbered `low` or above: open, and closed on no exec.
pub(crate) fn inherited(fd: impl AsFd, low: RawFd) -> OwnedFd {
    let copy = rustix::io::fcntl_dupfd_cloexec(fd, low).unwrap();
    rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty()).unwrap();
    copy
}

/// Collects lines.
fn collect() -> (Stderr, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let stderr = Stderr::Lines(Box::new(move |line| sink.lock().unwrap().push(line.into())));
    (stderr, lines)
}

fn ended(child: &Child) -> ExitStatus {
    child.wait_timeout(LONG).unwrap().expect("ended in time")
}

/// A command for a script, which does something with the stream and ends when that does. It is
/// this very program: not every shell can use a descriptor that has more than one digit.
fn with_stream(what: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let test = "process::tests::the_child_of_other_tests";
    let program = program.display();
    format!("CHILD_DOES={what} CHILD_FD=$2 '{program}' {test} --exact --nocapture >/dev/null")
}

#[test]
fn the_child_of_other_tests() {
    let (Ok(what), Ok(fd)) = (std::env::var("CHILD_DOES"), std::env::var("CHILD_FD")) else {
        return;
    };
    let mut stream = inherited_stream(fd.parse().unwrap()).unwrap();
    let mut writer = stream.try_clone().unwrap();
    match what.as_str() {
        "echo" => std::io::copy(&mut stream, &mut writer).unwrap(),
        _ => std::io::copy(&mut stream, &mut std::io::sink()).unwrap(),
    };
}

#[test]
fn the_stream_reaches_the_child_and_back() {
    let script = Script::new(&with_stream("echo"));
    let (mut stream, child) = spawn(script.program()).unwrap();
    stream.write_all(b"there and back").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "there and back");
    assert!(ended(&child).success());
}

#[test]
fn the_command_line_is_three_words_under_the_given_name() {
    let (stderr, lines) = collect();
    let script = Script::new("printf '%s|' \"$#\" \"$1\" \"$EXTRA\" >&2");
    let (_stream, child) = spawn(script.program().env("EXTRA", "yes").stderr(stderr)).unwrap();
    assert!(ended(&child).success());
    assert_eq!(*lines.lock().unwrap(), ["2|-ipcfd|yes|"]);

    let (stderr, lines) = collect();
    let cat = Program::new("/bin/cat").arg0("bitcoin-node").stderr(stderr);
    let (_stream, child) = spawn(cat).unwrap();
    assert_eq!(ended(&child).shell_code(), 1);
    let said = lines.lock().unwrap();
    assert!(said[0].starts_with("bitcoin-node: "), "{said:?}");
}

/// As libmultiprocess's SpawnProcess, which closes everything else in the child.
#[test]
fn only_the_standard_streams_and_the_stream_are_open_in_the_child() {
    let file = File::open("/dev/null").unwrap();
    // Open, and closed on no exec, low and high.
    let leaks = [3, 50, 150].map(|low| inherited(&file, low));
    // The outer shell may have its script open, the inner one has nothing.
    let script = Script::new(
        "exec /bin/sh -c 'n=0; while [ $n -lt 300 ]; do
           if [ -e /proc/self/fd/$n ]; then echo $n >&2; fi; n=$((n+1)); done; echo $1 >&2' sh $2",
    );
    let (stderr, lines) = collect();
    let (_stream, child) = spawn(script.program().stderr(stderr)).unwrap();
    assert!(ended(&child).success());
    let lines = lines.lock().unwrap();
    let (given, open) = lines.split_last().unwrap();
    assert_eq!(open, ["0", "1", "2", given.as_str()]);
    assert!(leaks.iter().all(|leak| leak.as_raw_fd() >= 3));
}

#[test]
fn spawning_leaves_no_descriptor_behind_in_the_parent() {
    // In a process of its own: other tests open descriptors at the same time.
    if !in_own_process("process::tests::spawning_leaves_no_descriptor_behind_in_the_parent") {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let round = || {
        let (stderr, _lines) = collect();
        let program = Program::new("/bin/true").stdin(Stdin::Null).stderr(stderr);
        let (stream, child) = spawn(program).unwrap();
        assert!(ended(&child).success());
        assert!(child.finish_stderr(LONG));
        drop(stream);
        spawn(Program::new("/nowhere").stderr(collect().0)).unwrap_err();
    };
    let before = open();
    (0..20).for_each(|_| round());
    // A thread that has just said its last word may still hold its pipe.
    let start = Instant::now();
    while open() > before && start.elapsed() < LONG {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(open() <= before);
}

#[test]
fn a_failure_to_start_gives_the_reason_and_a_shells_code() {
    let failure = |path: &Path| {
        let error = spawn(Program::new(path)).unwrap_err();
        let Error::Spawn { program, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*program, path.display().to_string());
        let line = error.to_string();
        assert!(line.starts_with(program) && !line.contains('\n'), "{line}");
        (line, exec_failure_code(&error))
    };
    let (line, code) = failure(Path::new("/nowhere/bitcoin-node"));
    assert!(
        line.contains("No such file") && !line.contains("interpreter"),
        "{line}"
    );
    assert_eq!(code, Some(127));

    let (line, code) = failure(Script::file("#!/bin/sh\n", "644").path().as_path());
    assert!(line.contains("Permission denied"), "{line}");
    assert_eq!(code, Some(126));

    let (line, code) = failure(Path::new("/tmp"));
    assert!(line.contains("Permission denied"), "{line}");
    assert_eq!(code, Some(126));

    let (line, code) = failure(
        Script::file("\u{7f}ELF, but for no machine", "755")
            .path()
            .as_path(),
    );
    assert!(line.contains("Exec format error"), "{line}");
    assert_eq!(code, Some(126));

    let (line, _) = failure(Script::file("#!/nowhere/sh\n", "755").path().as_path());
    assert!(line.contains("its interpreter is missing"), "{line}");
}

#[test]
fn a_status_is_kept_and_told_to_every_thread() {
    let script = Script::new(&format!("{}; exit 7", with_stream("hold")));
    let (stream, child) = spawn(script.program()).unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| child.wait())).collect();
        // The child ends when its stream does.
        drop(stream);
        for thread in waiting {
            assert_eq!(thread.join().unwrap().unwrap().code(), Some(7));
        }
    });
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(child.try_wait().unwrap().unwrap().shell_code(), 7);
}

#[test]
fn a_signal_ends_a_child_and_is_never_sent_after_that() {
    let script = Script::new("exec sleep 60");
    let (_stream, child) = spawn(script.program()).unwrap();
    assert!(child.kill(Signal::TERM).unwrap());
    let status = ended(&child);
    assert_eq!((status.signal(), status.shell_code()), (Some(15), 143));
    assert!(!child.kill(Signal::KILL).unwrap());
}

#[test]
fn a_dropped_child_leaves_no_zombie() {
    let script = Script::new(&with_stream("hold"));
    let (stream, child) = spawn(script.program()).unwrap();
    let process = PathBuf::from(format!("/proc/{}", child.pid()));
    drop(child);
    assert!(process.exists(), "dropping the handle ends nothing");
    drop(stream);
    let start = Instant::now();
    while process.exists() {
        assert!(start.elapsed() < LONG, "a zombie stays");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_last_lines_come_before_the_status() {
    let script =
        Script::new("i=0; while [ $i -lt 500 ]; do echo $i >&2; i=$((i+1)); done\nprintf end >&2");
    let (stderr, lines) = collect();
    let (_stream, child) = spawn(script.program().stderr(stderr)).unwrap();
    assert!(child.wait().unwrap().success());
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 501);
    assert_eq!(lines[500], "end");
    assert!(child.finish_stderr(Duration::ZERO));
}

#[test]
fn a_grandchild_that_holds_the_standard_error_delays_the_status_only_once() {
    let script = Script::new(&format!(
        "({}; echo late >&2) &\necho early >&2; exit 4",
        with_stream("hold")
    ));
    let (stderr, lines) = collect();
    let (stream, child) = spawn(script.program().stderr(stderr)).unwrap();
    let start = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(start.elapsed() >= STDERR_GRACE);
    let again = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(again.elapsed() < STDERR_GRACE);
    assert!(!child.finish_stderr(Duration::ZERO));
    assert_eq!(*lines.lock().unwrap(), ["early"]);
    drop(stream);
    assert!(child.finish_stderr(LONG));
    assert_eq!(*lines.lock().unwrap(), ["early", "late"]);
}

#[test]
fn a_spawned_child_outlives_sigint_and_says_so_once() {
    if !in_own_process("process::tests::a_spawned_child_outlives_sigint_and_says_so_once") {
        return;
    }
    let (called, calls) = mpsc::channel();
    ignore_sigint(move || called.send(()).unwrap()).unwrap();
    let interrupt = || {
        rustix::process::kill_process(rustix::process::getpid(), Signal::INT).unwrap();
    };
    interrupt();
    calls.recv_timeout(LONG).unwrap();
    interrupt();
    interrupt();
    // The function is gone, so nothing can call it again.
    assert_eq!(
        calls.recv_timeout(LONG),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

/// Runs the named test again in a process of its own, and checks that it succeeds there. True in
/// that process.
pub(crate) fn in_own_process(test: &str) -> bool {
    const MARK: &str = "BITCOIN_IPC_TEST_IN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
    false
}
