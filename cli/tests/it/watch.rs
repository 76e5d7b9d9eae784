//! `watch` from outside, with a peer in this process: what is told, and the commands that run for it.

use rustix::process::Signal;

use crate::common::{Sandbox, mining::Node};

#[test]
fn a_command_runs_for_each_line() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let command = "echo \"$WATCH_HEIGHT\"; false";
    let words = [
        "-a",
        &node.address,
        "watch",
        "getTip",
        "--initial",
        "--count=1",
        "--exec",
        command,
    ];
    let output = sandbox.run(&words);
    let height = sandbox.run(&["-a", &node.address, "call", "getTip", "--get=height"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output:#?}");
    assert!(lines[0].starts_with("{\"hash\":"), "{output:#?}");
    assert_eq!(format!("{}\n", lines[1]), height.stdout);
    // Its failure is told, and is none of the watch.
    assert!(output.stderr.contains("exit status: 1"), "{output:#?}");
}

#[test]
fn a_signal_ends_the_command_that_runs() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let command = "echo runs >&2; sleep 1000; echo survived >&2";
    for signal in [Signal::TERM, Signal::INT] {
        let words = [
            "-a",
            &node.address,
            "watch",
            "getTip",
            "--initial",
            "--exec",
            command,
        ];
        let mut started = sandbox.command("env");
        started
            .args(["--default-signal=INT", crate::common::EXE])
            .args(words);
        let running = sandbox.start(started);
        running.wait_for("runs");
        running.signal(signal);
        let output = running.wait();
        let code = if signal == Signal::INT { 0 } else { 143 };
        assert_eq!(output.code, code, "{output:#?}");
        assert!(!output.stderr.contains("survived"), "{output:#?}");
        sandbox.assert_clean();
    }
}

#[test]
fn wrong_words_are_told() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["watch", "tip", "x"])
        .expect_error(2, &["tip takes no arguments"]);
    sandbox
        .run(&["watch", "nothing"])
        .expect_error(2, &["unknown method \"nothing\""]);
    sandbox
        .run(&["-a", "exec:/bin/cat", "watch", "tip"])
        .expect_error(2, &["cannot be connected to again"]);
    sandbox
        .run(&["mine", "--to", "nobody"])
        .expect_error(2, &["\"nobody\" is no address"]);
    sandbox
        .run(&["mine", "0", "--to", "51"])
        .expect_error(2, &["0 is not in 1.."]);
    sandbox
        .run(&["rpc"])
        .expect_error(1, &["too few parameters"]);
    let words = ["rpc", "-stdinwalletpassphrase", "getblockcount"];
    sandbox
        .run(&words)
        .expect_error(1, &["only applicable for walletpassphrase(change)"]);
}
