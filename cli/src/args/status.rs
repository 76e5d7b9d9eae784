//! The words of `status`.

use clap::Args;

/// Tell whether a node is there, who serves it, what it offers, and how far it is
///
/// Never starts one. Exits with 0 where it answers, with 3 where there is none, and says what is
/// there instead.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Exit with 1 unless the node has all blocks that it knows of, and is out of initial block
    /// download
    #[arg(long)]
    pub(crate) synced: bool,
}
