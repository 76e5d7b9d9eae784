//! Attacks on a server's log by bad clients of one process.

use std::io::{self, BufRead, BufReader};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getuid};

use crate::bystander::{Bystander, undisturbed};
use crate::common::{Sandbox, poll};
use crate::frames::Client;
use crate::{Server, alone};

/// The limit of lines a second.
const LINES: usize = 10;

const CLIENTS: usize = 200;

/// A line and when it came.
type Line = (Instant, String);

type Lines = Arc<Mutex<Vec<Line>>>;

impl Server {
    /// Starts a server whose log is read line by line.
    fn start_logged() -> (Self, Lines, JoinHandle<()>) {
        let sandbox = Sandbox::new();
        let path = sandbox.path("s");
        let address = format!("unix:{}", path.display());
        let (reader, writer) = io::pipe().unwrap();
        let command = sandbox.ipc(&["serve", "--listen", &address]);
        let running = sandbox.start_with(command, Some(writer.into()));
        let lines = Lines::default();
        let read = lines.clone();
        let thread = thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                read.lock().unwrap().push((Instant::now(), line));
            }
        });
        poll("the server", || {
            (!lines.lock().unwrap().is_empty()).then_some(())
        });
        (
            Self {
                running,
                path,
                address,
                sandbox,
            },
            lines,
            thread,
        )
    }
}

/// Returns how many left-out lines a line reports.
fn left_out(line: &str) -> usize {
    let Some((before, _)) = line.split_once(" more lines about ") else {
        return 0;
    };
    let (_, number) = before.rsplit_once(' ').unwrap();
    number.parse().unwrap()
}

#[test]
fn bad_clients_of_one_process_log_ten_lines_a_second() {
    let _alone = alone();
    undisturbed(|| {
        let (server, lines, reading) = Server::start_logged();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        let begin = Instant::now();
        let (measured, ()) = bystander.measure(|| {
            for _ in 0..CLIENTS {
                let mut client = Client::connect(&server.path).unwrap();
                client.send(b"\xff\xff\x0f\0\x01\0\0\0garbage").unwrap();
                // The server ends the connection.
                client.read_to_end();
            }
        });
        let about = format!(
            "process {} of user {}",
            std::process::id(),
            getuid().as_raw()
        );
        let of_attacker = || {
            let mut lines = lines.lock().unwrap().clone();
            lines.retain(|(_, line)| line.contains(&about));
            lines
        };
        // Each client is reported, by a line of its own or among those that were left out.
        let count = |lines: &[Line]| {
            let shown = lines.iter().filter(|(_, line)| left_out(line) == 0).count();
            shown + lines.iter().map(|(_, line)| left_out(line)).sum::<usize>()
        };
        poll("all bad clients in the log", || {
            (count(&of_attacker()) >= CLIENTS).then_some(())
        });
        let found = of_attacker();
        assert_eq!(count(&found), CLIENTS, "{found:#?}");
        let took = found.last().unwrap().0 - begin;
        let most = LINES * (took.as_secs() as usize + 1);
        assert!(
            found.len() <= most,
            "{} lines in {took:?}: {found:#?}",
            found.len()
        );
        // Lines may come late and together, so that the end of one second meets the next.
        for (at, _) in &found {
            let within = |(other, _): &&Line| {
                other
                    .checked_duration_since(*at)
                    .is_some_and(|after| after < Duration::from_secs(1))
            };
            let together = found.iter().filter(within).count();
            assert!(
                together <= 2 * LINES,
                "{together} lines in a second: {found:#?}"
            );
        }
        // All lines are about the attacker: nothing is logged without a name.
        let nameless = lines
            .lock()
            .unwrap()
            .iter()
            .skip(1)
            .filter(|(_, line)| !line.contains(&about))
            .count();
        assert_eq!(nameless, 0, "{:#?}", lines.lock().unwrap());
        server.serves();
        drop(bystander);
        let Server {
            running, sandbox, ..
        } = server;
        running.signal(Signal::TERM);
        assert_eq!(running.wait().code, 143);
        reading.join().unwrap();
        sandbox.assert_clean();
        measured
    });
}
