//! The executable's verbs for a node: is it there, what is new, its own RPC, blocks.

use std::fs::File;
use std::time::Duration;

use bitcoin_ipc::Generation;
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::common::{Output, Sandbox, poll};
use crate::node::Node;
use crate::releases::Peer;

fn run(sandbox: &Sandbox, node: &Node, words: &[&str]) -> Output {
    let directory = node.data_dir().display().to_string();
    sandbox.run(&[&["-regtest", "--datadir", &directory], words].concat())
}

fn read(output: &Output) -> Json {
    assert_eq!(output.code, 0, "{output:#?}");
    serde_json::from_str(&output.stdout).unwrap()
}

run_on!(status_tells_who_serves_and_how_far_it_is: core30, core31, core32);
/// FAULTS E1: what it offers is told by its generation.
fn status_tells_who_serves_and_how_far_it_is(peer: &Peer) {
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    let is_32 = peer.generation() == Generation::Core32;
    let status = read(&run(&sandbox, &node, &["status", "-o", "json"]));
    assert_eq!(status["pid"], node.pid());
    assert_eq!(status["uid"], rustix::process::getuid().as_raw());
    assert_eq!(status["program"], "bitcoin-node");
    assert_eq!(status["generation"], peer.generation().number());
    let rpc = if is_32 {
        "offered"
    } else {
        "unknown to this generation"
    };
    assert_eq!(
        status["interfaces"],
        json!({ "Echo": "offered", "Mining": "offered", "Rpc": rpc })
    );
    assert_eq!(
        (&status["chain"], &status["height"]),
        (&json!("regtest"), &json!(0))
    );
    assert_eq!(status["initial_block_download"], true);
    assert!(status["round_trip_us"].is_u64(), "{status}");

    let synced = run(&sandbox, &node, &["status", "--synced"]);
    assert!(
        synced.stdout.contains("initial block download  yes"),
        "{synced:#?}"
    );
    synced.expect_error(1, &["the node is in initial block download"]);
    let hash = node.mine(1);
    let status = run(&sandbox, &node, &["ping", "--synced", "-o", "json"]);
    let status = read(&status);
    assert_eq!(
        (&status["hash"], &status["height"]),
        (&json!(hash), &json!(1))
    );
    assert_eq!(status["age_s"].is_u64(), is_32, "{status}");

    let dir = node.data_dir();
    node.terminate();
    node.exits_in_time();
    let gone = run(&sandbox, &node, &["status", "--synced"]);
    let socket = dir.join("regtest/node.sock");
    gone.expect_error(3, &["nothing listens at", &socket.display().to_string()]);
    sandbox.assert_clean();
}

run_on!(a_node_that_does_not_listen_is_told_by_its_pid: core30, core31, core32);
fn a_node_that_does_not_listen_is_told_by_its_pid(peer: &Peer) {
    let node = peer.start_deaf();
    let sandbox = Sandbox::new();
    for words in [&["status"][..], &["call", "echo", "hi"]] {
        let output = run(&sandbox, &node, words);
        output.expect_error(
            3,
            &[&format!("bitcoin-node (pid {}) runs with", node.pid())],
        );
        assert!(
            output.stderr.contains("start it with -ipcbind=unix"),
            "{output:#?}"
        );
    }
}

run_on!(watch_tells_each_tip_once_across_a_restart: core30, core31, core32);
fn watch_tells_each_tip_once_across_a_restart(peer: &Peer) {
    let mut node = peer.start();
    node.mine(1);
    let sandbox = Sandbox::new();
    let told = sandbox.path("told");
    let command = format!("echo \"$WATCH_HEIGHT $WATCH_HASH\" >> {}", told.display());
    let directory = node.data_dir().display().to_string();
    let words = [
        "-regtest",
        "--datadir",
        &directory,
        "watch",
        "tip",
        "--initial",
        "--exec",
        &command,
    ];
    let watching = sandbox.start(sandbox.ipc(&words));
    let lines = || std::fs::read_to_string(&told).unwrap_or_default();
    let wait = |count: usize| {
        poll("a line", || {
            (lines().lines().count() >= count).then_some(())
        })
    };
    wait(1);
    let mut hashes = Vec::new();
    for number in 0..5 {
        if number == 2 {
            node.terminate();
            // With a watcher it exits as without one.
            node.exits_in_time();
            watching.wait_for("waiting for the node");
            node.start_again();
            // It is ready when the RPC has warmed up.
            node.rpc("getblockcount", json!([]));
        }
        hashes.push(node.mine(1));
        wait(hashes.len() + 1);
        std::thread::sleep(Duration::from_secs(1));
    }
    watching.wait_for("connected to Core");
    watching.signal(Signal::INT);
    let output = watching.wait();
    assert_eq!(output.code, 0, "{output:#?}");
    let mut expected: Vec<_> = (2..)
        .zip(&hashes)
        .map(|(at, hash)| format!("{at} {hash}"))
        .collect();
    let all = lines();
    let run_for: Vec<_> = all.lines().map(ToOwned::to_owned).collect();
    assert!(run_for[0].starts_with("1 "), "{run_for:?}");
    expected.insert(0, run_for[0].clone());
    assert_eq!(run_for, expected);
    let printed: Vec<Json> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let printed: Vec<_> = printed
        .iter()
        .map(|line| format!("{} {}", line["height"], line["hash"].as_str().unwrap()))
        .collect();
    assert_eq!(printed, expected);
    node.terminate();
    node.exits_in_time();
    sandbox.assert_clean();
}

