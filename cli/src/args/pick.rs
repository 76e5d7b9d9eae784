//! The words that choose a part of a result, or make it count as a failure.

use clap::Args;

/// The part of a result that is wanted.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Pick {
    /// Print this part of the result: names of fields and numbers of elements, with dots between them
    #[arg(long, value_name = "PATH")]
    pub(crate) get: Option<String>,
    /// Exit with 1 where the result, or the field `result` of it, is false or null
    #[arg(long)]
    pub(crate) fail: bool,
}
