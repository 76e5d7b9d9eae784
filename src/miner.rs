//! A miner's part of a block template: its coinbase, its merkle root, its nonce.
//!
//! Knows blocks as the crate `bitcoin` has them; nothing of connections. Real work is done by hashing
//! hardware: what solves here is for regtest.

use std::fmt;
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness,
    absolute, transaction,
};

use crate::blocks::read;
use crate::client::Work;
use crate::error::{Error, Result};
use crate::interfaces::MerkleHash;
use crate::interfaces::mining::{BlockTemplate, BlockTemplateSubmitSolutionResults, CoinbaseTx};

/// The longest scriptSig of a coinbase, in bytes.
const MAX_SCRIPT_SIG: usize = 100;
/// The shortest.
const MIN_SCRIPT_SIG: usize = 2;

/// A block to be solved: a template with a coinbase.
#[derive(Clone)]
pub struct Job {
    template: Arc<dyn BlockTemplate>,
    /// The header, with the merkle root that the coinbase gives it. Its version, time and nonce may be
    /// changed.
    pub header: Header,
    coinbase: Transaction,
}

impl Job {
    /// Makes a block of a template. `outputs` gets what the coinbase may pay in all, and returns what
    /// it pays; `extra` follows the height in its scriptSig: an extra nonce, a pool's name.
    ///
    /// # Errors
    /// Returns the errors of the calls, [`Error::Conversion`] where the node's answers cannot be read,
    /// and [`Error::Usage`] where the outputs pay too much or `extra` is too long.
    pub fn new(
        work: &Work,
        outputs: impl FnOnce(Amount) -> Vec<TxOut>,
        extra: &[u8],
    ) -> Result<Self> {
        let template = work.template.clone();
        let wanted = template.get_coinbase_tx()?;
        let coinbase = coinbase(&wanted, outputs, extra)?;
        let path = template.get_coinbase_merkle_path()?;
        let mut header: Header = read("BlockTemplate.getBlockHeader.result", &work.header)?;
        header.merkle_root = merkle_root(&coinbase, &path);
        Ok(Self {
            template,
            header,
            coinbase,
        })
    }

    /// Returns the coinbase.
    #[must_use]
    pub fn coinbase(&self) -> &Transaction {
        &self.coinbase
    }

    /// Tries so many nonces, beginning with the header's. Returns whether one solves the block; the
    /// header has that then.
    pub fn solve(&mut self, tries: u32) -> bool {
        let target = self.header.target();
        for _ in 0..tries {
            if self.header.validate_pow(target).is_ok() {
                return true;
            }
            self.header.nonce = self.header.nonce.wrapping_add(1);
        }
        false
    }

    /// Submits the block. The node checks it and makes it the tip; the answer says whether it did.
    ///
    /// # Errors
    /// Returns the errors of the call.
    pub fn submit(&self) -> Result<BlockTemplateSubmitSolutionResults> {
        let Header {
            version,
            time,
            nonce,
            ..
        } = self.header;
        // The bits of the version are what travels.
        let version = version.to_consensus().cast_unsigned();
        let coinbase = serialize(&self.coinbase);
        self.template
            .submit_solution(version, time, nonce, &coinbase)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("header", &self.header)
            .field("coinbase", &self.coinbase)
            .finish_non_exhaustive()
    }
}

/// Makes the coinbase that a template wants. `outputs` and `extra` are those of [`Job::new`].
///
/// # Errors
/// Returns the errors of [`Job::new`].
pub fn coinbase(
    wanted: &CoinbaseTx,
    outputs: impl FnOnce(Amount) -> Vec<TxOut>,
    extra: &[u8],
) -> Result<Transaction> {
    let reward = u64::try_from(wanted.block_reward_remaining).map_err(|_| {
        let reason = format!("{} satoshis", wanted.block_reward_remaining);
        Error::conversion("CoinbaseTx.blockRewardRemaining", reason)
    })?;
    let mut output = outputs(Amount::from_sat(reward));
    let pays = output
        .iter()
        .try_fold(0_u64, |sum, output| sum.checked_add(output.value.to_sat()));
    if pays.is_none_or(|pays| pays > reward) {
        return Err(Error::Usage(format!(
            "the coinbase may pay {reward} satoshis, and its outputs are more"
        )));
    }
    output.extend(wanted.outputs()?);
    let mut script_sig = wanted.script_sig_prefix.clone();
    script_sig.extend_from_slice(extra);
    if script_sig.len() > MAX_SCRIPT_SIG {
        return Err(Error::Usage(format!(
            "a scriptSig of {} bytes, of which {} are extra (limit {MAX_SCRIPT_SIG})",
            script_sig.len(),
            extra.len()
        )));
    }
    // A height up to 16 is one byte.
    script_sig.resize(script_sig.len().max(MIN_SCRIPT_SIG), 0);
    let mut witness = Witness::new();
    if !wanted.witness.is_empty() {
        witness.push(&wanted.witness);
    }
    Ok(Transaction {
        version: transaction::Version(wanted.version.cast_signed()),
        lock_time: absolute::LockTime::from_consensus(wanted.lock_time),
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: ScriptBuf::from_bytes(script_sig),
            sequence: Sequence(wanted.sequence),
            witness,
        }],
        output,
    })
}

