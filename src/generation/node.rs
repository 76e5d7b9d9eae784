//! The mining interfaces of a node, whatever its generation: waits in slices, and methods that a build
//! before a release lacks.
//!
//! Knows which methods wait, and what Core answers when a wait ends; nothing of how generations differ.

use std::sync::Arc;
use std::time::Duration;

use super::by_hand::{self, then};
use super::init::{BlockTemplateLayer, Layered, MiningLayer};
use super::waiting::{Interrupts, Wait};
use crate::call::CallOptions;
use crate::error::{Error, NO_METHOD, Result};
use crate::interfaces::common::BlockRef;
use crate::interfaces::core31::mining as core31;
use crate::interfaces::mining::{
    BlockCreateOptions, BlockTemplate, BlockTemplateSubmitSolutionResults, BlockWaitOptions,
    Mining, MiningSubmitBlockResults,
};
use crate::interfaces::{BlockHash, Call, Txid, Wtxid, ready};

/// Names the method in the error of an answer that says that there is no such method.
fn lacking<T>(method: &str, answer: Result<T>) -> Result<T> {
    answer.map_err(|error| match error {
        Error::Unimplemented(text) if text.starts_with(NO_METHOD) => Error::Unimplemented(format!(
            "this node (a build before Core 32) has no {method}"
        )),
        error => error,
    })
}

/// Names the method in the error of an async call, as [`lacking`] does.
fn lacking_async<T: 'static>(method: &'static str, call: Call<T>) -> Call<T> {
    then(call, |answer| lacking(method, answer))
}

/// A node's `Mining`.
struct NodeMining {
    inner: Arc<dyn Mining>,
    interrupts: Arc<Interrupts>,
}

/// Puts the layer over a node's `Mining`.
pub(super) fn mining(inner: Option<Arc<dyn Mining>>) -> Option<Arc<dyn Mining>> {
    let layered = |inner| {
        Arc::new(Layered(NodeMining {
            inner,
            interrupts: Arc::default(),
        })) as _
    };
    inner.map(layered)
}

/// A `createNewBlock` under way, out of initial block download. It interrupts the node where its caller has
/// given up.
struct Creating {
    mining: Arc<dyn Mining>,
    interrupts: Arc<Interrupts>,
    /// Whether it may wait in the node.
    waits: bool,
}

impl Creating {
    /// Takes the answer: nothing waits any longer, unless the caller has given up.
    fn answered<T>(&mut self, answer: &Result<T>) {
        self.waits &= matches!(answer, Err(Error::Timeout { .. } | Error::Cancelled(_)));
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        if self.waits {
            self.interrupts.give_up();
            // The caller's options would cancel this call as well.
            drop(CallOptions::new().alone(|| self.mining.interrupt_async()));
        }
    }
}

