//! The rehearsal's Core 33 as a user sees it: run with the library that has it.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use bitcoin_ipc::interfaces::core32;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockTemplate, Mining};
use bitcoin_ipc::{Error, Generation, Ipc, Result};
use bitcoin_ipc_rehearsal::Node;

/// A node of the generation to come: what it adds is the new method.
struct Newest;

impl Init for Newest {
    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(Self)))
    }
}

impl Mining for Newest {
    fn get_fee_rate(&self, blocks: u32) -> Result<i64> {
        Ok(1000 + i64::from(blocks))
    }
}

/// A node of Core 32, by that one's ordinals.
struct Older;

impl core32::init::Init for Older {
    fn make_mining(&self) -> Result<Option<Arc<dyn core32::mining::Mining>>> {
        Ok(Some(Arc::new(Self)))
    }
}

impl core32::mining::Mining for Older {
    fn is_test_chain(&self) -> Result<bool> {
        Ok(true)
    }

    fn create_new_block(
        &self,
        options: &core32::mining::BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn core32::mining::BlockTemplate>>> {
        assert_eq!(options.block_reserved_weight, 5000);
        Ok(Some(Arc::new(Self)))
    }
}

impl core32::mining::BlockTemplate for Older {
    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        Ok(vec![4, 5])
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(vec![6])
    }
}

/// Returns the `Init` of a peer that `serve` serves on the other end.
fn peer(serve: impl FnOnce(UnixStream) + Send + 'static) -> Arc<dyn Init> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(theirs));
    let ipc = Ipc::<dyn Init>::new("probe", Arc::new(Newest)).unwrap();
    ipc.connect_stream(ours).unwrap()
}

#[track_caller]
fn lacks<T>(answer: Result<T>, text: &str) {
    match answer {
        Err(Error::Unimplemented(found)) => assert_eq!(found, text),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is there"),
    }
}

#[test]
fn a_peer_of_the_new_generation() {
    assert_eq!(Generation::NEWEST.number(), 33);
    assert_eq!(Generation::ALL.len(), 4);
    let init = peer(|stream| {
        let ipc = Ipc::<dyn Init>::new("newest", Arc::new(Newest)).unwrap();
        ipc.serve(stream).unwrap();
    });
    assert_eq!(Generation::of(&*init).unwrap(), Generation::NEWEST);
    let mining = init.make_mining().unwrap().unwrap();
    assert_eq!(mining.get_fee_rate(3).unwrap(), 1003);
}

#[test]
fn a_peer_of_the_generation_before() {
    let init = peer(|stream| {
        let ipc = Ipc::<dyn core32::init::Init>::new("older", Arc::new(Older)).unwrap();
        ipc.serve(stream).unwrap();
    });
    assert_eq!(Generation::of(&*init).unwrap().number(), 32);
    // The method that moved.
    let mining = init.make_mining().unwrap().unwrap();
    assert!(mining.is_test_chain().unwrap());
    // The method that is new.
    lacks(mining.get_fee_rate(3), "this node (Core 32) has no getFeeRate");
    let options = BlockCreateOptions::default().block_reserved_weight(5000);
    let template = mining.create_new_block(&options, false).unwrap().unwrap();
    // The method that was removed, and one whose ordinal stayed.
    assert_eq!(template.get_tx_sigops().unwrap(), [4, 5]);
    assert_eq!(template.get_tx_fees().unwrap(), [6]);
}

/// An implementor of today's traits compiles, and serves what the new generation has still.
#[test]
fn an_implementor_of_before() {
    let init = peer(|stream| {
        let ipc = Ipc::<dyn Init>::new("implementor", Arc::new(Node)).unwrap();
        ipc.serve(stream).unwrap();
    });
    let mining = init.make_mining().unwrap().unwrap();
    assert!(mining.is_test_chain().unwrap());
    let missing = "Mining.getFeeRate is not implemented by this object";
    lacks(mining.get_fee_rate(3), missing);
    let options = BlockCreateOptions::default();
    let template = mining.create_new_block(&options, false).unwrap().unwrap();
    assert!(template.submit_solution(0, 0, 7, &[]).unwrap().result);
    // Removed from the wire, and kept in the trait.
    let gone = "BlockTemplate.getTxSigops is not implemented by this object";
    lacks(template.get_tx_sigops(), gone);
    assert_eq!(Node.get_tx_sigops().unwrap(), [2]);
}
