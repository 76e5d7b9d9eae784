//! Turns the compiled schemas into traits, proxies and servers.

use bitcoin_ipc_codegen::{Builder, Error};

fn main() -> Result<(), Error> {
    Builder::new("schema/core32/compiled.bin")
        .runtime("crate")
        .wrap("Init", "super::any_init")
        .wrap("BlockTemplate", "super::any_block_template")
        .generate("core32")?;
    // Of older generations what has other ordinals or values under the same ids.
    Builder::new("schema/core30/compiled.bin")
        .runtime("crate")
        .older(["init", "mining"])
        .generate("core30")?;
    Builder::new("schema/core31/compiled.bin")
        .runtime("crate")
        .older(["init", "mining"])
        .generate("core31")
}
