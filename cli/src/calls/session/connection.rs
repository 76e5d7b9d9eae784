//! Waiting for something while the connection may end.
//!
//! Knows the session's connection and signals; nothing of what is waited for.

use std::time::{Duration, Instant};

use bitcoin_ipc::Error;

use super::Session;
use crate::ui::errors::Failure;

/// How often a wait looks for a signal.
const LOOK: Duration = Duration::from_millis(20);

/// How much later than the end of a child the signal that ended it may be heard.
const SIGNAL: Duration = Duration::from_millis(100);

impl Session {
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
