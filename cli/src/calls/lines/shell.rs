//! A shell's command that gets the result of a call.
//!
//! Knows processes; nothing of the call.

use std::io::Write;
use std::process::{Command, Stdio};

use bitcoin_ipc::Error;
use eyre::Result;

use crate::context::Context;
use crate::ui::output::Shown;

/// Passes a result to a shell's command, and waits for that. It is in the foreground of the terminal, so
/// that Ctrl-C reaches it.
pub(super) fn pass(context: &Context, shown: &Shown, command: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::piped());
    let failed = |error| Error::io(format!("run {command:?}"), error);
    let mut child = shell.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A command need not read all, as `head` does not.
        let _ = input.write_all(context.output.piped(shown).as_bytes());
    }
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        context.output.note(&format!("{command}: {status}"));
    }
    Ok(())
}
