//! One connection: its stream, what is read and written, and how it ends.
//!
//! Knows bytes, frames and times, and leaves what messages do to `tables`. A link is open, then
//! ending (nothing is read any more, and what is queued has a little time to be written), then over.
//! It never waits for the peer beyond that. Everything here may be called by any thread; what is read
//! is read by the one that drives the event loop.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, AtomicUsize};
use std::sync::{Arc, Mutex};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};

use super::super::event_loop::{EventLoop, Ready, Source, Timer, Token};
use super::super::sync::lock;
use super::cap::Host;
use super::check::{Trail, check};
use super::frame::{Frame, Received};
use super::message;
use super::read::FrameReader;
use super::reason::CloseReason;
use super::tables::Tables;
use super::write::WriteQueue;
use crate::limits::Limits;

/// The memory for what is sent and not yet read, in bytes. The fewer of the pieces of a large message
/// wait for room the better.
const SEND_BUFFER: usize = 256 * 1024;
/// How many reads in a row one connection gets before others get their turn.
const TURN: usize = 16;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Ending,
    Over,
}

/// What is called once when the connection is over, with the reason, before anyone hears of that.
/// What it gives is called when everybody has.
type OnOver = Box<dyn FnOnce(&CloseReason) -> Box<dyn FnOnce() + Send> + Send>;

/// A connection. The event loop keeps it until it is over.
pub struct Link {
    /// The loop that reads its stream.
    pub(in super::super) event_loop: Arc<EventLoop>,
    /// Its bounds.
    pub(in super::super) limits: Limits,
    pub(super) token: Token,
    pub(super) stream: UnixStream,
    /// Only ever locked by the thread that drives the loop, or tried at the end.
    reader: Mutex<Reading>,
    /// Only ever locked by the thread that has set `Tables::writing`.
    pub(super) output: Mutex<WriteQueue>,
    pub(super) tables: Mutex<Tables>,
    /// Objects of the peer that were let go of, and how often they had been given. A lock of its own,
    /// since they may be dropped anywhere.
    pub(super) let_go: Mutex<Vec<(u32, u64)>>,
    /// Whether the event loop has been told that there is something to write, and when.
    pub(super) listed: AtomicU8,
    /// The bytes of received messages that someone holds.
    pub(super) received: Arc<AtomicUsize>,
    over: Mutex<Option<OnOver>>,
}

struct Reading {
    frames: FrameReader,
    trail: Trail,
    /// Goes off when the message that has begun takes too long.
    frame_timer: Option<Timer>,
    /// Goes off when a connection that came in does not send a message.
    handshake_timer: Option<Timer>,
}

impl Reading {
    fn new(limits: &Limits) -> Self {
        Self {
            frames: FrameReader::new(limits),
            trail: Trail::default(),
            frame_timer: None,
            handshake_timer: None,
        }
    }
}

