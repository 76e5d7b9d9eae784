//! Sessions of lines through the real executable: what answers a line, what is kept of it, and which
//! forms of lines there are.

use serde_json::{Value as Json, json};

use crate::common::{Output, Peer, Sandbox};

/// Returns the lines of stdout as JSON.
fn answers(output: &Output) -> Vec<Json> {
    let lines = output.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn foo(sandbox: &Sandbox, words: &[&str], input: &str) -> Output {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
    let program = crate::print::Program::new(sandbox);
    let options = ["-a", &program.address, "--schema", schema];
    sandbox.run_with(&[&options[..], words].concat(), input)
}

/// FAULTS F11: a program pairs answers with requests, whatever they are.
#[test]
fn each_line_of_a_jsonl_session_has_one_answer() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let lines = [
        ("echo hi", json!({ "result": "hi" })),
        ("", json!({ "result": null })),
        ("# a comment", json!({ "result": null })),
        ("e = makeEcho", json!({ "result": "e" })),
        (
            ".caps",
            json!({ "result": [{ "name": "e", "interface": "Echo" }] }),
        ),
        ("e.echo 'two words'", json!({ "result": "two words" })),
        ("makeMining", json!({ "result": null })),
        ("makeMiningOld2", json!({ "result": null })),
        (".release e", json!({ "result": null })),
        ("echo fail", json!({ "error": "remote" })),
        ("echo unimplemented", json!({ "error": "unimplemented" })),
        ("nosuch", json!({ "error": "usage" })),
        (".nosuch", json!({ "error": "usage" })),
        ("echo 'open", json!({ "error": "usage" })),
        ("x = echo hi", json!({ "error": "usage" })),
        (".list nosuch", json!({ "error": "usage" })),
        ("echo \u{1b}[31m", json!({ "result": "\u{1b}[31m" })),
        ("quit", json!({ "result": null })),
    ];
    let input: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    let words = ["-a", &peer.address, "-o", "jsonl", "connect"];
    let output = sandbox.run_with(&words, &input);
    let all = answers(&output);
    assert_eq!(all.len(), lines.len(), "{output:#?}");
    for (number, ((line, expected), answer)) in (1..).zip(lines.iter().zip(&all)) {
        assert_eq!(answer["line"], number, "{line}");
        match expected["error"].as_str() {
            None => assert_eq!(
                *answer,
                json!({ "line": number, "result": expected["result"] })
            ),
            Some(kind) => {
                let error = answer["error"].as_object().unwrap();
                let keys: Vec<_> = error.keys().collect();
                assert_eq!(keys, ["kind", "message", "hint"], "{line}");
                assert_eq!(error["kind"], kind, "{line}");
                assert!(answer.get("result").is_none(), "{answer}");
            }
        }
    }
    // The status of the first failure, of which stderr repeats nothing.
    assert_eq!(output.code, 64, "{output:#?}");
    assert!(!output.stderr.contains("error"), "{output:#?}");
}

#[test]
fn answers_from_the_background_are_not_those_of_lines() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let words = ["-a", &peer.address, "-o", "jsonl", "call"];
    let output = sandbox.run_with(&words, "echo one &\necho fail &\n.wait\n");
    let mut all = answers(&output);
    assert_eq!(all.len(), 5, "{output:#?}");
    let lines: Vec<Json> = all
        .extract_if(.., |answer| answer.get("line").is_some())
        .collect();
    let expected = [
        json!({ "line": 1, "result": { "job": 1 } }),
        json!({ "line": 2, "result": { "job": 2 } }),
        json!({ "line": 3, "result": null }),
    ];
    assert_eq!(lines, expected);
    all.sort_by_key(|answer| answer["job"].as_u64());
    assert_eq!(all[0], json!({ "job": 1, "result": "one" }));
    assert_eq!(
        (&all[1]["job"], &all[1]["error"]["kind"]),
        (&json!(2), &json!("remote"))
    );
    assert_eq!(output.code, 64, "{output:#?}");
}

