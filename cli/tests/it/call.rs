//! `call` and `connect` through the real executable: values, output, lines, exit statuses.

use std::io::Write;
use std::process::Stdio;

use crate::common::{EXE, Output, Peer, Sandbox};

#[test]
fn a_call_prints_its_result_alone() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["call", "echo", "hi"]);
    output.expect(0, "hi\n");
    // It said in one line that it started a node of its own.
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(output.stderr.contains("started bitcoin-node"), "{output:?}");
    sandbox.assert_clean();
}

#[test]
fn methods_and_values_are_written_in_many_ways() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let file = sandbox.write("value", "from\nfile\n");
    let at_file = format!("@{}", file.display());
    for (words, stdout) in [
        (&["echo", "hi"][..], "hi\n"),
        (&["Echo.echo", "hi"], "hi\n"),
        (&["echo.echo", "echo=hi"], "hi\n"),
        (&["ECHO.echo", "echo:=\"h\\u0069\""], "hi\n"),
        (&["echo", "{\"echo\":\"hi\"}"], "hi\n"),
        (&["Init.makeEcho/echo", "hi"], "hi\n"),
        (&["echo", "-5"], "-5\n"),
        (&["echo", "--", "-regtest"], "-regtest\n"),
        (&["echo", "a=b c"], ""),
        (&["echo", "echo=a=b"], "a=b\n"),
        (&["echo", ""], "\n"),
        (&["echo", "äöü 🦀"], "äöü 🦀\n"),
        (&["-o", "raw", "echo", &at_file], "from\nfile\n"),
        (&["makeEcho"], "\"Echo#1\"\n"),
        (&["init.makeEcho"], "\"Echo#1\"\n"),
        (&["makeMining"], "null\n"),
        (&["makeMiningOld2"], ""),
    ] {
        let words = [&["-a", &peer.address, "call"], words].concat();
        let output = sandbox.run(&words);
        let code = if words.last() == Some(&"a=b c") { 2 } else { 0 };
        output.expect(code, stdout);
    }
    let output = sandbox.run_with(&["-a", &peer.address, "call", "echo", "-"], "from stdin");
    output.expect(0, "from stdin\n");
}

#[test]
fn output_has_four_forms() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (form, words, stdout) in [
        ("json", &["echo", "a\"b"][..], "\"a\\\"b\"\n"),
        ("json", &["makeEcho"], "\"Echo#1\"\n"),
        ("json", &["makeMining"], "null\n"),
        ("json", &["makeMiningOld2"], "null\n"),
        ("raw", &["echo", "a\"b"], "a\"b"),
        ("raw", &["makeEcho"], "Echo#1"),
        ("table", &["echo", "hi"], "hi\n"),
    ] {
        let words = [&["-a", &peer.address, "-o", form, "call"], words].concat();
        sandbox.run(&words).expect(0, stdout);
    }
}

#[test]
fn errors_of_the_other_side_have_exit_statuses_of_their_own() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let call = |text: &str| sandbox.run(&["-a", &peer.address, "call", "echo", text]);
    // What a peer says stays on one line and moves no cursor.
    call("fail").expect_error(64, &["the other side failed: no such \\x1b[31mluck"]);
    call("overload").expect_error(65, &["overloaded", "too much"]);
    call("unimplemented").expect_error(67, &["does not implement", "not here"]);
    let output = sandbox.run(&[
        "-a",
        &peer.address,
        "--timeout",
        "1s",
        "call",
        "echo",
        "block",
    ]);
    output.expect_error(124, &["Echo.echo: no answer within 1 s"]);
    assert!(output.took.as_secs() < 5, "{output:?}");
}

#[test]
fn what_the_peer_does_not_offer_is_not_implemented() {
    let sandbox = Sandbox::new();
    let peer = Peer::empty(&sandbox);
    let output = sandbox.run(&["-a", &peer.address, "call", "echo", "hi"]);
    output.expect_error(67, &["does not offer", "Init.makeEcho is null"]);
    let output = sandbox.run(&["-a", &peer.address, "call", "makeEcho"]);
    output.expect(0, "null\n");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let error = |words: &[&str]| -> serde_json::Value {
        let output = sandbox.run(words);
        let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!(error["error"]["exit"], output.code, "{output:?}");
        error["error"].clone()
    };
    let failed = error(&["-a", &peer.address, "-o", "json", "call", "echo", "fail"]);
    assert_eq!(
        (&failed["kind"], &failed["exit"]),
        (&"remote".into(), &64.into())
    );
    assert_eq!(error(&["-o", "json", "call", "nosuch"])["kind"], "usage");
    assert_eq!(error(&["-o", "json", "nosuch"])["kind"], "usage");
}