/// Returns the merkle root of a block with this coinbase. `path` has the hash beside the coinbase's on
/// each level of the tree, from the leaves to the root.
#[must_use]
pub fn merkle_root(coinbase: &Transaction, path: &[MerkleHash]) -> TxMerkleNode {
    let mut hash = coinbase.compute_txid().to_byte_array();
    for beside in path {
        let both = [hash, beside.0].concat();
        hash = sha256d::Hash::hash(&both).to_byte_array();
    }
    TxMerkleNode::from_byte_array(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus::deserialize;

    fn wanted() -> CoinbaseTx {
        let commitment = TxOut {
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::from_bytes(vec![0x6a]),
        };
        CoinbaseTx {
            version: 2,
            sequence: 0xffff_fffe,
            script_sig_prefix: vec![0x51],
            witness: vec![0; 32],
            block_reward_remaining: 5000,
            required_outputs: vec![serialize(&commitment)],
            lock_time: 7,
        }
    }

    fn to_anyone(value: Amount) -> Vec<TxOut> {
        let script_pubkey = ScriptBuf::from_bytes(vec![0x51]);
        vec![TxOut {
            value,
            script_pubkey,
        }]
    }

    #[test]
    fn a_coinbase_has_what_the_template_wants() {
        let made = coinbase(&wanted(), to_anyone, b"ab").unwrap();
        assert!(made.is_coinbase());
        assert_eq!(made.input[0].script_sig.as_bytes(), b"\x51ab");
        assert_eq!(made.input[0].witness.len(), 1);
        assert_eq!(made.output.len(), 2);
        assert_eq!(made.output[0].value.to_sat(), 5000);
        let bytes = serialize(&made);
        assert_eq!(deserialize::<Transaction>(&bytes).unwrap(), made);

        let short = coinbase(&wanted(), to_anyone, b"").unwrap();
        assert_eq!(short.input[0].script_sig.len(), 2);
    }

    #[test]
    fn what_no_block_may_have_is_refused() {
        let refused = |outputs: fn(Amount) -> Vec<TxOut>, extra: &[u8]| {
            coinbase(&wanted(), outputs, extra).unwrap_err().to_string()
        };
        let error = refused(|all| to_anyone(all + Amount::ONE_SAT), b"");
        assert!(error.contains("may pay 5000 satoshis"), "{error}");
        let error = refused(|_| to_anyone(Amount::MAX), b"");
        assert!(error.contains("may pay 5000 satoshis"), "{error}");
        let error = refused(to_anyone, &[0; 100]);
        assert!(
            error.contains("101 bytes, of which 100 are extra"),
            "{error}"
        );

        let mut negative = wanted();
        negative.block_reward_remaining = -1;
        assert!(coinbase(&negative, to_anyone, b"").is_err());
        let mut garbage = wanted();
        garbage.required_outputs = vec![vec![1, 2, 3]];
        assert!(coinbase(&garbage, to_anyone, b"").is_err());
    }

    /// The block of height 170 on the main chain, the first with a payment.
    #[test]
    fn the_path_leads_to_the_merkle_root() {
        let coinbase = "01000000010000000000000000000000000000000000000000000000000000000000000000\
                        ffffffff0704ffff001d0102ffffffff0100f2052a01000000434104d46c4968bde02899d2\
                        aa0963367c7a6ce34eec332b32e42e5f3407e052d64ac625da6f0718e7b302140434bd7257\
                        06957c092db53805b821a85b23a7ac61725bac00000000";
        let coinbase: Transaction = bitcoin::consensus::encode::deserialize_hex(coinbase).unwrap();
        let payment = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16";
        let payment: bitcoin::Txid = payment.parse().unwrap();
        let root = merkle_root(&coinbase, &[MerkleHash(payment.to_byte_array())]);
        let expected = "7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff";
        assert_eq!(root.to_string(), expected);
    }
}
