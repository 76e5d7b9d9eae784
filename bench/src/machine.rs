//! What this was measured on, and of what.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value as Json, json};

/// Processors, kernel, compiler and commit.
pub fn json() -> Json {
    let uname = rustix::system::uname();
    json!({
        "cpus": thread::available_parallelism().map_or(0, usize::from),
        "cpu": cpu(),
        "kernel": format!(
            "{} {} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy()
        ),
        "rustc": env!("RUSTC_VERSION"),
        "commit": commit(),
        "optimised": !cfg!(debug_assertions),
    })
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit, with `+` where the tree has changes. None where this is no git repository.
fn commit() -> Option<String> {
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-C", env!("CARGO_MANIFEST_DIR")]).args(words);
        let output = command.output().ok().filter(|o| o.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let changed = !git(&["status", "--porcelain"])?.is_empty();
    let commit = git(&["rev-parse", "HEAD"])?;
    Some(format!(
        "{}{}",
        commit.trim(),
        if changed { "+" } else { "" }
    ))
}
