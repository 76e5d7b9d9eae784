//! Compiling `.capnp` sources with the user's `capnp` tool.
//!
//! The one place that runs it. Builds from a compiled request do not come here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The text of `/mp/proxy.capnp`, so that schemas can import it on any machine.
const PROXY: &str = include_str!("../schema/mp/proxy.capnp");

/// Compiles `sources`, found by their names below `folder`, with `/mp/proxy.capnp` to import.
pub(crate) fn compile(sources: &[PathBuf], folder: &Path, out_dir: &Path) -> Result<Vec<u8>> {
    let imports = out_dir.join("capnp-imports");
    let proxy = imports.join("mp").join("proxy.capnp");
    fs::create_dir_all(imports.join("mp"))
        .and_then(|()| fs::write(&proxy, PROXY))
        .map_err(|e| Error::io(format!("write {}", proxy.display()), e))?;
    let output = Command::new("capnp")
        .env_remove("PWD")
        .arg("compile")
        .arg("-o-")
        .arg(format!("--src-prefix={}", folder.display()))
        .arg(format!("--import-path={}", folder.display()))
        .arg(format!("--import-path={}", imports.display()))
        .args(sources.iter().map(|source| folder.join(source)))
        .output()
        .map_err(|e| {
            Error::Tool(format!(
                "run `capnp`: {e}. Compiling .capnp sources in a build needs the Cap'n Proto tool \
                 (Debian: `capnproto`, Homebrew: `capnp`); a build from a compiled request made \
                 beforehand (`Builder::new`) does not"
            ))
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Tool(format!("capnp compile: {}", text.trim())));
    }
    Ok(output.stdout)
}
