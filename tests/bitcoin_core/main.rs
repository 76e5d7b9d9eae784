//! A real Bitcoin Core node as the peer, where the environment variable `BITCOIN_NODE` names a
//! `bitcoin-node` built with IPC. Where it does not, each test says loudly that it was skipped.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod executable;
mod node;

use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockWaitOptions, CoinbaseTx};
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{CallOptions, Error, Generation, Ipc, Program};

use node::{Node, node};

fn ipc() -> Ipc<dyn Init> {
    Ipc::new("bitcoin-ipc-test", Role::Gui.init()).unwrap()
}

/// Executes an RPC over IPC.
fn execute(init: &dyn Init, request: &str) -> String {
    let rpc = init.make_rpc().unwrap().unwrap();
    let answer = rpc.execute_rpc(request, "", "test").unwrap();
    answer.trim().to_owned()
}

#[test]
fn spawn_it_and_echo() {
    let Some(node) = node("spawn_it_and_echo") else {
        return;
    };
    let ipc = ipc();
    let home = tempfile::tempdir().unwrap();
    let program = Program::new(node).env("HOME", home.path());
    let spawned = ipc.spawn(program).unwrap();
    // Asked without running `makeMining`, of which a spawned node dies.
    assert!(Generation::of(&*spawned.init).unwrap() >= Generation::Core31);
    let echo = spawned.init.make_echo().unwrap().unwrap();
    assert_eq!(echo.echo("hi").unwrap(), "hi");
    drop(echo);
    assert!(spawned.finish().unwrap().success());
}

