//! A node with a chain that the test moves, and none of the methods that no test needs.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockTemplate, Mining};
use bitcoin_ipc::{Address, Ipc, Listener, Result};
use tempfile::TempDir;

/// The state that the node's objects share.
#[derive(Default)]
pub struct Chain {
    height: Mutex<i32>,
    changed: Condvar,
}

impl Chain {
    /// Connects so many blocks.
    pub fn mine(&self, blocks: i32) {
        *self.height.lock().unwrap() += blocks;
        self.changed.notify_all();
    }

    pub fn tip(&self) -> BlockRef {
        let mut tip = BlockRef::default();
        tip.height = *self.height.lock().unwrap();
        tip.hash = vec![u8::try_from(tip.height).unwrap(); 32];
        tip
    }
}

struct NodeInit(Arc<Chain>);

impl Init for NodeInit {
    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(NodeMining(self.0.clone()))))
    }
}

struct NodeMining(Arc<Chain>);

impl Mining for NodeMining {
    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(Some(self.0.tip()))
    }

    fn wait_tip_changed(&self, current_tip: &[u8], timeout: f64) -> Result<BlockRef> {
        let timeout = Duration::try_from_secs_f64(timeout / 1000.0);
        let deadline = timeout
            .ok()
            .and_then(|limit| Instant::now().checked_add(limit));
        let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        let mut height = self.0.height.lock().unwrap();
        while current_tip == vec![u8::try_from(*height).unwrap(); 32] {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            height = self.0.changed.wait_timeout(height, left).unwrap().0;
        }
        drop(height);
        Ok(self.0.tip())
    }

    fn create_new_block(
        &self,
        _: &BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        Ok(Some(Arc::new(Template(self.0.tip()))))
    }
}

struct Template(BlockRef);

impl BlockTemplate for Template {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        let mut header = vec![0; 80];
        header[4..36].copy_from_slice(&self.0.hash);
        Ok(header)
    }
}

/// A node that listens.
pub struct Node {
    pub chain: Arc<Chain>,
    path: PathBuf,
    ipc: Ipc<dyn Init>,
    listener: Option<Listener>,
    _directory: TempDir,
}

impl Node {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let chain = Arc::new(Chain::default());
        let ipc = Ipc::new(
            "mock-node",
            Arc::new(NodeInit(chain.clone())) as Arc<dyn Init>,
        );
        let mut node = Self {
            chain,
            path: directory.path().join("node.sock"),
            ipc: ipc.unwrap(),
            listener: None,
            _directory: directory,
        };
        node.restart();
        node
    }

    pub fn address(&self) -> Address {
        Address::Unix(Some(self.path.clone()))
    }

    /// The number of its clients.
    pub fn clients(&self) -> usize {
        self.ipc.incoming()
    }

    /// Stops listening and ends the connections.
    pub fn stop(&mut self) {
        self.listener = None;
        self.ipc.disconnect_incoming();
    }

    /// Listens (again).
    pub fn restart(&mut self) {
        self.listener = Some(self.ipc.listen(&self.address()).unwrap());
    }
}

/// Waits until `condition` holds, for ten seconds at most.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
