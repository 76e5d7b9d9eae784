//! Objects keep what they need.

use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockTemplate, Mining};
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Error, Ipc, Result};
use futures::executor::block_on;

use crate::mock::{Node, eventually};

fn init(address: &Address) -> Result<Arc<dyn Init>> {
    let ipc = Ipc::new("bitcoin-ipc-test", Role::Gui.init())?;
    ipc.connect(address)?.ok_or_else(|| Error::failed("off"))
}

fn mining(address: &Address) -> Result<Arc<dyn Mining>> {
    let mining = init(address)?.make_mining()?;
    mining.ok_or_else(|| Error::failed("a node without mining"))
}

fn template(address: &Address) -> Result<Arc<dyn BlockTemplate>> {
    let made = mining(address)?.create_new_block(&BlockCreateOptions::default(), false)?;
    made.ok_or_else(|| Error::failed("no template"))
}

#[test]
fn an_object_keeps_its_connection() {
    let node = Node::start();
    let mining = mining(&node.address()).unwrap();
    assert_eq!(mining.get_tip().unwrap().unwrap().height, 0);
    let template = template(&node.address()).unwrap();
    assert_eq!(template.get_block_header().unwrap().len(), 80);
    assert_eq!(node.clients(), 2);
    drop(mining);
    eventually("the first client is gone", || node.clients() == 1);
    assert_eq!(template.get_block_header().unwrap().len(), 80);
    drop(template);
    eventually("the second client is gone", || node.clients() == 0);
}

#[test]
fn a_call_that_somebody_waits_for_keeps_its_connection() {
    let node = Node::start();
    let mining = mining(&node.address()).unwrap();
    let tip = mining.get_tip().unwrap().unwrap();
    let waiting = mining.wait_tip_changed_async(tip.hash, Duration::MAX);
    drop(mining);
    node.chain.mine(1);
    assert_eq!(block_on(waiting).unwrap().unwrap().height, 1);
    eventually("the client is gone", || node.clients() == 0);
}

/// Nobody waits for its answer any more, so that it must not keep the peer busy either.
#[test]
fn a_call_that_was_given_up_does_not_keep_its_connection() {
    let node = Node::start();
    let mining = mining(&node.address()).unwrap();
    let tip = mining.get_tip().unwrap().unwrap();
    drop(mining.wait_tip_changed_async(tip.hash, Duration::MAX));
    drop(mining);
    eventually("the client is gone", || node.clients() == 0);
    node.chain.mine(1);
}

#[test]
fn a_disconnect_ends_the_calls_on_all_objects() {
    let node = Node::start();
    let init = init(&node.address()).unwrap();
    let mining = init.make_mining().unwrap().unwrap();
    init.remote().unwrap().disconnect();
    let error = mining.get_tip().unwrap_err();
    assert!(error.is_disconnected(), "{error}");
}

/// A mock has the methods that its test needs, and no others.
#[test]
fn a_method_that_an_implementor_leaves_out_is_unimplemented() {
    struct OnlyTip;
    impl Mining for OnlyTip {}
    let local: Arc<dyn Mining> = Arc::new(OnlyTip);
    let expected = "Mining.getTip is not implemented by this object";
    assert_eq!(local.get_tip().unwrap_err().to_string(), expected);

    let node = Node::start();
    let mining = mining(&node.address()).unwrap();
    let error = mining.is_test_chain().unwrap_err();
    let expected = "Mining.isTestChain is not implemented by this object";
    assert!(error.is_unimplemented(), "{error:?}");
    assert_eq!(error.to_string(), expected);
    let error = block_on(mining.is_test_chain_async()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}
