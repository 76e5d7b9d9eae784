//! The prompt, on a terminal of its own: editing, history, completion, signals, the background.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::common::mining::Node;
use crate::common::terminal::Terminal;
use crate::common::{Peer, Sandbox, poll};
use rustix::process::Signal;

const PROMPT: &str = "bitcoin-ipc> ";
const INTERRUPT: &str = "\u{3}";
const END: &str = "\u{4}";
const SUSPEND: &str = "\u{1a}";

fn history(sandbox: &Sandbox) -> PathBuf {
    let home = sandbox.path("").join("../home");
    home.join(".local/state/bitcoin-ipc/history")
}

/// The lines that are kept, without the line that says which form they are in.
fn kept(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(Into::into).collect()
}

fn tip() -> String {
    format!("01{}aa", "00".repeat(30))
}

#[test]
fn lines_are_edited_and_kept() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let mut terminal = Terminal::start(&sandbox, &["-a", &peer.address, "call"]);
    terminal.ready();
    terminal.write("echo thx\u{7f}ere\r");
    terminal.wait("\nthere\r\n");
    terminal.ready();
    // The same again, from the history, and a line that is to be forgotten.
    terminal.write("\u{1b}[A\r");
    terminal.wait("\nthere\r\n");
    terminal.ready();
    terminal.write(" echo secret\r");
    terminal.wait("\nsecret\r\n");
    terminal.ready();
    // Several lines at once, as keys and as what a terminal says was pasted.
    terminal.write(" echo four\r echo five\r");
    terminal.wait("\nfive\r\n");
    terminal.ready();
    terminal.write("\u{1b}[200~ echo six\necho 'seven\neight'\u{1b}[201~\r");
    terminal.wait("\nsix\r\nseven\\neight\r\n");
    terminal.ready();
    // Found by a part of it.
    terminal.write("echo two\r");
    terminal.wait("\ntwo\r\n");
    terminal.ready();
    terminal.write("\u{12}ther\r");
    terminal.wait("\nthere\r\n");
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
    let path = history(&sandbox);
    assert_eq!(
        kept(&path),
        ["echo there", "echo two", "echo there", ".quit"]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    drop(terminal);
    sandbox.assert_clean();
}

#[test]
fn prompts_at_once_keep_each_others_lines() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let words = ["-a", &peer.address, "call"];
    let mut both = [(); 2].map(|()| Terminal::start(&sandbox, &words));
    for round in 0..3 {
        for (index, terminal) in both.iter_mut().enumerate() {
            terminal.ready();
            terminal.write(&format!("echo {index}-{round}\r"));
            terminal.wait(&format!("\n{index}-{round}\r\n"));
        }
    }
    for terminal in &mut both {
        terminal.ready();
        terminal.write(END);
        terminal.ends(0);
    }
    let mut lines = kept(&history(&sandbox));
    lines.sort();
    let all = ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"];
    assert_eq!(lines, all.map(|word| format!("echo {word}")));
}

#[test]
fn a_history_that_cannot_be_had_is_said_once() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let folder = history(&sandbox).parent().unwrap().to_owned();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let mut terminal = Terminal::start(&sandbox, &["-a", &peer.address, "call"]);
    terminal.wait("the history cannot be read: ");
    for word in ["one", "two"] {
        terminal.ready();
        terminal.write(&format!("echo {word}\r"));
        let text = terminal.wait(&format!("\n{word}\r\n"));
        assert!(!text.contains("history"), "{text}");
    }
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
}

