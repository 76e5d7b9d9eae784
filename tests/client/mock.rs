//! A node with a chain that the test moves, and none of the methods that no test needs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{
    BlockCreateOptions, BlockTemplate, BlockWaitOptions, Mining,
};
use bitcoin_ipc::{Address, BlockHash, Ipc, Listener, Result};
use tempfile::TempDir;

/// The state that the node's objects share.
#[derive(Default)]
pub struct Chain {
    height: Mutex<i32>,
    changed: Condvar,
    /// Whether the node is in initial block download.
    pub downloads: AtomicBool,
    /// The number of waits that run.
    pub waits: AtomicUsize,
    /// The number of waits that an interrupt ended.
    pub interrupted: AtomicUsize,
    /// The number of templates that were made.
    pub templates: AtomicUsize,
}

impl Chain {
    /// Connects so many blocks.
    pub fn mine(&self, blocks: i32) {
        *self.height.lock().unwrap() += blocks;
        self.changed.notify_all();
    }

    pub fn tip(&self) -> BlockRef {
        tip_at(*self.height.lock().unwrap())
    }

    /// Ends the wait that this is for.
    fn interrupt(&self, interrupted: &AtomicBool) {
        let _height = self.height.lock().unwrap();
        interrupted.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// Waits until the tip is another, for this time at most; returns the tip, or none where
    /// it was interrupted.
    fn wait(
        &self,
        known: BlockHash,
        limit: Duration,
        interrupted: &AtomicBool,
    ) -> Option<BlockRef> {
        let waits = usize::from(self.tip().hash == known);
        self.waits.fetch_add(waits, Ordering::SeqCst);
        let ended = self.wait_until_ended(known, limit, interrupted);
        self.waits.fetch_sub(waits, Ordering::SeqCst);
        ended
    }

    fn wait_until_ended(
        &self,
        known: BlockHash,
        limit: Duration,
        interrupted: &AtomicBool,
    ) -> Option<BlockRef> {
        let deadline = Instant::now() + limit.min(Duration::from_secs(3600));
        let mut height = self.height.lock().unwrap();
        while tip_at(*height).hash == known {
            if interrupted.swap(false, Ordering::SeqCst) {
                self.interrupted.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            height = self.changed.wait_timeout(height, left).unwrap().0;
        }
        Some(tip_at(*height))
    }
}

/// The hash of the block at this height: the same byte everywhere, which is never 0.
pub fn hash_at(height: i32) -> [u8; 32] {
    [u8::try_from(height + 100).unwrap(); 32]
}

fn tip_at(height: i32) -> BlockRef {
    BlockRef::default()
        .height(height)
        .hash(BlockHash(hash_at(height)))
}

struct NodeInit(Arc<Chain>);

impl Init for NodeInit {
    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(NodeMining(
            self.0.clone(),
            AtomicBool::default(),
        ))))
    }
}

struct NodeMining(Arc<Chain>, AtomicBool);

impl Mining for NodeMining {
    fn is_initial_block_download(&self) -> Result<bool> {
        Ok(self.0.downloads.load(Ordering::SeqCst))
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(Some(self.0.tip()))
    }

    fn wait_tip_changed(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Result<Option<BlockRef>> {
        Ok(self.0.wait(current_tip, timeout, &self.1))
    }

    fn interrupt(&self) -> Result<()> {
        self.0.interrupt(&self.1);
        Ok(())
    }

    fn create_new_block(
        &self,
        _: &BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        self.0.templates.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Template::of(self.0.tip(), &self.0)))
    }
}

struct Template(BlockRef, Arc<Chain>, AtomicBool);

impl Template {
    fn of(tip: BlockRef, chain: &Arc<Chain>) -> Arc<dyn BlockTemplate> {
        Arc::new(Self(tip, chain.clone(), AtomicBool::default()))
    }
}

impl BlockTemplate for Template {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        let mut header = vec![0; 80];
        header[4..36].copy_from_slice(&self.0.hash.0);
        Ok(header)
    }

    fn wait_next(&self, options: &BlockWaitOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        let tip = self.1.wait(self.0.hash, options.timeout, &self.2);
        let other = tip.filter(|tip| *tip != self.0);
        Ok(other.map(|tip| Self::of(tip, &self.1)))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.1.interrupt(&self.2);
        Ok(())
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

/// Runs a test on a thread of its own and fails it when it hangs.
pub fn timed(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
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
