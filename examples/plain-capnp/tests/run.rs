//! The program, run as a user runs it: against itself, against a listener of the library's, and against a
//! node of each release of Bitcoin Core.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking; the node's file serves other tests as well"
)]

#[path = "../../template-provider/tests/common/mod.rs"]
mod common;
#[path = "../../../cli/tests/bitcoin_core/node.rs"]
mod node;
#[path = "../../../cli/tests/bitcoin_core/releases.rs"]
mod releases;

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Ipc};
use releases::{Peer, Release};

fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_plain-capnp"));
    program.args(args).stdin(Stdio::null()).output().unwrap()
}

/// Expects the program to have ended well, and to have printed these lines.
#[track_caller]
fn prints(output: Output, lines: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), lines);
}

const CHILD: &str = "a child answers hi\nit ends with exit status: 0\n";
const NODE: &str = "a node answers hi\n";

#[test]
fn its_own_child_answers() {
    prints(run([""; 0]), CHILD);
}

#[test]
fn a_listener_of_the_library_answers() {
    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(Some(directory.path().join("node.sock")));
    let ipc = Ipc::<dyn Init>::new("node", Role::Node.init()).unwrap();
    let listener = ipc.listen(&address).unwrap();
    prints(run([address.to_string()]), NODE);
    common::poll("the end of the connection", || {
        (ipc.incoming() == 0).then_some(())
    });
    drop(listener);
    let output = run([address.to_string()]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("NoListener"), "{stderr}");
}

#[test]
fn a_node_of_core30_answers() {
    Release::core30().run("a_node_answers", a_node_answers);
}

#[test]
fn a_node_of_core31_answers() {
    Release::core31().run("a_node_answers", a_node_answers);
}

#[test]
fn a_node_of_core32_answers() {
    Release::core32().run("a_node_answers", a_node_answers);
}

fn a_node_answers(peer: &Peer) {
    let mut node = peer.start();
    prints(run([node.address()]), NODE);
    node.wait_received("Echo.destroy", 1);
    node.terminate();
    let status = node.wait_exit();
    assert!(status.success(), "{status}");
}

#[test]
fn a_spawned_node_of_core30_answers() {
    Release::core30().run("a_spawned_node_answers", a_spawned_node_answers);
}

#[test]
fn a_spawned_node_of_core31_answers() {
    Release::core31().run("a_spawned_node_answers", a_spawned_node_answers);
}

#[test]
fn a_spawned_node_of_core32_answers() {
    Release::core32().run("a_spawned_node_answers", a_spawned_node_answers);
}

fn a_spawned_node_answers(peer: &Peer) {
    let mut address = std::ffi::OsString::from("exec:");
    address.push(peer.program().path());
    prints(run([address]), CHILD);
}
