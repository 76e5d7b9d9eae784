//! A peer in this process that implements `Mining`, `BlockTemplate` and `Rpc`, and keeps a record
//! of what was called.

#![allow(
    clippy::field_reassign_with_default,
    reason = "results cannot be written as struct expressions here"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::NumberValue;
use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::*;
use bitcoin_ipc::interfaces::rpc::Rpc;
use bitcoin_ipc::{Address, BlockHash, Error, Ipc, Listener, MerkleHash, Result, Txid, Wtxid};

use super::{LIMIT, Sandbox};

/// The calls that were made, a line each.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// Returns the calls since the last one of this, and clears them.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|other| other == line)
    }
}

/// The behaviour of `interrupt` and `interruptWait`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interrupts {
    /// End the methods that wait.
    End,
    /// Do nothing.
    Nothing,
    /// Do not return.
    Hang,
}

/// The state in which methods wait to be interrupted.
#[derive(Clone)]
struct Waits {
    interrupts: Interrupts,
    interrupted: Arc<(Mutex<bool>, Condvar)>,
}

impl Waits {
    /// Waits to be interrupted, for `timeout` milliseconds at most. Returns whether it was.
    fn wait(&self, timeout: f64) -> bool {
        // Who does not end them on request heeds no time either.
        let timeout = match self.interrupts {
            Interrupts::End => timeout,
            Interrupts::Nothing | Interrupts::Hang => 30_000.0,
        };
        let limit = Duration::from_secs_f64(timeout.min(30_000.0) / 1000.0);
        let (lock, condition) = &*self.interrupted;
        let waited = condition.wait_timeout_while(lock.lock().unwrap(), limit, |over| !*over);
        std::mem::take(&mut *waited.unwrap().0)
    }

    fn interrupt(&self) {
        match self.interrupts {
            Interrupts::End => {
                *self.interrupted.0.lock().unwrap() = true;
                self.interrupted.1.notify_all();
            }
            Interrupts::Nothing => {}
            Interrupts::Hang => std::thread::sleep(Duration::from_secs(20)),
        }
    }
}

/// A node that looks like Core 32. With `older_template` its `BlockTemplate` is 31's, as that of a
/// build between 31 and 32.
pub struct Node {
    pub address: String,
    pub record: Record,
    state: State,
    _listener: Listener,
    _ipc: Ipc<dyn Init>,
}

impl Node {
    pub fn new(sandbox: &Sandbox, older_template: bool) -> Self {
        Self::with(sandbox, older_template, Interrupts::End)
    }

    pub fn interrupted(sandbox: &Sandbox, interrupts: Interrupts) -> Self {
        Self::with(sandbox, false, interrupts)
    }

    fn with(sandbox: &Sandbox, older_template: bool, interrupts: Interrupts) -> Self {
        let record = Record::default();
        let waits = Waits {
            interrupts,
            interrupted: Arc::default(),
        };
        let state = State {
            downloads: Arc::new(AtomicBool::new(true)),
            stalls: Arc::default(),
        };
        let all = All(record.clone(), older_template, waits, state.clone());
        let ipc = Ipc::<dyn Init>::new("peer", Arc::new(all)).unwrap();
        let address = format!("unix:{}", sandbox.path("node.sock").display());
        let listener = ipc.listen(&address.parse::<Address>().unwrap()).unwrap();
        Self {
            address,
            record,
            state,
            _listener: listener,
            _ipc: ipc,
        }
    }
}

impl Node {
    /// Makes templates with a cooldown wait for the end of the download from now on.
    pub fn stall(&self) {
        self.state.stalls.store(true, Ordering::SeqCst);
    }

    /// Ends the initial block download.
    pub fn finish_download(&self) {
        self.state.downloads.store(false, Ordering::SeqCst);
        self.state.stalls.store(false, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct State {
    /// Whether it is in initial block download.
    downloads: Arc<AtomicBool>,
    /// Whether templates with a cooldown have to wait for the end of that.
    stalls: Arc<AtomicBool>,
}

#[derive(Clone)]
struct All(Record, bool, Waits, State);

/// Its end is recorded.
struct Template(All);

impl Drop for Template {
    fn drop(&mut self) {
        self.0.0.add("template destroyed".into());
    }
}

fn unimplemented<T>() -> Result<T> {
    Err(Error::Unimplemented("Method not implemented.".into()))
}

fn tip() -> BlockRef {
    let mut hash = BlockHash::default();
    hash.0[0] = 0xaa;
    hash.0[31] = 0x01;
    BlockRef::default().hash(hash).height(7)
}

impl Init for All {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        Ok(None)
    }

    fn make_mining_old2(&self) -> Result<()> {
        Err(Error::failed("Old mining"))
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(self.clone())))
    }

    fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
        Ok(Some(Arc::new(self.clone())))
    }
}

impl Rpc for All {
    fn execute_rpc(&self, request: &str, uri: &str, user: &str) -> Result<String> {
        Ok(format!("[{request}|{uri}|{user}]"))
    }
}

impl Mining for All {
    fn is_test_chain(&self) -> Result<bool> {
        Ok(true)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        self.0.add("download".into());
        Ok(self.3.downloads.load(Ordering::SeqCst))
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(Some(tip()))
    }

    fn wait_tip_changed(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Result<Option<BlockRef>> {
        let timeout = timeout.to_wire();
        self.0.add(format!("wait {timeout}"));
        if current_tip == tip().hash && self.2.wait(timeout) {
            self.0.add("wait interrupted".into());
            return Ok(None);
        }
        Ok(Some(tip()))
    }

    fn create_new_block(
        &self,
        options: &BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        let BlockCreateOptions {
            use_mempool,
            block_reserved_weight,
            coinbase_output_max_additional_sigops,
            ..
        } = options;
        self.0.add(format!(
            "create {use_mempool} {block_reserved_weight} \
             {coinbase_output_max_additional_sigops} {cooldown}"
        ));
        let deadline = Instant::now() + LIMIT;
        while cooldown && self.3.stalls.load(Ordering::SeqCst) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let waits = Waits {
            interrupts: self.2.interrupts,
            interrupted: Arc::default(),
        };
        let template = Template(Self(self.0.clone(), self.1, waits, self.3.clone()));
        Ok(Some(Arc::new(template)))
    }

    fn check_block(
        &self,
        block: &[u8],
        _options: &BlockCheckOptions,
    ) -> Result<MiningCheckBlockResults> {
        let mut results = MiningCheckBlockResults::default();
        results.reason = format!("{} bytes", block.len());
        Ok(results)
    }

    fn interrupt(&self) -> Result<()> {
        self.0.add("interrupt".into());
        self.2.interrupt();
        Ok(())
    }

    fn submit_block(&self, _block: &[u8]) -> Result<MiningSubmitBlockResults> {
        unimplemented()
    }

    fn get_transactions_by_tx_id(&self, txids: &[Txid]) -> Result<Vec<Vec<u8>>> {
        Ok(txids.iter().map(|txid| txid.0.to_vec()).collect())
    }

    fn get_transactions_by_witness_id(&self, wtxids: &[Wtxid]) -> Result<Vec<Vec<u8>>> {
        Ok(wtxids.iter().map(|wtxid| wtxid.0.to_vec()).collect())
    }
}

impl BlockTemplate for Template {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(vec![0xab; 80])
    }

    fn get_block(&self) -> Result<Vec<u8>> {
        Ok(vec![1, 2])
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(vec![1 << 60, -1])
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        Ok(Vec::new())
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        Ok(CoinbaseTx::default())
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<MerkleHash>> {
        Ok(Vec::new())
    }

    fn submit_solution_old7(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        _coinbase: &[u8],
    ) -> Result<()> {
        self.0
            .0
            .add(format!("submit @7 {version} {timestamp} {nonce}"));
        Ok(())
    }

    fn wait_next(&self, options: &BlockWaitOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        let timeout = options.timeout.to_wire();
        self.0.0.add(format!("wait next {timeout}"));
        // A threshold that marks a wait: a node waits whatever the threshold is.
        if options.fee_threshold == 1 && self.0.2.wait(timeout) {
            self.0.0.add("wait next interrupted".into());
        }
        Ok(None)
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.0.0.add("interrupt wait".into());
        self.0.2.interrupt();
        Ok(())
    }

    fn submit_solution(
        &self,
        version: u32,
        _timestamp: u32,
        _nonce: u32,
        _coinbase: &[u8],
    ) -> Result<BlockTemplateSubmitSolutionResults> {
        if self.0.1 {
            return unimplemented();
        }
        self.0.0.add(format!("submit @10 {version}"));
        let mut results = BlockTemplateSubmitSolutionResults::default();
        results.reason = "high-hash".into();
        Ok(results)
    }
}
