//! Turns the compiled schemas into traits, proxies and servers: the built-in interfaces, and the
//! schema that the tests use.

use bitcoin_ipc_codegen::{Builder, Error};

fn main() -> Result<(), Error> {
    Builder::new("schema/core32/compiled.bin")
        .runtime("crate")
        .generate("core32")?;
    // A published package has no tests and no schema for them.
    if std::path::Path::new("schema/test/compiled.bin").exists() {
        Builder::new("schema/test/compiled.bin").generate("foo")?;
    }
    Ok(())
}
