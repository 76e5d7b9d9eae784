//! The end of a connection, as something to wait for.
//!
//! Knows a connection and the tasks that wait; nothing of messages.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::connection::Connection;
use crate::error::Error;
use crate::interfaces::End;

/// The end of a connection, and the place of the task that waits for it.
pub struct Ended {
    connection: Arc<Connection>,
    place: Option<usize>,
}

impl Ended {
    /// Returns the end of this connection.
    pub fn of(connection: &Arc<Connection>) -> Self {
        Self {
            connection: connection.clone(),
            place: None,
        }
    }
}

impl End for Ended {
    fn wait(&self, timeout: Option<Duration>) -> bool {
        self.connection.wait_closed(timeout)
    }

    fn reason(&self) -> Option<Error> {
        self.connection.closed().map(Error::Disconnected)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let wakers = &self.connection.wakers;
        wakers.register(&mut self.place, context.waker());
        // After the registration, so that either this or the end wakes the task.
        match self.connection.is_over() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Once the connection is over the place may be another's, who needs no waker either.
        if let Some(place) = self.place {
            self.connection.wakers.remove(place);
        }
    }
}
