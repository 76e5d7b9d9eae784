//! Being a role: what this program does when it is called `bitcoin-node`, `bitcoin-wallet` or
//! `bitcoin-gui`.
//!
//! Knows the program's own name and the command line of a spawned child; nothing of the commands.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use bitcoin_ipc::Ipc;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use eyre::Result;
use tracing_subscriber::filter::LevelFilter;

use crate::ui::errors::Failure;
use crate::ui::log;
use crate::ui::output::Output;

/// The role that this program's name gives it.
pub(crate) fn role(name: Option<&OsString>) -> Option<Role> {
    let name = Path::new(name?).file_name().and_then(OsStr::to_str)?;
    Role::of_exe(name)
}

/// Serves the parent as `role`, if the words are those of a spawned child.
pub(crate) fn run(role: Role, words: &[OsString], output: &Output) -> Result<u8> {
    let level = std::env::var(log::VARIABLE)
        .ok()
        .and_then(|level| level.parse().ok());
    log::start(level.unwrap_or(LevelFilter::WARN), output);
    let ipc = Ipc::<dyn Init>::new(role.exe_name(), role.init())?;
    let (name, stderr) = (role.exe_name(), output.clone());
    let served = ipc.start_spawned(words, move || {
        stderr.stderr_line(&format!(
            "{name} ignores SIGINT: it ends when the process that started it lets go of it"
        ));
    });
    let served = served.map_err(|error| {
        Failure::from(error).hint(format!(
            "{name} takes exactly -ipcfd N, N a connected socket"
        ))
    })?;
    served.ok_or_else(|| {
        Failure::usage(format!(
            "{name} is a role of bitcoin-ipc here and takes exactly: -ipcfd N"
        ))
        .hint(format!("`bitcoin-ipc spawn {role}` starts it so"))
        .into()
    })
}
