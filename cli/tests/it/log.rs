//! The executable's log: a log that nobody reads holds nothing up, and an event is one line whatever
//! a peer sent. Knows the executable from outside only.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Peer, Running, Sandbox, poll};
use os_pipe::{PipeReader, PipeWriter};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

/// A server whose stderr is a full pipe that nobody reads.
struct Unread {
    running: Running,
    path: std::path::PathBuf,
    log: BufReader<PipeReader>,
}

impl Unread {
    fn serve(sandbox: &Sandbox) -> Self {
        let path = sandbox.path("s");
        let (reader, mut writer) = os_pipe::pipe().unwrap();
        let stderr = writer.try_clone().unwrap();
        let address = format!("unix:{}", path.display());
        let command = sandbox.ipc(&["serve", "--listen", &address]);
        let running = sandbox.start_with(command, Some(stderr.into()));
        let mut log = BufReader::new(reader);
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert!(line.starts_with("listening at "), "{line}");
        fill(&mut writer);
        Self { running, path, log }
    }

    fn call(&self, sandbox: &Sandbox) {
        let address = format!("unix:{}", self.path.display());
        let words = ["-a", &address, "call", "echo", "hi"];
        sandbox.run(&words).expect(0, "hi\n");
    }

    /// Connects clients that send garbage, for which the server logs a warning.
    fn attack(&self, clients: usize) {
        let path = self.path.clone();
        let attack = thread::spawn(move || {
            for _ in 0..clients {
                let mut client = UnixStream::connect(&path).unwrap();
                client
                    .write_all(b"\xff\xff\x0f\0\x01\0\0\0garbage")
                    .unwrap();
                // The server closes the connection.
                let _ = client.read(&mut [0]);
            }
        });
        poll("bad clients", || attack.is_finished().then_some(()));
        attack.join().unwrap();
    }
}

/// Returns a line of the log without its time, which is as with Bitcoin Core's `-logtimemicros`.
/// FAULTS F10: it has one.
#[track_caller]
fn logged(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap();
    let digits = time.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "0000-00-00T00:00:00.000000Z", "{line}");
    rest
}

/// Fills a pipe with empty lines, up to its last byte.
fn fill(pipe: &mut PipeWriter) {
    let flags = fcntl_getfl(&*pipe).unwrap();
    fcntl_setfl(&*pipe, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(error) = pipe.write_all(b"\n") {
            break error.kind();
        }
    };
    assert_eq!(full, ErrorKind::WouldBlock);
    fcntl_setfl(&*pipe, flags).unwrap();
}

// The event loop's thread wrote the log itself, so that a full pipe blocked it.
#[test]
fn a_log_that_nobody_reads_keeps_nobody_from_being_served() {
    let sandbox = Sandbox::new();
    let server = Unread::serve(&sandbox);
    for _ in 0..3 {
        server.attack(100);
        server.call(&sandbox);
    }
    let signalled = Instant::now();
    server.running.signal(Signal::TERM);
    server.running.wait().expect(143, "");
    assert!(signalled.elapsed() < Duration::from_secs(5));
    sandbox.assert_clean();
}

#[test]
fn what_was_logged_is_written_at_the_end_when_it_is_read() {
    let sandbox = Sandbox::new();
    let mut server = Unread::serve(&sandbox);
    server.attack(20);
    server.call(&sandbox);
    let read = thread::spawn(move || {
        let mut text = String::new();
        server.log.read_to_string(&mut text).map(|_| text)
    });
    server.running.signal(Signal::TERM);
    server.running.wait().expect(143, "");
    let text = read.join().unwrap().unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty() && text.ends_with('\n'), "{lines:?}");
    for line in lines {
        assert!(line.starts_with("[ipc:warning] {"), "{line}");
    }
    sandbox.assert_clean();
}

#[test]
fn a_log_that_nobody_reads_keeps_no_result_back() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let (_reader, mut writer) = os_pipe::pipe().unwrap();
    fill(&mut writer);
    let words = [
        "-vv",
        "-a",
        &peer.address,
        "call",
        "--repeat",
        "50",
        "echo",
        "hi",
    ];
    let running = sandbox.start_with(sandbox.ipc(&words), Some(writer.into()));
    running.wait().expect(0, &"hi\n".repeat(50));
    sandbox.assert_clean();
}

#[test]
fn an_event_is_one_line_and_an_error_follows_what_was_logged_before() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let output = sandbox.run(&["-v", "-a", &peer.address, "call", "echo", "fail"]);
    let lines: Vec<_> = output.stderr.split('\n').collect();
    let at = |words: &str| {
        let found = lines.iter().position(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no {words:?} in {output:#?}"))
    };
    let (sent, failed) = (
        at("IPC client send Echo.echo"),
        at("IPC client exception Echo.echo"),
    );
    assert!(
        lines[failed].contains(r"no\nsuch \x1b[31mluck"),
        "{output:#?}"
    );
    let error = lines.iter().position(|line| line.starts_with("error: "));
    assert!(sent < failed && Some(failed) < error, "{output:#?}");
    for line in &lines[..error.unwrap()] {
        assert!(
            logged(line).starts_with('[') && !line.contains(char::is_control),
            "{line:?}"
        );
    }
    sandbox.assert_clean();
}

/// FAULTS F10: the lines of `-v` have times, those of a server's warnings none, which a journal adds.
#[test]
fn what_is_logged_for_each_call_has_its_time() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let output = sandbox.run(&["-v", "-a", &peer.address, "call", "echo", "hi"]);
    let logged = output
        .stderr
        .lines()
        .filter(|line| line.contains("[ipc] {"));
    let logged: Vec<_> = logged.collect();
    assert!(logged.len() > 2, "{output:?}");
    let shape = |line: &str| -> String {
        let time = line.split(' ').next().unwrap().chars();
        let digits = time.map(|c| if c.is_ascii_digit() { '0' } else { c });
        digits.collect()
    };
    for line in &logged {
        assert_eq!(shape(line), "0000-00-00T00:00:00.000000Z", "{line}");
    }
    assert!(
        logged.is_sorted_by_key(|line| line.split(' ').next()),
        "{logged:?}"
    );
}
