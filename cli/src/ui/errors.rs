//! Errors as users meet them: a kind with its exit status, a line on what failed, a line on what
//! to do about it, and all of that as JSON. The only place that maps errors to exit statuses.
//!
//! Knows the library's errors and clap's. Must not print: [`crate::ui::output`] does.

use std::io;

use bitcoin_ipc::process::exec_failure_code;
use bitcoin_ipc::{Error, RemoteKind};
use clap::error::{ContextKind, ContextValue};
use serde_json::{Value, json};
use signal_hook::consts::SIGINT;

use crate::args::Refusal;
use crate::args::exit_status::{self, ExitStatus};
use crate::ui::escape;

/// The kind of a failure, which scripts tell by the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    Usage,
    NoConnection,
    Remote,
    Overloaded,
    Disconnected,
    /// The other side lost something that it needed; the connection stays open.
    Lost,
    Unimplemented,
    Timeout,
    CannotStart,
    NotFound,
    /// Ended by a signal.
    Signal(i32),
    /// Nobody reads the output any more.
    ClosedPipe,
}

impl Kind {
    /// Returns the kind's place in the table of exit statuses.
    fn status(self) -> &'static ExitStatus {
        match self {
            Self::Failed => &exit_status::FAILED,
            Self::Usage => &exit_status::USAGE,
            Self::NoConnection => &exit_status::NO_CONNECTION,
            Self::Remote => &exit_status::REMOTE,
            Self::Overloaded => &exit_status::OVERLOADED,
            Self::Disconnected | Self::Lost => &exit_status::DISCONNECTED,
            Self::Unimplemented => &exit_status::UNIMPLEMENTED,
            Self::Timeout => &exit_status::TIMEOUT,
            Self::CannotStart => &exit_status::CANNOT_START,
            Self::NotFound => &exit_status::NOT_FOUND,
            Self::Signal(_) => &exit_status::SIGNAL,
            Self::ClosedPipe => &exit_status::DONE,
        }
    }

    pub(crate) fn exit_code(self) -> u8 {
        let code = self.status().code;
        match self {
            Self::Signal(signal) => code.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX)),
            _ => code,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NoConnection => "no-connection",
            Self::Remote => "remote",
            Self::Overloaded => "overloaded",
            Self::Disconnected | Self::Lost => "disconnected",
            Self::Unimplemented => "unimplemented",
            Self::Timeout => "timeout",
            Self::CannotStart => "cannot-start",
            Self::NotFound => "not-found",
            Self::Signal(_) => "signal",
            Self::ClosedPipe => "closed-pipe",
        }
    }
}

/// The advice for a regtest node of Core 30 or 31 that makes no template yet.
const SHORT_COINBASE: &str = "below height 17 a node of Core 30 or 31 makes no template on regtest: \
                              mine the first 16 blocks by its RPC generatetodescriptor";

