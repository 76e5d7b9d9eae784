//! Calls that wait in a node: on several threads at a time, for as long as they say, until they are
//! interrupted, or after their caller has given them up.
//!
//! A Core 30 node that runs a wait cannot exit before the wait ends, and it aborts when the client of
//! a `waitNext` is gone. So waits have a limit there, and no `waitNext` is given up.

use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockWaitOptions, Mining};
use bitcoin_ipc::{CallOptions, Error};
use futures::executor::block_on;

use crate::node::Node;
use crate::releases::Peer;
use crate::{ipc, mining, template, with_mining};

/// Longer than what is waited for takes.
const LONG: Duration = Duration::from_secs(20);
/// No limit.
const FOREVER: Duration = Duration::MAX;

fn wait_for(timeout: Duration) -> BlockWaitOptions {
    BlockWaitOptions::default().timeout(timeout)
}

run_on!(several_threads_wait_and_others_call: core30, core31, core32);
fn several_threads_wait_and_others_call(peer: &Peer) {
    let mut node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let echo = init.make_echo().unwrap().unwrap();
    let mining = mining(&*init);
    let genesis = mining.get_tip().unwrap().unwrap();
    thread::scope(|scope| {
        let (mining, genesis) = (&mining, &genesis);
        let wait = || mining.wait_tip_changed(genesis.hash, LONG);
        let blocking: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
        let later: Vec<_> = (0..4)
            .map(|_| mining.wait_tip_changed_async(genesis.hash, LONG))
            .collect();
        node.wait_received("Mining.waitTipChanged", 8);
        // Each wait has a thread of its own, so that calls go on beside them.
        for round in 0..20 {
            let text = round.to_string();
            assert_eq!(echo.echo(&text).unwrap(), text);
            assert_eq!(mining.get_tip().unwrap().as_ref(), Some(genesis));
        }
        let log = node.log();
        assert!(!log.contains("Mining.waitTipChanged$Results"), "{log}");

        node.mine(1);
        for waiting in blocking {
            assert_eq!(waiting.join().unwrap().unwrap().unwrap().height, 1);
        }
        for waiting in later {
            assert_eq!(block_on(waiting).unwrap().unwrap().height, 1);
        }
    });
    assert!(node.running());
}

run_on!(the_next_template: core30, core31, core32);
fn the_next_template(peer: &Peer) {
    with_mining(peer.start_for_templates(), |node, mining| {
        let template = template(mining);
        let started = Instant::now();
        let none = template
            .wait_next(&wait_for(Duration::from_millis(300)))
            .unwrap();
        assert!(none.is_none());
        assert!(started.elapsed() >= Duration::from_millis(300));

        let next = template.wait_next_async(&wait_for(LONG));
        node.mine(1);
        let next = block_on(next).unwrap().unwrap();
        let tip = mining.get_tip().unwrap().unwrap();
        assert_eq!(next.get_block_header().unwrap()[4..36], tip.hash.0);
        drop((template, next));
        node.wait_logged("BlockTemplate.destroy$Results", 2);
        assert_eq!(node.received("BlockTemplate.destroy"), 2);
    });
}

run_on!(a_wait_that_is_given_up: core30, core31, core32);
/// The call fails here at its deadline, and ends in the node soon after.
fn a_wait_that_is_given_up(peer: &Peer) {
    with_mining(peer.start(), |node, mining| {
        let tip = mining.get_tip().unwrap().unwrap();
        let soon = CallOptions::new().timeout(Duration::from_millis(100));
        let late = soon.run(|| mining.wait_tip_changed(tip.hash, FOREVER));
        assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
        // On another thread of the node than the one that waits.
        assert_eq!(mining.get_tip().unwrap(), Some(tip));
        // Core 30 could not exit before.
        node.wait_logged("Mining.waitTipChanged$Results", 1);
    });
}

