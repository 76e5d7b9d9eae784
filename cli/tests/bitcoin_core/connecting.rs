//! A node's `Init`, and how connections to a node begin and end.

use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Error, Generation};
use futures::executor::block_on;
use futures::future::join_all;
use serde_json::json;

use crate::releases::Peer;
use crate::{ipc, mining, template};

/// Returns the text of the error that a method is not implemented.
#[track_caller]
fn refused<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Unimplemented(text)) => text,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("the node has it"),
    }
}

run_on!(spawn_it_and_echo: core30, core31, core32);
fn spawn_it_and_echo(peer: &Peer) {
    let ipc = ipc();
    let home = tempfile::tempdir().unwrap();
    let spawned = ipc.spawn(peer.program().env("HOME", home.path())).unwrap();
    // This does not run `makeMining`, at which a spawned node aborts.
    assert_eq!(Generation::of(&*spawned.init).unwrap(), peer.generation());
    let echo = spawned.init.make_echo().unwrap().unwrap();
    assert_eq!(echo.echo("hi").unwrap(), "hi");
    drop(echo);
    assert!(spawned.finish().unwrap().success());
}

run_on!(what_is_asked_leaves_no_line: core30, core31, core32);
/// FAULTS E5: to ask what a peer implements is no error of the node's, which is not told of it, in its log neither.
fn what_is_asked_leaves_no_line(peer: &Peer) {
    let node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    assert_eq!(Generation::of(&*init).unwrap(), peer.generation());
    let mining = mining(&*init);
    assert!(mining.is_test_chain().unwrap());
    assert_eq!(Generation::of(&*init).unwrap(), peer.generation());
    let log = node.log();
    assert!(!log.contains("error]"), "{log}");
    // With `-debug=ipc` it logs what it begins to run.
    assert_eq!(node.received("Init.makeRpc"), 0, "{log}");
    assert_eq!(node.received("Init.makeMining"), 1, "{log}");
}

run_on!(connect_and_echo: core30, core31, core32);
fn connect_and_echo(peer: &Peer) {
    let mut node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    assert_eq!(Generation::of(&*init).unwrap(), peer.generation());
    let found = block_on(Generation::of_async(&*init)).unwrap();
    assert_eq!(found, peer.generation());

    let echo = init.make_echo().unwrap().unwrap();
    for text in ["hi", "", "grüß", &"x".repeat(100_000)] {
        assert_eq!(echo.echo(text).unwrap(), text);
    }
    // Each thread has its own in the node.
    thread::scope(|scope| {
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
    // Two calls at once on one thread are an error in Core 30, or worse.
    let answered = block_on(join_all((0..20).map(|i| echo.echo_async(&i.to_string()))));
    for (i, answer) in answered.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), i.to_string());
    }

    drop(echo);
    node.wait_logged("Echo.destroy$Results", 1);
    drop(init);
    node.wait_logged("IPC server: socket disconnected", 1);
    let init = node.connect(&ipc);
    let echo = init.make_echo().unwrap().unwrap();
    assert_eq!(echo.echo("hi").unwrap(), "hi");
    assert!(node.running(), "the node must survive its client");
}

run_on!(clients_come_and_go: core30, core31, core32);
fn clients_come_and_go(peer: &Peer) {
    let mut node = peer.start();
    let ipc = ipc();
    let kept = node.connect(&ipc);
    let echo = kept.make_echo().unwrap().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..10 {
                    let init = node.connect(&ipc);
                    let mining = mining(&*init);
                    assert!(mining.is_test_chain().unwrap());
                    // Every second one disconnects without releasing anything.
                    if round % 2 == 0 {
                        init.remote().unwrap().disconnect();
                        assert!(mining.get_tip().unwrap_err().is_disconnected());
                    }
                }
            });
        }
    });
    assert_eq!(echo.echo("still here").unwrap(), "still here");
    assert!(node.running());
}

