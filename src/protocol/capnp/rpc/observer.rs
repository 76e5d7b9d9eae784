//! Every message of a connection, in both directions, for whoever wants to see them.
//!
//! Knows messages; nothing of what they do. Where nobody looks it costs a branch a message.

use std::sync::Arc;
use std::time::SystemTime;

use capnp_rpc::rpc_capnp::message;

use super::wire::envelope::Envelope;
use super::wire::received::Received;
use super::wire::write::Built;

/// Whose message it is.
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
    /// When it was read, or queued to be written.
    pub time: SystemTime,
    /// Tells connections of this process apart.
    pub connection: usize,
    /// Whose it is.
    pub direction: Direction,
    /// What it is.
    pub envelope: Envelope,
    /// Its segments, whole words in little-endian order.
    pub segments: &'a [&'a [u8]],
}

/// Sees every message of the connections that it is given to.
pub trait Observer: Send + Sync {
    /// A message was read, before anything is done about it, or queued to be written. Messages of one
    /// direction are seen in their order. This must not block, and must not call or drop objects of the
    /// connection.
    fn message(&self, seen: &Seen<'_>);
}

/// One connection, as an observer sees it, if there is one.
pub struct Observed {
    connection: usize,
    observer: Option<Arc<dyn Observer>>,
}

impl Observed {
    /// The messages of a connection, for `observer`.
    pub fn new(connection: usize, observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            connection,
            observer,
        }
    }

    /// These messages are queued to be written.
    pub fn sent(&self, messages: &[Built]) {
        for message in self.observer.iter().flat_map(|_| messages) {
            let message = message.message();
            let segments = message.get_segments_for_output();
            self.show(Direction::Sent, &segments, message.get_root_as_reader());
        }
    }

    /// This message was read.
    pub fn received(&self, received: &Received) {
        if self.observer.is_some() {
            self.show(Direction::Received, &received.segments(), received.root());
        }
    }

    /// Shows a message. One that cannot be read is none that anybody sees.
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
