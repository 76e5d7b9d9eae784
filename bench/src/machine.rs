//! Describes the machine and the build that were measured.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value as Json, json};

use crate::placement::{Placement, Processors};

/// Returns the description in a few lines, for the head of a table.
pub fn lines(processors: &Processors) -> String {
    let optimised = match cfg!(debug_assertions) {
        true => ", NOT OPTIMISED: the times mean nothing",
        false => "",
    };
    let cpu = cpu().unwrap_or_else(|| "processors".to_owned());
    let mut lines = format!("{} × {cpu}, {}{optimised}", cpus(), kernel());
    for placement in [Placement::Together, Placement::Apart] {
        let sides = (processors.client(placement), processors.server(placement));
        if let (Some(client), Some(server)) = sides {
            let word = placement.word();
            lines += &format!("\n{word}: client on processor {client}, server on {server}");
        }
    }
    lines
}

/// Returns processors, kernel, compiler and commit as JSON.
pub fn json(processors: &Processors) -> Json {
    let sides = |placement| [processors.client(placement), processors.server(placement)];
    json!({
        "cpus": cpus(),
        "together": sides(Placement::Together),
        "apart": sides(Placement::Apart),
        "cpu": cpu(),
        "kernel": kernel(),
        "rustc": env!("RUSTC_VERSION"),
        "commit": commit(),
        "optimised": !cfg!(debug_assertions),
    })
}

/// Returns the number of processors that this process may use; 0 where it is unknown.
fn cpus() -> usize {
    thread::available_parallelism().map_or(0, usize::from)
}

fn kernel() -> String {
    let uname = rustix::system::uname();
    let words = [uname.sysname(), uname.release(), uname.machine()];
    words.map(|word| word.to_string_lossy()).join(" ")
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Returns the commit, with `+` where the tree has changes; `None` outside a git repository.
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
