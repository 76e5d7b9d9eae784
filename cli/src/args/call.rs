//! The words of `call`.
//!
//! Knows words and the types they stand for. Must not connect, start or print anything.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::duration::TimeLimit;
use super::pick::Pick;

/// Make one call and print its result on stdout
///
/// Without METHOD, a call for each line of input, on one connection, as `connect` makes them.
///
/// SIGINT, SIGTERM, SIGHUP and --timeout end a call. Where its object has a method `interrupt` or
/// `interrupt…`, as Bitcoin Core's waits have from 31 on, that is called and the answer waited for,
/// for 3 seconds at most or until another signal.
///
/// `name:=print` hosts an object in the place of a parameter that is an interface. Each call on it
/// is a line of JSON on stdout, and is answered with nothing. The command then stays until it is
/// interrupted, --for or --count say that it is enough, or the peer lets go of the object.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("repetition").multiple(true).args(["repeat", "every"])))]
pub(crate) struct Call {
    /// Interface.method, or a method that only one interface has; A.b/c calls on
    pub(crate) method: Option<String>,
    /// A value, name=value, name:=JSON, or one {JSON} for all; @FILE or - in place of a value;
    /// name:=print for an object that prints its calls; in A.b/c a name that only b has is b's
    #[arg(value_name = "ARGUMENT", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    #[command(flatten)]
    pub(crate) pick: Pick,
    /// Print what would be sent, and send nothing
    #[arg(long, requires = "method")]
    pub(crate) dry_run: bool,
    /// Make a call for each line of FILE, or of stdin with -; a line has further ARGUMENTs, quoted
    /// as in a shell, or one {JSON}, and what it names wins over those given here
    #[arg(
        long,
        value_name = "FILE",
        requires = "method",
        conflicts_with = "dry_run"
    )]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) each: Option<PathBuf>,
    /// Make the call N times, or forever; the first that fails ends it
    #[arg(long, value_name = "N", requires = "method", conflicts_with_all = ["each", "dry_run"])]
    pub(crate) repeat: Option<Times>,
    /// Make the call again and again, one each DURATION from start to start, or at once where one
    /// takes longer
    #[arg(long, value_name = "DURATION", requires = "method", value_parser = interval)]
    #[arg(conflicts_with_all = ["each", "dry_run"])]
    pub(crate) every: Option<Duration>,
    /// With --repeat or --every: print nothing until the result is not the first one, then print
    /// that and end with 0; with 1 if it stays the same for all N
    #[arg(long, requires = "repetition")]
    pub(crate) until_changed: bool,
    /// With name:=print: end with 0 after this time
    #[arg(long = "for", value_name = "DURATION", requires = "method")]
    #[arg(conflicts_with_all = ["each", "repetition", "dry_run"])]
    pub(crate) duration: Option<TimeLimit>,
    /// With name:=print: end with 0 after N printed calls
    #[arg(long, value_name = "N", requires = "method", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(conflicts_with_all = ["each", "repetition", "dry_run"])]
    pub(crate) count: Option<u64>,
}

/// How often something is done; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times(pub(crate) Option<u64>);

impl FromStr for Times {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("forever", _) => Ok(Self(None)),
            (_, Ok(times @ 1..)) => Ok(Self(Some(times))),
            _ => Err("not a number from 1, nor forever"),
        }
    }
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let limit: TimeLimit = text.parse()?;
    limit.0.ok_or_else(|| "not a time between two calls".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_times_is_at_least_one() {
        assert_eq!("forever".parse(), Ok(Times(None)));
        assert_eq!("3".parse(), Ok(Times(Some(3))));
        for bad in ["0", "-1", "", "1.5", "ever"] {
            assert!(bad.parse::<Times>().is_err(), "{bad}");
        }
    }
}
