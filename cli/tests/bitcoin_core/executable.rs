//! The executable and the node: calls by name, by the schema of the node's generation, and what a
//! signal does to them.

use std::time::{Duration, Instant};

use bitcoin_ipc::Generation;
use serde_json::Value as Json;

use crate::common::{EXE, Output, Running, Sandbox, poll, terminal::Terminal};
use crate::node::Node;
use crate::releases::Peer;

/// Runs the executable with the node as its peer.
fn run(sandbox: &Sandbox, node: &Node, words: &[&str]) -> Output {
    sandbox.run(&[&["-a", &node.address()], words].concat())
}

/// Returns what a command prints, which must succeed and write nothing to stderr.
#[track_caller]
fn printed(sandbox: &Sandbox, node: &Node, words: &[&str]) -> String {
    let output = run(sandbox, node, words);
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    output.stdout
}

/// Returns what a command prints, as JSON.
#[track_caller]
fn json(sandbox: &Sandbox, node: &Node, words: &[&str]) -> Json {
    serde_json::from_str(&printed(sandbox, node, words)).unwrap()
}

run_on!(the_command_line_calls_it: core30, core31, core32);
fn the_command_line_calls_it(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let mined = node.mine(1);
    let height = peer.release.template_height + 1;
    assert_eq!(printed(&sandbox, &node, &["call", "echo", "hi"]), "hi\n");

    // In display order, as its RPC has it.
    let tip = json(&sandbox, &node, &["call", "getTip"]);
    assert_eq!(tip, serde_json::json!({ "hash": mined, "height": height }));

    let header = printed(
        &sandbox,
        &node,
        &["call", "mining.createNewBlock/getBlockHeader"],
    );
    let header = header.trim();
    assert_eq!(header.len(), 160, "{header}");
    assert!(header.bytes().all(|byte| byte.is_ascii_hexdigit()));
    node.wait_logged("BlockTemplate.destroy$Results", 1);

    let started = Instant::now();
    let current = format!("currentTip={mined}");
    let wait = ["call", "waitTipChanged", &current, "timeout=200ms"];
    assert_eq!(json(&sandbox, &node, &wait), tip);
    assert!(started.elapsed() >= Duration::from_millis(200));

    // An exception of the node is its answer.
    let output = run(&sandbox, &node, &["call", "Mining.checkBlock", "00"]);
    output.expect_error(64, &["end of data"]);
    let request = "{\"request\": \"{\\\"method\\\":\\\"getblockcount\\\"}\"}";
    let output = run(&sandbox, &node, &["call", "Rpc.executeRpc", request]);
    match peer.generation() {
        Generation::Core32 => output.expect(0, "{\"result\":2,\"error\":null}\n"),
        generation => {
            let refused = format!("this node ({generation}) has no executeRpc");
            output.expect_error(67, &[&refused])
        }
    };
    assert!(node.running());
    sandbox.assert_clean();
}

run_on!(the_command_line_submits_a_solution: core30, core31, core32);
/// Each generation has `submitSolution` at another ordinal.
fn the_command_line_submits_a_solution(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    // A transaction, but no coinbase of this block.
    let input = format!("01{}{}025151ffffffff", "00".repeat(32), "ff".repeat(4));
    let coinbase = format!("02000000{input}0100000000000000000151{}", "00".repeat(4));
    let lines = format!("t = createNewBlock\nt.getCoinbaseTx\nt.submitSolution 1 2 3 {coinbase}\n");
    let output = sandbox.run_with(&["-q", "-a", &node.address(), "call"], &lines);
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    let lines: Vec<_> = output.stdout.lines().collect();
    let [name, wanted, submitted] = lines.as_slice() else {
        panic!("{output:#?}");
    };
    assert_eq!(*name, "\"t\"");
    // FAULTS E6: in one shape, whatever the node's generation.
    let wanted: Json = serde_json::from_str(wanted).unwrap();
    assert_eq!(
        wanted["blockRewardRemaining"], 5_000_000_000_i64,
        "{wanted}"
    );
    let submitted: Json = serde_json::from_str(submitted).unwrap();
    assert_eq!(submitted["result"], false, "{submitted}");
    assert!(
        submitted["reason"].is_string() && submitted["debug"].is_string(),
        "{submitted}"
    );
    assert_eq!(node.received("BlockTemplate.submitSolution"), 1);
    assert!(node.running());
}