#[test]
fn connect_to_its_socket_echo_and_read_the_tip() {
    let Some(program) = node("connect_to_its_socket_echo_and_read_the_tip") else {
        return;
    };
    let mut node = Node::start(&program, None);
    let ipc = ipc();
    let init = node.connect(&ipc);
    assert!(Generation::of(&*init).unwrap() >= Generation::Core31);

    let echo = init.make_echo().unwrap().unwrap();
    for text in ["hi", "", "grüß", &"x".repeat(100_000)] {
        assert_eq!(echo.echo(text).unwrap(), text);
    }
    // Each thread has its own in the node.
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let echo = &echo;
            scope.spawn(move || {
                for call in 0..50 {
                    let text = format!("{thread} {call}");
                    assert_eq!(echo.echo(&text).unwrap(), text);
                }
            });
        }
    });
    let answered = futures::executor::block_on(futures::future::join_all(
        (0..20).map(|i| echo.echo_async(&i.to_string())),
    ));
    for (i, answer) in answered.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), i.to_string());
    }

    let mining = init.make_mining().unwrap().unwrap();
    assert!(mining.is_test_chain().unwrap());
    let tip = mining.get_tip().unwrap().unwrap();
    assert_eq!(tip.height, 0);
    assert_eq!(tip.hash.len(), 32);
    // regtest's genesis block, in internal order.
    assert_eq!(tip.hash[..4], [0x06, 0x22, 0x6e, 0x46]);
    let same = mining.wait_tip_changed(&tip.hash, 100.0).unwrap();
    assert_eq!(same, tip);

    // A fresh tip: on regtest a template on an old one is renewed at once.
    let mined = execute(
        &*init,
        "{\"method\":\"generatetodescriptor\",\"params\":[1,\"raw(51)#8lvh9jxk\"]}",
    );
    assert!(mined.contains("\"error\":null"), "{mined}");
    let changed = mining.wait_tip_changed(&tip.hash, 5000.0).unwrap();
    assert_eq!(changed.height, 1);

    // An exception of the node, and the connection goes on.
    match mining.check_block(b"junk", &Default::default()) {
        Err(Error::Remote { text, .. }) => assert!(text.contains("end of data"), "{text}"),
        other => panic!("{other:?}"),
    }
    match init.make_mining_old2() {
        Err(Error::Remote { text, .. }) => assert!(text.contains("Old mining"), "{text}"),
        other => panic!("{other:?}"),
    }

    let template = mining
        .create_new_block(&BlockCreateOptions::default(), false)
        .unwrap()
        .unwrap();
    assert_eq!(template.get_block_header().unwrap().len(), 80);
    let none = template
        .wait_next(&BlockWaitOptions {
            timeout: 100.0,
            ..BlockWaitOptions::default()
        })
        .unwrap();
    assert!(none.is_none());

    // A call that takes too long is given up here and goes on there; the object is destroyed only
    // after it, and the node lives on.
    let late = CallOptions::new()
        .timeout(Duration::from_millis(100))
        .run(|| {
            template.wait_next(&BlockWaitOptions {
                timeout: 1500.0,
                ..BlockWaitOptions::default()
            })
        });
    assert!(matches!(late, Err(Error::Timeout { .. })));
    drop(template);
    assert_eq!(echo.echo("still here").unwrap(), "still here");

    drop(echo);
    drop(mining);
    let destroyed = |log: &str| {
        log.contains("IPC server send response") && {
            let begun = log.matches("BlockTemplate.destroy$Params").count();
            let done = log.matches("BlockTemplate.destroy$Results").count();
            begun == 1 && done == 1
        }
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !destroyed(&node.log()) {
        assert!(Instant::now() < deadline, "the template is not destroyed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        node.log().contains("Echo.destroy$Results"),
        "{}",
        node.log()
    );
    drop(init);
    std::thread::sleep(Duration::from_millis(200));
    assert!(node.running(), "the node must survive its client");
}

/// A coinbase of what the template wants in it, and all that it may pay to anyone.
fn coinbase(of: &CoinbaseTx) -> Vec<u8> {
    let witness = !of.witness.is_empty();
    let mut bytes = of.version.to_le_bytes().to_vec();
    bytes.extend(if witness { &[0, 1, 1][..] } else { &[1] });
    bytes.extend([0; 32]);
    bytes.extend([0xff; 4]);
    // At least two bytes of scriptSig.
    bytes.push(u8::try_from(of.script_sig_prefix.len()).unwrap() + 1);
    bytes.extend(&of.script_sig_prefix);
    bytes.push(0);
    bytes.extend(of.sequence.to_le_bytes());
    bytes.push(u8::try_from(of.required_outputs.len()).unwrap() + 1);
    bytes.extend(of.block_reward_remaining.to_le_bytes());
    bytes.extend([1, 0x51]);
    bytes.extend(of.required_outputs.concat());
    if witness {
        bytes.extend([1, u8::try_from(of.witness.len()).unwrap()]);
        bytes.extend(&of.witness);
    }
    bytes.extend(of.lock_time.to_le_bytes());
    bytes
}

/// How often the node was sent this call.
fn received(node: &Node, call: &str) -> usize {
    let log = node.log();
    let received = |line: &&str| line.contains("server recv request") && line.contains(call);
    log.lines().filter(received).count()
}

/// 31.99 has `submitSolution` at 31's place, 32 at its own.
#[test]
fn submit_a_solution() {
    let Some(program) = node("submit_a_solution") else {
        return;
    };
    let mut node = Node::start(&program, None);
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = init.make_mining().unwrap().unwrap();
    let options = BlockCreateOptions::default();
    let template = mining.create_new_block(&options, false).unwrap().unwrap();
    let header = template.get_block_header().unwrap();
    let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let (version, time) = (field(0), field(68));
    let wanted = template.get_coinbase_tx().unwrap();
    let coinbase = coinbase(&wanted);

    // What is no transaction is an exception, and the node lives on.
    match template.submit_solution(version, time, 0, &[0]) {
        Err(Error::Remote { text, .. }) => assert!(text.contains("end of data"), "{text}"),
        other => panic!("{other:?}"),
    }
    // Each second nonce solves a block of regtest. What is no solution is told, not thrown.
    let submit = |nonce: u32| match nonce % 2 {
        0 => template.submit_solution(version, time, nonce, &coinbase),
        _ => futures::executor::block_on(
            template.submit_solution_async(version, time, nonce, &coinbase),
        ),
    };
    let tried = (1..=100).position(|nonce| submit(nonce).unwrap().result);
    let tried = 1 + tried.expect("one of 100 nonces solves it");
    let tip = mining.get_tip().unwrap().unwrap();
    assert_eq!(tip.height, 1);
    // And nothing else was called.
    let submitted = received(&node, "BlockTemplate.submitSolution$Params");
    assert_eq!(submitted, 1 + tried);
    assert_eq!(received(&node, "submitSolutionOld7"), 0);
    assert!(node.running());
}

#[test]
fn execute_rpc() {
    let Some(program) = node("execute_rpc") else {
        return;
    };
    let node = Node::start(&program, None);
    let ipc = ipc();
    let init = node.connect(&ipc);
    let answer = execute(&*init, "{\"method\":\"getblockcount\"}");
    assert_eq!(answer, "{\"result\":0,\"error\":null}");
    let answer = execute(&*init, "{\"method\":\"nosuch\"}");
    assert!(answer.contains("Method not found"), "{answer}");
}

#[test]
fn be_the_bitcoin_node_that_its_echoipc_spawns() {
    let Some(program) = node("be_the_bitcoin_node_that_its_echoipc_spawns") else {
        return;
    };
    // The node looks for `bitcoin-node` beside its own argv[0].
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_bitcoin-ipc"),
        dir.path().join("bitcoin-node"),
    )
    .unwrap();
    let mut node = Node::start(&program, Some(&dir.path().join("parent")));
    let ipc = ipc();
    let init = node.connect(&ipc);
    let request = "{\"method\":\"echoipc\",\"params\":[\"through ours\"]}";
    let answer = execute(&*init, request);
    assert!(answer.contains("\"through ours\""), "{answer}");
    assert!(node.running());
}