#[test]
fn tab_completes() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
    terminal.ready();
    terminal.write("mining.get\t");
    let text = terminal.wait("getTransactionsByWitnessID");
    assert!(text.contains("getTip") && text.contains("getTransactionsByTxID"));
    terminal.write("i\t\r");
    terminal.wait("\"height\": 7");
    terminal.ready();
    terminal.write("t = createN\t cool\tf\t\r");
    terminal.wait("\"t\"");
    terminal.ready();
    terminal.write("t.getBlockH\t\r");
    terminal.wait(&"ab".repeat(80));
    terminal.ready();
    // What is missing is shown, and not typed.
    terminal.write("waitTip\t");
    terminal.wait("currentTip=DATA [timeout=FLOAT64]");
    terminal.write(&format!("cur\t{} tim\tforev\t\r", "00".repeat(32)));
    terminal.wait("\"height\": 7");
    assert!(node.record.has("create true 8000 400 false"));
    assert!(node.record.has("wait 1000"));
    terminal.ready();
    terminal.write(".rel\tt\r.quit\r");
    terminal.ends(0);
}

#[test]
fn ctrl_c_ends_a_call_and_not_the_session() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "connect"]);
    for round in 0..2 {
        terminal.ready();
        terminal.write(&format!("waitTipChanged {}\r", tip()));
        poll("a wait", || {
            let waits = "wait 1000".to_owned();
            node.record.has(&waits).then_some(())
        });
        terminal.write(INTERRUPT);
        terminal.wait("interrupted\r\n");
        let record = node.record.take();
        let interrupted = ["interrupt", "wait interrupted"];
        assert!(record.ends_with(&interrupted.map(String::from)), "{round}");
    }
    terminal.ready();
    // On a line it throws that away.
    terminal.write("nosuch");
    terminal.wait("nosuch");
    terminal.write(INTERRUPT);
    terminal.wait(PROMPT);
    terminal.write("isTestChain\r");
    let text = terminal.wait("true\r\n");
    assert!(!text.contains("error"), "{text}");
    terminal.ready();
    terminal.write(END);
    terminal.ends(0);
}

#[test]
fn a_call_in_the_background_is_announced() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
    terminal.ready();
    terminal.write(&format!("waitTipChanged {} 1s &\r", tip()));
    terminal.wait("[1] Mining.waitTipChanged\r\n");
    terminal.ready();
    // A line that is being typed survives it.
    terminal.write("isTest");
    let text = terminal.wait("\"height\": 7");
    assert!(text.contains("[1] Mining.waitTipChanged: done"), "{text}");
    terminal.write("Chain\r");
    terminal.wait("true\r\n");
    terminal.ready();
    terminal.write("t = createNewBlock &\r");
    terminal.wait("[1] Mining.createNewBlock: done");
    terminal.ready();
    terminal.write("t.getBlock\r");
    terminal.wait("0102\r\n");
    terminal.ready();
    terminal.write(END);
    terminal.ends(0);
}

#[test]
fn ctrl_z_puts_a_call_there() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
    terminal.ready();
    terminal.write(&format!("waitTipChanged {}\r", tip()));
    terminal.calls();
    let waits = "wait 1000".to_owned();
    poll("a wait", || node.record.has(&waits).then_some(()));
    terminal.write(SUSPEND);
    terminal.wait("[1] Mining.waitTipChanged\r\n");
    terminal.ready();
    terminal.write(".jobs\r");
    terminal.wait("[1] Mining.waitTipChanged  ");
    terminal.ready();
    // A wait for it is ended alone.
    terminal.write(".wait\r");
    terminal.calls();
    thread::sleep(Duration::from_millis(100));
    terminal.write(INTERRUPT);
    terminal.wait("interrupted\r\n");
    assert!(!node.record.has("interrupt"));
    terminal.ready();
    terminal.write(".cancel 1\r");
    terminal.wait("[1] Mining.waitTipChanged: interrupted");
    assert!(node.record.has("wait interrupted"));
    terminal.ready();
    terminal.write(".cancel 1\r");
    terminal.wait("error: no call runs in the background as \"1\"");
    terminal.ready();
    terminal.write(&format!("waitTipChanged {} &\r", tip()));
    terminal.wait("[1] Mining.waitTipChanged\r\n");
    node.record.take();
    // The end of the session ends it.
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
    let record = node.record.take();
    assert!(record.contains(&"wait interrupted".into()), "{record:?}");
}

