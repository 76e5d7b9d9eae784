//! Requests and responses in the log, in the words of Core's `-debug=ipc`.
//!
//! Knows methods and messages; nothing of the log's readers. Values are cut at [`VALUE_LENGTH`]
//! characters and are not formatted at all unless the log is enabled.

use std::fmt;

use capnp::any_pointer;

use super::info::{Method, Show};
use super::rpc::{Incoming, Request, Response, Results};
use crate::error::Error;

/// The length at which a message's values are cut in the log, in characters.
pub const VALUE_LENGTH: usize = 200;

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
    let mut cut = Cut {
        text: String::new(),
        left: VALUE_LENGTH,
    };
    // Fails exactly when the rest is cut.
    let _ = show(message, &mut cut);
    if cut.left == 0 {
        cut.text.push('…');
    }
    cut.text
}

/// Takes so many characters and then refuses more, so that formatting a large message stops.
struct Cut {
    text: String,
    left: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.left == 0 {
                return Err(fmt::Error);
            }
            self.text.push(character);
            self.left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn long_values_are_cut() {
        let mut cut = Cut {
            text: String::new(),
            left: 3,
        };
        assert!(cut.write_str("äöüß").is_err());
        assert_eq!(cut.text, "äöü");
    }
}
