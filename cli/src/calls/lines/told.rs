//! What the commands of a session say: the list of these commands, tables, and what the schema has.
//!
//! Knows the form of what is said; nothing of when or where it is.

use eyre::Result;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::schema::choice::Schema;
use crate::ui::errors::Failure;

const HELP: &[(&str, &str)] = &[
    (
        "METHOD [ARGUMENT…]",
        "call: echo hi, Echo.echo echo=hi, Mining.createNewBlock/getBlock",
    ),
    (
        "NAME = METHOD …",
        "keep the returned object as NAME, those in a list as NAME.0, NAME.1 …",
    ),
    ("NAME.METHOD …", "call a method of an object that is kept"),
    (
        "METHOD … &",
        "call in the background; Ctrl-Z puts a call there, Ctrl-C ends it",
    ),
    (
        "METHOD … | COMMAND",
        "pass the result to a shell's command, at a prompt",
    ),
    (".jobs", "the calls in the background"),
    (".wait [N]", "wait for one of them, or for all"),
    (".cancel N", "end one"),
    (".caps", "the objects that are kept"),
    (".release NAME", "let go of one, or of those in a list"),
    (
        ".list [INTERFACE]",
        "the interfaces, or an interface's methods",
    ),
    (
        ".describe NAME",
        "what the schema says of an interface, a method or a type",
    ),
    (".reconnect", "end the connection and connect again"),
    (".help", "this; so does help or ?"),
    (".quit", "end, as do quit, exit and the end of input"),
];

/// What a command says: lines for people, and the same as JSON.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) json: Json,
}

/// The commands that tell what the schema has.
pub(crate) struct Manual {
    pub(crate) list: fn(&Context, &Schema, Option<&str>) -> Result<Told>,
    pub(crate) describe: fn(&Context, &Schema, &str) -> Result<Told>,
}

/// Returns the list of the commands.
pub(super) fn help() -> Told {
    let rows = HELP.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    table(
        rows,
        |usage, meaning| json!({ "usage": usage, "meaning": meaning }),
    )
}

/// Returns the failure of a command of the session that is unknown, or has words that it does not take.
pub(super) fn misused(word: &str) -> Failure {
    let known = HELP
        .iter()
        .find(|(left, _)| left.split(' ').next() == Some(word));
    match known {
        Some((usage, _)) => Failure::usage(format!("{word} takes other words"))
            .hint(format!("it is written {usage}")),
        None => {
            let names = HELP.iter().filter(|(left, _)| left.starts_with('.'));
            let names: Vec<_> = names.map(|(left, _)| *left).collect();
            Failure::usage(format!("unknown command {word:?}"))
                .hint(format!("it is one of {}", names.join(", ")))
        }
    }
}

/// Returns two columns, and the same as a list of JSON.
pub(super) fn table(
    rows: impl IntoIterator<Item = (String, String)>,
    json: impl Fn(&str, &str) -> Json,
) -> Told {
    let rows: Vec<(String, String)> = rows.into_iter().collect();
    let width = rows.iter().map(|(left, _)| left.chars().count()).max();
    let width = width.unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(left, right)| format!("{left:width$}  {right}\n"));
    Told {
        text: lines.collect(),
        json: rows.iter().map(|(left, right)| json(left, right)).collect(),
    }
}
