//! Core 32's mining interfaces, and those of builds on the way to it.
//!
//! Knows which methods such a build may lack; the peer's `Init` does not tell, only the answer to a
//! call does.

use std::sync::Arc;

use super::core31::submitted;
use super::forward::forward;
use super::limit;
use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::interfaces::common::BlockRef;
use crate::interfaces::core31::mining as core31;
use crate::interfaces::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockTemplate, BlockTemplateSubmitSolutionResults,
    BlockWaitOptions, CoinbaseTx, Mining, MiningCheckBlockResults, MiningSubmitBlockResults,
};
use crate::interfaces::{Call, Remote, ready};

/// The beginning of the text with which libraries of Cap'n Proto, and so Core, answer a call of an
/// unknown method. An implementation that refuses a method itself may use other words.
const NO_SUCH_METHOD: &str = "Method not implemented";

/// Names the method in the error of an answer that says that there is no such method.
fn lacking<T>(method: &str, answer: Result<T>) -> Result<T> {
    answer.map_err(|error| match error {
        Error::Unimplemented(text) if text.starts_with(NO_SUCH_METHOD) => Error::Unimplemented(
            format!("this node (a build before Core 32) has no {method}"),
        ),
        error => error,
    })
}

/// A `Mining` of Core 32, or nearly.
struct AnyMining(Arc<dyn Mining>);

/// Wraps a `Mining` so that its errors name the method that a build lacks.
pub(super) fn mining(mining: Option<Arc<dyn Mining>>) -> Option<Arc<dyn Mining>> {
    mining.map(|mining| Arc::new(AnyMining(mining)) as _)
}

#[deny(clippy::missing_trait_methods)]
impl Mining for AnyMining {
    forward! { 0:
        is_test_chain, is_test_chain_async() -> bool;
        is_initial_block_download, is_initial_block_download_async() -> bool;
        get_tip, get_tip_async() -> Option<BlockRef>;
        wait_tip_changed, wait_tip_changed_async(
            current_tip: &[u8],
            timeout: f64 as limit::timeout(timeout)
        ) -> BlockRef;
        create_new_block, create_new_block_async(
            options: &BlockCreateOptions,
            cooldown: bool
        ) -> Option<Arc<dyn BlockTemplate>>;
        check_block, check_block_async(
            block: &[u8],
            options: &BlockCheckOptions
        ) -> MiningCheckBlockResults;
        interrupt, interrupt_async() -> ();
        submit_block, submit_block_async(block: &[u8]) -> MiningSubmitBlockResults,
            |answer| lacking("submitBlock", answer);
        get_transactions_by_tx_id, get_transactions_by_tx_id_async(
            txids: &[Vec<u8>]
        ) -> Vec<Vec<u8>>, |answer| lacking("getTransactionsByTxID", answer);
        get_transactions_by_witness_id, get_transactions_by_witness_id_async(
            wtxids: &[Vec<u8>]
        ) -> Vec<Vec<u8>>, |answer| lacking("getTransactionsByWitnessID", answer);
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.0.remote()
    }
}

/// A `BlockTemplate` made by a `Mining` of Core 32. In builds before 32 it is 31's, whose
/// `submitSolution` has the ordinal of 32's `submitSolutionOld7`; all other methods are the same.
pub(crate) struct AnyBlockTemplate {
    core31: Arc<dyn core31::BlockTemplate>,
    newest: Arc<dyn BlockTemplate>,
}

impl AnyBlockTemplate {
    /// Wraps the clients of one object.
    pub(crate) fn new(
        core31: Arc<dyn core31::BlockTemplate>,
        newest: Arc<dyn BlockTemplate>,
    ) -> Self {
        Self { core31, newest }
    }
}

/// Whether to ask for Core 31's `submitSolution`, to which Core 32 answers with an error.
fn is_core31<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unimplemented(_)))
}

fn submitted31(answer: Result<bool>) -> Result<BlockTemplateSubmitSolutionResults> {
    lacking("submitSolution", answer).map(submitted)
}

#[deny(clippy::missing_trait_methods)]
impl BlockTemplate for AnyBlockTemplate {
    forward! { newest:
        get_block_header, get_block_header_async() -> Vec<u8>;
        get_block, get_block_async() -> Vec<u8>;
        get_tx_fees, get_tx_fees_async() -> Vec<i64>;
        get_tx_sigops, get_tx_sigops_async() -> Vec<i64>;
        get_coinbase_tx, get_coinbase_tx_async() -> CoinbaseTx;
        get_coinbase_merkle_path, get_coinbase_merkle_path_async() -> Vec<Vec<u8>>;
        wait_next, wait_next_async(
            options: &BlockWaitOptions as &limit::wait_options(options)
        ) -> Option<Arc<dyn BlockTemplate>>;
        interrupt_wait, interrupt_wait_async() -> ();
    }

    fn submit_solution(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: &[u8],
    ) -> Result<BlockTemplateSubmitSolutionResults> {
        let answer = self
            .newest
            .submit_solution(version, timestamp, nonce, coinbase);
        if !is_core31(&answer) {
            return answer;
        }
        let core31 = &self.core31;
        submitted31(core31.submit_solution(version, timestamp, nonce, coinbase))
    }

    fn submit_solution_async(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: &[u8],
    ) -> Call<BlockTemplateSubmitSolutionResults> {
        let call = self
            .newest
            .submit_solution_async(version, timestamp, nonce, coinbase);
        let (core31, coinbase) = (self.core31.clone(), coinbase.to_vec());
        let options = CallOptions::current();
        Box::pin(async move {
            let answer = call.await;
            if !is_core31(&answer) {
                return answer;
            }
            let submit = || core31.submit_solution_async(version, timestamp, nonce, &coinbase);
            let call = options.run(submit);
            submitted31(call.await)
        })
    }

    /// Fails without sending: the method that answers with an error in Core 32 submits in builds
    /// before it.
    fn submit_solution_old7(&self, _: u32, _: u32, _: u32, _: &[u8]) -> Result<()> {
        Err(Error::Unimplemented(
            "submitSolutionOld7 is where Core 31 has submitSolution: call submitSolution".into(),
        ))
    }

    fn submit_solution_old7_async(
        &self,
        version: u32,
        timestamp: u32,
        nonce: u32,
        coinbase: &[u8],
    ) -> Call<()> {
        ready(self.submit_solution_old7(version, timestamp, nonce, coinbase))
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.newest.remote()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Error) -> String {
        match lacking::<()>("submitBlock", Err(answer)) {
            Err(Error::Unimplemented(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_method_that_is_not_there_is_named() {
        // The text of the C++ implementation.
        let peer = "Method not implemented.; interfaceName = mining.capnp:Mining; methodId = 7";
        let expected = "this node (a build before Core 32) has no submitBlock";
        assert_eq!(text(Error::Unimplemented(peer.into())), expected);
        let own = "blocks are not taken here";
        assert_eq!(text(Error::Unimplemented(own.into())), own);
        let answer = lacking::<()>("submitBlock", Err(Error::failed("no")));
        assert!(matches!(answer, Err(Error::Remote { .. })));
    }
}