run_on!(watch_tells_templates_and_results: core30, core31, core32);
fn watch_tells_templates_and_results(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    let directory = node.data_dir().display().to_string();
    let start = |words: &[&str]| {
        let words = [&["-regtest", "--datadir", &directory, "watch"], words].concat();
        sandbox.start(sandbox.ipc(&words))
    };
    let templates = start(&["template", "--initial", "--count", "2"]);
    let tips = start(&["getTip", "--every", "100ms", "--initial", "--count=2"]);
    templates.wait_for_stdout("\"reason\":\"first\"");
    tips.wait_for_stdout("\n");
    let mined = node.mine(1);
    let output = templates.wait();
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    let last: Json = serde_json::from_str(output.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&last["reason"], &last["previous"]),
        (&json!("tip"), &json!(mined))
    );
    assert_eq!(
        (&last["fees"], &last["transactions"]),
        (&json!(0), &json!(0))
    );
    let output = tips.wait();
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    let last: Json = serde_json::from_str(output.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(last["hash"], mined);
    let none = start(&["tip", "--for", "300ms"]).wait();
    none.expect(0, "");
    node.terminate();
    node.exits_in_time();
}

run_on!(mine_makes_blocks_where_that_is_cheap: core30, core31, core32);
fn mine_makes_blocks_where_that_is_cheap(peer: &Peer) {
    const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    if peer.release.template_height > 1 {
        // FAULTS E7.
        let output = run(&sandbox, &node, &["mine", "--to", "51"]);
        output.expect_error(64, &["bad-cb-length"]);
        assert!(
            output.stderr.contains("hint: below height 17"),
            "{output:#?}"
        );
    }
    node.mine(peer.release.template_height);
    let output = run(&sandbox, &node, &["mine", "3", "--to", ADDRESS]);
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    let last: Json = serde_json::from_str(output.stdout.lines().nth(2).unwrap()).unwrap();
    assert_eq!(last["height"], peer.release.template_height + 3);
    assert_eq!(last["hash"], node.rpc("getbestblockhash", json!([])));
    let block = node.rpc("getblock", json!([last["hash"], 2]));
    let paid = &block["tx"][0]["vout"][0];
    assert_eq!(
        (&paid["scriptPubKey"]["address"], &paid["value"]),
        (&json!(ADDRESS), &json!(50.0))
    );
    let output = run(
        &sandbox,
        &node,
        &["mine", "--to", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
    );
    output.expect_error(2, &["is no address of the node's chain"]);
    node.terminate();
    node.exits_in_time();
}

run_on!(rpc_answers_as_bitcoin_cli_does: core32);
fn rpc_answers_as_bitcoin_cli_does(peer: &Peer) {
    let node = peer.start();
    let sandbox = Sandbox::new();
    let cli = peer.bitcoin_cli();
    let directory = node.data_dir().display().to_string();
    let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
    let by_name = format!("blockhash={genesis}");
    let both = |words: &[&str]| {
        let ours = run(&sandbox, &node, &[&["rpc"], words].concat());
        let mut command = sandbox.command(&cli);
        command.args(["-regtest", "-ipcconnect=unix"]);
        command.arg(format!("-datadir={directory}")).args(words);
        (ours, sandbox.start(command).wait())
    };
    for words in [
        &["getblockhash", "0"][..],
        &["-named", "getblock", &by_name, "verbosity=0"],
        &["-named", "getblock", genesis, "verbose=false"],
        &["getblock", genesis, "2"],
        &["getblockchaininfo"],
        &["getpeerinfo"],
        &["getrawmempool", "true"],
        &["help"],
        &["help", "getblock"],
        &["getblockstats", "0", "[\"height\",\"avgfee\"]"],
        &["getblockstats", genesis, "[\"height\"]"],
        &["setmocktime", "0"],
        &["no-such-method"],
        &["getblockhash", "7000"],
        &["getblockhash", "-1"],
        &["getblockhash"],
        &["-named", "getblockhash", "x=1"],
        &["-rpcwallet=a b", "getblockcount"],
        // Strings that look like JSON, and the other way round.
        &["help", "\"getblock\""],
        &["help", "7"],
        &["help", "null"],
        &["validateaddress", "1234"],
        &["getblock", genesis, "\"1\""],
        &["getblockstats", "\"0\""],
    ] {
        let (ours, theirs) = both(words);
        let parts = |output: &Output| (output.code, output.stdout.clone(), output.stderr.clone());
        assert_eq!(parts(&ours), parts(&theirs), "{words:?}");
    }
    // It has a line of advice more.
    let (ours, theirs) = both(&["getblockhash", "zero"]);
    assert_eq!((ours.code, theirs.code), (1, 1), "{ours:#?} {theirs:#?}");
    assert!(
        ours.stderr.starts_with(&theirs.stderr),
        "{ours:#?} {theirs:#?}"
    );

    let file = sandbox.write("lines", format!("{genesis}\n0\n"));
    let mut command = sandbox.ipc(&[
        "-regtest",
        "--datadir",
        &directory,
        "rpc",
        "-stdin",
        "getblock",
    ]);
    command.stdin(File::open(file).unwrap());
    let output = sandbox.start(command).wait();
    assert!(output.stdout.starts_with("0100000000000000"), "{output:#?}");
    let height = run(
        &sandbox,
        &node,
        &["rpc", "--get", "blocks", "getblockchaininfo"],
    );
    height.expect(0, "0\n");
    let failed = run(
        &sandbox,
        &node,
        &["-o", "json", "rpc", "getblockhash", "7000"],
    );
    let error: Json = serde_json::from_str(&failed.stderr).unwrap();
    assert_eq!(
        (failed.code, &error["error"]["code"]),
        (8, &json!(-8)),
        "{failed:#?}"
    );
    sandbox.assert_clean();
}

run_on!(rpc_is_not_implemented_by_older_nodes: core30, core31);
fn rpc_is_not_implemented_by_older_nodes(peer: &Peer) {
    let node = peer.start();
    let sandbox = Sandbox::new();
    let output = run(&sandbox, &node, &["rpc", "getblockcount"]);
    output.expect_error(67, &[]);
    assert!(
        output.stderr.contains("Bitcoin Core has Rpc from 32 on"),
        "{output:#?}"
    );
}

run_on!(blocks_are_submitted_from_any_file: core32);
/// FAULTS F1 and F2.
fn blocks_are_submitted_from_any_file(peer: &Peer) {
    let mut node = peer.start();
    let sandbox = Sandbox::new();
    let hash = node.mine(1);
    let hex = node.rpc("getblock", json!([hash, 0]));
    let hex = hex.as_str().unwrap();
    let bytes: Vec<u8> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let wrapped: Vec<_> = hex
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let files = [
        sandbox.write("lf", format!("{hex}\n")),
        sandbox.write("crlf", format!("{hex}\r\n")),
        sandbox.write("wrapped", wrapped.join("\n")),
        sandbox.write("binary", bytes),
    ];
    for file in &files {
        let output = run(
            &sandbox,
            &node,
            &["call", "submitBlock", &format!("@{}", file.display())],
        );
        assert_eq!(read(&output)["reason"], "duplicate", "{output:#?}");
    }
    let directory = node.data_dir().display().to_string();
    let mut command = sandbox.ipc(&[
        "-regtest",
        "--datadir",
        &directory,
        "call",
        "submitBlock",
        "-",
        "--fail",
        "--get",
        "reason",
    ]);
    command.stdin(File::open(&files[0]).unwrap());
    let output = sandbox.start(command).wait();
    assert_eq!(
        (output.code, &*output.stdout),
        (1, "duplicate\n"),
        "{output:#?}"
    );
    let long = "00".repeat(33);
    let output = run(&sandbox, &node, &["call", "waitTipChanged", &long, "1ms"]);
    output.expect_error(2, &["currentTip", "33"]);
}

run_on!(a_node_that_starts_is_asked_no_sooner_than_it_can_answer: core30, core31, core32);
/// A node of Core 30 aborts when its `Mining` is used just after it listens.
fn a_node_that_starts_is_asked_no_sooner_than_it_can_answer(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let sandbox = Sandbox::new();
    for words in [
        &["--wait=60", "status", "-o", "json"][..],
        &["--wait=60", "mine", "--to", "51"],
    ] {
        node.terminate();
        node.exits_in_time();
        node.start_again();
        let told = read(&run(&sandbox, &node, words));
        assert!(told["height"].is_u64(), "{told}");
        assert!(node.running());
    }
    // It is ready when the RPC has warmed up.
    node.rpc("getblockcount", json!([]));
}
