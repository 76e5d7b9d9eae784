//! Turns the compiled schemas into traits, proxies and servers: the built-in interfaces, and the
//! schema that the tests use.

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
        .generate("core31")?;
    // A published package has no tests and no schema for them.
    if std::path::Path::new("schema/test/compiled.bin").exists() {
        Builder::new("schema/test/compiled.bin").generate("foo")?;
    }
    Ok(())
}
