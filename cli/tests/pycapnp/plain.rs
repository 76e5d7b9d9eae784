//! A program of plain Cap'n Proto, which swaps no threads and has no `Init`: called by its schema with the
//! command lines that descriptions tell to try.

use std::process::Command;

use crate::executable::run;
use crate::servers::with_server;

const SCHEMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/foreign/kinds.capnp"
);

/// FAULTS F4: what a description tells to try is a call that the program answers.
#[test]
fn its_descriptions_tell_calls_that_it_answers() {
    if Command::new("capnp").arg("--version").output().is_err() {
        return;
    }
    with_server("plain", |server| {
        let address = server.address.clone();
        let run = |words: &[&str], input: &str| {
            let ran = run(
                &address,
                &[&["-q", "--schema", SCHEMA], words].concat(),
                input,
            );
            assert_eq!(
                (ran.code, &*ran.stderr),
                (Some(0), ""),
                "{words:?}: {ran:?}"
            );
            ran.stdout
        };
        assert_eq!(
            run(&["call", "Desk.open/name", "name=a", "pages=[]"], ""),
            "a of 0"
        );
        assert_eq!(
            run(&["call", "open/name", "name=a", "pages=[\"b\"]"], ""),
            "a of 1"
        );
        // The first to list is the one that nothing leads to, which the program serves.
        assert!(run(&["list"], "").starts_with("Desk "));
        for (method, printed) in [
            ("Entry.read", "\"x\"\n\"y\"\n\"text of 0: text at 0\""),
            ("Drawer.pull", "[\"Drawer#1\",\"Drawer#2\"]\n\"Paper#1\""),
            (
                "Paper.text",
                "[\"Drawer#1\",\"Drawer#2\"]\n\"y\"\n\"small paper of 1\"",
            ),
        ] {
            let described = run(&["describe", method], "");
            let (_, lines) = described.split_once("connect <<'END'\n").unwrap();
            let lines = lines.trim_end().strip_suffix("END").unwrap();
            assert_eq!(run(&["-o", "json", "connect"], lines), printed, "{lines}");
        }
        let append = ["call", "open/append", "name=a", "pages=[]", "line=00ff"];
        run(&append, "");
        server.line("appended 00ff");
        run(&["call", "Stamp.press"], "");
        server.line("pressed");
        // In seconds, and nobody takes them for milliseconds.
        run(&["call", "wait", "timeout=2.5"], "");
        server.line("waits 2.5");
        let rung = run(
            &[
                "call",
                "Desk.watch",
                "bell:=print",
                "times=2",
                "--count",
                "2",
            ],
            "",
        );
        assert_eq!(rung.matches("\"method\":\"ring\"").count(), 2, "{rung}");
    });
}
