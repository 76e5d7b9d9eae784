//! What this executable is under other names: the other side of each subject.

use std::ffi::OsString;
use std::path::Path;

use eyre::{Result, WrapErr, eyre};

use crate::children::inherited;
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

/// Plays the role that the first of `words` names, to its end. False when it names none.
pub fn run(words: &[OsString]) -> Result<bool> {
    let name = words.first().map(Path::new).and_then(Path::file_name);
    let role = name.and_then(|name| name.to_str()).unwrap_or_default();
    let played = match role {
        ECHO => echo::serve(words),
        OBJECTS => objects::serve(words),
        RAW => {
            if words.len() > 3 {
                raw::stay_on(number(words, 3)?)?;
            }
            raw::serve(inherited()?, number(words, 1)?, number(words, 2)?)
        }
        PLAIN => foreign::serve_plain(inherited()?),
        TARPC => foreign::serve_tarpc(inherited()?),
        LISTEN => connections::listen(&inherited()?, Path::new(word(words, 1)?)),
        HOLD => connections::hold(&inherited()?, Path::new(word(words, 1)?), number(words, 2)?),
        _ => return Ok(false),
    };
    played.wrap_err_with(|| role.to_owned())?;
    Ok(true)
}

fn word(words: &[OsString], at: usize) -> Result<&OsString> {
    words.get(at).ok_or_else(|| eyre!("word {at} is missing"))
}

fn number(words: &[OsString], at: usize) -> Result<usize> {
    let word = word(words, at)?.to_string_lossy();
    word.parse().wrap_err_with(|| format!("{word:?}"))
}