#[test]
fn bad_values_are_named_and_cost_no_connection() {
    let sandbox = Sandbox::new();
    for (words, message) in [
        (&["echo"][..], "parameter echo (Text) is missing"),
        (
            &["echo", "a", "b"],
            "no parameter is left for the value \"b\"",
        ),
        (&["echo", "a", "echo=b"], "parameter echo is given twice"),
        (&["echo", "ecko=a"], "has no parameter \"ecko\""),
        (
            &["echo", "echo:=5"],
            "parameter echo (Text) cannot be \"5\"",
        ),
        (
            &["echo", "{\"echo\":[1]}"],
            "parameter echo (Text) cannot be \"[1]\"",
        ),
        (&["Ecko.echo", "a"], "unknown interface \"Ecko\""),
        (&["Echo.eco", "a"], "Echo has no method \"eco\""),
        (&["mkEcho"], "unknown method \"mkEcho\""),
        (&["Echo.echo/x", "a"], "Echo.echo returns no object"),
    ] {
        let words = [&["-a", "unix:/nonexistent", "call"], words].concat();
        let output = sandbox.run(&words);
        output.expect_error(2, &[message]);
    }
    let output = sandbox.run(&["call", "echo", "@/nonexistent"]);
    output.expect_error(1, &["echo from /nonexistent"]);
    let bytes = sandbox.write("bytes", b"\xff");
    let output = sandbox.run(&["call", "echo", &format!("@{}", bytes.display())]);
    output.expect_error(2, &["UTF-8"]);
}

#[test]
fn a_pipe_has_a_call_a_line_and_a_result_a_line() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let lines = "echo a\n\n# nothing\necho 'b  c'\ne = makeEcho\ne.echo d\nmakeMiningOld2\necho e";
    for command in ["call", "connect"] {
        let output = sandbox.run_with(&["-q", "-a", &peer.address, command], lines);
        output.expect(0, "a\nb  c\n\"e\"\nd\nnull\ne\n");
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn a_failing_line_is_numbered_and_the_next_ones_go_on() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let lines = "echo a\necho fail\nnosuch\n'open\necho b\nx = echo a\n.release x\n.nosuch\n";
    let output = sandbox.run_with(&["-a", &peer.address, "call"], lines);
    output.expect(64, "a\nb\n");
    for (line, words) in [
        (2, "the other side failed"),
        (3, "unknown method \"nosuch\""),
        (4, "a quote is not closed"),
        (6, "there is no object to keep as \"x\""),
        (7, "no object is held as \"x\""),
        (8, "unknown command \".nosuch\""),
    ] {
        let line = format!("error: line {line}: {words}");
        assert!(
            output.stderr.contains(&line),
            "{line:?} is not in {output:#?}"
        );
    }
    let output = sandbox.run_with(
        &["-o", "json", "-a", &peer.address, "call"],
        "\necho fail\n",
    );
    let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(error["error"]["line"], 2);
}

#[test]
fn kept_objects_are_listed_and_released() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let lines =
        "e = makeEcho\nmakeEcho\n.caps\n.release e\nEcho#2.echo hi\n.caps\n.quit\necho no\n";
    let output = sandbox.run_with(&["-a", &peer.address, "call"], lines);
    output.expect(0, "\"e\"\n\"Echo#2\"\nhi\n");
    assert_eq!(output.stderr, "Echo#2  Echo\ne       Echo\nEcho#2  Echo\n");
}

#[test]
fn results_come_while_the_input_is_open() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let mut command = sandbox.ipc(&["-a", &peer.address, "call"]);
    let mut running = sandbox.start({
        command.stdin(Stdio::piped());
        command
    });
    let mut input = running.child.stdin.take().unwrap();
    for text in ["one", "two"] {
        writeln!(input, "echo {text}").unwrap();
        running.wait_for_stdout(text);
    }
    drop(input);
    running.wait().expect(0, "one\ntwo\n");
}

#[test]
fn connect_shows_the_peer_on_stderr() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let output = sandbox.run(&["connect", &peer.address]);
    output.expect(0, "");
    for line in [
        "connected to ",
        "generation  Core 32",
        "Echo        offered",
        "Mining      not offered",
        "Rpc         not offered",
        "round trip  ",
    ] {
        assert!(
            output.stderr.contains(line),
            "{line:?} is not in {output:#?}"
        );
    }
}

