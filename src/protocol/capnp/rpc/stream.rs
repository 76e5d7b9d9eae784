//! The writing side of a connection's stream.
//!
//! Knows a stream and messages; nothing of when they are written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use super::output::{Sink, Wrote};
use super::wire::message::abort;
use super::wire::write::{Built, WriteQueue};
use crate::transport::Stream;

/// The sink of a connection's messages. The default is the sink of one that is over.
#[derive(Default)]
pub struct StreamSink {
    queue: WriteQueue,
    stream: Option<Arc<dyn Stream>>,
}

impl StreamSink {
    /// Makes the sink of a non-blocking stream.
    pub fn new(stream: &Arc<dyn Stream>) -> Self {
        Self {
            queue: WriteQueue::default(),
            stream: Some(stream.clone()),
        }
    }
}

impl Sink for StreamSink {
    type Message = Built;

    fn append(&mut self, messages: &mut VecDeque<Built>) {
        self.queue.append(messages);
    }

    fn write(&mut self, done: &mut usize) -> io::Result<Wrote> {
        let Some(stream) = &self.stream else {
            return Ok(Wrote::All);
        };
        if !self.queue.write(&mut Writing(&**stream), done)? {
            return Ok(Wrote::Blocked);
        }
        loop {
            match stream.flush() {
                Ok(()) => return Ok(Wrote::All),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(Wrote::Blocked),
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Sends a peer the reason that it is not served, as far as its stream has room now.
pub fn refuse(stream: &dyn Stream, why: &str) {
    let message = capnp::serialize::write_message_to_words(&abort(why, true));
    if stream.set_nonblocking(true).is_ok() {
        // The peer learns of the end all the same.
        let _ = stream.send(&[IoSlice::new(&message)]);
        let _ = stream.flush();
    }
}

/// A stream as the queue writes to it.
struct Writing<'a>(&'a dyn Stream);

impl io::Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