run_on!(a_next_template_that_is_given_up: core31, core32);
/// The template is destroyed only after the wait has ended.
fn a_next_template_that_is_given_up(peer: &Peer) {
    with_mining(peer.start_for_templates(), |node, mining| {
        let template = template(mining);
        let soon = CallOptions::new().timeout(Duration::from_millis(100));
        let late = soon.run(|| template.wait_next(&wait_for(FOREVER)));
        assert!(matches!(late, Err(Error::Timeout { .. })));
        drop(template);
        assert!(mining.is_test_chain().unwrap());
        node.wait_logged("BlockTemplate.destroy$Results", 1);
        let log = node.log();
        let answered = log.find("BlockTemplate.waitNext$Results").unwrap();
        let destroyed = log.find("BlockTemplate.destroy$Params").unwrap();
        assert!(answered < destroyed, "{log}");
    });
}

/// Starts a wait on a thread, interrupts it once the node has its call of `method`, and returns its
/// result.
fn interrupt<T: Send>(
    node: &Node,
    method: &str,
    wait: impl Fn() -> T + Sync,
    interrupt: impl Fn(),
) -> T {
    thread::scope(|scope| {
        let waiting = scope.spawn(&wait);
        node.wait_received(method, 1);
        interrupt();
        waiting.join().unwrap()
    })
}

run_on!(interrupt_what_waits: core31, core32);
fn interrupt_what_waits(peer: &Peer) {
    with_mining(peer.start(), |node, mining| {
        let mining: &dyn Mining = mining;
        let tip = mining.get_tip().unwrap().unwrap();
        let interrupted = interrupt(
            node,
            "Mining.waitTipChanged",
            || mining.wait_tip_changed(tip.hash, FOREVER),
            || mining.interrupt().unwrap(),
        );
        assert!(interrupted.unwrap().is_none());
        // A chain without blocks is in initial block download, which this waits for the end of.
        let options = BlockCreateOptions::default();
        let interrupted = interrupt(
            node,
            "Mining.isInitialBlockDownload",
            || mining.create_new_block(&options, true),
            || mining.interrupt().unwrap(),
        );
        assert!(interrupted.unwrap().is_none());

        node.mine(peer.release.template_height);
        let template = mining.create_new_block(&options, true).unwrap().unwrap();
        let interrupted = interrupt(
            node,
            "BlockTemplate.waitNext",
            || template.wait_next(&wait_for(FOREVER)),
            || template.interrupt_wait().unwrap(),
        );
        assert!(interrupted.unwrap().is_none());
    });
}

run_on!(it_exits_while_calls_wait: core31, core32);
/// A wait without a limit ends with the node.
fn it_exits_while_calls_wait(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = mining(&*init);
    let tip = mining.get_tip().unwrap().unwrap();
    let template = template(&*mining);
    thread::scope(|scope| {
        let changed = scope.spawn(|| mining.wait_tip_changed(tip.hash, FOREVER));
        let next = scope.spawn(|| template.wait_next(&wait_for(FOREVER)));
        node.wait_received("Mining.waitTipChanged", 1);
        node.wait_received("BlockTemplate.waitNext", 1);
        node.terminate();
        let status = node.wait_exit();
        assert!(status.success(), "{status}");
        match changed.join().unwrap() {
            Ok(none) => assert!(none.is_none()),
            Err(error) => assert!(error.is_disconnected(), "{error:?}"),
        }
        match next.join().unwrap() {
            Ok(next) => assert!(next.is_none()),
            Err(error) => assert!(error.is_disconnected(), "{error:?}"),
        }
    });
}

run_on!(it_exits_when_a_wait_has_ended: core30);
/// The node cannot exit before a wait that nothing interrupts has come to its own limit.
fn it_exits_when_a_wait_has_ended(peer: &Peer) {
    let mut node = peer.start();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = mining(&*init);
    let tip = mining.get_tip().unwrap().unwrap();
    thread::scope(|scope| {
        let waiting =
            scope.spawn(|| mining.wait_tip_changed(tip.hash, Duration::from_millis(1500)));
        node.wait_received("Mining.waitTipChanged", 1);
        node.terminate();
        let status = node.wait_exit();
        assert!(status.success(), "{status}");
        match waiting.join().unwrap() {
            Ok(none) => assert!(none.is_none()),
            Err(error) => assert!(error.is_disconnected(), "{error:?}"),
        }
    });
}
