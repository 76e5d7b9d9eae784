//! `call --each`, `--repeat` and `--every` through the real executable.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::common::mining::Node;
use crate::common::{Peer, Sandbox, ending_signals, poll};
use rustix::process::Signal;

#[test]
fn each_line_is_a_call() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let each = ["-a", &peer.address, "call", "echo", "--each", "-"];
    let lines = "hi\n'two words'\n\n{\"echo\":\"json\"}\necho=named\necho={braces}\nlast";
    let output = sandbox.run_with(&each, lines);
    output.expect(0, "hi\ntwo words\njson\nnamed\n{braces}\nlast\n");
    assert_eq!(output.stderr, "");
    // What a line names wins over the command line.
    let file = sandbox.write("lines", "{}\necho=hi\n");
    let file = file.to_str().unwrap();
    let words = [
        "-a",
        &peer.address,
        "call",
        "echo",
        "echo=given",
        "--each",
        file,
    ];
    sandbox.run(&words).expect(0, "given\nhi\n");
    // None at all is no failure.
    sandbox.run_with(&each, "").expect(0, "");
    // A result for each, also where a method has none, and one line each.
    let words = ["-a", &peer.address, "call", "makeMiningOld2", "--each", "-"];
    sandbox
        .run_with(&words, "{}\n{}\n")
        .expect(0, "null\nnull\n");
}

#[test]
fn a_line_that_fails_is_named_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let each = ["-a", &peer.address, "call", "echo", "--each", "-"];
    let output = sandbox.run_with(&each, "a\noverload\nb c\n{\"echo\":\n'open\n-\nz\n");
    output.expect(65, "a\nz\n");
    let errors: Vec<_> = output.stderr.lines().collect();
    let starts = [
        "error: line 2: the other side is overloaded",
        "error: line 3: Echo.echo: no parameter is left for the value \"c\"",
        "error: line 4: Echo.echo: the parameters \"{\\\"echo\\\":\" are no JSON object",
        "error: line 5: a quote is not closed",
        "error: line 6: Echo.echo: parameter echo (Text) cannot be \"-\": the input is in use",
    ];
    assert_eq!(errors.len(), 2 * starts.len(), "{output:?}");
    for (index, start) in starts.iter().enumerate() {
        assert!(errors[2 * index].starts_with(start), "{start} {output:?}");
    }
    // A method that is not there, a file that is not there: nothing is connected to.
    let nowhere =
        |words: &[&str]| sandbox.run(&[&["-a", "unix:/nonexistent", "call"], words].concat());
    nowhere(&["ecko", "--each", "-"]).expect_error(2, &["unknown method \"ecko\""]);
    nowhere(&["echo", "--each", "/nonexistent"]).expect_error(2, &["--each /nonexistent"]);
}

#[test]
fn each_line_is_answered_at_once_and_the_end_of_the_peer_ends_it() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let mut command = sandbox.ipc(&["-a", &peer.address, "call", "echo", "--each", "-"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        running.wait_for_stdout(&format!("{word}\n"));
    }
    // Also while no line comes, or no call is due.
    let every = ["-a", &peer.address, "call", "echo", "hi", "--every", "1h"];
    let waiting = sandbox.start(sandbox.ipc(&every));
    waiting.wait_for_stdout("hi\n");
    peer.disconnect();
    running.wait().expect_error(66, &["disconnected"]);
    drop(stdin);
    waiting.wait().expect_error(66, &["disconnected"]);
}

#[test]
fn objects_are_let_go_of_after_each_call() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let template = |number| format!("\"BlockTemplate#{number}\"\n");
    let words = ["-a", &node.address, "call", "createNewBlock", "--each", "-"];
    let output = sandbox.run_with(&words, "{}\ncooldown=false\n");
    output.expect(0, &(template(1) + &template(2)));
    let recorded = [
        "create true 8000 400 true",
        "template destroyed",
        "create true 8000 400 false",
    ];
    let mut record = Vec::new();
    poll("both ends", || {
        record.extend(node.record.take());
        (record.len() == 4).then_some(())
    });
    assert_eq!(record[..3], recorded);

    let words = [
        "-a",
        &node.address,
        "call",
        "createNewBlock",
        "--repeat",
        "2",
    ];
    sandbox.run(&words).expect(0, &(template(1) + &template(2)));
    let mut record = Vec::new();
    poll("both ends", || {
        record.extend(node.record.take());
        (record.len() == 4).then_some(())
    });
    assert_eq!(record[1], "template destroyed");
}

