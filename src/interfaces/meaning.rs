//! The meaning of fields of Bitcoin Core's interfaces, which their types do not tell: hashes, durations,
//! and structs that may be absent.
//!
//! Knows names of the schemas alone. `build.rs` reads it for the typed interfaces, and `dynamic` for
//! values as JSON: what stands here holds for both.

/// The fields that are hashes, each with the type that stands for it: data, or a list of data, whose
/// bytes people write in reverse. C++ has a `uint256` there, or a type that wraps one.
pub const HASHES: &[(&str, &str)] = &[
    ("BlockRef.hash", "BlockHash"),
    ("Mining.waitTipChanged.currentTip", "BlockHash"),
    ("Mining.getTransactionsByTxID.txids", "Txid"),
    ("Mining.getTransactionsByWitnessID.wtxids", "Wtxid"),
];

/// The fields that are hashes to a program, and bytes in the order of the wire to people: what is done
/// with them is to hash them again.
pub const WIRE_HASHES: &[(&str, &str)] =
    &[("BlockTemplate.getCoinbaseMerklePath.result", "MerkleHash")];

/// The fields that are numbers of milliseconds, the largest double for ever. C++ has a
/// `MillisecondsDouble` there.
pub const MILLISECONDS: &[&str] = &["Mining.waitTipChanged.timeout", "BlockWaitOptions.timeout"];

/// The structs that are absent where their pointer is null. C++ has a `std::optional` there.
pub const NULLABLE: &[&str] = &["Mining.waitTipChanged.result"];
