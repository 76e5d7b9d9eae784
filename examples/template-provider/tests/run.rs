//! The program, run as a user runs it, against a node of each release.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking; the node's file serves other tests as well"
)]

mod common;
#[path = "../../../cli/tests/bitcoin_core/node.rs"]
mod node;
#[path = "../../../cli/tests/bitcoin_core/releases.rs"]
mod releases;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::poll;
use releases::{Peer, Release};
use rustix::process::{Pid, Signal};

/// The time within which the program must have ended after a signal.
const END: Duration = Duration::from_secs(2);
/// The time within which a node that was told to stop must have exited.
const EXIT: Duration = Duration::from_secs(5);

/// The running program.
struct Provider {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Provider {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_template-provider"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let read = |from: Box<dyn Read + Send>| {
            let lines = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(from).lines() {
                    lines.lock().unwrap().push(line.unwrap());
                }
            })
        };
        let readers = vec![
            read(Box::new(child.stdout.take().unwrap())),
            read(Box::new(child.stderr.take().unwrap())),
        ];
        Self {
            child,
            lines,
            readers,
        }
    }

    fn count(&self, words: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(words)).count()
    }

    #[track_caller]
    fn wait_for(&self, words: &str, times: usize) {
        poll(words, || (self.count(words) >= times).then_some(()));
    }

    /// Sends a signal, and expects the program to end well and in time.
    #[track_caller]
    fn end(mut self, signal: Signal) {
        let begun = Instant::now();
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = self.child.wait().unwrap();
        assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let lines = self.lines.lock().unwrap();
        assert!(status.success(), "{status}: {lines:?}");
        let failed = |line: &String| line.starts_with("error");
        assert!(!lines.iter().any(failed), "{lines:?}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_mines_across_a_restart_of_core30() {
    Release::core30().run("it_mines_across_a_restart", it_mines_across_a_restart);
}

#[test]
fn it_mines_across_a_restart_of_core31() {
    Release::core31().run("it_mines_across_a_restart", it_mines_across_a_restart);
}

#[test]
fn it_mines_across_a_restart_of_core32() {
    Release::core32().run("it_mines_across_a_restart", it_mines_across_a_restart);
}

fn it_mines_across_a_restart(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let height = peer.release.template_height;
    let provider = Provider::start(&[&node.address(), "3"]);
    provider.wait_for("solved", 3);
    provider.wait_for("a template on", 4);
    assert_eq!(node.rpc("getblockcount", serde_json::json!([])), height + 3);
    let mined = node.mine(1);
    provider.wait_for(&mined, 1);

    // The node does not wait for the program, and the program waits for the node.
    stop(&mut node);
    provider.wait_for("disconnected", 1);
    node.start_again();
    provider.wait_for("connected to", 2);
    let mined = node.mine(1);
    provider.wait_for(&mined, 1);

    provider.end(Signal::INT);
    node.mine(1);
    stop(&mut node);
}

/// Stops the node, and expects it to have exited in time.
#[track_caller]
fn stop(node: &mut node::Node) {
    let begun = Instant::now();
    node.terminate();
    let status = node.wait_exit();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < EXIT, "{:?}", begun.elapsed());
}

#[test]
fn it_waits_for_a_node_and_ends_without_one() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("node.sock").display());
    let provider = Provider::start(&[&address]);
    provider.wait_for("nothing listens", 2);
    provider.end(Signal::TERM);
}

#[test]
fn wrong_words_are_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_template-provider")).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("usage: template-provider ADDRESS"),
        "{stderr}"
    );
}
