//! The channel between two processes: a connected stream, and the acceptor of such streams.
//!
//! Knows bytes and who is at the other end; nothing of addresses, nor of what the bytes mean. The
//! protocols name these two traits and no socket, so a channel of another kind is one file that
//! implements them, here or in a program that uses the library. `socket` has what those on sockets
//! need, and `unix` is the library's own.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use crate::peer::Peer;

/// A connected stream of bytes in both directions.
///
/// Any thread may call it, one at a time for each direction. A protocol that waits for many streams at
/// once polls the descriptor, edge-triggered, and calls the stream in non-blocking mode, with locks of
/// its own held: no method may then block or call a protocol.
///
/// The descriptor has an event when there is something to receive, or room to send after
/// [`send`](Stream::send) or [`flush`](Stream::flush) had none. A stream that changes the bytes on their
/// way, such as one with TLS, may receive and send on its descriptor in either call. It does its
/// handshake before it is handed over, or in the calls of [`receive`](Stream::receive); until that is
/// complete, [`send`](Stream::send) keeps what it takes, since there is no event for its end.
///
/// Dropping it closes it.
pub trait Stream: AsFd + Send + Sync {
    /// Appends bytes that have arrived to `buffer`, no more than it has capacity for, and returns their
    /// number: 0 where the peer has ended its direction.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) in non-blocking mode where nothing has arrived;
    /// [`Interrupted`](io::ErrorKind::Interrupted) has it called again; any other error ends the stream.
    /// None loses bytes.
    fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize>;

    /// Returns whether a [`receive`](Stream::receive) that leaves capacity free has taken all that had
    /// arrived, as that of a socket has. Otherwise, which is the default, the stream is received from
    /// until it would block.
    fn takes_all(&self) -> bool {
        false
    }

    /// Sends as many bytes of these slices as there is room for, and returns their number. Never raises
    /// SIGPIPE.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) in non-blocking mode where there is no room;
    /// [`Interrupted`](io::ErrorKind::Interrupted) has it called again; any other error ends sending.
    fn send(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Passes on what [`send`](Stream::send) took and has kept. Called after the last of several sends,
    /// and again when there is room.
    ///
    /// # Errors
    /// Returns the errors of [`send`](Stream::send). By default nothing is kept.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Has the other methods return at once instead of waiting, or no longer. A stream that is handed
    /// over may be in either mode.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;

    /// Asks for room for so many bytes that are sent and not yet received. It matters for speed alone,
    /// and does nothing by default.
    fn set_send_room(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Ends both directions, also for the threads that wait in one of them and for other holders of
    /// the descriptor.
    ///
    /// # Errors
    /// Returns the error of the operating system, as when the peer was faster.
    fn shut_down(&self) -> io::Result<()>;

    /// Returns who is at the other end, as far as the channel tells: nothing by default. Everything that
    /// the peer makes this process hold is charged to it.
    fn peer(&self) -> Peer {
        Peer::Unknown
    }
}

/// A listening end, to which peers connect.
///
/// As with a [`Stream`], its descriptor is polled, and no method may block in non-blocking mode, or call
/// a protocol at any time. Dropping it stops listening and removes what others know it by, such as the
/// file of a socket.
pub trait Acceptor: AsFd + Send + Sync {
    /// Accepts a connection, whose stream may be in either mode.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) in non-blocking mode where nobody waits;
    /// [`Interrupted`](io::ErrorKind::Interrupted) has it called again. Any other error has the listener
    /// rest for a moment, as one for lack of descriptors should: it fails no listener.
    fn accept(&self) -> io::Result<Box<dyn Stream>>;

    /// Has [`accept`](Acceptor::accept) return at once instead of waiting, or no longer.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}

impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

impl<S: Stream + 'static> From<S> for Box<dyn Stream> {
    fn from(stream: S) -> Self {
        Box::new(stream)
    }
}

impl<A: Acceptor + 'static> From<A> for Box<dyn Acceptor> {
    fn from(acceptor: A) -> Self {
        Box::new(acceptor)
    }
}
