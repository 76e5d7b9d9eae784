//! Requests and responses in the log, in the words of Core's `-debug=ipc`.
//!
//! Knows methods and messages; nothing of the log's readers. Values are cut at [`VALUE_LENGTH`]
//! characters, are left out where one of them is a secret, and are not formatted at all unless the log is
//! enabled.

use std::fmt;

use capnp::any_pointer;

use super::info::{Method, Show};
use super::rpc::{Incoming, Request, Response, Results};
use crate::error::Error;
use crate::interfaces::secrets::Scan;

/// The length at which a message's values are cut in the log, in characters.
pub const VALUE_LENGTH: usize = 200;

/// The length of a message's values up to which they are searched for secrets, in bytes: a large message
/// is a block or a list of transactions.
const SEARCHED: usize = 1 << 20;

/// Logs a request that arrived.
pub fn server_receives(request: u64, method: &Method, call: &Incoming) {
    if listening() {
        let values = call.params(|params| values(&*method.show_params, params));
        let values = shown(values);
        tracing::debug!(target: "ipc", "IPC server recv request  #{request} {method} {values}");
    }
}

/// Logs the answer to a request.
pub fn server_sends(request: u64, method: &Method, results: &Results) {
    if listening() {
        let values = shown(results.read(|results| values(&*method.show_results, results)));
        tracing::debug!(target: "ipc", "IPC server send response #{request} {method} {values}");
    }
}

/// Logs a request that fails.
pub fn server_fails(request: u64, method: &Method, error: &Error) {
    tracing::debug!(target: "ipc", "IPC server error request #{request} {method} {error}");
}

/// Logs a call that is made.
pub fn client_sends(method: &Method, request: &Request) {
    if listening() {
        let values = shown(request.read(|params| values(&*method.show_params, params)));
        tracing::debug!(target: "ipc", "IPC client send {method} {values}");
    }
}

/// Logs a call's result.
pub fn client_receives(method: &Method, response: &Response) {
    if listening() {
        let values = shown(response.read(|results| values(&*method.show_results, results)));
        tracing::debug!(target: "ipc", "IPC client recv {method} {values}");
    }
}

/// Logs a call that failed.
pub fn client_fails(method: &Method, error: &Error) {
    tracing::debug!(target: "ipc", "IPC client exception {method} {error}");
}

fn listening() -> bool {
    tracing::enabled!(target: "ipc", tracing::Level::DEBUG)
}

fn shown(values: capnp::Result<String>) -> String {
    values.unwrap_or_else(|error| format!("(malformed: {error})"))
}

fn values(show: &Show, message: any_pointer::Reader<'_>) -> String {
    let mut shown = Shown::new(VALUE_LENGTH);
    // Fails exactly when the rest does not matter.
    let _ = show(message, &mut shown);
    shown.text()
}

/// Keeps so many characters, and looks for secrets in all: a command may be named after its parameters.
struct Shown {
    text: String,
    left: usize,
    is_cut: bool,
    scan: Scan,
    searched: usize,
    has_secret: bool,
}

impl Shown {
    fn new(length: usize) -> Self {
        Self {
            text: String::new(),
            left: length,
            is_cut: false,
            scan: Scan::default(),
            searched: 0,
            has_secret: false,
        }
    }

    fn text(mut self) -> String {
        if self.has_secret || self.scan.end() {
            return "(not logged: it has a secret)".to_owned();
        }
        if self.is_cut {
            self.text.push('…');
        }
        self.text
    }
}

impl fmt::Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = text.char_indices().nth(self.left);
        let (kept, is_cut) = match kept {
            Some((end, _)) => (&text[..end], true),
            None => (text, false),
        };
        self.text.push_str(kept);
        self.left -= kept.chars().count();
        self.is_cut |= is_cut;
        self.searched += text.len();
        self.has_secret |= self.scan.write_str(text).is_err();
        match self.has_secret || self.searched > SEARCHED {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn long_values_are_cut() {
        let mut shown = Shown::new(3);
        shown.write_str("ä").unwrap();
        shown.write_str("öüß").unwrap();
        shown.write_str("x").unwrap();
        assert_eq!(shown.text(), "äöü…");
        let mut whole = Shown::new(3);
        whole.write_str("äöü").unwrap();
        assert_eq!(whole.text(), "äöü");
    }

    /// FAULTS C2: a command that takes a secret may be named after it, and beyond what is kept.
    #[test]
    fn values_with_a_secret_are_left_out() {
        let mut shown = Shown::new(3);
        shown
            .write_str("(request = \"{\\\"params\\\":[\\\"hunter2")
            .unwrap();
        let found = shown.write_str("\\\"],\\\"method\\\":\\\"walletpassphrase\\\"}\")");
        assert!(found.is_err());
        assert_eq!(shown.text(), "(not logged: it has a secret)");
    }
}