#[test]
fn a_signal_ends_the_session_and_gives_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let sandbox = Sandbox::new();
        let peer = Peer::new(&sandbox);
        let mut terminal = Terminal::start(&sandbox, &["-a", &peer.address, "call"]);
        let before = terminal.modes();
        terminal.ready();
        terminal.write("half");
        terminal.wait("half");
        terminal.signal(signal);
        terminal.ends(code);
        let after = terminal.modes();
        assert_eq!(before.local_modes, after.local_modes);
        assert_eq!(before.input_modes, after.input_modes);
        assert_eq!(before.output_modes, after.output_modes);
        sandbox.assert_clean();
    }
}

/// Results are for whoever reads stdout, and nothing else is.
#[test]
fn the_prompt_is_not_among_the_results() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let path = sandbox.path("out");
    let out = File::create(&path).unwrap();
    let words = ["-a", &peer.address, "connect"];
    let mut terminal = Terminal::with(&sandbox, &words, "xterm", Some(out));
    terminal.ready();
    terminal.wait(PROMPT);
    for word in ["one", "two"] {
        terminal.ready();
        terminal.write(&format!("echo {word}\r"));
        poll(word, || {
            let text = fs::read_to_string(&path).unwrap();
            text.ends_with(&format!("{word}\n")).then_some(())
        });
    }
    terminal.ready();
    terminal.write(END);
    terminal.ends(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
}

#[test]
fn a_dumb_terminal_has_a_plain_prompt() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let words = ["-a", &node.address, "call"];
    let mut terminal = Terminal::with(&sandbox, &words, "dumb", None);
    terminal.wait(PROMPT);
    terminal.write("nosuch");
    terminal.wait("nosuch");
    terminal.write(INTERRUPT);
    terminal.wait(PROMPT);
    terminal.write("isTestChain\n");
    terminal.wait("true\r\n");
    terminal.write(&format!("waitTipChanged {}\n", tip()));
    let waits = "wait 1000".to_owned();
    poll("a wait", || node.record.has(&waits).then_some(()));
    terminal.write(INTERRUPT);
    terminal.wait("interrupted\r\n");
    let written = terminal.written();
    assert!(!written.contains('\u{1b}'), "{written:?}");
    terminal.write(END);
    terminal.ends(0);
    assert!(!history(&sandbox).exists());
}

#[test]
fn a_pipe_has_a_background_too() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let wait = format!("waitTipChanged {}", tip());
    let words = ["-a", &node.address, "call"];
    // Waited for; cancelled; interrupted at the end of input, where it is answered.
    let lines = format!(
        "{wait} 300ms &\nisTestChain\n.jobs\n.wait 1\n{wait} &\n.cancel 1\n.cancel 7\n{wait} &\n"
    );
    let output = sandbox.run_with(&words, &lines);
    let printed = format!("true\n{{\"hash\":\"{}\",\"height\":7}}\nnull\n", tip());
    output.expect(2, &printed);
    let name = "[1] Mining.waitTipChanged";
    let status = format!(
        "{name}\n{name}  0 s\n{name}: done\n{name}\n{name}: interrupted\n\
         error: line 7: no call runs in the background as \"7\"\n\
         hint: .jobs lists those that do\n{name}\n{name}: interrupted\n"
    );
    assert_eq!(output.stderr, status);
    assert!(output.took < Duration::from_secs(3), "{output:#?}");
    // In quotes it is a value.
    let peer = Peer::new(&sandbox);
    let output = sandbox.run_with(
        &["-a", &peer.address, "call"],
        "echo '&'\necho fail &\n.wait\n",
    );
    output.expect(64, "&\n");
    let failed = "[1] Echo.echo\n[1] Echo.echo: failed\nerror: line 2: the other side failed: ";
    assert!(output.stderr.starts_with(failed), "{output:#?}");
}

