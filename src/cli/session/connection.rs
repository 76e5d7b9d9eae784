//! Waiting for something while the connection may end.
//!
//! Knows the session's connection and signals; nothing of what is waited for.

use std::time::{Duration, Instant};

use bitcoin_ipc::Error;

use super::Session;
use crate::cli::errors::Failure;

/// How often a wait looks for a signal.
const LOOK: Duration = Duration::from_millis(20);

impl Session {
    /// Fails once the connection has ended; waits for that for this long.
    pub(crate) fn check_connection(&self, time: Duration) -> Result<(), Failure> {
        let end = self.objects.disconnection(&self.root()?);
        match end.is_some_and(|end| end.wait(Some(time))) {
            false => Ok(()),
            true => Err(Error::Disconnected("the connection has ended".into()).into()),
        }
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