run_on!(what_it_lacks_is_not_sent: core30, core31);
fn what_it_lacks_is_not_sent(peer: &Peer) {
    let mut node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = mining(&*init);
    let generation = peer.generation();
    let no = |method: &str| format!("this node ({generation}) has no {method}");
    // So far, to find out the generation.
    let asked = node.received("");
    assert_eq!(refused(init.make_rpc()), no("makeRpc"));
    assert_eq!(refused(block_on(init.make_rpc_async())), no("makeRpc"));
    assert_eq!(refused(mining.submit_block(&[0])), no("submitBlock"));
    let transactions = mining.get_transactions_by_tx_id(&[]);
    assert_eq!(refused(transactions), no("getTransactionsByTxID"));
    let transactions = mining.get_transactions_by_witness_id(&[]);
    assert_eq!(refused(transactions), no("getTransactionsByWitnessID"));
    if generation == Generation::Core30 {
        assert_eq!(refused(mining.interrupt()), no("interrupt"));
        assert_eq!(refused(init.make_mining_old2()), no("makeMiningOld2"));
    }
    assert_eq!(node.received(""), asked);
    assert!(mining.is_test_chain().unwrap());
    assert!(node.running());
}

run_on!(the_old_mining_interface_is_an_error: core31, core32);
fn the_old_mining_interface_is_an_error(peer: &Peer) {
    let node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    match init.make_mining_old2() {
        Err(Error::Remote { text, .. }) => assert!(text.contains("Old mining"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(init.make_mining().unwrap().is_some());
}

/// Executes an RPC over IPC.
fn execute(init: &dyn Init, request: &str) -> String {
    let rpc = init.make_rpc().unwrap().unwrap();
    let answer = rpc.execute_rpc(request, "", "test").unwrap();
    answer.trim().to_owned()
}

run_on!(execute_rpc: core32);
fn execute_rpc(peer: &Peer) {
    let node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let answer = execute(&*init, "{\"method\":\"getblockcount\"}");
    assert_eq!(answer, "{\"result\":0,\"error\":null}");
    let answer = execute(&*init, "{\"method\":\"nosuch\"}");
    assert!(answer.contains("Method not found"), "{answer}");
}

run_on!(be_the_bitcoin_node_that_its_echoipc_spawns: core30, core31, core32);
fn be_the_bitcoin_node_that_its_echoipc_spawns(peer: &Peer) {
    // The node looks for `bitcoin-node` beside its own argv[0].
    let dir = tempfile::tempdir().unwrap();
    symlink(
        env!("CARGO_BIN_EXE_bitcoin-ipc"),
        dir.path().join("bitcoin-node"),
    )
    .unwrap();
    let mut node = peer.start_as(&dir.path().join("parent"));
    for text in ["through ours", "", "grüß"] {
        assert_eq!(node.rpc("echoipc", json!([text])), text);
    }
    assert!(node.running());
}

run_on!(it_exits_while_clients_are_connected: core30, core31, core32);
fn it_exits_while_clients_are_connected(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let echo = init.make_echo().unwrap().unwrap();
    let mining = mining(&*init);
    let template = template(&*mining);
    assert_eq!(echo.echo("hi").unwrap(), "hi");
    let other = node.connect(&ipc);

    let terminated = Instant::now();
    node.terminate();
    let status = node.wait_exit();
    assert!(status.success(), "{status}");
    assert!(terminated.elapsed() < Duration::from_secs(5));
    let remote = init.remote().unwrap();
    assert!(remote.wait_disconnected(Some(Duration::from_secs(5))));
    assert!(echo.echo("gone").unwrap_err().is_disconnected());
    assert!(mining.get_tip().unwrap_err().is_disconnected());
    assert!(template.get_block().unwrap_err().is_disconnected());
    assert!(
        other
            .make_echo()
            .is_err_and(|error| error.is_disconnected())
    );
}