/// FAULTS F13: the words of other programs, and what the schema has.
#[test]
fn a_prompt_knows_the_words_of_others() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    for last in ["quit", "exit", ".quit"] {
        let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
        for (line, shown) in [
            ("help", ".reconnect "),
            ("?", ".reconnect "),
            (".list", "BlockTemplate  A block template"),
            (".list rpc", "executeRpc @0 "),
            (".describe getTip", "Mining.getTip @"),
            (".describe nosuch", "error: "),
            (".list a b", "hint: it is written .list [INTERFACE]"),
            (".des\tBlockR\t", "struct BlockRef"),
        ] {
            terminal.ready();
            terminal.write(&format!("{line}\r"));
            terminal.wait(shown);
        }
        terminal.ready();
        terminal.write(&format!("{last}\r"));
        terminal.ends(0);
    }
}

#[test]
fn a_result_is_passed_to_a_shells_command() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let mut terminal = Terminal::start(&sandbox, &["-a", &node.address, "call"]);
    for (line, shown) in [
        (
            "executeRpc hi | tr a-z A-Z | sed s/^/got:/",
            "\ngot:[HI||]\r\n",
        ),
        ("getTip | grep -o height", "\nheight\r\n"),
        // One line of JSON, and what a command does not read does no harm.
        ("getTip | wc -l", "\n1\r\n"),
        ("t = createNewBlock cooldown=false | head -c 0", ""),
        ("t.getBlockHeader | wc -c", "\n161\r\n"),
        ("executeRpc '| tr a b'", "\n[| tr a b||]\r\n"),
        ("executeRpc hi | exit 3", "exit 3: exit status: 3"),
        ("executeRpc hi |", "hint: it is a shell's"),
    ] {
        terminal.ready();
        terminal.write(&format!("{line}\r"));
        terminal.wait(shown);
    }
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
    sandbox.assert_clean();
}

/// FAULTS F13: the end of a connection is told at once, and the session goes on with the next.
#[test]
fn a_prompt_stays_when_the_peer_goes() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let mut terminal = Terminal::start(&sandbox, &["-a", &peer.address, "call"]);
    for (line, shown) in [("e = makeEcho", "\"e\""), ("e.echo kept", "\nkept\r\n")] {
        terminal.ready();
        terminal.write(&format!("{line}\r"));
        terminal.wait(shown);
    }
    terminal.ready();
    peer.disconnect();
    // Without a key.
    let said = terminal.wait("the next call connects again");
    assert!(said.contains("disconnected: "), "{said}");
    assert!(said.contains("gone with it: e (Echo)"), "{said}");
    terminal.write("e.echo x\r");
    terminal.wait("error: ");
    terminal.ready();
    terminal.write("echo again\r");
    let said = terminal.wait("\nagain\r\n");
    assert!(said.contains("connected to "), "{said}");
    // In the middle of a call.
    terminal.ready();
    terminal.write("echo block\r");
    peer.wait_blocked(1);
    peer.disconnect();
    let said = terminal.wait("the next call connects again");
    assert!(said.contains("error: disconnected: "), "{said}");
    terminal.ready();
    terminal.write(".reconnect\r");
    terminal.wait("connected to ");
    terminal.ready();
    terminal.write("e = makeEcho\r");
    terminal.wait("\"e\"");
    // Also where there is nothing to connect to any more.
    terminal.ready();
    drop(peer);
    terminal.wait("the next call connects again");
    for line in ["echo x", ".reconnect"] {
        terminal.ready();
        terminal.write(&format!("{line}\r"));
        terminal.wait("error: nothing listens at ");
    }
    let peer = Peer::new(&sandbox);
    terminal.ready();
    terminal.write("echo back\r");
    terminal.wait("\nback\r\n");
    terminal.ready();
    terminal.write(".quit\r");
    terminal.ends(0);
    drop(peer);
    sandbox.assert_clean();
}
