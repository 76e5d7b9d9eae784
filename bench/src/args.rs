//! The benchmark's command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures calls beside what the system itself takes, every subject in turn, and prints medians
/// and ratios.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --", version)]
pub struct Args {
    /// Only subjects whose name contains one of these, and those that they are compared with.
    #[arg(long, value_name = "PART", num_args = 1..)]
    pub only: Vec<String>,

    /// Measures another implementation as well: PROGRAM, started with `-ipcfd N`, serves Bitcoin
    /// Core's `Init`. May be given repeatedly.
    #[arg(long, value_name = "PROGRAM")]
    pub program: Vec<PathBuf>,

    /// Writes everything that was measured to FILE.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// How many slices each subject has.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// A few seconds in all: shows that every subject works, and no more.
    #[arg(long)]
    pub quick: bool,

    /// Makes N blocking calls and measures nothing, for a profiler to count what they take.
    #[arg(long, value_name = "N")]
    pub calls: Option<u32>,

    /// Prints the subjects' names.
    #[arg(long)]
    pub list: bool,

    /// A flag that cargo adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// How many slices each subject has.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 15 })
    }

    /// How long one is. A subject whose call takes longer makes one call.
    pub fn slice(&self) -> Duration {
        Duration::from_millis(if self.quick { 10 } else { 80 })
    }

    /// How long a subject runs before it is measured.
    pub fn warm_up(&self) -> Duration {
        self.slice() / 2
    }
}
