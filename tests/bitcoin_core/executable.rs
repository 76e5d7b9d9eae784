//! The executable and the node.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::common::{Sandbox, poll, terminal::Terminal};
use super::node::{Node, node};
use super::{execute, ipc};

/// Runs the executable; gives its exit status, stdout and stderr.
fn run(node: &Node, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bitcoin-ipc"))
        .arg("--address")
        .arg(format!("unix:{}", node.socket().display()))
        .args(words)
        .env("HOME", node.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_calls_it() {
    let Some(program) = node("the_command_line_calls_it") else {
        return;
    };
    let mut node = Node::start(&program, None);
    let init = node.connect(&ipc());
    let mined = execute(
        &*init,
        "{\"method\":\"generatetodescriptor\",\"params\":[1,\"raw(51)#8lvh9jxk\"]}",
    );
    let best = execute(&*init, "{\"method\":\"getbestblockhash\"}");
    drop(init);

    // In display order, as its RPC has it.
    let (code, tip, errors) = run(&node, &["call", "getTip"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{mined}");
    let tip: serde_json::Value = serde_json::from_str(&tip).unwrap();
    let hash = tip["hash"].as_str().unwrap();
    assert_eq!(tip["height"], 1);
    assert!(best.contains(hash), "{best} {hash}");

    let (code, header, errors) = run(&node, &["call", "mining.createNewBlock/getBlockHeader"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let header = header.trim();
    assert_eq!(header.len(), 160, "{header}");
    assert!(header.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !node.log().contains("BlockTemplate.destroy$Results") {
        assert!(Instant::now() < deadline, "the template is not destroyed");
        std::thread::sleep(Duration::from_millis(50));
    }

    let request = "{\"request\": \"{\\\"method\\\":\\\"getblockcount\\\"}\"}";
    let (code, answer, _) = run(&node, &["call", "Rpc.executeRpc", request]);
    let answer = answer.trim();
    assert_eq!((code, answer), (0, "{\"result\":1,\"error\":null}"));

    let started = Instant::now();
    let current = format!("currentTip={hash}");
    let (code, same, _) = run(
        &node,
        &["call", "waitTipChanged", &current, "timeout=200ms"],
    );
    assert_eq!(code, 0);
    let same: serde_json::Value = serde_json::from_str(&same).unwrap();
    assert_eq!(same, tip);
    assert!(started.elapsed() >= Duration::from_millis(200));

    let (code, listed, _) = run(&node, &["list"]);
    assert_eq!(code, 0);
    for name in ["Echo", "Mining", "BlockTemplate", "Rpc"] {
        assert!(
            listed.lines().any(|line| line.starts_with(name)),
            "{listed}"
        );
    }

    // 31.99 has it at 31's place, 32 at its own; either answers that the block is no solution.
    let mut child = Command::new(env!("CARGO_BIN_EXE_bitcoin-ipc"))
        .args(["-q", "call", "-a"])
        .arg(format!("unix:{}", node.socket().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(
        input,
        "t = createNewBlock\nt.getCoinbaseTx\nt.submitSolution 1 2 3 00"
    )
    .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("lockTime"), "{printed}");
    assert!(node.running());
}

/// Ends with the node's own answer to the call, and the node goes on.
#[test]
fn a_signal_interrupts_a_wait() {
    let Some(program) = node("a_signal_interrupts_a_wait") else {
        return;
    };
    let mut node = Node::start(&program, None);
    let (_, tip, _) = run(&node, &["call", "getTip"]);
    let tip: serde_json::Value = serde_json::from_str(&tip).unwrap();
    let hash = tip["hash"].as_str().unwrap();
    // On a chain without blocks the second waits for one, too.
    for (method, words) in [
        ("waitTipChanged", vec!["call", "waitTipChanged", hash]),
        ("createNewBlock", vec!["call", "createNewBlock"]),
    ] {
        let before = node.log().len();
        // Heard also where whoever runs the tests has them ignore it.
        let child = Command::new("env")
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_bitcoin-ipc")])
            .arg("-a")
            .arg(format!("unix:{}", node.socket().display()))
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let logged = |line: &str| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !node.log()[before..].contains(line) {
                assert!(Instant::now() < deadline, "the log has no {line}");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        logged(&format!("Mining.{method}$Params"));
        // It waits only once its thread has got there.
        std::thread::sleep(Duration::from_millis(200));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert!(
            output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
        logged("Mining.interrupt$Params");
        logged(&format!("Mining.{method}$Results"));
        let (code, printed, _) = run(&node, &["call", "isTestChain"]);
        assert_eq!((code, printed.trim()), (0, "true"));
        assert!(node.running());
    }
}

/// The text with each hash as `#` and each number as `N`: they differ from run to run.
fn alike(text: &str) -> String {
    let mut words = text.replace("\r\n", "\n");
    let hash = |word: &str| word.len() > 16 && word.chars().all(|c| c.is_ascii_hexdigit());
    let split = |c: char| !c.is_ascii_alphanumeric();
    let found: Vec<String> = words.split(split).map(Into::into).collect();
    for word in found {
        if hash(&word) {
            words = words.replace(&word, "#");
        }
    }
    let mut out = String::new();
    for c in words.chars() {
        match c.is_ascii_digit() {
            false => out.push(c),
            true if out.ends_with('N') => {}
            true => out.push('N'),
        }
    }
    out
}

/// Types the lines of the session in the README.
#[test]
fn the_session_of_the_readme_goes_as_shown() {
    let Some(program) = node("the_session_of_the_readme_goes_as_shown") else {
        return;
    };
    let mut node = Node::start(&program, None);
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```text\n").skip(1);
    let session = blocks.filter_map(|block| block.split("```").next());
    let session = session.filter(|block| block.contains("bitcoin-ipc> "));
    let session: Vec<_> = session.collect();
    let [session] = session.as_slice() else {
        panic!("the README has {} sessions", session.len());
    };
    let mut turns = session.split("bitcoin-ipc> ");
    let greeting = turns.next().unwrap();
    let sandbox = Sandbox::new();
    let address = format!("unix:{}", node.socket().display());
    let mut terminal = Terminal::start(&sandbox, &["connect", &address]);
    let come = |terminal: &mut Terminal, shown: &str| {
        poll(shown, || {
            let written = alike(&terminal.rest());
            let mut lines = shown.lines();
            lines.all(|line| written.contains(line)).then_some(())
        });
        terminal.wait("");
    };
    // Without the command, and without the place, which is another.
    let greeting = alike(&greeting.lines().skip(2).collect::<Vec<_>>().join("\n"));
    come(&mut terminal, &greeting);
    let mut typed = 0;
    for turn in turns {
        let (line, shown) = turn.split_once('\n').unwrap();
        terminal.ready();
        if line == ".quit" {
            terminal.write(".quit\r");
            terminal.ends(0);
            break;
        }
        terminal.write(&format!("{line}\r"));
        come(&mut terminal, &alike(shown));
        typed += 1;
    }
    assert!(typed > 5, "{typed} lines were typed");
    assert!(node.running());
}
