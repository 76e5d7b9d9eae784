//! Real Bitcoin Core nodes as the peers: one of each generation, where the environment variables
//! `BITCOIN_NODE` (31.99 or 32), `BITCOIN_NODE_31` and `BITCOIN_NODE_30` name a `bitcoin-node` that
//! is built with IPC.
//!
//! A test is written once, and runs against the node of each release that it is listed for as a
//! test of its own. Where a node is missing, that says loudly that it was skipped.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

/// Makes a function that gets a `&Peer` a test for each of these releases.
macro_rules! run_on {
    ($test:ident: $($release:ident),+) => {
        mod $test {
            $(
                #[test]
                fn $release() {
                    crate::releases::Release::$release().run(stringify!($test), super::$test);
                }
            )+
        }
    };
}

#[path = "../common/mod.rs"]
mod common;
mod configured;
mod connecting;
mod executable;
mod following;
mod giving_up;
mod interfaces;
mod mining;
mod node;
mod releases;
mod verbs;
mod waiting;

use std::sync::Arc;

use bitcoin_ipc::Ipc;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockTemplate, Mining};
use bitcoin_ipc::roles::Role;

use node::Node;

/// Makes the node's `Mining`.
fn mining(init: &dyn Init) -> Arc<dyn Mining> {
    init.make_mining().unwrap().unwrap()
}

/// Makes a template without waiting for the end of initial block download.
fn template(mining: &dyn Mining) -> Arc<dyn BlockTemplate> {
    let made = mining.create_new_block(&BlockCreateOptions::default(), false);
    made.unwrap().unwrap()
}

/// This process as a client.
fn ipc() -> Ipc<dyn Init> {
    Ipc::new("bitcoin-ipc-test", Role::Gui.init()).unwrap()
}

/// Runs `test` with a node and its `Mining`, after which the node must still answer.
fn with_mining(mut node: Node, test: impl FnOnce(&mut Node, &dyn Mining)) {
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = mining(&*init);
    test(&mut node, &*mining);
    assert!(mining.is_test_chain().unwrap());
    assert!(node.running());
}
