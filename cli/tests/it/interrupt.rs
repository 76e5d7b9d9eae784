//! The end of a call that waits, by a signal or by `--timeout`, through the interface's
//! `interrupt`.

use std::time::Duration;

use crate::common::mining::{Interrupts, Node};
use crate::common::{Sandbox, poll};
use rustix::process::Signal;

/// The node's tip, as people write it.
fn tip() -> String {
    format!("01{}aa", "00".repeat(30))
}

fn wait(node: &Node, more: &[&str]) -> Vec<String> {
    let words = ["-a", &node.address, "call", "waitTipChanged"];
    let words = words.iter().chain(more).map(|word| (*word).to_owned());
    words.chain([tip()]).collect()
}

fn recorded(node: &Node, line: &str) {
    poll(line, || node.record.has(line).then_some(()));
}

/// Returns the record of the first slice of a wait without a limit.
fn forever(what: &str) -> String {
    format!("{what} 1000")
}

#[test]
fn signals_interrupt_what_waits() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    for (signal, code) in crate::common::ending_signals() {
        let running = sandbox.start(sandbox.ipc(&wait(&node, &[])));
        recorded(&node, &forever("wait"));
        running.signal(signal);
        let output = running.wait();
        output.expect(code, "");
        assert_eq!(output.stderr, "");
        assert!(output.took < Duration::from_secs(2), "{output:#?}");
        // The call's answer was there before the connection ended.
        let record = node.record.take();
        assert_eq!(record, [&*forever("wait"), "interrupt", "wait interrupted"]);
        let other = sandbox.run(&["-a", &node.address, "call", "isTestChain"]);
        other.expect(0, "true\n");
    }
    sandbox.assert_clean();
}

#[test]
fn time_that_runs_out_interrupts_too() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let output = sandbox.run(&wait(&node, &["--timeout=300ms"]));
    output.expect_error(124, &["Mining.waitTipChanged", "300 ms"]);
    assert_eq!(output.stdout, "");
    let record = node.record.take();
    assert_eq!(record, [&*forever("wait"), "interrupt", "wait interrupted"]);
}

/// Each object has a method of its own that ends calls: a template's is `interruptWait`.
#[test]
fn what_ends_a_method_is_its_objects() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let file = sandbox.write(
        "lines",
        "t = createNewBlock\nt.waitNext 'options={\"feeThreshold\":1}'\n",
    );
    let mut command = sandbox.ipc(&["-a", &node.address, "call"]);
    command.stdin(std::fs::File::open(file).unwrap());
    let running = sandbox.start(command);
    let next = forever("wait next");
    recorded(&node, &next);
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!((output.code, output.stderr.as_str()), (143, ""));
    let record = node.record.take();
    assert_eq!(
        record[1..4],
        [&next, "interrupt wait", "wait next interrupted"]
    );
}

#[test]
fn a_peer_that_does_not_end_it_is_waited_for_a_while() {
    for interrupts in [Interrupts::Nothing, Interrupts::Hang] {
        let sandbox = Sandbox::new();
        let node = Node::interrupted(&sandbox, interrupts);
        let left = "Mining.waitTipChanged goes on in the peer: Mining.interrupt has not ended it\n";
        for signals in [1, 2] {
            let running = sandbox.start(sandbox.ipc(&wait(&node, &[])));
            recorded(&node, &forever("wait"));
            running.signal(Signal::TERM);
            recorded(&node, "interrupt");
            if signals == 2 {
                running.signal(Signal::TERM);
            }
            let output = running.wait();
            output.expect(143, "");
            assert_eq!(output.stderr, left);
            let patient = output.took > Duration::from_millis(2500);
            assert_eq!(patient, signals == 1, "{output:#?}");
            assert!(output.took < Duration::from_secs(8), "{output:#?}");
            node.record.take();
        }
        sandbox.assert_clean();
    }
}

/// FAULTS E4: of the template that the call has made itself, too.
#[test]
fn a_wait_on_what_a_chain_makes_is_interrupted() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let chain = ["createNewBlock/waitNext", "options={\"feeThreshold\":1}"];
    let words = ["-a", &node.address, "call", chain[0], chain[1]];
    let running = sandbox.start(sandbox.ipc(&words));
    recorded(&node, &forever("wait next"));
    running.signal(Signal::TERM);
    let output = running.wait();
    output.expect(143, "");
    assert_eq!(output.stderr, "");
    assert!(node.record.has("interrupt wait"));
    // FAULTS D5: a chain is named whole.
    let words = [
        "-a",
        &node.address,
        "--timeout=100ms",
        "call",
        chain[0],
        chain[1],
    ];
    let output = sandbox.run(&words);
    output.expect_error(124, &["Mining.createNewBlock/waitNext", "100 ms"]);
}
