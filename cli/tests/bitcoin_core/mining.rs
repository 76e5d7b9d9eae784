//! The chain tip, block templates and solutions, where nothing waits for long.

use std::time::Duration;

use bitcoin_ipc::interfaces::mining::{BlockCheckOptions, BlockCreateOptions, CoinbaseTx};
use bitcoin_ipc::{Error, Generation};
use futures::executor::block_on;

use crate::node::Node;
use crate::releases::Peer;
use crate::{template, with_mining};

/// Expects what the node answers to a value that it cannot read.
#[track_caller]
fn cut_off<T>(result: Result<T, Error>) {
    match result {
        Err(Error::Remote { text, .. }) => assert!(text.contains("end of data"), "{text}"),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("taken"),
    }
}

run_on!(the_tip: core30, core31, core32);
fn the_tip(peer: &Peer) {
    with_mining(peer.start(), |node, mining| {
        assert!(mining.is_test_chain().unwrap());
        assert!(mining.is_initial_block_download().unwrap());
        let genesis = mining.get_tip().unwrap().unwrap();
        assert_eq!(genesis.height, 0);
        // regtest's genesis block, in internal order.
        assert_eq!(genesis.hash.0[..4], [0x06, 0x22, 0x6e, 0x46]);
        let same = mining.wait_tip_changed(genesis.hash, Duration::from_millis(100));
        assert_eq!(same.unwrap(), Some(genesis.clone()));

        let mined = node.mine(3);
        let tip = mining.wait_tip_changed(genesis.hash, Duration::from_secs(5));
        let tip = tip.unwrap().unwrap();
        assert_eq!((tip.height, tip.hash.to_string()), (3, mined));
        assert_eq!(mining.get_tip().unwrap(), Some(tip));
        assert!(!mining.is_initial_block_download().unwrap());

        // An exception of the node, and the connection goes on.
        cut_off(mining.check_block(b"junk", &Default::default()));
    });
}

run_on!(values_that_cannot_be_read: core31, core32);
/// Core 30 ends at such a value of a method that names a thread: its exception leaves the thread.
fn values_that_cannot_be_read(peer: &Peer) {
    with_mining(peer.start_for_templates(), |_, mining| {
        cut_off(template(mining).submit_solution(1, 2, 3, &[0]));
    });
}

run_on!(block_templates: core30, core31, core32);
fn block_templates(peer: &Peer) {
    with_mining(peer.start_for_templates(), |node, mining| {
        let tip = mining.get_tip().unwrap().unwrap();
        let template = template(mining);
        let header = template.get_block_header().unwrap();
        assert_eq!(header.len(), 80);
        assert_eq!(header[4..36], tip.hash.0);
        let block = template.get_block().unwrap();
        assert_eq!(block[..80], header);
        // The coinbase alone.
        assert_eq!(block[80], 1);
        assert_eq!(template.get_tx_fees().unwrap(), [0; 0]);
        assert_eq!(template.get_tx_sigops().unwrap(), [0; 0]);
        assert!(template.get_coinbase_merkle_path().unwrap().is_empty());

        // Every generation's, from a dummy or field by field.
        let height = u8::try_from(tip.height + 1).unwrap();
        let wanted = template.get_coinbase_tx().unwrap();
        assert_eq!(wanted, block_on(template.get_coinbase_tx_async()).unwrap());
        let pushed = match height {
            1..=16 => vec![0x50 + height],
            _ => vec![1, height],
        };
        assert_eq!(wanted.script_sig_prefix, pushed);
        assert_eq!(wanted.version, 2);
        assert_eq!(wanted.sequence, 0xffff_fffe);
        assert_eq!(wanted.witness, [0; 32]);
        assert_eq!(wanted.block_reward_remaining, 50 * 100_000_000);
        assert_eq!(wanted.required_outputs.len(), 1);
        assert_eq!(u32::from(height), wanted.lock_time + 1);

        // A block made of nothing but the dummy is valid except for its work.
        let options = BlockCheckOptions::default()
            .check_merkle_root(false)
            .check_pow(false);
        let checked = mining.check_block(&block, &options).unwrap();
        assert!(checked.result, "{checked:?}");

        drop(template);
        node.wait_logged("BlockTemplate.destroy$Results", 1);
        assert_eq!(node.received("BlockTemplate.destroy"), 1);
    });
}

run_on!(no_template_on_a_low_chain: core31);
fn no_template_on_a_low_chain(peer: &Peer) {
    with_mining(peer.start(), |node, mining| {
        node.mine(peer.release.template_height - 1);
        match mining.create_new_block(&BlockCreateOptions::default(), false) {
            Err(Error::Remote { text, .. }) => assert!(text.contains("bad-cb-length"), "{text}"),
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("it made one"),
        }
        node.mine(1);
        template(mining);
    });
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

/// How many nonces the node is given. Each second one solves a block of regtest.
const NONCES: u32 = 100;

run_on!(submit_a_solution: core30, core31, core32);
fn submit_a_solution(peer: &Peer) {
    with_mining(peer.start_for_templates(), |node, mining| {
        let before = mining.get_tip().unwrap().unwrap();
        let template = template(mining);
        let header = template.get_block_header().unwrap();
        let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let (version, time) = (field(0), field(68));
        let wanted = template.get_coinbase_tx().unwrap();
        let coinbase = coinbase(&wanted);

        // What is no solution is told, not thrown.
        let submit = |nonce: u32| match nonce % 2 {
            0 => template.submit_solution(version, time, nonce, &coinbase),
            _ => block_on(template.submit_solution_async(version, time, nonce, &coinbase)),
        };
        let tried = (1..=NONCES).position(|nonce| submit(nonce).unwrap().result);
        let tried = 1 + tried.expect("one of the nonces solves it");
        let tip = mining.get_tip().unwrap().unwrap();
        assert_eq!(tip.height, before.height + 1);
        expect_submitted(node, peer.generation(), tried);
    });
}

/// Nothing else was called where other generations have `submitSolution`: 30 has it at 9, 31 at 7,
/// 31.99 at 7 too, and 32 at 10.
fn expect_submitted(node: &Node, generation: Generation, times: usize) {
    let submitted = node.received("BlockTemplate.submitSolution");
    assert_eq!(submitted, times, "{generation}");
    for other in ["submitSolutionOld7", "waitNext", "interruptWait"] {
        assert_eq!(node.received(other), 0, "{generation}: {other}");
    }
}
