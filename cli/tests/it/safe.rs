//! Output that is safe to look at: what others write reaches terminals, logs and disks only so
//! that it can do no harm there. Knows the executable from outside only.

use crate::common::mining::Node;
use crate::common::{EXE, Peer, Sandbox};

/// A text that would set a title, clear the screen, begin a line and turn its order round.
const EVIL: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\r\nforged\u{9b}31mhi\u{7f}\u{202e}";

const PLAIN: &str = "\\x1b]0;pwned\\x07\\x1b[2J\\r\\nforged\\u{9b}31mhi\\x7f\\u{202e}";

const JSON: &str = concat!(
    r#""\u001b]0;pwned\u0007\u001b[2J\r\nforged\u009b31mhi"#,
    r#"\u007f\u202e""#
);

/// FAULTS C1, in results: escaped in every format but `raw` into a file or a pipe.
#[test]
fn a_result_controls_no_terminal() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (format, shown) in [
        ("auto", format!("{PLAIN}\n")),
        ("table", format!("{PLAIN}\n")),
        ("json", format!("{JSON}\n")),
        ("raw", EVIL.to_owned()),
    ] {
        let words = ["-a", &peer.address, "-o", format, "call", "echo", EVIL];
        sandbox.run(&words).expect(0, &shown);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_on_a_terminal_is_escaped_in_every_format() {
    use crate::common::terminal::Terminal;
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (format, shown) in [
        ("auto", PLAIN),
        ("table", PLAIN),
        ("raw", PLAIN),
        ("json", JSON),
    ] {
        let words = ["-a", &peer.address, "-o", format, "call", "echo", EVIL];
        let mut terminal = Terminal::start(&sandbox, &words);
        terminal.wait(shown);
        terminal.ends(0);
        let written = terminal.written();
        let moves = |c: char| c != '\n' && c != '\r' && c.is_control();
        assert!(!written.contains(moves), "{written:?}");
        assert_eq!(written.trim_end_matches(['\r', '\n']), shown);
    }
}

/// FAULTS C1, its brother: comments of a schema that somebody else wrote.
#[cfg(target_os = "linux")]
#[test]
fn a_schemas_comments_control_no_terminal() {
    use crate::common::terminal::Terminal;
    let sandbox = Sandbox::new();
    let text = "@0xd1c9c2a3b4e5f607;\ninterface Evil {\n  # Moves \u{1b}[2J the \u{9b}1m cursor.\n\
                \x20 call @0 () -> ();\n  # Also \u{7}.\n}\n";
    let schema = sandbox.write("evil.capnp", text);
    let schema = schema.to_str().unwrap();
    let words = ["--schema", schema, "describe", "Evil"];
    let mut terminal = Terminal::start(&sandbox, &words);
    terminal.wait("Moves \\x1b[2J the \\u{9b}1m cursor.");
    terminal.ends(0);
    let written = terminal.written();
    let moves = |c: char| !matches!(c, '\r' | '\n' | '\t') && c.is_control();
    assert!(!written.contains(moves), "{written:?}");
}

/// FAULTS C1, in errors and in what a child writes: a line of others begins none of ours.
#[test]
fn what_others_write_begins_no_line_on_stderr() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for format in ["auto", "json"] {
        let words = ["-a", &peer.address, "-o", format, "call", "echo", "fail"];
        let output = sandbox.run(&words);
        assert_eq!(output.code, 64, "{output:?}");
        assert!(!output.stderr.contains('\u{1b}'), "{output:?}");
        assert!(!output.stderr.contains("\nsuch"), "{output:?}");
    }
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' '{}' >&2\n",
        EVIL.replace('\n', "")
    );
    let script = sandbox.script("child", &script);
    let output = sandbox.run(&["spawn", script.to_str().unwrap()]);
    let shown = PLAIN.replace("\\n", "");
    assert!(output.stderr.contains(&shown), "{output:?}");
    assert!(
        !output
            .stderr
            .contains(|c: char| c != '\n' && c.is_control()),
        "{output:?}"
    );
}

/// FAULTS D3: a backtrace is for those who can mend the program.
#[test]
fn a_mistyped_word_prints_no_backtrace() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    for (code, words) in [
        (2, &["call", "ecco", "hi"][..]),
        (2, &["call", "echo", "hi", "there"]),
        (2, &["--chain", "mine", "connect"]),
        (2, &["--frob", "connect"]),
        (64, &["call", "echo", "fail"]),
        (3, &["-a", "unix:/nodir/none.sock", "call", "echo", "hi"]),
        (2, &["call", "--each", "/nodir/none", "echo"]),
        (2, &["describe", "nosuch"]),
    ] {
        let mut command = sandbox.ipc(&[&["-a", &peer.address], words].concat());
        command.env("RUST_BACKTRACE", "1");
        sandbox.start(command).wait().expect_error(code, &[]);
    }
}

