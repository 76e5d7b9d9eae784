//! Turns the compiled schema into traits, proxies and servers, and keeps which compiler this is.

use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    bitcoin_ipc_codegen::Builder::new("schema/compiled.bin").generate("objects")?;
    let rustc = std::env::var_os("RUSTC").ok_or("RUSTC is not set")?;
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    let version = String::from_utf8(version)?;
    println!("cargo:rustc-env=RUSTC_VERSION={}", version.trim());
    Ok(())
}
