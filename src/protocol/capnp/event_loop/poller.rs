//! Events of file descriptors from the operating system. The one file that names mio.
//!
//! Knows descriptors by number and the tokens they are registered by; nothing of what is read from
//! them, or by which thread. Events are edge-triggered: a descriptor has an event when something new
//! arrives, and not again for what was there before, so its reader has to take all of it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Waker};

use super::linger::{LINGER, Linger};

/// The number of events that one poll returns at most.
const EVENTS: usize = 128;
/// The alarm's own token. Those of sources begin after it.
const ALARM: mio::Token = mio::Token(0);

/// Identifies a watched descriptor. Never reused within an event loop, so that a late event of a
/// descriptor that is gone reaches no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub usize);

impl Token {
    /// The first token that a source may have.
    pub const FIRST: usize = 1;
}

/// An event of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The descriptor's token.
    pub token: Token,
    /// Set when there is something to read, or the end of the stream.
    pub readable: bool,
    /// Set when there is room to write, or the peer no longer reads.
    pub writable: bool,
    /// Set when the stream has ended, after what there is to read.
    pub closed: bool,
}

impl Ready {
    /// Makes an event for a descriptor that was not read to its end.
    pub fn again(token: Token) -> Self {
        Self {
            token,
            readable: true,
            writable: false,
            closed: true,
        }
    }
}

/// Waits for events.
pub struct Poller {
    poll: Poll,
    events: Events,
    linger: Linger,
}

/// Registers descriptors and wakes the poller, from any thread.
pub struct Watch {
    registry: Registry,
    alarm: Waker,
}

/// Makes a poller that watches nothing yet.
///
/// # Errors
/// Returns the error of the operating system when it gives no descriptors.
pub fn poller() -> io::Result<(Poller, Watch)> {
    let poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let alarm = Waker::new(&registry, ALARM)?;
    let events = Events::with_capacity(EVENTS);
    let linger = Linger::default();
    let poller = Poller {
        poll,
        events,
        linger,
    };
    Ok((poller, Watch { registry, alarm }))
}

impl Poller {
    /// Waits until there is an event, the alarm is raised, or `timeout` has passed.
    ///
    /// # Errors
    /// Returns the error of the operating system, which is not expected.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO) && self.linger.begins() {
            let begun = Instant::now();
            loop {
                // First: another thread answers what this one has just written.
                thread::yield_now();
                self.look(Some(Duration::ZERO))?;
                // Other threads may have had the processor for longer.
                let is_in_time = begun.elapsed() < LINGER;
                if !self.events.is_empty() {
                    if is_in_time {
                        self.linger.has_paid();
                    }
                    return Ok(());
                }
                if !is_in_time {
                    break;
                }
            }
        }
        self.look(timeout)
    }

    fn look(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the events that ended the last wait.
    pub fn news(&self) -> impl Iterator<Item = Ready> {
        let events = self.events.iter().filter(|event| event.token() != ALARM);
        events.map(|event| Ready {
            token: Token(event.token().0),
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            closed: event.is_read_closed() || event.is_error(),
        })
    }

    /// Discards the events that ended the last wait.
    pub fn forget(&mut self) {
        self.events.clear();
    }
}

impl Watch {
    /// Watches a descriptor for reading only: one that is watched for room to write has an event each
    /// time that the peer has read.
    ///
    /// # Errors
    /// Returns the error of the operating system when it cannot watch the descriptor.
    pub fn add(&self, descriptor: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let descriptor: RawFd = descriptor.as_raw_fd();
        self.registry.register(
            &mut SourceFd(&descriptor),
            mio::Token(token.0),
            Interest::READABLE,
        )
    }

    /// Watches a descriptor for room to write as well, or no longer. Unread input raises its event once
    /// more.
    ///
    /// # Errors
    /// Returns the error of the operating system when it cannot watch the descriptor.
    pub fn writable(
        &self,
        descriptor: BorrowedFd<'_>,
        token: Token,
        writable: bool,
    ) -> io::Result<()> {
        let descriptor: RawFd = descriptor.as_raw_fd();
        let interest = match writable {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        self.registry
            .reregister(&mut SourceFd(&descriptor), mio::Token(token.0), interest)
    }

    /// Stops watching a descriptor.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        let descriptor: RawFd = descriptor.as_raw_fd();
        // It fails for one that is not watched.
        let _ = self.registry.deregister(&mut SourceFd(&descriptor));
    }

    /// Ends the poller's current wait, or its next one.
    pub fn alarm(&self) {
        // It fails when the process has lost its descriptors, and then nothing waits any more.
        let _ = self.alarm.wake();
    }
}
