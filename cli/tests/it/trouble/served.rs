//! Bad clients of `serve --listen`: each is disconnected, with a line in the log, and the server goes
//! on.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Ipc};
use rustix::process::Signal;

use crate::common::{Running, Sandbox, poll};

/// A server that listens, and its parts that a test needs.
pub struct Served<'a> {
    sandbox: &'a Sandbox,
    pub running: Running,
    pub address: String,
}

impl<'a> Served<'a> {
    pub fn new(sandbox: &'a Sandbox, words: &[&str]) -> Self {
        let address = format!("unix:{}", sandbox.path("served.sock").display());
        let words = [words, &["serve", "--listen", &address]].concat();
        let running = sandbox.start(sandbox.ipc(&words));
        running.wait_for("listening at ");
        Self {
            sandbox,
            running,
            address,
        }
    }

    pub fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.address.strip_prefix("unix:").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Returns how much memory it holds, in KiB.
    fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.running.child.id());
        let status = fs::read_to_string(status).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim()
            .strip_suffix(" kB")
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Attacks it. Meanwhile and afterwards others are served, the attacker's connection is closed
    /// with a logged reason, and memory does not grow.
    fn withstands(&self, reason: &str, attack: impl Fn(&mut UnixStream)) {
        let bystander = {
            let ipc = Ipc::<dyn Init>::new("bystander", Role::Node.init()).unwrap();
            let address: Address = self.address.parse().unwrap();
            ipc.connect(&address).unwrap().unwrap()
        };
        let echo = bystander.make_echo().unwrap().unwrap();
        let (memory, logged) = (self.memory(), self.running.stderr().len());
        let mut stream = self.stream();
        attack(&mut stream);
        let mut rest = Vec::new();
        // It is closed, in order or by force.
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        poll("a logged reason", || {
            self.running.stderr()[logged..]
                .contains(reason)
                .then_some(())
        });
        assert_eq!(echo.echo("still there").unwrap(), "still there");
        let output = self
            .sandbox
            .run(&["-a", &self.address, "call", "echo", "new"]);
        output.expect(0, "new\n");
        let grown = self.memory().saturating_sub(memory);
        assert!(grown < 16 * 1024, "{grown} KiB more");
    }

    pub fn end(self) {
        self.running.signal(Signal::TERM);
        self.running.wait().expect(143, "");
        let path = self.address.strip_prefix("unix:").unwrap();
        assert!(!Path::new(path).exists(), "the socket is left");
    }
}

const CLOSED: &str = "IPC server: connection to process ";

#[test]
fn garbage_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    });
    served.withstands(CLOSED, |stream| {
        let _ = stream.write_all(&[0xff; 4096]);
    });
    // One segment of eight words that mean nothing.
    served.withstands(CLOSED, |stream| {
        let mut frame = vec![0, 0, 0, 0, 8, 0, 0, 0];
        frame.extend([0xa5; 64]);
        let _ = stream.write_all(&frame);
    });
    served.end();
}

#[test]
fn a_truncated_message_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        stream
            .write_all(&[0, 0, 0, 0, 100, 0, 0, 0, 1, 2, 3])
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    });
    served.end();
}

#[test]
fn a_huge_length_with_nothing_behind_it_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    for length in [[0xff, 0xff, 0xff, 0x1f], [0xff; 4], [0, 0, 0x80, 0]] {
        served.withstands(CLOSED, |stream| {
            let mut frame = vec![0; 4];
            frame.extend(length);
            stream.write_all(&frame).unwrap();
            // The largest length that is allowed is only announced: no memory is allocated for it.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
    }
    served.end();
}

#[test]
fn a_byte_a_second_is_disconnected_in_time() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["--timeout", "1s"]);
    let started = Instant::now();
    served.withstands(CLOSED, |stream| {
        while stream.write_all(&[0]).is_ok() && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(300));
        }
    });
    assert!(started.elapsed() < Duration::from_secs(5));
    served.end();
}

#[test]
fn ten_thousand_nested_lists_are_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        // A message `unimplemented` that holds a message `unimplemented` that holds ...: a struct
        // pointer (one data word, one pointer, which follow), the data, and so on.
        let mut words: Vec<u64> = Vec::new();
        for _ in 0..10_000 {
            words.extend([0x0001_0001_0000_0000, 0]);
        }
        words.push(0);
        let _ = stream.write_all(&frame(&words));
    });
    served.withstands(CLOSED, |stream| {
        // Lists of lists nest in the same way: one element each, which is a pointer.
        let mut words = vec![0x0001_0001_0000_0000_u64, 0];
        words.extend([(1 << 35 | 6 << 32) | 1; 10_000]);
        words.push(0);
        let _ = stream.write_all(&frame(&words));
    });
    served.end();
}

/// Returns one segment as a frame.
fn frame(words: &[u64]) -> Vec<u8> {
    let length = u32::try_from(words.len()).unwrap();
    let mut frame = vec![0; 4];
    frame.extend(length.to_le_bytes());
    frame.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    frame
}