impl NodeMining {
    /// Waits for the end of initial block download, as `createNewBlock` does where it is to cool down, but
    /// in slices: an interrupt reaches one of several waits that were given up, and not each of them.
    /// Returns whether that has come; otherwise it was interrupted, or the node shuts down.
    fn await_download(&self, wait: &mut Wait) -> Result<bool> {
        let mut tip = BlockHash::ZERO;
        while is_downloading(wait.rest(|| self.inner.is_initial_block_download()))? {
            match wait.slice(|slice| self.inner.wait_tip_changed(tip, slice))? {
                // It ended at once, and nothing has changed.
                Some(same) if same.hash == tip && wait.is_over() => return Ok(false),
                Some(changed) => tip = changed.hash,
                None if wait.is_interrupted() => return Ok(false),
                None => {}
            }
            if wait.is_asked_to_end() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The async form of [`await_download`](Self::await_download), whose first call is under way.
    async fn await_download_async(
        inner: Arc<dyn Mining>,
        wait: &mut Wait,
        mut downloading: Call<bool>,
    ) -> Result<bool> {
        let mut tip = BlockHash::ZERO;
        while is_downloading(downloading.await)? {
            let changed = wait.slice(|slice| inner.wait_tip_changed_async(tip, slice));
            match changed.await? {
                // It ended at once, and nothing has changed.
                Some(same) if same.hash == tip && wait.is_over() => return Ok(false),
                Some(changed) => tip = changed.hash,
                None if wait.is_interrupted() => return Ok(false),
                None => {}
            }
            if wait.is_asked_to_end() {
                return Ok(false);
            }
            downloading = wait.rest(|| inner.is_initial_block_download_async());
        }
        Ok(true)
    }

    /// Begins a `createNewBlock`, which waits only where it is to cool down.
    fn creating(&self, cooldown: bool) -> Creating {
        Creating {
            mining: self.inner.clone(),
            interrupts: self.interrupts.clone(),
            waits: cooldown,
        }
    }
}

impl MiningLayer for NodeMining {
    fn inner(&self) -> &Arc<dyn Mining> {
        &self.inner
    }

    fn wait_tip_changed(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Result<Option<BlockRef>> {
        Wait::new(&self.interrupts, timeout).until(
            |slice| self.inner.wait_tip_changed(current_tip, slice),
            |tip, wait| is_answer(tip.as_ref(), current_tip, wait),
        )
    }

    fn wait_tip_changed_async(
        &self,
        current_tip: BlockHash,
        timeout: Duration,
    ) -> Call<Option<BlockRef>> {
        let inner = self.inner.clone();
        Wait::new(&self.interrupts, timeout).until_async(
            move |slice| inner.wait_tip_changed_async(current_tip, slice),
            move |tip, wait| is_answer(tip.as_ref(), current_tip, wait),
        )
    }

    fn create_new_block(
        &self,
        options: &BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        let mut wait = Wait::new(&self.interrupts, Duration::MAX);
        if cooldown {
            let ended = self.await_download(&mut wait);
            if !wait.whole(ended)? {
                return Ok(None);
            }
        }
        loop {
            let mut creating = self.creating(cooldown);
            let made = wait.rest(|| self.inner.create_new_block(options, cooldown));
            creating.answered(&made);
            let made = wait.whole(made)?;
            if made.is_some() || wait.is_interrupted() {
                return Ok(made.map(template));
            }
        }
    }

    fn create_new_block_async(
        &self,
        options: &BlockCreateOptions,
        cooldown: bool,
    ) -> Call<Option<Arc<dyn BlockTemplate>>> {
        let mut wait = Wait::new(&self.interrupts, Duration::MAX);
        let (inner, options) = (self.inner.clone(), options.clone());
        if !cooldown {
            let call = wait.rest(|| inner.create_new_block_async(&options, false));
            return Box::pin(async move { Ok(wait.whole(call.await)?.map(template)) });
        }
        let interrupts = self.interrupts.clone();
        let downloading = wait.rest(|| inner.is_initial_block_download_async());
        Box::pin(async move {
            let ended = Self::await_download_async(inner.clone(), &mut wait, downloading).await;
            if !wait.whole(ended)? {
                return Ok(None);
            }
            let this = Self { inner, interrupts };
            loop {
                let mut creating = this.creating(true);
                let made = wait.rest(|| this.inner.create_new_block_async(&options, true));
                let made = made.await;
                creating.answered(&made);
                let made = wait.whole(made)?;
                if made.is_some() || wait.is_interrupted() {
                    return Ok(made.map(template));
                }
            }
        })
    }

    fn interrupt(&self) -> Result<()> {
        self.interrupts.ask();
        self.inner.interrupt()
    }

    fn interrupt_async(&self) -> Call<()> {
        self.interrupts.ask();
        self.inner.interrupt_async()
    }

    fn submit_block(&self, block: &[u8]) -> Result<MiningSubmitBlockResults> {
        lacking("submitBlock", self.inner.submit_block(block))
    }

    fn submit_block_async(&self, block: &[u8]) -> Call<MiningSubmitBlockResults> {
        lacking_async("submitBlock", self.inner.submit_block_async(block))
    }

    fn get_transactions_by_tx_id(&self, txids: &[Txid]) -> Result<Vec<Vec<u8>>> {
        let answer = self.inner.get_transactions_by_tx_id(txids);
        lacking("getTransactionsByTxID", answer)
    }

    fn get_transactions_by_tx_id_async(&self, txids: &[Txid]) -> Call<Vec<Vec<u8>>> {
        let call = self.inner.get_transactions_by_tx_id_async(txids);
        lacking_async("getTransactionsByTxID", call)
    }

    fn get_transactions_by_witness_id(&self, wtxids: &[Wtxid]) -> Result<Vec<Vec<u8>>> {
        let answer = self.inner.get_transactions_by_witness_id(wtxids);
        lacking("getTransactionsByWitnessID", answer)
    }

    fn get_transactions_by_witness_id_async(&self, wtxids: &[Wtxid]) -> Call<Vec<Vec<u8>>> {
        let call = self.inner.get_transactions_by_witness_id_async(wtxids);
        lacking_async("getTransactionsByWitnessID", call)
    }
}

/// Returns whether a node is in initial block download. A peer that does not tell, as only another program
/// than a node may be, is not.
fn is_downloading(answer: Result<bool>) -> Result<bool> {
    match answer {
        Err(Error::Unimplemented(_)) => Ok(false),
        answer => answer,
    }
}

/// Returns whether a slice of `waitTipChanged` has brought the answer of the whole: another tip, or none
/// because it was interrupted or the node shuts down, or the same when the time is over.
fn is_answer(tip: Option<&BlockRef>, current_tip: BlockHash, wait: &Wait) -> bool {
    match tip {
        None => wait.is_interrupted(),
        Some(tip) => tip.hash != current_tip || wait.is_over(),
    }
}

/// A node's `BlockTemplate`.
struct NodeTemplate {
    inner: Arc<dyn BlockTemplate>,
    interrupts: Arc<Interrupts>,
}

/// Puts the layer over a node's `BlockTemplate`.
fn template(inner: Arc<dyn BlockTemplate>) -> Arc<dyn BlockTemplate> {
    Arc::new(Layered(NodeTemplate {
        inner,
        interrupts: Arc::default(),
    }))
}

impl BlockTemplateLayer for NodeTemplate {
    fn inner(&self) -> &Arc<dyn BlockTemplate> {
        &self.inner
    }

    fn wait_next(&self, options: &BlockWaitOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        let next = Wait::new(&self.interrupts, options.timeout).until(
            |slice| self.inner.wait_next(&options.clone().timeout(slice)),
            |next, wait| next.is_some() || wait.is_over(),
        );
        next.map(|next| next.map(template))
    }

    fn wait_next_async(&self, options: &BlockWaitOptions) -> Call<Option<Arc<dyn BlockTemplate>>> {
        let (inner, options) = (self.inner.clone(), options.clone());
        let next = Wait::new(&self.interrupts, options.timeout).until_async(
            move |slice| inner.wait_next_async(&options.clone().timeout(slice)),
            |next, wait| next.is_some() || wait.is_over(),
        );
        then(next, |next| next.map(|next| next.map(template)))
    }

    fn interrupt_wait(&self) -> Result<()> {
        self.interrupts.ask();
        self.inner.interrupt_wait()
    }

    fn interrupt_wait_async(&self) -> Call<()> {
        self.interrupts.ask();
        self.inner.interrupt_wait_async()
    }
}

/// A `BlockTemplate` of a node that may be a build before Core 32. Its `Mining` is 32's then, and its
/// `BlockTemplate` 31's, whose `submitSolution` has the ordinal of 32's `submitSolutionOld7`; all other
/// methods are the same.
struct AnyBlockTemplate {
    core31: Arc<dyn core31::BlockTemplate>,
    newest: Arc<dyn BlockTemplate>,
}

/// Makes the `BlockTemplate` of the clients of one object.
pub(crate) fn any_block_template(
    core31: Arc<dyn core31::BlockTemplate>,
    newest: Arc<dyn BlockTemplate>,
) -> Arc<dyn BlockTemplate> {
    Arc::new(Layered(AnyBlockTemplate { core31, newest }))
}

/// Whether to ask for Core 31's `submitSolution`, to which Core 32 answers with an error.
fn is_core31<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unimplemented(_)))
}

fn submitted31(answer: Result<bool>) -> Result<BlockTemplateSubmitSolutionResults> {
    let answer = lacking("submitSolution", answer);
    by_hand::core31::block_template_submit_solution(answer)
}

impl BlockTemplateLayer for AnyBlockTemplate {
    fn inner(&self) -> &Arc<dyn BlockTemplate> {
        &self.newest
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