/// FAULTS H3: calls on hosted objects are not taken for answers.
#[test]
fn calls_that_are_printed_are_not_those_of_lines() {
    let sandbox = Sandbox::new();
    let input = "saveCallback callback:=print\ncallbackSaved 3\n";
    let output = foo(&sandbox, &["-o", "jsonl", "call"], input);
    let all = answers(&output);
    let (lines, calls): (Vec<_>, Vec<_>) = all.into_iter().partition(|a| a.get("line").is_some());
    assert_eq!(lines.len(), 2, "{output:#?}");
    assert!(!calls.is_empty(), "{output:#?}");
    assert!(
        calls.iter().all(|call| call["method"] == "call"),
        "{calls:?}"
    );
}

#[test]
fn each_line_of_each_has_one_answer_in_jsonl() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let words = [
        "-a",
        &peer.address,
        "-o",
        "jsonl",
        "call",
        "--each",
        "-",
        "echo",
    ];
    let output = sandbox.run_with(&words, "one\n\nfail\ntwo words\n{\"echo\":\"six\"}\n");
    let shown: Vec<Json> = answers(&output);
    assert_eq!(shown[0], json!({ "line": 1, "result": "one" }));
    assert_eq!(shown[1], json!({ "line": 2, "result": null }));
    assert_eq!(shown[2]["error"]["kind"], "remote");
    assert_eq!(shown[3]["error"]["kind"], "usage");
    assert_eq!(shown[4], json!({ "line": 5, "result": "six" }));
    assert_eq!((shown.len(), output.code), (5, 64), "{output:#?}");
    // Commands without lines print as with json.
    let once = sandbox.run(&["-a", &peer.address, "-o", "jsonl", "call", "echo", "hi"]);
    once.expect(0, "\"hi\"\n");
}

#[test]
fn input_that_is_no_text_is_answered_and_ends_a_session() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let file = sandbox.write("input", b"echo a\necho \xff\necho b\n");
    let mut command = sandbox.ipc(&["-a", &peer.address, "-o", "jsonl", "call"]);
    command.stdin(std::fs::File::open(file).unwrap());
    let output = sandbox.start(command).wait();
    let all = answers(&output);
    assert_eq!((all.len(), output.code), (2, 1), "{output:#?}");
    assert_eq!(all[1]["line"], 2);
    let message = all[1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("UTF-8"), "{message}");
}

/// FAULTS F5: files of other systems.
#[test]
fn lines_may_end_as_elsewhere_and_begin_with_a_mark() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let input = "\u{feff}echo a\r\n\r\necho 'b c'\r\n.caps\r\necho d";
    for command in ["call", "connect"] {
        let output = sandbox.run_with(&["-a", &peer.address, command], input);
        output.expect(0, "a\nb c\nd\n");
    }
    let words = ["-a", &peer.address, "call", "--each", "-", "echo"];
    let output = sandbox.run_with(&words, "\u{feff}a\r\n\r\n{\"echo\":\"b\"}\r\n'c d'\r\n");
    output.expect(0, "a\nb\nc d\n");
    // A mark elsewhere, and a carriage return within a value, belong to it.
    let output = sandbox.run_with(
        &["-o", "raw", "-a", &peer.address, "call"],
        "echo \u{feff}\recho\n",
    );
    output.expect(0, "\u{feff}\recho\n");
}

/// FAULTS F9: what could not be kept is not called for.
#[test]
fn a_call_whose_result_cannot_be_kept_is_not_made() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (line, words) in [
        ("x = echo fail", "no object to keep as \"x\""),
        ("x = makeMiningOld2", "no object to keep as \"x\""),
        ("a-b = makeEcho", "\"a-b\" cannot be an object's name"),
    ] {
        let output = sandbox.run_with(&["-a", &peer.address, "call"], line);
        output.expect_error(2, &["line 1: ", words]);
        let log = sandbox.run_with(&["-v", "-a", &peer.address, "call"], line);
        assert!(!log.stderr.contains("client send Echo.echo"), "{log:#?}");
        assert!(!log.stderr.contains("client send Init.makeE"), "{log:#?}");
    }
}

