//! The exit statuses and their meanings: the one table, from which the program ends and of which the
//! help, the manual and the README tell.
//!
//! Knows numbers and words; which failure has which status is said in `ui::errors`.

/// An exit status, as scripts tell it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExitStatus {
    pub(crate) code: u8,
    pub(crate) meaning: &'static str,
}

const fn status(code: u8, meaning: &'static str) -> ExitStatus {
    ExitStatus { code, meaning }
}

pub(crate) const DONE: ExitStatus = status(0, "done");
pub(crate) const FAILED: ExitStatus = status(1, "failed here");
pub(crate) const USAGE: ExitStatus = status(2, "wrong usage or bad value");
pub(crate) const NO_CONNECTION: ExitStatus = status(3, "no connection");
pub(crate) const REMOTE: ExitStatus = status(64, "the other side failed");
pub(crate) const OVERLOADED: ExitStatus = status(65, "the other side was overloaded");
pub(crate) const DISCONNECTED: ExitStatus = status(66, "the other side disconnected");
pub(crate) const UNIMPLEMENTED: ExitStatus = status(67, "the other side does not implement it");
pub(crate) const TIMEOUT: ExitStatus = status(124, "time ran out");
pub(crate) const CANNOT_START: ExitStatus = status(126, "the program could not be started");
pub(crate) const NOT_FOUND: ExitStatus = status(127, "the program was not found");
/// The end by signal n; its status is this one's plus n.
pub(crate) const SIGNAL: ExitStatus = status(128, "ended by signal n");

/// All of them, in the order of their numbers.
pub(crate) const ALL: &[ExitStatus] = &[
    DONE,
    FAILED,
    USAGE,
    NO_CONNECTION,
    REMOTE,
    OVERLOADED,
    DISCONNECTED,
    UNIMPLEMENTED,
    TIMEOUT,
    CANNOT_START,
    NOT_FOUND,
    SIGNAL,
];

/// Returns the table as lines of a help.
pub(crate) fn table() -> String {
    let lines = ALL.iter().map(|ExitStatus { code, meaning }| {
        let code = match code {
            128 => "128+n".to_owned(),
            code => code.to_string(),
        };
        format!("\n  {code:<8}{meaning}")
    });
    lines.collect()
}
