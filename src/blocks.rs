//! Blocks and transactions of the interfaces as the crate `bitcoin` has them.
//!
//! Knows how they are serialized; nothing of connections. The interfaces themselves have bytes there,
//! whether or not the feature `bitcoin` is on: a feature that one crate turns on must not change the
//! traits that another one implements.

use bitcoin::block::Header;
use bitcoin::consensus::{Decodable, deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Block, Transaction, TxMerkleNode, TxOut};

use crate::error::{Error, Result};
use crate::interfaces::mining::{
    BlockCheckOptions, BlockTemplate, CoinbaseTx, Mining, MiningCheckBlockResults,
    MiningSubmitBlockResults,
};
use crate::interfaces::{BlockHash, MerkleHash, Txid, Wtxid};

/// Defines the conversions between a hash and that of the crate `bitcoin`.
macro_rules! hashes {
    ($($ours:ident, $theirs:ty;)*) => {$(
        impl From<$ours> for $theirs {
            fn from(hash: $ours) -> Self {
                Self::from_byte_array(hash.0)
            }
        }

        impl From<$theirs> for $ours {
            fn from(hash: $theirs) -> Self {
                Self(hash.to_byte_array())
            }
        }
    )*};
}

hashes! {
    BlockHash, bitcoin::BlockHash;
    Txid, bitcoin::Txid;
    Wtxid, bitcoin::Wtxid;
    MerkleHash, TxMerkleNode;
}

/// Reads a value; `field` is for errors.
///
/// # Errors
/// Returns [`Error::Conversion`] where the bytes are none, or more than one.
pub(crate) fn read<T: Decodable>(field: &str, bytes: &[u8]) -> Result<T> {
    deserialize(bytes).map_err(|error| Error::conversion(field, error.to_string()))
}

/// The methods of [`Mining`] that take or answer blocks and transactions.
pub trait MiningExt {
    /// Checks a block, as [`Mining::check_block`].
    ///
    /// # Errors
    /// Returns the errors of the call.
    fn check(&self, block: &Block, options: &BlockCheckOptions) -> Result<MiningCheckBlockResults>;

    /// Hands a block to the node, as [`Mining::submit_block`].
    ///
    /// # Errors
    /// Returns the errors of the call.
    fn submit(&self, block: &Block) -> Result<MiningSubmitBlockResults>;

    /// Returns the transactions of the mempool with these ids, `None` for each that is not there, as
    /// [`Mining::get_transactions_by_tx_id`].
    ///
    /// # Errors
    /// Returns the errors of the call, and [`Error::Conversion`] for what is no transaction.
    fn transactions(&self, txids: &[bitcoin::Txid]) -> Result<Vec<Option<Transaction>>>;

    /// Returns the transactions of the mempool with these witness ids, as
    /// [`transactions`](Self::transactions) does.
    ///
    /// # Errors
    /// Returns those of [`transactions`](Self::transactions).
    fn witness_transactions(&self, wtxids: &[bitcoin::Wtxid]) -> Result<Vec<Option<Transaction>>>;
}

/// Reads the transactions of an answer, in which those that are not there are empty.
fn transactions(field: &str, answer: &[Vec<u8>]) -> Result<Vec<Option<Transaction>>> {
    let one = |bytes: &Vec<u8>| match bytes.is_empty() {
        true => Ok(None),
        false => read(field, bytes).map(Some),
    };
    answer.iter().map(one).collect()
}

impl<T: Mining + ?Sized> MiningExt for T {
    fn check(&self, block: &Block, options: &BlockCheckOptions) -> Result<MiningCheckBlockResults> {
        self.check_block(&serialize(block), options)
    }

    fn submit(&self, block: &Block) -> Result<MiningSubmitBlockResults> {
        self.submit_block(&serialize(block))
    }

    fn transactions(&self, txids: &[bitcoin::Txid]) -> Result<Vec<Option<Transaction>>> {
        let txids: Vec<Txid> = txids.iter().copied().map(Txid::from).collect();
        let answer = self.get_transactions_by_tx_id(&txids)?;
        transactions("Mining.getTransactionsByTxID.result", &answer)
    }