/// FAULTS D2: what is beyond the limit is more than the limit, and it is said what was counted.
#[test]
fn a_message_that_is_too_large_is_told_with_its_size() {
    const LIMIT: usize = 64 << 20;
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let file = sandbox.write("large", "a".repeat(LIMIT - 64));
    let value = format!("@{}", file.display());
    let output = sandbox.run(&["-a", &peer.address, "call", "echo", &value]);
    let limit = format!("exceeds the limit of {LIMIT} bytes");
    output.expect_error(1, &["Echo.echo: ", " bytes, with its envelope, ", &limit]);
    let (_, told) = output.stderr.split_once("a message of ").unwrap();
    let size: usize = told.split(' ').next().unwrap().parse().unwrap();
    assert!(size > LIMIT, "{output:?}");
}

/// FAULTS D4: what a peer offers is told in the same plain words, however it is reached.
#[test]
fn offers_are_told_alike_of_a_child_and_through_its_socket() {
    let sandbox = Sandbox::new();
    let words = format!("{EXE} connect");
    let lines = |output: Output| {
        let rows = output.stderr.lines().map(str::to_owned);
        let offers = ["Echo ", "Mining ", "Rpc "];
        let shown = rows.filter(|row| offers.iter().any(|name| row.starts_with(name)));
        shown.collect::<Vec<_>>()
    };
    let all = [
        "Echo        offered",
        "Mining      not offered",
        "Rpc         not offered",
    ];
    assert_eq!(lines(sandbox.run(&["connect", "auto"])), all);
    for role in ["node", "wallet", "gui"] {
        let through = sandbox.run(&["spawn", role, "--", "sh", "-c", &words]);
        assert_eq!(lines(through), all, "{role}");
    }
    let json = sandbox.run(&["-o", "json", "connect", "auto"]);
    let offers = r#""offers":{"Echo":"offered","Mining":"not offered","Rpc":"not offered"}"#;
    assert!(json.stderr.contains(offers), "{json:#?}");
}

#[test]
fn a_reader_that_is_gone_ends_it_in_silence() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let lines: String = (0..2000).map(|n| format!("echo {n}\n")).collect();
    let file = sandbox.write("lines", lines);
    let line = format!(
        "bitcoin-ipc -a {} call < {} | head -n 1; bitcoin-ipc --help | true",
        peer.address,
        file.display()
    );
    let mut command = sandbox.command("sh");
    command.args(["-c", &line]);
    let output = sandbox.start(command).wait();
    output.expect(0, "0\n");
    assert_eq!(output.stderr, "");
}

#[test]
fn signals_end_calls() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (index, (signal, code)) in crate::common::ending_signals().into_iter().enumerate() {
        let running = sandbox.start(sandbox.ipc(&["-a", &peer.address, "call", "echo", "block"]));
        peer.wait_blocked(index + 1);
        running.signal(signal);
        let output = running.wait();
        output.expect(code, "");
        assert_eq!(
            output.stderr,
            "Echo.echo goes on in the peer: no method interrupts it\n"
        );
    }
    sandbox.assert_clean();
}

#[test]
fn the_log_is_in_the_manner_of_core() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["-v", "call", "echo", &"x".repeat(500)]);
    assert_eq!(output.code, 0);
    assert!(
        output
            .stderr
            .contains("] {call} IPC client send Init.makeEcho"),
        "{output:#?}"
    );
    let request = output
        .stderr
        .lines()
        .find(|line| line.contains("recv request  #3 Echo.echo"));
    let request = request.unwrap();
    assert!(request.starts_with("bitcoin-node["), "{request}");
    assert!(
        request.contains("[ipc] {b-capnp-loop} IPC server recv request  #3"),
        "{request}"
    );
    assert!(
        request.ends_with('…') && !request.contains(&"x".repeat(200)),
        "{request}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_prompt() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let mut keyboard = std::fs::File::from(terminal);
    for last in [".quit\n", "\u{4}"] {
        let mut command = sandbox.ipc(&["-a", &peer.address, "call"]);
        let input = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap());
        command.stdin(input.unwrap());
        let running = sandbox.start(command);
        running.wait_for("bitcoin-ipc> ");
        keyboard.write_all(b"echo hi\n").unwrap();
        running.wait_for_stdout("hi\n");
        keyboard.write_all(b"nosuch\n.help\n").unwrap();
        running.wait_for("error: unknown method \"nosuch\"");
        running.wait_for(".release NAME");
        keyboard.write_all(last.as_bytes()).unwrap();
        // A mistake at a prompt is no failure of the command.
        running.wait().expect(0, "hi\n");
    }
}