#[test]
fn a_call_is_repeated() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let run =
        |words: &[&str]| sandbox.run(&[&["-a", &peer.address, "call", "echo"], words].concat());
    let output = run(&["hi", "--repeat", "3"]);
    output.expect(0, "hi\nhi\nhi\n");
    // From start to start: two times between three calls.
    let output = run(&["hi", "--repeat", "3", "--every", "300ms"]);
    output.expect(0, "hi\nhi\nhi\n");
    let took = output.took;
    assert!(
        took >= Duration::from_millis(600) && took < Duration::from_secs(5),
        "{took:?}"
    );
    run(&["fail", "--every", "1ms"]).expect_error(64, &["the other side failed"]);
    run(&["block", "--repeat", "2", "--timeout", "100ms"]).expect_error(124, &["no answer"]);
    let output = run(&["hi", "--repeat", "2", "--until-changed"]);
    output
        .expect(1, "")
        .expect_error(1, &["the result of 2 calls is the same"]);
}

/// The time between two calls is counted from when the first of them starts.
#[test]
fn the_time_that_a_call_takes_counts() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let tip = "01000000000000000000000000000000000000000000000000000000000000aa";
    let words = ["-a", &node.address, "call", "waitTipChanged", tip, "900ms"];
    let output = sandbox.run(&[&words[..], &["--repeat", "3", "--every", "1s"]].concat());
    assert_eq!(output.code, 0, "{output:?}");
    // 1 + 1 + 0.9 s; were it from end to start, 1.9 + 1.9 + 0.9 s.
    assert!(output.took >= Duration::from_millis(2900), "{output:?}");
    assert!(output.took < Duration::from_millis(4700), "{output:?}");
}

#[test]
fn a_change_is_waited_for() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let words = ["-a", &node.address, "call", "isInitialBlockDownload"];
    let words = [&words[..], &["--every", "10ms", "--until-changed"]].concat();
    let running = sandbox.start(sandbox.ipc(&words));
    let mut calls = 0;
    poll("calls", || {
        calls += node.record.take().len();
        (calls > 3).then_some(())
    });
    assert_eq!(running.stdout(), "");
    node.finish_download();
    running.wait().expect(0, "false\n");
}

#[test]
fn a_signal_ends_the_rest_between_two_calls() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (signal, code) in ending_signals() {
        let words = ["-a", &peer.address, "call", "echo", "hi", "--every", "1h"];
        let running = sandbox.start(sandbox.ipc(&words));
        running.wait_for_stdout("hi\n");
        running.signal(signal);
        let output = running.wait();
        output.expect(code, "hi\n");
        assert_eq!(output.stderr, "");
    }
    // For each line as well.
    let mut command = sandbox.ipc(&["-a", &peer.address, "call", "echo", "--each", "-"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "hi").unwrap();
    running.wait_for_stdout("hi\n");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 128 + 15);
}

/// A terminal's Ctrl-C goes to the child as well: its end was given as the reason.
#[test]
fn a_signal_that_ends_the_peer_too_is_the_reason() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        let peer = Peer::new(&sandbox);
        let words = ["-a", &peer.address, "call", "echo", "hi", "--every", "1h"];
        let running = sandbox.start(sandbox.ipc(&words));
        running.wait_for_stdout("hi\n");
        peer.disconnect();
        running.signal(Signal::TERM);
        running.wait().expect(128 + 15, "hi\n");
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let sandbox = Sandbox::new();
    for words in [
        &["echo", "--each", "-", "--repeat", "2"][..],
        &["echo", "--each", "-", "--every", "1s"],
        &["echo", "--each", "-", "--until-changed"],
        &["echo", "hi", "--until-changed"],
        &["echo", "hi", "--dry-run", "--repeat", "2"],
        &["echo", "hi", "--dry-run", "--every", "1s"],
        &["echo", "--dry-run", "--each", "-"],
        &["echo", "hi", "--repeat", "0"],
        &["echo", "hi", "--every", "forever"],
        &["--repeat", "2"],
        &["--each", "-"],
    ] {
        let words = [&["-a", "unix:/nonexistent", "call"], words].concat();
        let output = sandbox.run(&words);
        output.expect_error(2, &[]);
    }
}
