//! Turns the compiled schemas into traits, proxies, servers and the adapters of older generations.

use bitcoin_ipc_codegen::{Error, Generations};

#[path = "src/interfaces/meaning.rs"]
mod meaning;

fn main() -> Result<(), Error> {
    println!("cargo:rerun-if-changed=src/interfaces/meaning.rs");
    // The generations of Bitcoin Core's interfaces, the oldest first, and what no rule maps between them.
    let mut generations = Generations::new("schema", ["core30", "core31", "core32"])
        .lacking("core30", "Mining.createNewBlock.cooldown")
        .gone("core30", "BlockTemplate.getCoinbaseCommitment")
        .gone("core30", "BlockTemplate.getWitnessCommitmentIndex")
        .by_hand("core30", "BlockTemplate.getCoinbaseTx")
        .by_hand("core30", "BlockTemplate.submitSolution")
        .by_hand("core31", "BlockTemplate.submitSolution")
        .result("Init.makeMining", "crate::generation::node::mining")
        .layer("Mining")
        .layer("BlockTemplate")
        .wrap("Init", "super::any_init")
        .wrap("BlockTemplate", "super::any_block_template");
    for (field, hash) in meaning::HASHES.iter().chain(meaning::WIRE_HASHES) {
        generations = generations.value(field, &format!("crate::interfaces::{hash}"));
    }
    for field in meaning::MILLISECONDS {
        generations = generations.value(field, "std::time::Duration");
    }
    for field in meaning::NULLABLE {
        generations = generations.nullable(field);
    }
    generations.generate()
}
