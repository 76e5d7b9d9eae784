//! The words of `watch` and `mine`.

use std::time::Duration;

use clap::Args;

use super::call::interval;
use super::duration::TimeLimit;

/// Print a line for each change, across restarts of the node
///
/// `tip` prints each tip of the chain once, as {"height":…,"hash":…}: with "skipped" for the blocks
/// between two tips that were not seen, which a node from Core 32 on is asked for one by one.
/// `template` prints each new block template: its header, its fees, and why it is new. A METHOD is
/// called again and again, and its result is printed when it is another; one with NAME:=print hosts
/// an object that prints its calls.
///
/// Ends with 0 on SIGINT, and leaves nothing waiting in the node.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// tip, template, or a method as `call` takes it
    #[arg(value_name = "tip|template|METHOD")]
    pub(crate) what: String,
    /// The method's arguments, as `call` takes them
    #[arg(value_name = "ARGUMENT", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// Print the present one first, and not only what comes after it
    #[arg(long)]
    pub(crate) initial: bool,
    /// End with 0 after N lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End with 0 after this time
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<TimeLimit>,
    /// Call METHOD once in this time [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub(crate) every: Option<Duration>,
    /// Print a new template also when it has so many satoshis more in fees
    #[arg(long, value_name = "SATOSHIS", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) fees: Option<i64>,
    /// Run this by a shell for each line, one at a time, with the line in WATCH_JSON and its fields
    /// in WATCH_HEIGHT, WATCH_HASH and so on
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
}

/// Mine blocks through the node's block templates, on a chain where that is cheap
///
/// Prints a line for each block, {"height":…,"hash":…}. For regtest: where a block takes more than a
/// few million hashes, it refuses to begin.
#[derive(Debug, Args)]
pub(crate) struct Mine {
    /// The number of blocks
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) blocks: u64,
    /// Whom the blocks pay: an address of the chain, or a script in hex
    #[arg(long, value_name = "ADDRESS|SCRIPT")]
    pub(crate) to: String,
}
