//! The peculiarities of Bitcoin Core's interfaces for what calls them by name: how values are shown,
//! which defaults an older node gets, what ends a wait, which methods moved.
//!
//! Knows names of the schemas, and schemas; nothing of connections, but for the calls that are more than
//! one message: [`Submit`], whose place a peer does not tell, and [`Wait`]. The typed interfaces have the
//! same in [`crate::generation`], and the facts that both need are in one table, which `build.rs` reads as
//! well.

mod answer;
mod defaults;
mod interrupt;
mod moved;
mod submit;
mod waiting;
mod way;

use crate::dynamic::json::{Meaning, Options, Owner};
use crate::dynamic::schema::model::Type;
use crate::interfaces::{meaning, secrets};

pub use self::answer::newest_answer;
pub use self::defaults::{newest_defaults, with_newest_defaults};
pub use self::interrupt::interrupt_of;
pub use self::moved::is_same;
pub use self::submit::Submit;
pub use self::waiting::{Stop, Wait, was_ended};

/// The parameters that may be left out although no schema gives them a default, each with its method.
pub const OPTIONAL: &[(&str, &str)] = &[("Rpc.executeRpc", "uri"), ("Rpc.executeRpc", "user")];

/// A method that may wait for longer than people expect, and its parameter that says whether it does.
pub const SLOW: (&str, &str) = ("Mining.createNewBlock", "cooldown");

/// Returns the options that people who use Bitcoin Core expect: hashes in display order, durations where
/// a parameter is a timeout, optional values as one field.
#[must_use]
pub fn options() -> Options {
    Options {
        optionals: true,
        ..Options::default().meaning(meaning)
    }
}

/// Returns whether a text, such as a line that a user typed, holds a secret as far as its words tell: a
/// passphrase, a private key, or a call of an RPC command that takes one. Such a text is not to be kept.
#[must_use]
pub fn has_secrets(text: &str) -> bool {
    secrets::are_in(text)
}

/// Returns whether a parameter of this name is a secret.
#[must_use]
pub fn is_secret(parameter: &str) -> bool {
    secrets::is_name(parameter)
}

/// The ids of the files that declare Core's interfaces: a schema of another program may have the same
/// names.
const FILES: &[u64] = &[
    0xf2c5_cfa3_1940_6aa6, // init.capnp
    0x888b_4f7f_51e6_91f7, // echo.capnp
    0xc77d_03df_6a41_b505, // mining.capnp
    0xcd2c_6232_cb48_4a28, // common.capnp
    0x9c35_05dc_45e1_46ac, // rpc.capnp
];

/// The ids of the further files of a Core whose node, wallet and GUI are processes of their own.
const SEPARATED: &[u64] = &[
    0x94f2_1a48_64bd_2c65, // chain.capnp
    0x9254_6c47_dc73_4b2e, // node.capnp
    0xe234_cce7_4fee_a00c, // wallet.capnp
];

/// The fields of [`SEPARATED`] that are hashes of blocks or transactions, wherever they stand.
const HASHES: &[&str] = &[
    "hash",
    "prevHash",
    "blockHash",
    "blockHash1",
    "blockHash2",
    "ancestorHash",
    "oldTip",
    "txid",
    "bumpedTxid",
];

/// The methods of [`SEPARATED`] whose result is such a hash.
const HASH_RESULTS: &[&str] = &["Chain.getBlockHash", "Node.getBestBlockHash"];

/// Whether a file, by its id, declares interfaces of Core's.
#[must_use]
pub fn is_core(file: u64) -> bool {
    FILES.contains(&file) || SEPARATED.contains(&file)
}

/// Returns the meaning of a field of Core's interfaces; of any other's, that its type is all.
#[must_use]
pub fn meaning(owner: Owner<'_>, field: &str, ty: &Type) -> Meaning {
    let is = |key: &str| key.rsplit_once('.') == Some((owner.name, field));
    let is_data = match ty {
        Type::Data => true,
        Type::List(element) => **element == Type::Data,
        _ => false,
    };
    if SEPARATED.contains(&owner.file) {
        let is_hash = match field {
            "result" => HASH_RESULTS.contains(&owner.name),
            field => HASHES.contains(&field),
        };
        return match is_data && is_hash {
            true => Meaning::Hash,
            false => Meaning::Plain,
        };
    }
    match ty {
        _ if !FILES.contains(&owner.file) => Meaning::Plain,
        _ if is_data && meaning::HASHES.iter().any(|(key, _)| is(key)) => Meaning::Hash,
        _ if is_data && meaning::WIRE_HASHES.iter().any(|(key, _)| is(key)) => Meaning::WireHash,
        Type::Float64 if meaning::MILLISECONDS.iter().any(|key| is(key)) => Meaning::Milliseconds,
        _ => Meaning::Plain,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::dynamic::schema::Registry;
    use crate::dynamic::schema::model::Kind;
    use crate::generation::Generation;

    #[test]
    fn the_files_are_those_of_all_generations() {
        let mut found = Vec::new();
        for generation in Generation::ALL {
            let registry = Registry::core(*generation).unwrap();
            let files = registry.nodes().filter(|node| node.kind == Kind::File);
            let files = files.filter(|file| !file.name.starts_with("mp/"));
            found.extend(files.map(|file| file.id));
        }
        assert!(found.iter().all(|file| FILES.contains(file)));
        assert!(FILES.iter().all(|file| found.contains(file)));
    }

    /// FAULTS F7 and H2: names alone tell nothing.
    #[test]
    fn only_fields_of_cores_files_have_a_meaning() {
        let meant = |file, name, field, ty| meaning(Owner::new(name, file), field, &ty);
        let (mining, chain, other) = (FILES[2], SEPARATED[0], 0x1234);
        let wait = "Mining.waitTipChanged";
        let timeout = |file| meant(file, wait, "timeout", Type::Float64);
        assert_eq!(timeout(mining), Meaning::Milliseconds);
        assert_eq!(timeout(other), Meaning::Plain);
        let tip = |file| meant(file, wait, "currentTip", Type::Data);
        assert_eq!(tip(mining), Meaning::Hash);
        assert_eq!(tip(other), Meaning::Plain);
        // Those of the processes of their own are displayed as Mining's are.
        for (owner, field) in [
            ("Chain.getBlockHash", "result"),
            ("Chain.findBlock", "hash"),
            ("FoundBlockResult", "hash"),
            ("Chain.hasDescendantsInMempool", "txid"),
        ] {
            assert_eq!(meant(chain, owner, field, Type::Data), Meaning::Hash);
            assert_eq!(meant(other, owner, field, Type::Data), Meaning::Plain);
        }
        for field in ["result", "pkHash", "data"] {
            assert_eq!(
                meant(chain, "Chain.getTipLocator", field, Type::Data),
                Meaning::Plain
            );
        }
        assert_eq!(
            meant(chain, "BlockInfo", "hash", Type::Text),
            Meaning::Plain
        );
    }
}
