//! Core 30's mining interfaces as the newest traits.
//!
//! Knows what Core 30 lacks and what it answers in another form; nothing of how that is found out.

use std::sync::Arc;

use super::core31::submitted;
use super::forward::{forward, lacking, older_values, then};
use super::{Generation, coinbase, limit};
use crate::error::Result;
use crate::interfaces::common::BlockRef;
use crate::interfaces::core30::mining as older;
use crate::interfaces::mining as newest;
use crate::interfaces::{Call, Remote};

const THIS: Generation = Generation::Core30;

older_values!(older);

/// Core 30's `Mining`.
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
        check_block, check_block_async(
            block: &[u8],
            options: &newest::BlockCheckOptions as &check_options(options)
        ) -> newest::MiningCheckBlockResults, |answer| answer.map(checked);
    }

    lacking! { THIS,
        interrupt, interrupt_async() -> (), "interrupt";
        submit_block, submit_block_async(&[u8]) -> newest::MiningSubmitBlockResults, "submitBlock";
        get_transactions_by_tx_id, get_transactions_by_tx_id_async(&[Vec<u8>]) -> Vec<Vec<u8>>, "getTransactionsByTxID";
        get_transactions_by_witness_id, get_transactions_by_witness_id_async(&[Vec<u8>]) -> Vec<Vec<u8>>, "getTransactionsByWitnessID";
    }

    fn create_new_block(
        &self,
        options: &newest::BlockCreateOptions,
        _cooldown: bool,
    ) -> Result<Option<Arc<dyn newest::BlockTemplate>>> {
        let made = self.0.create_new_block(&create_options(options));
        made.map(template)
    }

    fn create_new_block_async(
        &self,
        options: &newest::BlockCreateOptions,
        _cooldown: bool,
    ) -> Call<Option<Arc<dyn newest::BlockTemplate>>> {
        let made = self.0.create_new_block_async(&create_options(options));
        then(made, |made| made.map(template))
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.0.remote()
    }
}

/// Core 30's `BlockTemplate`.
struct BlockTemplate(Arc<dyn older::BlockTemplate>);

fn template(
    older: Option<Arc<dyn older::BlockTemplate>>,
) -> Option<Arc<dyn newest::BlockTemplate>> {
    older.map(|older| Arc::new(BlockTemplate(older)) as _)
}

#[deny(clippy::missing_trait_methods)]
impl newest::BlockTemplate for BlockTemplate {
    forward! { 0:
        get_block_header, get_block_header_async() -> Vec<u8>;
        get_block, get_block_async() -> Vec<u8>;
        get_tx_fees, get_tx_fees_async() -> Vec<i64>;
        get_tx_sigops, get_tx_sigops_async() -> Vec<i64>;
        get_coinbase_tx, get_coinbase_tx_async() -> newest::CoinbaseTx,
            |dummy| coinbase::of_dummy(&dummy?);
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