run_on!(connect_and_list_tell_what_it_offers: core30, core31, core32);
fn connect_and_list_tell_what_it_offers(peer: &Peer) {
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    let generation = peer.generation();
    let has_rpc = generation == Generation::Core32;
    let output = sandbox.run(&["connect", &node.address()]);
    assert_eq!((output.code, &*output.stdout), (0, ""), "{output:#?}");
    let rpc = match has_rpc {
        true => "offered",
        false => "unknown to this generation",
    };
    for line in [
        format!("generation  {generation}"),
        "Echo        offered".into(),
        "Mining      offered".into(),
        format!("Rpc         {rpc}"),
    ] {
        assert!(
            output.stderr.lines().any(|shown| shown == line),
            "{output:#?}"
        );
    }
    let listed = printed(&sandbox, &node, &["list"]);
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    let rpc = has_rpc.then_some("Rpc");
    let expected = ["Init", "Echo", "Mining"].into_iter().chain(rpc);
    assert!(names.eq(expected.chain(["BlockTemplate"])), "{listed}");
    assert!(node.running());
}

/// Runs a command that calls `method`, and sends it SIGINT while the node waits in that.
fn interrupted(sandbox: &Sandbox, node: &Node, method: &str, words: &[&str]) -> Output {
    // The signal counts also where the tests run with it ignored.
    let mut command = sandbox.command("env");
    command.args(["--default-signal=INT", EXE, "-a", &node.address()]);
    command.args(words);
    let running = sandbox.start(command);
    node.wait_received(method, 1);
    // The node begins to wait only after it has logged the call.
    poll(method, || node.executes_all().then_some(()));
    running.signal(rustix::process::Signal::INT);
    running.wait()
}

run_on!(a_signal_interrupts_a_wait: core31, core32);
/// The command ends once the node has answered the call, and the node goes on.
fn a_signal_interrupts_a_wait(peer: &Peer) {
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    let tip = json(&sandbox, &node, &["call", "getTip"]);
    let hash = tip["hash"].as_str().unwrap();
    // On a chain without blocks createNewBlock waits for one, too.
    let waits = [
        (
            "Mining.waitTipChanged",
            &["call", "waitTipChanged", hash][..],
        ),
        ("Mining.createNewBlock", &["call", "createNewBlock"]),
    ];
    for (number, (method, words)) in (1..).zip(waits) {
        let output = interrupted(&sandbox, &node, method, words);
        output.expect(130, "");
        assert_eq!(output.stderr, "");
        node.wait_received("Mining.interrupt", number);
        node.wait_logged(&format!("{method}$Results"), 1);
        assert_eq!(printed(&sandbox, &node, &["call", "isTestChain"]), "true\n");
        assert!(node.running());
    }
}

run_on!(a_signal_leaves_no_wait_in_the_node: core30, core31, core32);
/// FAULTS E2, E3 and E4: also where nothing interrupts it, and of an object that the call has made.
fn a_signal_leaves_no_wait_in_the_node(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let hash = node.rpc("getbestblockhash", serde_json::json!([]));
    let hash = hash.as_str().unwrap();
    for (method, words) in [
        (
            "Mining.waitTipChanged",
            &["call", "waitTipChanged", hash][..],
        ),
        (
            "BlockTemplate.waitNext",
            &["call", "createNewBlock/waitNext", "cooldown=false"],
        ),
    ] {
        let output = interrupted(&sandbox, &node, method, words);
        output.expect(130, "");
        assert_eq!(output.stderr, "");
        let timed = run(&sandbox, &node, &[&["--timeout=300ms"], words].concat());
        timed.expect_error(124, &[words[1].rsplit('/').next().unwrap()]);
    }
    node.mine(1);
    assert_eq!(printed(&sandbox, &node, &["call", "isTestChain"]), "true\n");
    node.terminate();
    node.exits_in_time();
}

