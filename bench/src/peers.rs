//! The roles of this executable as a child: the other side of each subject.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use eyre::{Result, WrapErr, eyre};

use crate::children::{self, inherited};
use crate::placement::stay_on;
use crate::subjects::{connections, echo, foreign, objects, raw};

/// Serves a spawned parent Core's `Init`.
pub const ECHO: &str = "bench-echo";
/// Serves a spawned parent the benchmark's own interfaces.
pub const OBJECTS: &str = "bench-objects";
/// Reads and writes bytes.
pub const RAW: &str = "bench-raw";
/// Serves with capnp-rpc alone.
pub const PLAIN: &str = "bench-plain";
/// Serves with tarpc.
pub const TARPC: &str = "bench-tarpc";
/// Listens at a socket for many connections.
pub const LISTEN: &str = "bench-listen";
/// Makes many connections and holds them.
pub const HOLD: &str = "bench-hold";
/// Becomes another program once it has been placed.
pub const BECOME: &str = "bench-become";

/// Plays the role that the environment names, to its end. False when it names none.
pub fn run(words: &[OsString]) -> Result<bool> {
    let Some(role) = env::var_os(children::ROLE) else {
        return Ok(false);
    };
    let role = role.to_string_lossy();
    // Before there is a second thread, so that all of them inherit this.
    if let Some(processor) = env::var_os(children::PROCESSOR) {
        stay_on(parse(&processor)?)?;
    }
    let played = match &*role {
        ECHO => echo::serve(words),
        OBJECTS => objects::serve(words),
        RAW => raw::serve(inherited()?, number(words, 1)?, number(words, 2)?),
        PLAIN => foreign::serve_plain(inherited()?),
        TARPC => foreign::serve_tarpc(inherited()?),
        LISTEN => connections::listen(&inherited()?, Path::new(word(words, 1)?)),
        HOLD => connections::hold(&inherited()?, Path::new(word(words, 1)?), number(words, 2)?),
        BECOME => become_program(words),
        _ => Err(eyre!("there is no such role")),
    };
    played.wrap_err_with(|| role.into_owned())?;
    Ok(true)
}

/// Returns only where the program cannot be started.
fn become_program(words: &[OsString]) -> Result<()> {
    let program = env::var_os(children::BECOMES);
    let program = program.ok_or_else(|| eyre!("{} is not set", children::BECOMES))?;
    let mut command = Command::new(&program);
    command.args(words.iter().skip(1));
    for variable in [children::ROLE, children::PROCESSOR, children::BECOMES] {
        command.env_remove(variable);
    }
    let error = command.exec();
    Err(error).wrap_err_with(|| format!("start {}", program.display()))
}

fn word(words: &[OsString], at: usize) -> Result<&OsString> {
    words.get(at).ok_or_else(|| eyre!("word {at} is missing"))
}

fn number(words: &[OsString], at: usize) -> Result<usize> {
    parse(word(words, at)?)
}

fn parse(word: &OsStr) -> Result<usize> {
    let word = word.to_string_lossy();
    word.parse().wrap_err_with(|| format!("{word:?}"))
}