/// FAULTS C3: results that are lost are no success.
#[test]
fn a_closed_stdout_fails_before_anything_is_done() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let socket = sandbox.path("s");
    let run = |words: &[&str], to: &str| {
        let mut command = sandbox.command("sh");
        let script = format!("exec \"$@\" {to}");
        command.args(["-c", &script, "sh", EXE, "-a", &peer.address]);
        command.args(words);
        sandbox.start(command).wait()
    };
    let listen = format!("unix:{}", socket.display());
    for words in [
        &["call", "echo", "hi"][..],
        &["connect"],
        &["list"],
        &["describe", "echo"],
        &["serve", "--listen", &listen],
        &["spawn", "node"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        run(words, ">&-").expect_error(1, &["stdout is closed"]);
    }
    assert!(!socket.exists());
    // What is thrown away on purpose is, also through a descriptor that could be read.
    for to in [">/dev/null", "1<>/dev/null", "<&-"] {
        let output = run(&["call", "echo", "hi"], to);
        assert_eq!((output.code, &*output.stderr), (0, ""), "{to}: {output:?}");
    }
}

/// Calls that pass a secret, each as the words of `call` and as a line of the prompt.
const SECRET: &str = "hunter2";

fn secret_requests() -> Vec<String> {
    let commands = [
        ("walletpassphrase", format!("[\"{SECRET}\",60]")),
        ("EncryptWallet", format!("[\"{SECRET}\"]")),
        (
            "importdescriptors",
            format!("[[{{\"desc\":\"pkh({SECRET})\"}}]]"),
        ),
        (
            "signrawtransactionwithkey",
            format!("[\"00\",[\"{SECRET}\"]]"),
        ),
        ("loadwallet", format!("{{\"passphrase\":\"{SECRET}\"}}")),
    ];
    let requests = commands.iter().flat_map(|(method, params)| {
        [
            format!("{{\"method\":\"{method}\",\"params\":{params}}}"),
            // The method may be named last, and after more than a line of the log has.
            format!(
                "{{\"params\":{params},\"id\":\"{}\",\"method\":\"{method}\"}}",
                "i".repeat(500)
            ),
        ]
    });
    requests.collect()
}

/// FAULTS C2: the log has no secret, neither of a request nor of its result.
#[test]
fn secrets_are_not_logged() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    for request in secret_requests() {
        let words = ["-a", &node.address, "-vv", "call", "executeRpc"];
        let output = sandbox.run(&[&words[..], &[&format!("request={request}")]].concat());
        assert_eq!(output.code, 0, "{output:?}");
        // The peer answers with what it was asked.
        assert!(output.stdout.contains(SECRET), "{output:?}");
        assert!(
            output.stderr.contains("client send Rpc.executeRpc"),
            "{output:?}"
        );
        assert!(!output.stderr.contains(SECRET), "{output:?}");
    }
    let harmless = "request={\"method\":\"getblockcount\"}";
    let words = ["-a", &node.address, "-v", "call", "executeRpc", harmless];
    let output = sandbox.run(&words);
    assert!(output.stderr.contains("getblockcount"), "{output:?}");
}

/// FAULTS C2: the prompt's history keeps no line with a secret.
#[cfg(target_os = "linux")]
#[test]
fn secrets_are_not_kept_in_the_history() {
    use crate::common::terminal::Terminal;
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
    for (number, request) in secret_requests().iter().enumerate() {
        terminal.ready();
        terminal.write(&format!("executeRpc request='{request}' uri=u{number}\r"));
        terminal.wait(&format!("|u{number}|"));
    }
    for line in [
        "executeRpc passphrase=hunter2",
        "nosuch walletpassphrase hunter2",
    ] {
        terminal.ready();
        terminal.write(&format!("{line}\r"));
        terminal.wait("error: ");
    }
    terminal.ready();
    terminal.write("getTip\r");
    terminal.wait("height");
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
    let home = sandbox.path("").join("../home");
    let kept = std::fs::read_to_string(home.join(".local/state/bitcoin-ipc/history")).unwrap();
    let lines: Vec<_> = kept.lines().skip(1).collect();
    assert_eq!(lines, ["getTip", ".quit"]);
}
