//! The writing side of a connection's stream.
//!
//! Knows a socket and messages; nothing of when they are written.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::output::{Sink, Wrote};
use super::wire::message::abort;
use super::wire::write::{Built, WriteQueue};

/// The sink of a connection's messages. The default is the sink of one that is over.
#[derive(Default)]
pub struct StreamSink {
    queue: WriteQueue,
    stream: Option<Arc<UnixStream>>,
}

impl StreamSink {
    /// Makes the sink of a non-blocking stream.
    pub fn new(stream: &Arc<UnixStream>) -> Self {
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
        Ok(match self.queue.write(&mut Quiet(stream), done)? {
            true => Wrote::All,
            false => Wrote::Blocked,
        })
    }
}

/// Sends a peer the reason that it is not served, as far as its stream has room now.
pub fn refuse(stream: &UnixStream, why: &str) {
    let message = capnp::serialize::write_message_to_words(&abort(why, true));
    if stream.set_nonblocking(true).is_ok() {
        // The peer learns of the end all the same.
        let _ = io::Write::write(&mut Quiet(stream), &message);
    }
}

/// A stream whose writes return an error when the peer has closed it, and never raise a signal.
struct Quiet<'a>(&'a UnixStream);

impl io::Write for Quiet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    #[cfg(target_os = "linux")]
    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
        let mut nothing = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, bytes, &mut nothing, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
