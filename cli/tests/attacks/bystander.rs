//! A well-behaved client beside an attack: a process that makes a call every few milliseconds on one
//! connection, and how long each takes.
//!
//! It tells whether calls of others are held up: a call is begun every [`EVERY`] whether or not the
//! one before has been answered, so that one stop of the server shows in all calls that come due
//! meanwhile. It does not tell small differences. The attacker, the server and the client share the
//! processors with each other and with whatever else runs, so what is below [`FLOOR`] counts as
//! undisturbed, and the best of [`ATTEMPTS`] attempts counts. A stop of 10 × [`FLOOR`] that comes
//! once in a hundred calls, in every attempt, fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{Running, Sandbox, poll};
use crate::frames::{Answer, Client, Target, echo};

/// The time from one call to the next.
const EVERY: Duration = Duration::from_millis(2);

/// An undisturbed client's p99 counts as this at least. Without optimisation the server has the
/// processor for several times as long for each call of an attack.
const FLOOR: Duration = Duration::from_millis(if cfg!(debug_assertions) { 15 } else { 3 });

/// The factor by which a call may take longer beside an attack.
const FACTOR: u32 = 10;

/// The calls that a percentile is taken of, at least.
const CALLS: usize = 400;

const ATTEMPTS: usize = 3;

/// The p99 of a bystander before an attack and beside it.
#[derive(Debug)]
pub struct Measured {
    undisturbed: Duration,
    disturbed: Duration,
}

/// Runs an attack until a bystander beside it is undisturbed; fails when every attempt disturbs it.
#[track_caller]
pub fn undisturbed(mut attempt: impl FnMut() -> Measured) {
    let mut all = Vec::new();
    for _ in 0..ATTEMPTS {
        let measured = attempt();
        let most = measured.undisturbed.max(FLOOR) * FACTOR;
        let is_fine = measured.disturbed <= most;
        all.push(measured);
        if is_fine {
            eprintln!("p99 of the bystander: {all:?}");
            return;
        }
    }
    panic!("the bystander was held up: {all:?}");
}

/// Makes this test's process a bystander at this socket.
const BYSTANDER: &str = "CLI_ATTACKS_BYSTANDER";

/// The prefix of a number of microseconds in a bystander's output.
const TOOK: &str = "took ";

/// The process of a [`Bystander`], which starts this program; does nothing otherwise.
#[test]
fn a_well_behaved_client() {
    let Some(path) = std::env::var_os(BYSTANDER) else {
        return;
    };
    let (mut client, thread, object) = Client::with_echo(Path::new(&path)).unwrap();
    let mut sender = client.sender().unwrap();
    let first = client.next();
    let (begun, begins) = mpsc::channel();
    // It ends with this process.
    thread::spawn(move || {
        for question in first.. {
            let call = echo(question, Target::Import(object), thread, "hi");
            begun.send((question, Instant::now())).unwrap();
            sender.write_all(&call).unwrap();
            thread::sleep(EVERY);
        }
    });
    let mut input = std::io::stdin();
    thread::spawn(move || {
        let _ = input.read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        let (question, answer) = client.next_answer().unwrap();
        let begun: (u32, Instant) = begins.recv().unwrap();
        assert_eq!((question, answer), (begun.0, Answer::Text("hi".into())));
        println!("{TOOK}{}", begun.1.elapsed().as_micros());
    }
}

/// A client at work, in a process of its own. It ends when this is dropped.
pub struct Bystander {
    running: Running,
    /// The time that each answered call took.
    took: Arc<Mutex<Vec<Duration>>>,
    reading: Option<JoinHandle<()>>,
}

impl Bystander {
    pub fn start(sandbox: &Sandbox, path: &Path) -> Self {
        let mut command = sandbox.command(std::env::current_exe().unwrap());
        let test = "bystander::a_well_behaved_client";
        command.args(["--exact", test, "--nocapture"]);
        command.env(BYSTANDER, path).stdin(Stdio::piped());
        let (output, input) = os_pipe::pipe().unwrap();
        let running = sandbox.start_with_output(command, input.into());
        let took = Arc::<Mutex<Vec<_>>>::default();
        let taken = took.clone();
        let reading = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let micros = line.strip_prefix(TOOK).and_then(|took| took.parse().ok());
                let call = micros.map(Duration::from_micros);
                taken.lock().unwrap().extend(call);
            }
        });
        let this = Self {
            running,
            took,
            reading: Some(reading),
        };
        this.some_calls();
        this
    }

    /// Returns how many calls have been answered.
    fn answered(&self) -> usize {
        self.took.lock().unwrap().len()
    }

    fn some_calls(&self) {
        let until = self.answered() + CALLS;
        let calls = || (self.answered() >= until).then_some(());
        let stderr = || self.running.stderr();
        poll(&format!("calls of a bystander: {}", stderr()), calls);
    }

    fn p99(&self, from: usize) -> Duration {
        let mut took = self.took.lock().unwrap()[from..].to_vec();
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }

    /// Measures without and with an attack. The result of the attack, such as connections, is kept
    /// until enough calls were made beside it, and then returned to the caller.
    pub fn measure<T>(&self, attack: impl FnOnce() -> T) -> (Measured, T) {
        let before = self.answered();
        self.some_calls();
        let undisturbed = self.p99(before);
        let begin = self.answered();
        let held = attack();
        self.some_calls();
        let disturbed = self.p99(begin);
        (
            Measured {
                undisturbed,
                disturbed,
            },
            held,
        )
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // The end of its stdin ends it.
        drop(self.running.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.running.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.running.child.kill();
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

// Tests the measurement: a server that stops for half a second is seen.
#[test]
fn a_server_that_stops_is_seen() {
    let _alone = crate::alone();
    let server = crate::Server::start();
    let bystander = Bystander::start(&server.sandbox, &server.path);
    let stop = Duration::from_millis(500);
    let (measured, ()) = bystander.measure(|| {
        server.running.signal(Signal::STOP);
        thread::sleep(stop);
        server.running.signal(Signal::CONT);
    });
    assert!(measured.disturbed > stop / 2, "{measured:?}");
    drop(bystander);
    server.end();
}