/// FAULTS H3: objects in lists and in fields are kept, each by its place.
#[test]
fn objects_in_an_answer_are_kept_by_their_places() {
    let sandbox = Sandbox::new();
    let lines = [
        // Objects of this side have one handle each, so that names change places.
        ("saveCallback callback:=print", json!(null)),
        ("saveCallback callback:=print", json!(null)),
        (
            "l = passCallbacks arg:='[\"FooCallback#1\",\"FooCallback#2\"]'",
            json!(["l.0", "l.1"]),
        ),
        (
            "l = passCallbacks arg:='[\"l.1\",\"l.0\",\"l.1\"]'",
            json!(["l.0", "l.1", "l.0"]),
        ),
        (".release l.1", json!(null)),
        (".release l", json!(null)),
        (".caps", json!([])),
        (
            "c = makeCallbacks 7",
            json!({ "first": "c.first", "second": "c.second" }),
        ),
        ("c.first.call 1", json!(8)),
        ("c.second.call 2", json!(14)),
        (
            "l = passCallbacks arg:='[\"c.second\",null,\"c.first\"]'",
            json!(["l.0", null, "l.2"]),
        ),
        ("l.0.call 2", json!(14)),
        ("l.2.call 2", json!(9)),
        // What was kept so before is released, once the call has used it.
        ("l = passCallbacks arg:='[\"l.2\"]'", json!(["l.0"])),
        ("l.0.call 2", json!(9)),
        (
            ".caps",
            json!([
                { "name": "c.first", "interface": "FooCallback" },
                { "name": "c.second", "interface": "FooCallback" },
                { "name": "l.0", "interface": "FooCallback" },
            ]),
        ),
        // Those in a struct; a text that looks like a name is none.
        (
            "l = passHolder arg:='{\"name\":\"l.0\",\"one\":\"l.0\",\"many\":[\"l.0\"]}'",
            json!({ "name": "l.0", "one": "l.one", "many": ["l.many.0"], "holders": [] }),
        ),
        (".release l", json!(null)),
        (".release c", json!(null)),
        (".caps", json!([])),
    ];
    let input: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    let output = foo(&sandbox, &["-o", "jsonl", "call"], &input);
    let all = answers(&output);
    assert_eq!(all.len(), lines.len(), "{output:#?}");
    for ((line, expected), answer) in lines.iter().zip(&all) {
        assert_eq!(answer["result"], *expected, "{line}: {answer}");
    }
}

/// FAULTS H3: JSON whose quotes the words have lost is told so.
#[test]
fn json_that_is_not_quoted_is_told_so() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for line in [
        "createNewBlock options:={\"useMempool\":false}",
        "echo {\"echo\":\"hi\"}",
    ] {
        let output = sandbox.run_with(&["-a", &peer.address, "call"], line);
        output.expect_error(2, &["line 1: "]);
        let hint = "hint: words are quoted as in a shell: NAME:='{\"field\":1}'";
        assert!(output.stderr.contains(hint), "{output:#?}");
    }
    // Nothing of that where the quotes are not the mistake.
    let line = "createNewBlock options:='{\"nosuch\":false}'";
    let output = sandbox.run_with(&["-a", &peer.address, "call"], line);
    assert!(!output.stderr.contains("quoted"), "{output:#?}");
}

/// A shell's commands are a person's to run: what is piped in runs none.
#[test]
fn a_piped_session_runs_no_shell() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let file = sandbox.path("made");
    let line = format!("echo hi | touch {}\necho 'a | b'\n", file.display());
    let output = sandbox.run_with(&["-a", &peer.address, "call"], &line);
    output.expect(2, "a | b\n");
    assert!(!file.exists());
}