/// Starts a command, and waits until the node has its wait for another tip.
fn waits_for_a_tip(sandbox: &Sandbox, node: &mut Node) -> Running {
    let hash = node.rpc("getbestblockhash", serde_json::json!([]));
    let words = [
        "-a",
        &node.address(),
        "call",
        "waitTipChanged",
        hash.as_str().unwrap(),
    ];
    let running = sandbox.start(sandbox.ipc(&words));
    node.wait_received("Mining.waitTipChanged", 1);
    running
}

run_on!(a_killed_client_leaves_no_wait_in_the_node: core30, core31, core32);
fn a_killed_client_leaves_no_wait_in_the_node(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let running = waits_for_a_tip(&sandbox, &mut node);
    running.signal(rustix::process::Signal::KILL);
    drop(running);
    node.terminate();
    node.exits_in_time();
}

run_on!(the_end_of_a_node_is_no_tip: core31, core32);
/// FAULTS E8.
fn the_end_of_a_node_is_no_tip(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let running = waits_for_a_tip(&sandbox, &mut node);
    node.terminate();
    let output = running.wait();
    // Whichever comes first.
    assert_eq!((output.code, &*output.stdout), (66, ""), "{output:#?}");
    node.exits_in_time();
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

run_on!(the_session_of_the_readme_goes_as_shown: core32);
/// Types the lines of the session in the README.
fn the_session_of_the_readme_goes_as_shown(peer: &Peer) {
    let mut node = peer.start();
    let readme = include_str!("../../../README.md");
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
    let mut terminal = Terminal::start(&sandbox, &["connect", &node.address()]);
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

run_on!(a_program_drives_it_through_a_mining_round: core30, core31, core32);
fn a_program_drives_it_through_a_mining_round(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let height = peer.release.template_height + 1;
    let mut script = sandbox.command("python3");
    script.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/mining_round.py"
    ));
    script.arg(node.address());
    let output = sandbox.start(script).wait();
    // The status of the session is that of its first mistake.
    output.expect(0, &format!("{height} 2\n"));
    assert_eq!(node.rpc("getblockcount", serde_json::json!([])), height);
    assert!(node.running());
}

run_on!(its_own_methods_are_listed_and_described: core30, core31, core32);
/// FAULTS E6: named by a chain and a data directory as well as by an address, and none once it is gone.
fn its_own_methods_are_listed_and_described(peer: &Peer) {
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    let datadir = format!("-datadir={}", node.data_dir().display());
    let address = node.address();
    let is_newest = peer.generation() == Generation::NEWEST;
    for options in [&["-regtest", &datadir][..], &["-a", &address]] {
        let run = |words: &[&str]| {
            let output = sandbox.run(&[options, words].concat());
            assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
            output.stdout
        };
        let interfaces = run(&["list"]);
        assert!(interfaces.contains("\nMining "), "{interfaces}");
        assert_eq!(interfaces.contains("\nRpc "), is_newest, "{interfaces}");
        let methods = run(&["list", "Mining"]);
        assert_eq!(methods.contains("submitBlock @"), is_newest, "{methods}");
        let ordinal = match peer.generation() {
            Generation::Core30 => 9,
            Generation::Core31 => 7,
            _ => 10,
        };
        let described = run(&["describe", "BlockTemplate.submitSolution"]);
        let start = format!("BlockTemplate.submitSolution @{ordinal} ");
        assert!(described.starts_with(&start), "{described}");
    }
    node.terminate();
    node.exits_in_time();
    let output = sandbox.run(&["-regtest", &datadir, "list", "Mining"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stderr.contains("by the schema of Bitcoin Core 32"),
        "{output:#?}"
    );
    sandbox.assert_clean();
}
