//! Waiting for something while the connection may end.
//!
//! Knows the session's connection and signals; nothing of what is waited for.

use std::time::{Duration, Instant};

use bitcoin_ipc::Error;
use bitcoin_ipc::dynamic::call::Objects;
use eyre::Result;

use super::{Session, manner};
use crate::ui::errors::Failure;

/// How often a wait looks for a signal.
const LOOK: Duration = Duration::from_millis(20);

/// How much later than the end of a child the signal that ended it may be heard.
const SIGNAL: Duration = Duration::from_millis(100);

impl Session {
    /// Returns why the connection has ended, once it has.
    pub(crate) fn ended(&self) -> Option<Error> {
        let root = self.root().ok()?;
        let end = self.objects.disconnection(&root)?;
        let unknown = || Error::Disconnected("the connection has ended".into());
        end.wait(Some(Duration::ZERO))
            .then(|| end.reason().unwrap_or_else(unknown))
    }

    /// Gives up the connection and all objects on it. Returns those that the user held: name and
    /// interface.
    pub(crate) fn forget(&mut self) -> Vec<(String, String)> {
        let held = self.held();
        let new = Objects::new(self.schema.registry.clone(), manner(&self.context));
        let objects = std::mem::replace(&mut self.objects, new);
        let root = self.root.take();
        let end = root.and_then(|root| objects.disconnection(&root));
        self.made.clear();
        objects.release_all();
        if let Some(link) = self.link.take() {
            link.end(end);
        }
        held
    }

    /// Connects to where the session was connected before. The peer may be of another generation.
    pub(crate) fn reconnect(&mut self) -> Result<()> {
        self.open(self.own_child)?;
        self.certain = self.is_certain();
        self.learn()?;
        Ok(())
    }

    /// Whether the schema is known without asking the peer.
    pub(super) fn is_certain(&self) -> bool {
        self.schemas.fixed.is_some() || self.schema.generation.is_none()
    }

    /// Fails once the connection has ended; waits for that for this long.
    pub(crate) fn check_connection(&self, time: Duration) -> Result<(), Failure> {
        let end = self.objects.disconnection(&self.root()?);
        if !end.is_some_and(|end| end.wait(Some(time))) {
            return Ok(());
        }
        // A terminal's Ctrl-C goes to a child too, whose end may be noticed first.
        self.context.signals.sleep(SIGNAL)?;
        Err(Error::Disconnected("the connection has ended".into()).into())
    }

    /// Sleeps until then, but not beyond a signal or the end of the connection.
    pub(crate) fn sleep_until(&self, time: Instant) -> Result<(), Failure> {
        loop {
            self.context.signals.check()?;
            let left = time.saturating_duration_since(Instant::now());
            self.check_connection(left.min(LOOK))?;
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}
