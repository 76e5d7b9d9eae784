//! The signs of a wait: on a terminal what is waited for and since when, nowhere else anything.

use std::fs::File;
use std::io::Write;

use crate::common::terminal::Terminal;
use crate::common::{Peer, Sandbox, poll};

#[test]
fn a_long_call_and_a_wait_for_a_peer_show_since_when() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let mut call = Terminal::start(&sandbox, &["-a", &peer.address, "call", "echo", "block"]);
    call.wait(" 1s Echo.echo");
    peer.disconnect();
    call.ends(66);
    // The spinner makes way for the error.
    assert!(call.rest().contains("\rerror: ") || call.rest().contains("\nerror: "));
    let none = format!("unix:{}", sandbox.path("none.sock").display());
    let mut wait = Terminal::start(&sandbox, &["-a", &none, "--wait", "call", "echo", "hi"]);
    wait.wait(" 1s connecting to ");
    wait.write("\u{3}");
    wait.ends(130);
}

#[test]
fn lines_are_counted_on_a_terminal() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let pipe = sandbox.path("pipe");
    let made = sandbox.command("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let results = sandbox.path("results");
    let words = [
        "-a",
        &peer.address,
        "call",
        "--each",
        pipe.to_str().unwrap(),
        "echo",
    ];
    let stdout = File::create(&results).unwrap();
    let terminal = Terminal::with(&sandbox, &words, "xterm", Some(stdout));
    let mut lines = File::options().write(true).open(&pipe).unwrap();
    let mut terminal = terminal;
    let mut written = 0;
    poll("a count", || {
        lines.write_all(b"hi\nfail\n").unwrap();
        written += 1;
        let rest = terminal.rest();
        (rest.contains(" lines, ") && rest.contains("/s, ")).then_some(())
    });
    drop(lines);
    terminal.ends(64);
    let shown = std::fs::read_to_string(&results).unwrap();
    assert_eq!(shown, "hi\n".repeat(written));
}

#[test]
fn nothing_spins_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let words = [
        "-a",
        &peer.address,
        "--timeout",
        "1500ms",
        "call",
        "echo",
        "block",
    ];
    let output = sandbox.run(&words);
    // It has waited for three times as long as a spinner takes to be shown.
    output.expect(124, "");
    assert!(
        output.stderr.starts_with("Echo.echo goes on in the peer"),
        "{output:?}"
    );
    assert!(!output.stderr.contains("1s Echo.echo"), "{output:?}");
}
