//! `completions`: a shell's completions, from the definition of the command line.

use clap::CommandFactory;
use clap_complete::Shell;
use eyre::Result;

use super::super::args::{Cli, Completions};
use super::super::output;

pub(crate) fn run(args: &Completions) -> Result<u8> {
    output::print(&generate(args.shell))?;
    Ok(0)
}

fn generate(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bitcoin-ipc", &mut text);
    text
}