/// A failure as it is reported.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The action that failed, and its object; one line.
    pub(crate) message: String,
    /// The advice on what to do about it; one line.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: one_line(&message.into()),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(&hint.into()));
        self
    }

    /// Creates the failure of an end by a signal: nothing to report, the user knows.
    pub(crate) fn signal(signal: i32) -> Self {
        Self::new(Kind::Signal(signal), format!("ended by signal {signal}"))
    }

    /// Creates the failure of a call that was interrupted at a prompt, while the session goes on.
    pub(crate) fn interrupted() -> Self {
        Self::signal(SIGINT)
    }

    /// Whether there is nothing to report: the user sent the signal, or closed the pipe.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.kind, Kind::Signal(_) | Kind::ClosedPipe)
    }

    /// Converts an error of connecting to a peer, or of starting one.
    pub(crate) fn connecting(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::NoListener { .. } => Self::new(Kind::NoConnection, message).hint(
                "start a node with -ipcbind=unix, or `bitcoin-ipc serve --listen ADDRESS`, \
                 or wait for one with --wait",
            ),
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::new(Kind::NoConnection, message)
                    .hint("the socket belongs to the user who runs the node: run this as that user")
            }
            Error::Untrusted { .. } => Self::new(Kind::NoConnection, message)
                .hint("if that user's node is meant, say so with --peer-uid UID"),
            Error::Address { reason, .. } if reason.contains("bytes long") => {
                Self::new(Kind::NoConnection, message)
                    .hint("use a shorter --datadir, or unix:PATH with a shorter path")
            }
            Error::Address { .. } => Self::new(Kind::NoConnection, message)
                .hint("name the node's socket with --address unix:PATH"),
            Error::Spawn { source: None, .. } => Self::new(Kind::NoConnection, message)
                .hint("the program must take -ipcfd N and speak Bitcoin Core's IPC on N"),
            Error::Disconnected(_) | Error::Io { .. } | Error::Conversion { .. } => {
                Self::new(Kind::NoConnection, message)
                    .hint("see that the peer speaks Bitcoin Core's IPC; -v shows more")
            }
            Error::Timeout { .. } => Self::new(Kind::Timeout, message)
                .hint("see that the peer speaks Bitcoin Core's IPC, or set --timeout"),
            _ => error.into(),
        }
    }

    /// Returns the failure as the answer to a request.
    pub(crate) fn answer(&self) -> Value {
        json!({ "kind": self.kind.name(), "message": self.message, "hint": self.hint })
    }

    /// Returns the failure as JSON, on one line.
    pub(crate) fn json(&self, line: Option<u64>) -> Value {
        let mut error = json!({
            "kind": self.kind.name(),
            "message": self.message,
            "hint": self.hint,
            "exit": self.kind.exit_code(),
        });
        if let Some(line) = line {
            error["line"] = line.into();
        }
        json!({ "error": error })
    }

    /// Returns the failure that a report is about.
    pub(crate) fn of(report: &eyre::Report) -> Self {
        if let Some(failure) = report.downcast_ref::<Self>() {
            return failure.clone();
        }
        if let Some(refusal) = report.downcast_ref::<Refusal>() {
            return refusal.clone().into();
        }
        if let Some(error) = report.downcast_ref::<Error>() {
            return error.clone().into();
        }
        if let Some(error) = report.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, "nobody reads the output"),
                _ => Self::new(Kind::Failed, format!("input or output: {error}"))
                    .hint("see what stdin and stdout are connected to"),
            };
        }
        Self::new(Kind::Failed, format!("{report:#}"))
    }

    /// Whether a report is about a fault of this program, which nobody foresaw as a failure.
    pub(crate) fn is_internal(report: &eyre::Report) -> bool {
        !(report.is::<Self>() || report.is::<Error>() || report.is::<io::Error>())
    }

    /// Converts a usage error of clap. Help and version are no failures, and must not get here.
    pub(crate) fn from_clap(error: &clap::Error) -> Self {
        let rendered = error.to_string();
        let first = rendered.split("\n\n").next().unwrap_or(&rendered);
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let tip = rendered
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("tip: "));
        let values = || match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) if !values.is_empty() => {
                Some(format!("it is one of {}", values.join(", ")))
            }
            _ => None,
        };
        let usage = || {
            rendered
                .lines()
                .find_map(|line| line.strip_prefix("Usage: "))
                .map(|usage| format!("usage: {usage}"))
        };
        let message = message.lines().next().map_or(String::new(), |line| {
            // The missing arguments are listed below the line.
            if line.ends_with(':') {
                message.to_owned()
            } else {
                line.to_owned()
            }
        });
        let hint = tip.map(ToOwned::to_owned).or_else(values).or_else(usage);
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::usage(message).hint(hint.unwrap_or_else(|| "see bitcoin-ipc --help".into()))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::usage(refusal.message).hint(refusal.hint)
    }
}