impl Link {
    /// A connection over a stream that does not block. The peer gets `bootstrap` when it asks for
    /// this side's object. `over` runs once, when the connection is, on any thread, and what it gives
    /// once everybody has heard of that; they must not block.
    pub fn new(
        event_loop: &Arc<EventLoop>,
        limits: Limits,
        stream: UnixStream,
        bootstrap: Option<Arc<dyn Host>>,
        over: impl FnOnce(&CloseReason) -> Box<dyn FnOnce() + Send> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            event_loop: event_loop.clone(),
            token: event_loop.token(),
            stream,
            reader: Mutex::new(Reading::new(&limits)),
            output: Mutex::default(),
            tables: Mutex::new(Tables::new(bootstrap)),
            let_go: Mutex::default(),
            listed: AtomicU8::new(0),
            received: Arc::default(),
            over: Mutex::new(Some(Box::new(over))),
            limits,
        })
    }

    /// Begins to read. A connection that is `incoming` has to send something soon.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch the stream.
    pub fn start(self: &Arc<Self>, incoming: bool) -> io::Result<()> {
        // As much as the system gives: it is a matter of speed alone.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.stream, SEND_BUFFER);
        if incoming {
            let time = self.limits.handshake_time;
            let weak = Arc::downgrade(self);
            lock(&self.reader).handshake_timer = self.event_loop.after(time, move || {
                if let Some(this) = weak.upgrade() {
                    this.end(CloseReason::Timeout(format!(
                        "no complete message within {time:?} of connecting"
                    )));
                }
            });
        }
        self.event_loop
            .add(self.token, &self.stream, self.clone())?;
        // It may have ended before it was there to be removed.
        if lock(&self.tables).phase == Phase::Over {
            self.event_loop.remove(self.token, &self.stream);
        }
        Ok(())
    }

    /// Why it ended or is about to, if so.
    #[cfg(test)]
    pub(super) fn reason(&self) -> Option<CloseReason> {
        lock(&self.tables).reason.clone()
    }

    // ----- ending -----

    /// Reads no more, and writes what is queued for a short time only.
    pub fn end(self: &Arc<Self>, reason: CloseReason) {
        let mut tables = lock(&self.tables);
        if tables.phase != Phase::Open {
            return;
        }
        tables.phase = Phase::Ending;
        // So that the peer can tell a fault of its own from a farewell.
        match &reason {
            CloseReason::Violation(text) | CloseReason::Timeout(text) => {
                tables.push(message::abort(text, true));
            }
            CloseReason::Local(text) => tables.push(message::abort(text, false)),
            // It has gone.
            CloseReason::PeerClosed | CloseReason::Aborted(_) | CloseReason::Io(_) => {}
        }
        tables.reason.get_or_insert(reason);
        let weak = Arc::downgrade(self);
        tables.flush_timer = self.event_loop.after(self.limits.flush_time, move || {
            if let Some(this) = weak.upgrade() {
                this.kill(CloseReason::PeerClosed);
            }
        });
        drop(tables);
        self.flush();
    }

    /// Ends the connection now, whatever is queued.
    pub fn kill(&self, reason: CloseReason) {
        let mut tables = lock(&self.tables);
        let reason = tables.reason.get_or_insert(reason).clone();
        if tables.phase == Phase::Over {
            return;
        }
        tables.phase = Phase::Over;
        let blocked = std::mem::take(&mut tables.blocked);
        let gone = tables.clear();
        drop(tables);
        // An error means that the peer was faster.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.event_loop.remove(self.token, &self.stream);
        if blocked {
            self.event_loop.settle();
        }
        // Who writes at the moment, does so itself.
        if let Ok(mut output) = self.output.try_lock() {
            output.clear();
        }
        self.forget_input();
        let over = lock(&self.over).take();
        // First, so that who hears of it from a call finds the connection over.
        let then = over.map(|over| over(&reason));
        gone.tell();
        if let Some(then) = then {
            then();
        }
    }

    // ----- reading -----

    /// Lets go of a message that has begun, and of who waits for its end, once the connection is over.
    fn forget_input(&self) {
        // Who reads at the moment, does so itself.
        if let Ok(mut reading) = self.reader.try_lock() {
            *reading = Reading::new(&self.limits);
        }
    }

    fn read(self: &Arc<Self>, scratch: &mut Vec<u8>, closed: bool) -> Result<bool, CloseReason> {
        let mut reading = lock(&self.reader);
        let mut more = true;
        for _ in 0..TURN {
            if lock(&self.tables).phase != Phase::Open {
                return Ok(false);
            }
            let direct = reading.frames.missing() >= scratch.capacity();
            scratch.clear();
            let read = match direct {
                true => reading.frames.read_body(&self.stream).map(|read| {
                    let drained = read.count < read.room;
                    (read.count, drained, read.rest)
                }),
                false => recv(&self.stream, spare_capacity(scratch), RecvFlags::empty())
                    .map(|(_, count)| (count, count < scratch.capacity(), Vec::new()))
                    .map_err(Into::into),
            };
            let (count, drained, rest) = match read {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    more = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // It has gone without reading all that it was sent.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(reading.frames.at_end());
                }
                Err(error) => return Err(CloseReason::Io(format!("reading failed: {error}"))),
            };
            if count == 0 {
                return Err(reading.frames.at_end());
            }
            let mut input = match direct {
                true => rest.as_slice(),
                false => scratch.as_slice(),
            };
            while let Some(frame) = reading.frames.next(&mut input)? {
                reading.frame_timer = None;
                reading.handshake_timer = None;
                self.accept(frame, &mut reading.trail)?;
            }
            // Of a read that does not fill its memory one learns that no more is there, which saves
            // the next read. The end of the stream is told of only once, and so is looked for.
            if drained && !closed {
                more = false;
                break;
            }
        }
        self.begin_frame(&mut reading);
        drop(reading);
        // Only now, because what the peer sent before it closed is still worth having.
        match lock(&self.tables).write_error.clone().filter(|_| !more) {
            Some(failed) => Err(CloseReason::Io(failed)),
            None => Ok(more),
        }
    }

    /// Sets a deadline for the message of which a part has come.
    fn begin_frame(self: &Arc<Self>, reading: &mut Reading) {
        if !reading.frames.is_inside() || reading.frame_timer.is_some() {
            return;
        }
        let time = self.limits.frame_time;
        let weak = Arc::downgrade(self);
        reading.frame_timer = self.event_loop.after(time, move || {
            if let Some(this) = weak.upgrade() {
                this.end(CloseReason::Timeout(format!(
                    "a message was not complete {time:?} after its first byte"
                )));
            }
        });
    }

    fn accept(self: &Arc<Self>, frame: Frame, trail: &mut Trail) -> Result<(), CloseReason> {
        check(&frame, self.limits.nesting, trail).map_err(CloseReason::Violation)?;
        let received = Received::new(frame, self.limits.nesting, &self.received);
        self.incoming(received)
    }
}

impl Source for Link {
    fn ready(self: Arc<Self>, ready: Ready, scratch: &mut Vec<u8>) -> bool {
        if ready.writable {
            self.unblock();
        }
        if !ready.readable {
            return false;
        }
        let more = match self.read(scratch, ready.closed) {
            Ok(more) => more,
            Err(reason) => {
                self.end(reason);
                false
            }
        };
        if lock(&self.tables).phase != Phase::Open {
            self.forget_input();
        }
        more
    }

    fn flush(&self) {
        Self::flush(self);
    }

    fn failed(&self) {
        let text = "the peer sent what this process cannot handle";
        self.kill(CloseReason::Violation(text.to_owned()));
    }
}