    fn witness_transactions(&self, wtxids: &[bitcoin::Wtxid]) -> Result<Vec<Option<Transaction>>> {
        let wtxids: Vec<Wtxid> = wtxids.iter().copied().map(Wtxid::from).collect();
        let answer = self.get_transactions_by_witness_id(&wtxids)?;
        transactions("Mining.getTransactionsByWitnessID.result", &answer)
    }
}

/// The methods of [`BlockTemplate`] that answer blocks.
pub trait BlockTemplateExt {
    /// Returns the header, whose merkle root is not that of the block yet, as
    /// [`BlockTemplate::get_block_header`].
    ///
    /// # Errors
    /// Returns the errors of the call, and [`Error::Conversion`] for what is no header.
    fn header(&self) -> Result<Header>;

    /// Returns the block with a dummy for its coinbase, as [`BlockTemplate::get_block`].
    ///
    /// # Errors
    /// Returns the errors of the call, and [`Error::Conversion`] for what is no block.
    fn block(&self) -> Result<Block>;
}

impl<T: BlockTemplate + ?Sized> BlockTemplateExt for T {
    fn header(&self) -> Result<Header> {
        read(
            "BlockTemplate.getBlockHeader.result",
            &self.get_block_header()?,
        )
    }

    fn block(&self) -> Result<Block> {
        read("BlockTemplate.getBlock.result", &self.get_block()?)
    }
}

impl CoinbaseTx {
    /// Returns the outputs that must be in the coinbase: with segwit, the commitment to the witnesses.
    ///
    /// # Errors
    /// Returns [`Error::Conversion`] for what is no output.
    pub fn outputs(&self) -> Result<Vec<TxOut>> {
        let outputs = self.required_outputs.iter();
        outputs
            .map(|output| read("CoinbaseTx.requiredOutputs", output))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::constants::genesis_block;
    use std::sync::Mutex;

    /// A node whose mempool and templates are those of a block.
    struct Node(Block, Mutex<Vec<Vec<u8>>>);

    impl Mining for Node {
        fn submit_block(&self, block: &[u8]) -> Result<MiningSubmitBlockResults> {
            self.1.lock().unwrap().push(block.to_vec());
            Ok(MiningSubmitBlockResults::default())
        }

        fn get_transactions_by_tx_id(&self, txids: &[Txid]) -> Result<Vec<Vec<u8>>> {
            let found = |txid: &Txid| {
                let mut all = self.0.txdata.iter();
                let found = all.find(|known| Txid::from(known.compute_txid()) == *txid);
                found.map(serialize).unwrap_or_default()
            };
            Ok(txids.iter().map(found).collect())
        }

        fn get_transactions_by_witness_id(&self, _: &[Wtxid]) -> Result<Vec<Vec<u8>>> {
            Ok(vec![vec![1, 2, 3]])
        }
    }

    impl BlockTemplate for Node {
        fn get_block_header(&self) -> Result<Vec<u8>> {
            Ok(serialize(&self.0.header))
        }

        fn get_block(&self) -> Result<Vec<u8>> {
            Ok(serialize(&self.0))
        }
    }

    #[test]
    fn blocks_and_transactions_are_those_of_the_crate() {
        let block = genesis_block(bitcoin::Network::Regtest);
        let node = Node(block.clone(), Mutex::default());
        assert_eq!(node.header().unwrap(), block.header);
        assert_eq!(node.block().unwrap(), block);
        node.submit(&block).unwrap();
        assert_eq!(*node.1.lock().unwrap(), [serialize(&block)]);
        let transaction = &block.txdata[0];
        let txids = [transaction.compute_txid(), bitcoin::Txid::all_zeros()];
        let found = node.transactions(&txids).unwrap();
        assert_eq!(found, [Some(transaction.clone()), None]);
        let error = node.witness_transactions(&[transaction.compute_wtxid()]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("Mining.getTransactionsByWitnessID.result: "),
            "{error}"
        );
    }

    #[test]
    fn a_hash_is_shown_as_the_crate_shows_it() {
        let block = genesis_block(bitcoin::Network::Regtest);
        let hash = BlockHash::from(block.block_hash());
        assert_eq!(hash.to_string(), block.block_hash().to_string());
        assert_eq!(bitcoin::BlockHash::from(hash), block.block_hash());
    }
}
