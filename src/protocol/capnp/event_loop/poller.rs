//! What the system tells of descriptors. The one file that names mio.
//!
//! Knows descriptors by number and the numbers they are told by; nothing of what is read from them,
//! or by whom. A descriptor is told of when something new has come, and not again for what was there
//! before: who is told has to take all of it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Waker};

use super::linger::{LINGER, Linger};

/// How many descriptors are told of at a time.
const EVENTS: usize = 128;
/// The alarm's own number. Those of sources begin behind it.
const ALARM: mio::Token = mio::Token(0);

/// Identifies what is watched. Never reused within an event loop, so that late news of a descriptor
/// that is gone is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub usize);

impl Token {
    /// The first one that a source may have.
    pub const FIRST: usize = 1;
}

/// News of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Whose.
    pub token: Token,
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room to write, or nobody to read it.
    pub writable: bool,
    /// The end has come, behind what there is to read.
    pub closed: bool,
}

impl Ready {
    /// News of a descriptor of which not all was taken.
    pub fn again(token: Token) -> Self {
        Self {
            token,
            readable: true,
            writable: false,
            closed: true,
        }
    }
}

/// Waits for news.
pub struct Poller {
    poll: Poll,
    events: Events,
    linger: Linger,
}

/// Says what is watched, and wakes who waits; for any thread.
pub struct Watch {
    registry: Registry,
    alarm: Waker,
}

/// A poller that watches nothing yet.
///
/// # Errors
/// What the operating system says when it gives no descriptors.
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
    /// Waits until there is news, or someone wakes this, or `timeout` has passed.
    ///
    /// # Errors
    /// What the operating system says, which it has no reason to.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO) && self.linger.begins() {
            let begun = Instant::now();
            loop {
                // First: who has just written something has it answered by another thread.
                thread::yield_now();
                self.look(Some(Duration::ZERO))?;
                // Others may have had the processor for longer.
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

    /// The news that ended the last wait.
    pub fn news(&self) -> impl Iterator<Item = Ready> {
        let events = self.events.iter().filter(|event| event.token() != ALARM);
        events.map(|event| Ready {
            token: Token(event.token().0),
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            closed: event.is_read_closed() || event.is_error(),
        })
    }

    /// Forgets the news that ended the last wait.
    pub fn forget(&mut self) {
        self.events.clear();
    }
}

impl Watch {
    /// Watches a descriptor for what there is to read, and for nothing else: one that is watched
    /// for room to write is told of each time that the peer has read.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch it.
    pub fn add(&self, descriptor: &impl AsRawFd, token: Token) -> io::Result<()> {
        let descriptor: RawFd = descriptor.as_raw_fd();
        self.registry.register(
            &mut SourceFd(&descriptor),
            mio::Token(token.0),
            Interest::READABLE,
        )
    }

    /// Watches a descriptor for room to write as well, or no longer. What there is to read is told
    /// of once more.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch it.
    pub fn writable(
        &self,
        descriptor: &impl AsRawFd,
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

    /// Watches a descriptor no longer.
    pub fn remove(&self, descriptor: &impl AsRawFd) {
        let descriptor: RawFd = descriptor.as_raw_fd();
        // It fails for one that is not watched.
        let _ = self.registry.deregister(&mut SourceFd(&descriptor));
    }

    /// Ends the wait of the poller, now or its next one.
    pub fn alarm(&self) {
        // It fails when the process has lost its descriptors, and then nothing waits any more.
        let _ = self.alarm.wake();
    }
}
