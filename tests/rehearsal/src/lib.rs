//! An implementor of every method of today's mining traits, as a user has written one.
//!
//! Knows the traits of today alone. It is compiled against them here, and against those of the
//! rehearsal's Core 33, which has other methods.

use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockTemplate, BlockTemplateSubmitSolutionResults,
    BlockWaitOptions, CoinbaseTx, Mining, MiningCheckBlockResults, MiningSubmitBlockResults,
};
use bitcoin_ipc::interfaces::rpc::Rpc;
use bitcoin_ipc::{BlockHash, MerkleHash, Result, Txid, Wtxid};

/// A node of a user's.
#[derive(Debug, Default)]
pub struct Node;

impl Init for Node {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        Ok(None)
    }

    fn make_mining_old2(&self) -> Result<()> {
        Ok(())
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(Self)))
    }

    fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
        Ok(None)
    }
}

impl Mining for Node {
    fn is_test_chain(&self) -> Result<bool> {
        Ok(true)
    }

    fn is_initial_block_download(&self) -> Result<bool> {
        Ok(false)
    }

    fn get_tip(&self) -> Result<Option<BlockRef>> {
        Ok(None)
    }

    fn wait_tip_changed(&self, hash: BlockHash, _: Duration) -> Result<Option<BlockRef>> {
        Ok(Some(BlockRef::default().hash(hash).height(1)))
    }

    fn create_new_block(
        &self,
        _: &BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        Ok(Some(Arc::new(Self)))
    }

    fn check_block(&self, _: &[u8], _: &BlockCheckOptions) -> Result<MiningCheckBlockResults> {
        Ok(MiningCheckBlockResults::default())
    }

    fn interrupt(&self) -> Result<()> {
        Ok(())
    }

    fn submit_block(&self, _: &[u8]) -> Result<MiningSubmitBlockResults> {
        Ok(MiningSubmitBlockResults::default())
    }

    fn get_transactions_by_tx_id(&self, txids: &[Txid]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![Vec::new(); txids.len()])
    }

    fn get_transactions_by_witness_id(&self, wtxids: &[Wtxid]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![Vec::new(); wtxids.len()])
    }
}

impl BlockTemplate for Node {
    fn get_block_header(&self) -> Result<Vec<u8>> {
        Ok(vec![0; 80])
    }

    fn get_block(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn get_tx_fees(&self) -> Result<Vec<i64>> {
        Ok(vec![1])
    }

    fn get_tx_sigops(&self) -> Result<Vec<i64>> {
        Ok(vec![2])
    }

    fn get_coinbase_tx(&self) -> Result<CoinbaseTx> {
        Ok(CoinbaseTx::default())
    }

    fn get_coinbase_merkle_path(&self) -> Result<Vec<MerkleHash>> {
        Ok(Vec::new())
    }

    fn submit_solution_old7(&self, _: u32, _: u32, _: u32, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn wait_next(&self, _: &BlockWaitOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        Ok(None)
    }

    fn interrupt_wait(&self) -> Result<()> {
        Ok(())
    }

    fn submit_solution(
        &self,
        _: u32,
        _: u32,
        nonce: u32,
        _: &[u8],
    ) -> Result<BlockTemplateSubmitSolutionResults> {
        Ok(BlockTemplateSubmitSolutionResults::default().result(nonce == 7))
    }
}
