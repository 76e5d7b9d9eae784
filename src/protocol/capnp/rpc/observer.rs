//! Every message of a connection, in both directions, for an observer.
//!
//! Knows messages; nothing of what they do. Without an observer it costs one branch per message.

use std::sync::Arc;
use std::time::SystemTime;

use capnp_rpc::rpc_capnp::message;

use super::wire::envelope::Envelope;
use super::wire::received::Received;
use super::wire::write::Built;

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer sent it.
    Received,
    /// This process sends it.
    Sent,
}

/// A message as an [`Observer`] sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// The time at which it was read, or queued to be written.
    pub time: SystemTime,
    /// Identifies the connection within this process.
    pub connection: usize,
    /// The direction of the message.
    pub direction: Direction,
    /// The kind of the message, and the ids that it names.
    pub envelope: Envelope,
    /// The message's segments: whole words in little-endian order.
    pub segments: &'a [&'a [u8]],
}

/// An observer of every message of the connections that it is given to.
pub trait Observer: Send + Sync {
    /// Runs when a message was read, before it is handled, or queued to be written. Messages of one
    /// direction are passed in their order. This must not block, and must not call or drop objects of
    /// the connection.
    fn message(&self, seen: &Seen<'_>);
}

/// One connection, with its observer, if there is one.
pub struct Observed {
    connection: usize,
    observer: Option<Arc<dyn Observer>>,
}

impl Observed {
    /// Shows the messages of a connection to `observer`.
    pub fn new(connection: usize, observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            connection,
            observer,
        }
    }

    /// Shows messages that are queued to be written.
    pub fn sent(&self, messages: &[Built]) {
        for message in self.observer.iter().flat_map(|_| messages) {
            let message = message.message();
            let segments = message.get_segments_for_output();
            self.show(Direction::Sent, &segments, message.get_root_as_reader());
        }
    }

    /// Shows a message that was read.
    pub fn received(&self, received: &Received) {
        if self.observer.is_some() {
            self.show(Direction::Received, &received.segments(), received.root());
        }
    }

    /// Shows a message, unless it cannot be read.
    fn show(
        &self,
        direction: Direction,
        segments: &[&[u8]],
        root: capnp::Result<message::Reader<'_>>,
    ) {
        if let Some(observer) = &self.observer
            && let Ok(envelope) = root.and_then(Envelope::of)
        {
            observer.message(&Seen {
                time: SystemTime::now(),
                connection: self.connection,
                direction,
                envelope,
                segments,
            });
        }
    }
}
