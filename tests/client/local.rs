//! Objects of this process: their async forms do not block whoever polls them.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{
    BlockCreateOptions, BlockTemplate, BlockWaitOptions, Mining,
};
use bitcoin_ipc::interfaces::{Offload, Remote};
use bitcoin_ipc::{BlockHash, Client, Error, Result};
use futures::executor::block_on;
use futures::future::join;

use crate::mock::{Node, timed};

/// An object whose waits end when the test says so, and which tells on which thread they run.
struct Slow {
    release: Mutex<mpsc::Receiver<()>>,
    ran: mpsc::Sender<ThreadId>,
}

impl Slow {
    fn wait(&self) {
        let _ = self.ran.send(thread::current().id());
        self.release.lock().unwrap().recv().unwrap();
    }
}

struct SlowInit(Arc<Slow>);

impl Init for SlowInit {
    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(SlowMining(self.0.clone()))))
    }
}

struct SlowMining(Arc<Slow>);

impl Mining for SlowMining {
    fn wait_tip_changed(&self, hash: BlockHash, _: Duration) -> Result<Option<BlockRef>> {
        self.0.wait();
        Ok(Some(BlockRef::default().hash(hash).height(7)))
    }

    fn create_new_block(
        &self,
        _: &BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        Ok(Some(Arc::new(SlowTemplate(self.0.clone()))))
    }

    fn check_block(
        &self,
        _: &[u8],
        _: &bitcoin_ipc::interfaces::mining::BlockCheckOptions,
    ) -> Result<bitcoin_ipc::interfaces::mining::MiningCheckBlockResults> {
        panic!("a method that panics")
    }
}

struct SlowTemplate(Arc<Slow>);

impl BlockTemplate for SlowTemplate {
    fn wait_next(&self, _: &BlockWaitOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        self.0.wait();
        Ok(None)
    }
}

#[test]
fn a_local_objects_async_forms_do_not_block() {
    timed(|| {
        let (release, released) = mpsc::channel();
        let (ran, threads) = mpsc::channel();
        let slow = Arc::new(Slow {
            release: Mutex::new(released),
            ran,
        });
        let client = Client::of(Arc::new(SlowInit(slow)));
        let mining = block_on(client.mining_async()).unwrap();
        let made = mining.create_new_block(&BlockCreateOptions::default(), false);
        let template = made.unwrap().unwrap();
        // Both begin on this thread, and neither has ended.
        let changed = mining.wait_tip_changed_async(BlockHash([3; 32]), Duration::MAX);
        let next = template.wait_next_async(&BlockWaitOptions::default());
        for _ in 0..2 {
            assert_ne!(threads.recv().unwrap(), thread::current().id());
            release.send(()).unwrap();
        }
        let (changed, next) = block_on(join(changed, next));
        let tip = changed.unwrap().unwrap();
        assert_eq!((tip.hash, tip.height), (BlockHash([3; 32]), 7));
        assert!(next.unwrap().is_none());
        // Of a method that panics, its caller gets an error.
        let failed = block_on(mining.check_block_async(&[], &Default::default()));
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("the method has panicked"), "{text}");
        // What it leaves out is unimplemented in this form, too.
        let missing = block_on(mining.get_tip_async());
        assert!(matches!(missing, Err(Error::Unimplemented(_))));
    });
}

#[test]
fn a_remote_object_is_left_as_it_is() {
    timed(|| {
        let node = Node::start();
        let client = Client::connect(&node.address()).unwrap();
        let mining = client.mining().unwrap();
        let same = mining.clone().offload();
        assert!(Arc::ptr_eq(&mining, &same));
        assert!(same.remote().is_some_and(Remote::is_connected));
    });
}
