//! The loop of a follower of a node, across its connections.
//!
//! Knows errors and pauses; nothing of what is followed. A follower waits in the node for a `SLICE` at a
//! time, and when it is stopped its call comes to its end, with an interrupt where the generation has one:
//! a node may abort where a connection ends during a wait. Only a node that is still loading its chain
//! answers later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Client;
use super::supervisor::{Supervisor, pause};
use crate::call::{CallOptions, CancelToken, Registration};
use crate::error::{Error, Result};
use crate::interfaces::mining::Mining;

/// The longest that the end of a connection to a node that shuts down is waited for.
const SHUTDOWN: Duration = Duration::from_secs(60);
/// The time from one look whether it has ended to the next.
const LOOK: Duration = Duration::from_millis(100);

/// The outcome of a call that waits in the node.
pub enum Step<T> {
    /// There is something new.
    Found(T),
    /// There is nothing new.
    Same,
    /// The node ended the wait: it was told to, or shuts down.
    Interrupted,
}

/// The shortest time from one fruitless step to the next, whatever the node answers.
const REST: Duration = Duration::from_millis(50);

/// A follower of a node, by way of the objects `U` that it makes for each connection.
pub struct Follower<U> {
    node: Supervisor,
    /// The connection, and the objects that were made for it.
    using: Option<(Client, U)>,
    token: CancelToken,
    /// Ends it with all others.
    _registration: Registration,
    /// The number of failures in a row.
    failures: u32,
}

impl<U> Follower<U> {
    /// Begins to follow a node.
    pub fn new(node: Supervisor) -> Self {
        let (token, registration) = node.token();
        Self {
            node,
            using: None,
            token,
            _registration: registration,
            failures: 0,
        }
    }

    /// Returns the token that ends it.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Calls `step` with what `make` made for the connection, and again with that of the next one if the
    /// connection ends, until it finds something. A step must not wait for longer than
    /// [`SLICE`](crate::generation::SLICE). Returns `None` when it has been told to stop, and the error of a step where a new connection does not help.
    pub fn next<T>(
        &mut self,
        make: impl Fn(&Client) -> Result<U>,
        mut step: impl FnMut(&mut U, &CancelToken) -> Result<Step<T>>,
    ) -> Option<Result<T>> {
        while !self.token.is_cancelled() {
            if let Some(before) = self.failures.checked_sub(1) {
                self.node.pause(pause(before), &self.token);
            }
            let client = match self.node.client_until(&self.token) {
                Ok(client) => client,
                Err(Error::Cancelled(_)) => break,
                Err(error) => return Some(Err(self.failed(error))),
            };
            let running = self.node.running();
            // Counted before this look, so that a stop waits for the step.
            if self.token.is_cancelled() {
                break;
            }
            let begun = Instant::now();
            let using = self.using.take().filter(|(known, _)| known.is(&client));
            // From Core 31 on, a node makes its objects once it has loaded its chain, which can take hours.
            let made = || CallOptions::new().cancel(&self.token).run(|| make(&client));
            let using = using.map_or_else(|| Ok((client.clone(), made()?)), Ok);
            let outcome = using.and_then(|using| {
                let (_, using) = self.using.insert(using);
                step(using, &self.token)
            });
            drop(running);
            match outcome {
                Ok(Step::Found(found)) => {
                    self.failures = 0;
                    return Some(Ok(found));
                }
                Ok(Step::Same) => {
                    self.failures = 0;
                    self.node
                        .pause(REST.saturating_sub(begun.elapsed()), &self.token);
                }
                Ok(Step::Interrupted) => self.await_shutdown(&client),
                Err(_) if self.token.is_cancelled() => {}
                Err(error) if !client.is_connected() => {
                    let error = self.failed(error);
                    self.node.lost(&client, Some(error));
                }
                // It has no Mining any more.
                Err(Error::Disconnected(_)) => self.await_shutdown(&client),
                Err(error) if error.is_retryable() => {
                    self.failed(error);
                }
                Err(error) => return Some(Err(self.failed(error))),
            }
        }
        None
    }

    /// Waits for the end of the connection to a node that shuts down, and asks it nothing meanwhile: Core
    /// 30 aborts when its chain is asked for after it has let go of that.
    fn await_shutdown(&mut self, client: &Client) {
        let deadline = Instant::now() + SHUTDOWN;
        let end = client.disconnected();
        let has_ended = || {
            end.as_ref()
                .is_none_or(|end| end.wait(Some(Duration::ZERO)))
        };
        while !(self.token.is_cancelled() || has_ended()) && Instant::now() < deadline {
            self.node.pause(LOOK, &self.token);
        }
        if self.token.is_cancelled() {
            return;
        }
        let error = self.failed(Error::Disconnected("the node shuts down".into()));
        self.node.lost(client, Some(error));
    }

    fn failed(&mut self, error: Error) -> Error {
        self.failures = self.failures.saturating_add(1);
        error
    }
}

/// Returns the node's `Mining`. From Core 31 on a node that shuts down has none any more.
///
/// # Errors
/// Returns [`Error::Disconnected`] when it has none, and the errors of the call.
pub fn mining(client: &Client) -> Result<Arc<dyn Mining>> {
    client.mining().map_err(|error| match error {
        Error::Unimplemented(text) => Error::Disconnected(text),
        error => error,
    })
}

impl<U> Drop for Follower<U> {
    fn drop(&mut self) {
        self.token.cancel();
    }
}
