//! Core 31's mining interfaces as the newest traits.
//!
//! Knows what Core 31 lacks and what it answers in another form; nothing of how that is found out.

use std::sync::Arc;

use super::forward::{forward, lacking, older_values};
use super::{Generation, limit};
use crate::interfaces::Remote;
use crate::interfaces::common::BlockRef;
use crate::interfaces::core31::mining as older;
use crate::interfaces::mining as newest;

const THIS: Generation = Generation::Core31;

older_values!(older);

/// Core 31's `Mining`.
struct Mining(Arc<dyn older::Mining>);

/// The newest `Mining` that speaks to this one.
pub(super) fn mining(older: Option<Arc<dyn older::Mining>>) -> Option<Arc<dyn newest::Mining>> {
    older.map(|older| Arc::new(Mining(older)) as _)
}

#[deny(clippy::missing_trait_methods)]
impl newest::Mining for Mining {
    forward! { 0:
        is_test_chain, is_test_chain_async() -> bool;
        is_initial_block_download, is_initial_block_download_async() -> bool;
        get_tip, get_tip_async() -> Option<BlockRef>;
        wait_tip_changed, wait_tip_changed_async(
            current_tip: &[u8],
            timeout: f64 as limit::timeout(timeout)
        ) -> BlockRef;
        create_new_block, create_new_block_async(
            options: &newest::BlockCreateOptions as &create_options(options),
            cooldown: bool
        ) -> Option<Arc<dyn newest::BlockTemplate>>, |made| made.map(template);
        check_block, check_block_async(
            block: &[u8],
            options: &newest::BlockCheckOptions as &check_options(options)
        ) -> newest::MiningCheckBlockResults, |answer| answer.map(checked);
        interrupt, interrupt_async() -> ();
    }

    lacking! { THIS,
        submit_block, submit_block_async(&[u8]) -> newest::MiningSubmitBlockResults, "submitBlock";
        get_transactions_by_tx_id, get_transactions_by_tx_id_async(&[Vec<u8>]) -> Vec<Vec<u8>>, "getTransactionsByTxID";
        get_transactions_by_witness_id, get_transactions_by_witness_id_async(&[Vec<u8>]) -> Vec<Vec<u8>>, "getTransactionsByWitnessID";
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.0.remote()
    }
}

/// Core 31's `BlockTemplate`.
struct BlockTemplate(Arc<dyn older::BlockTemplate>);

fn template(
    older: Option<Arc<dyn older::BlockTemplate>>,
) -> Option<Arc<dyn newest::BlockTemplate>> {
    older.map(|older| Arc::new(BlockTemplate(older)) as _)
}

fn coinbase(older: older::CoinbaseTx) -> newest::CoinbaseTx {
    newest::CoinbaseTx {
        version: older.version,
        sequence: older.sequence,
        script_sig_prefix: older.script_sig_prefix,
        witness: older.witness,
        block_reward_remaining: older.block_reward_remaining,
        required_outputs: older.required_outputs,
        lock_time: older.lock_time,
    }
}

/// Older generations only tell whether they accepted a solution.
pub(super) fn submitted(result: bool) -> newest::BlockTemplateSubmitSolutionResults {
    newest::BlockTemplateSubmitSolutionResults {
        result,
        ..Default::default()
    }
}

#[deny(clippy::missing_trait_methods)]
impl newest::BlockTemplate for BlockTemplate {
    forward! { 0:
        get_block_header, get_block_header_async() -> Vec<u8>;
        get_block, get_block_async() -> Vec<u8>;
        get_tx_fees, get_tx_fees_async() -> Vec<i64>;
        get_tx_sigops, get_tx_sigops_async() -> Vec<i64>;
        get_coinbase_tx, get_coinbase_tx_async() -> newest::CoinbaseTx,
            |answer| answer.map(coinbase);
        get_coinbase_merkle_path, get_coinbase_merkle_path_async() -> Vec<Vec<u8>>;
        submit_solution, submit_solution_async(
            version: u32,
            timestamp: u32,
            nonce: u32,
            coinbase: &[u8]
        ) -> newest::BlockTemplateSubmitSolutionResults, |answer| answer.map(submitted);
        wait_next, wait_next_async(
            options: &newest::BlockWaitOptions as &wait_options(&limit::wait_options(options))
        ) -> Option<Arc<dyn newest::BlockTemplate>>, |next| next.map(template);
        interrupt_wait, interrupt_wait_async() -> ();
    }

    lacking! { THIS,
        submit_solution_old7, submit_solution_old7_async(u32, u32, u32, &[u8]) -> (), "submitSolutionOld7";
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.0.remote()
    }
}
