//! The answers of older generations that no rule converts to the newest one's.
//!
//! Knows what such an answer means; nothing of how a generation is found out. Generated adapters call
//! these by their names: a module for each generation, a function for each method.

use crate::error::Result;
use crate::interfaces::Call;

/// Maps the answer of an async call.
pub(super) fn then<T: 'static, U>(
    call: Call<T>,
    make: impl FnOnce(Result<T>) -> Result<U> + Send + 'static,
) -> Call<U> {
    Box::pin(async move { make(call.await) })
}

/// Core 30.
pub(super) mod core30 {
    use super::super::coinbase;
    pub use super::core31::block_template_submit_solution;
    use crate::error::Result;
    use crate::interfaces::mining::CoinbaseTx;

    /// Core 30 answers a whole dummy coinbase.
    pub fn block_template_get_coinbase_tx(answer: Result<Vec<u8>>) -> Result<CoinbaseTx> {
        coinbase::of_dummy(&answer?)
    }
}

/// Core 31.
pub(super) mod core31 {
    use crate::error::Result;
    use crate::interfaces::mining::BlockTemplateSubmitSolutionResults;

    /// Up to Core 31 the answer only tells whether the solution was accepted.
    pub fn block_template_submit_solution(
        answer: Result<bool>,
    ) -> Result<BlockTemplateSubmitSolutionResults> {
        answer.map(|result| BlockTemplateSubmitSolutionResults {
            result,
            ..BlockTemplateSubmitSolutionResults::default()
        })
    }
}