/// Converts an error of a call.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::Usage(_) | Error::Address { .. } => {
                Self::usage(message).hint("see bitcoin-ipc --help")
            }
            Error::Conversion { .. } => {
                Self::new(Kind::Failed, message).hint("the value cannot cross as it is")
            }
            Error::Remote {
                kind: RemoteKind::Failed,
                text,
            } => Self::new(Kind::Remote, format!("the other side failed: {text}")).hint(match text
                .contains("bad-cb-length")
            {
                true => SHORT_COINBASE,
                false => "this is the peer's own answer; its log may say more",
            }),
            Error::Remote {
                kind: RemoteKind::Overloaded,
                text,
            } => Self::new(
                Kind::Overloaded,
                format!("the other side is overloaded: {text}"),
            )
            .hint("try again later"),
            Error::Remote {
                kind: RemoteKind::Disconnected,
                text,
            } => Self::new(
                Kind::Lost,
                format!("the other side lost what it needed: {text}"),
            )
            .hint("the connection goes on; see the log of the peer"),
            // The message tells who ended the connection, and why.
            Error::Disconnected(_) => {
                Self::new(Kind::Disconnected, format!("disconnected: {message}"))
                    .hint("see whether the peer still runs, and its log")
            }
            Error::Unimplemented(_) => Self::new(
                Kind::Unimplemented,
                format!("the other side does not implement it: {message}"),
            )
            .hint("`bitcoin-ipc connect` shows what the peer offers"),
            Error::Timeout { .. } => {
                Self::new(Kind::Timeout, message).hint("allow more time with --timeout")
            }
            Error::NoListener { .. } => Self::connecting(error),
            Error::Spawn { source, .. } => match (exec_failure_code(&error), source) {
                (Some(127), _) => Self::new(Kind::NotFound, message)
                    .hint("see that the path is right; a program's path has a slash in it"),
                (Some(_), _) => Self::new(Kind::CannotStart, message)
                    .hint("see that it is executable and built for this machine"),
                (None, _) => Self::new(Kind::Failed, message),
            },
            _ => Self::new(Kind::Failed, message),
        }
    }
}

/// Puts a message on one line: those of peers and those with paths may hold anything.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let trimmed = word.trim_end_matches(['\n', '\r', '\t']);
        line.push_str(trimmed);
        if trimmed.len() != word.len() && !line.ends_with(' ') {
            line.push(' ');
        }
    }
    escape::line(line.trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_stay_on_one_line_and_move_no_cursor() {
        let failure = Failure::from(Error::failed("a\nb\u{1b}[2Jc"));
        assert_eq!(failure.message, "the other side failed: a b\\x1b[2Jc");
        assert_eq!(failure.kind.exit_code(), 64);
    }

    #[test]
    fn only_what_nobody_foresaw_is_internal() {
        for report in [
            eyre::Report::new(Failure::usage("no method")),
            Error::Usage("no interface".into()).into(),
            io::Error::other("no input").into(),
        ] {
            assert!(!Failure::is_internal(&report), "{report:?}");
        }
        assert!(Failure::is_internal(&eyre::eyre!("a thread has panicked")));
    }

    #[test]
    fn every_kind_is_in_the_table() {
        use Kind::{
            CannotStart, ClosedPipe, Disconnected, Failed, Lost, NoConnection, NotFound,
            Overloaded, Remote, Signal, Timeout, Unimplemented, Usage,
        };
        let kinds = [
            ClosedPipe,
            Failed,
            Usage,
            NoConnection,
            Remote,
            Overloaded,
            Disconnected,
            Lost,
            Unimplemented,
            Timeout,
            CannotStart,
            NotFound,
            Signal(1),
        ];
        let mut found: Vec<_> = kinds.iter().map(|kind| kind.status()).collect();
        found.dedup();
        assert_eq!(found, exit_status::ALL.iter().collect::<Vec<_>>());
        assert!(exit_status::ALL.is_sorted_by(|one, other| one.code < other.code));
    }

    #[test]
    fn signals_map_to_the_shells_codes() {
        assert_eq!(Kind::Signal(15).exit_code(), 143);
    }
}
