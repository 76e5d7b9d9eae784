//! The typed interfaces against a server of each generation: one API, and the server's methods that
//! its calls reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::mining::*;
use bitcoin_ipc::{BlockHash, CallOptions, CancelToken, Error, Generation, MerkleHash, Result};
use futures::executor::block_on;

use crate::servers::{Server, with_server};
use crate::support::eventually;

const GENERATIONS: [&str; 4] = ["30", "31", "31.99", "32"];

fn refused(result: Result<impl Sized>) -> String {
    match result.map(|_| ()) {
        Err(Error::Unimplemented(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

/// Returns the methods of an interface that calls have reached, by the server's own schema.
fn arrived(server: &Server, interface: &str) -> Vec<String> {
    let start = format!("arrived {interface} @");
    let lines = server.process.lines().into_iter();
    let method = |line: String| line.rsplit(' ').next().unwrap().to_owned();
    lines
        .filter(|line| line.starts_with(&start) && !line.ends_with(" destroy"))
        .map(method)
        .collect()
}

/// Asserts that these methods have been reached and no others. The server's output comes a moment
/// after its answers.
#[track_caller]
fn expect_reached(server: &Server, interface: &str, methods: &[&str], about: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while arrived(server, interface).len() < methods.len() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(arrived(server, interface), methods, "{about}");
}

/// The timeout of a wait.
const LIMIT: Duration = Duration::from_millis(250);

fn bytes() -> [u8; 32] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

fn tip() -> BlockHash {
    BlockHash(bytes())
}

fn create_options() -> BlockCreateOptions {
    BlockCreateOptions::default()
        .use_mempool(false)
        .block_reserved_weight(9000)
        .coinbase_output_max_additional_sigops(401)
}

fn wait_options(fee_threshold: i64) -> BlockWaitOptions {
    BlockWaitOptions::default()
        .timeout(LIMIT)
        .fee_threshold(fee_threshold)
}

fn expect_coinbase(coinbase: &CoinbaseTx) {
    assert_eq!((coinbase.version, coinbase.sequence), (2, u32::MAX - 1));
    assert_eq!(coinbase.script_sig_prefix, [1, 102]);
    assert_eq!(coinbase.witness, [0; 32]);
    assert_eq!(coinbase.block_reward_remaining, 5_000_000_000);
    assert_eq!(coinbase.required_outputs.len(), 1);
    assert_eq!(coinbase.required_outputs[0].len(), 47);
    assert_eq!(coinbase.lock_time, 101);
}

fn expect_submitted(kind: &str, answer: &BlockTemplateSubmitSolutionResults) {
    let expected = match kind {
        "32" => ("bad-cb", "too short", false),
        // Older generations answer without reasons.
        _ => ("", "", true),
    };
    let (reason, debug) = (answer.reason.as_str(), answer.debug.as_str());
    assert_eq!((reason, debug, answer.result), expected, "{kind}");
}

/// Asserts which methods of a server of any generation the calls of the test reach, and with which
/// parameters.
fn expect_arrived(server: &Server, kind: &str) {
    let mining = ["isTestChain", "getTip", "getTip", "waitTipChanged"];
    let mining = [&mining[..], &["checkBlock", "createNewBlock"]].concat();
    expect_reached(server, "Mining", &mining, kind);
    let template = [
        "getBlockHeader",
        "getTxFees",
        "getCoinbaseTx",
        "getCoinbaseMerklePath",
        "submitSolution",
        "waitNext",
        "waitNext",
        "getBlockHeader",
        "submitSolution",
        "interruptWait",
    ];
    expect_reached(server, "BlockTemplate", &template, kind);
    let cooldown = if kind == "30" { "none" } else { "False" };
    for line in [
        "waitTipChanged 250.0",
        "check True False",
        &format!("options False 9000 401 {cooldown}"),
        "solution 1 2 3 6162",
        "waitNext 250.0 2100000000000000",
        "waitNext 250.0 1",
        "solution 1 5 6 63",
    ] {
        assert_eq!(server.process.count(|l| l == line), 1, "{kind}: {line}");
    }
}

#[test]
fn every_call_reaches_its_method() {
    for kind in GENERATIONS {
        with_server(kind, move |server| {
            let init = server.core();
            let mining = init.make_mining().unwrap().unwrap();
            assert!(mining.is_test_chain().unwrap());
            assert_eq!(mining.get_tip().unwrap(), None);
            assert_eq!(mining.get_tip().unwrap().unwrap().height, 101);
            let changed = mining.wait_tip_changed(tip(), LIMIT).unwrap().unwrap();
            assert_eq!((changed.hash, changed.height), (tip(), 7));
            let options = BlockCheckOptions::default().check_pow(false);
            let checked = mining.check_block(&[0; 10], &options).unwrap();
            assert_eq!(checked.reason, "bad-blk");
            assert_eq!(
                (checked.debug.as_str(), checked.result),
                ("10 bytes", false)
            );

            let made = mining.create_new_block(&create_options(), false);
            let template = made.unwrap().unwrap();
            assert_eq!(template.get_block_header().unwrap(), [1; 80]);
            assert_eq!(template.get_tx_fees().unwrap(), [1, -2, 1 << 62]);
            expect_coinbase(&template.get_coinbase_tx().unwrap());
            let path = template.get_coinbase_merkle_path().unwrap();
            assert_eq!(path, [MerkleHash(bytes()), MerkleHash(bytes())]);
            expect_submitted(kind, &template.submit_solution(1, 2, 3, b"ab").unwrap());
            let none = template.wait_next(&wait_options(2_100_000_000_000_000));
            assert!(none.unwrap().is_none());
            // An object that a template makes speaks its generation, too.
            let next = template.wait_next(&wait_options(1)).unwrap().unwrap();
            assert_eq!(next.get_block_header().unwrap(), [1; 80]);
            expect_submitted(kind, &next.submit_solution(1, 5, 6, b"c").unwrap());
            next.interrupt_wait().unwrap();
            expect_arrived(server, kind);
        });
    }
}

#[test]
fn every_async_call_reaches_its_method() {
    for kind in GENERATIONS {
        with_server(kind, move |server| {
            let init = server.core();
            let mining = block_on(init.make_mining_async()).unwrap().unwrap();
            assert!(block_on(mining.is_test_chain_async()).unwrap());
            assert_eq!(block_on(mining.get_tip_async()).unwrap(), None);
            let known = block_on(mining.get_tip_async()).unwrap().unwrap();
            assert_eq!(known.height, 101);
            let changed = block_on(mining.wait_tip_changed_async(tip(), LIMIT));
            let changed = changed.unwrap().unwrap();
            assert_eq!((changed.hash, changed.height), (tip(), 7));
            let options = BlockCheckOptions::default().check_pow(false);
            let checked = block_on(mining.check_block_async(&[0; 10], &options)).unwrap();
            assert_eq!(
                (checked.debug.as_str(), checked.result),
                ("10 bytes", false)
            );

            let made = block_on(mining.create_new_block_async(&create_options(), false));
            let template = made.unwrap().unwrap();
            let header = block_on(template.get_block_header_async()).unwrap();
            assert_eq!(header, [1; 80]);
            let fees = block_on(template.get_tx_fees_async()).unwrap();
            assert_eq!(fees, [1, -2, 1 << 62]);
            expect_coinbase(&block_on(template.get_coinbase_tx_async()).unwrap());
            let path = block_on(template.get_coinbase_merkle_path_async()).unwrap();
            assert_eq!(path, [MerkleHash(bytes()), MerkleHash(bytes())]);
            let answer = block_on(template.submit_solution_async(1, 2, 3, b"ab"));
            expect_submitted(kind, &answer.unwrap());
            let none = block_on(template.wait_next_async(&wait_options(2_100_000_000_000_000)));
            assert!(none.unwrap().is_none());
            let next = block_on(template.wait_next_async(&wait_options(1)));
            let next = next.unwrap().unwrap();
            block_on(next.get_block_header_async()).unwrap();
            let answer = block_on(next.submit_solution_async(1, 5, 6, b"c"));
            expect_submitted(kind, &answer.unwrap());
            block_on(next.interrupt_wait_async()).unwrap();
            expect_arrived(server, kind);
        });
    }
}

#[test]
fn generations() {
    for (kind, generation) in [
        ("30", Generation::Core30),
        ("31", Generation::Core31),
        ("31.99", Generation::Core32),
        ("32", Generation::Core32),
        ("bare", Generation::Core32),
    ] {
        with_server(kind, move |server| {
            let init = server.core();
            assert_eq!(Generation::of(&*init).unwrap(), generation, "{kind}");
            // It is not asked again.
            assert_eq!(Generation::of(&*init).unwrap(), generation, "{kind}");
            let other = server.core();
            let found = block_on(Generation::of_async(&*other));
            assert_eq!(found.unwrap(), generation, "{kind}");
            let echo = init.make_echo().unwrap().unwrap();
            assert_eq!(echo.echo("still there").unwrap(), "still there");
            // Nothing was run to find out the generation.
            assert_eq!(
                server.process.count(|line| line.starts_with("made Mining")),
                0
            );
        });
    }
}

/// A client that only echoes never asks for the generation, one that mines asks once.
#[test]
fn the_generation_is_asked_for_once_and_when_needed() {
    with_server("31", |server| {
        let init = server.core();
        init.make_echo().unwrap();
        expect_reached(server, "Init", &["construct", "makeEcho"], "");
        init.make_mining().unwrap();
        let asked = ["construct", "makeEcho", "makeMining"];
        expect_reached(server, "Init", &asked, "");
        init.make_mining().unwrap();
        block_on(init.make_mining_async()).unwrap();
        refused(init.make_rpc());
        let asked = [&asked[..], &["makeMining", "makeMining"]].concat();
        expect_reached(server, "Init", &asked, "");
    });
}

/// The options of a call also apply to the part after the generation has been found out.
#[test]
fn an_async_call_keeps_its_options() {
    with_server("30", |server| {
        let init = server.core();
        let token = CancelToken::new();
        let options = CallOptions::new().cancel(&token);
        let call = options.run(|| init.make_mining_async());
        token.cancel();
        assert!(matches!(block_on(call), Err(Error::Cancelled(_))));
        expect_reached(server, "Init", &["construct"], "");
    });
    // Answered before it is cancelled, and then there is one more call to make. On a connection of its
    // own: the first call may have found out the generation before it was cancelled.
    with_server("30", |server| {
        let init = server.core();
        let token = CancelToken::new();
        let options = CallOptions::new().cancel(&token);
        let call = options.run(|| init.make_mining_async());
        init.make_echo().unwrap();
        token.cancel();
        assert!(matches!(block_on(call), Err(Error::Cancelled(_))));
        expect_reached(server, "Init", &["construct", "makeEcho"], "");
        assert!(block_on(init.make_mining_async()).unwrap().is_some());
    });
}

/// Methods that a generation lacks fail on this side, also when the peer is gone.
#[test]
fn what_a_generation_lacks_is_not_sent() {
    for (kind, lacks) in [("30", true), ("31", false)] {
        with_server(kind, move |server| {
            let init = server.core();
            let mining = init.make_mining().unwrap().unwrap();
            let options = BlockCreateOptions::default();
            let template = mining.create_new_block(&options, false).unwrap().unwrap();
            if !lacks {
                mining.interrupt().unwrap();
                server.line("interrupt");
            }
            server.process.kill();
            let remote = init.remote().unwrap();
            assert!(remote.wait_disconnected(None));
            let no = |method: &str| format!("this node (Core {kind}) has no {method}");
            assert_eq!(refused(init.make_rpc()), no("makeRpc"));
            assert_eq!(refused(block_on(init.make_rpc_async())), no("makeRpc"));
            assert_eq!(refused(mining.submit_block(&[0])), no("submitBlock"));
            let refused_async = refused(block_on(mining.submit_block_async(&[0])));
            assert_eq!(refused_async, no("submitBlock"));
            let transactions = mining.get_transactions_by_tx_id(&[]);
            assert_eq!(refused(transactions), no("getTransactionsByTxID"));
            let transactions = mining.get_transactions_by_witness_id(&[]);
            assert_eq!(refused(transactions), no("getTransactionsByWitnessID"));
            let submitted = template.submit_solution_old7(1, 2, 3, &[]);
            assert_eq!(refused(submitted), no("submitSolutionOld7"));
            if lacks {
                assert_eq!(refused(mining.interrupt()), no("interrupt"));
                assert_eq!(refused(init.make_mining_old2()), no("makeMiningOld2"));
                let old = block_on(init.make_mining_old2_async());
                assert_eq!(refused(old), no("makeMiningOld2"));
            }
            // Methods that it has fail as they do without a peer.
            assert!(mining.get_tip().unwrap_err().is_disconnected());
            assert!(template.get_block().unwrap_err().is_disconnected());
        });
    }
}

#[test]
fn where_core_31_submits_nothing_else_is_tried() {
    for kind in ["31.99", "32"] {
        with_server(kind, move |server| {
            let init = server.core();
            let mining = init.make_mining().unwrap().unwrap();
            assert!(mining.submit_block(&[0]).unwrap().result);
            let options = BlockCreateOptions::default();
            let template = mining.create_new_block(&options, false).unwrap().unwrap();
            let text = refused(template.submit_solution_old7(1, 2, 3, b"coinbase"));
            assert!(text.contains("call submitSolution"), "{text}");
            template.get_block_header().unwrap();
            expect_reached(server, "BlockTemplate", &["getBlockHeader"], "");
        });
    }
}

/// A wrapped object returns the `remote()` of the object itself.
#[test]
fn a_wrapped_object_is_its_own_remote() {
    for kind in GENERATIONS {
        with_server(kind, move |server| {
            let init = server.core();
            let mining = init.make_mining().unwrap().unwrap();
            let options = BlockCreateOptions::default();
            let template = mining.create_new_block(&options, true).unwrap().unwrap();
            let remote = template.remote().unwrap();
            assert!(remote.is_connected());
            assert!(remote.implements("submitSolution").unwrap() || kind == "31.99");
            let gone = Arc::new(AtomicUsize::new(0));
            let count = gone.clone();
            remote.on_cleanup(Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }));
            drop(template.clone());
            assert_eq!(gone.load(Ordering::SeqCst), 0);
            drop(template);
            eventually("it is gone", || gone.load(Ordering::SeqCst) == 1);
            // It is destroyed there, once, whichever generation's client was used.
            server.line("destroy BlockTemplate");
            server.line("freed BlockTemplate");
            let destroyed = |line: &str| line.starts_with("destroy BlockTemplate");
            assert_eq!(server.process.count(destroyed), 1);
            mining.remote().unwrap().disconnect();
            assert!(mining.get_tip().unwrap_err().is_disconnected());
        });
    }
}
