//! One connection: its stream, what is read and written, and how it ends.
//!
//! Knows the steps that a message takes, and leaves each of them to its file. Lives on the event
//! loop's thread. A link is open, then ending (nothing is read any more, and what is queued has a
//! little time to be written), then over. It never waits for the peer beyond that.

use std::cell::{Cell, RefCell};
#[cfg(test)]
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::IncomingMessage;
use capnp_rpc::rpc_capnp::{exception, message};

use super::super::runtime::{Stream, sleep};
use super::check::check;
use super::envelope::{Envelope, Outgoing};
use super::message::{Frame, Inserted, Received};
use super::read::FrameReader;
use super::reason::CloseReason;
use super::write::WriteQueue;
use crate::limits::Limits;

/// How many frames in a row may be dealt with here before others get their turn.
const TURN: usize = 64;

type Timer = Pin<Box<dyn Future<Output = ()>>>;
type Incoming = Option<Box<dyn IncomingMessage>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ending,
    Over,
}

/// The state of one connection.
pub(super) struct Link {
    limits: Limits,
    /// Both are gone when the connection is over, and with them the descriptor.
    stream: RefCell<Option<Stream>>,
    reader: RefCell<Option<FrameReader<Stream>>>,
    phase: Cell<Phase>,
    reason: RefCell<Option<CloseReason>>,
    /// Whether capnp-rpc has let go of the connection, so that nobody waits for an answer.
    released: Cell<bool>,
    /// Why writing ended, while there may still be something to read.
    write_error: RefCell<Option<String>>,
    envelope: RefCell<Envelope>,
    queue: RefCell<WriteQueue>,
    flush_timer: RefCell<Option<Timer>>,
    /// The bytes of received messages that someone holds.
    received: Rc<Cell<usize>>,
    reading: RefCell<Option<Waker>>,
    writing: RefCell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Link {
    /// Takes over `stream`. A connection that came in has to send something soon.
    pub(super) fn new(stream: Stream, limits: Limits, incoming: bool) -> Rc<Self> {
        Rc::new(Self {
            reader: RefCell::new(Some(FrameReader::new(stream.clone(), &limits, incoming))),
            stream: RefCell::new(Some(stream)),
            phase: Cell::new(Phase::Open),
            reason: RefCell::new(None),
            released: Cell::new(false),
            write_error: RefCell::new(None),
            envelope: RefCell::new(Envelope::new(limits.clone())),
            queue: RefCell::new(WriteQueue::default()),
            flush_timer: RefCell::new(None),
            received: Rc::new(Cell::new(0)),
            reading: RefCell::new(None),
            writing: RefCell::new(None),
            waiting: RefCell::new(Vec::new()),
            limits,
        })
    }

    pub(super) fn reason(&self) -> Option<CloseReason> {
        self.reason.borrow().clone()
    }

    // ----- ending -----

    /// Reads no more, and writes what is queued for a short time only.
    pub(super) fn end(&self, reason: CloseReason) {
        self.reason.borrow_mut().get_or_insert(reason);
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Ending);
            wake(&self.reading);
            wake(&self.writing);
        }
    }

    /// Ends the connection now, whatever is queued.
    pub(super) fn kill(&self, reason: CloseReason) {
        self.reason.borrow_mut().get_or_insert(reason);
        if self.phase.replace(Phase::Over) == Phase::Over {
            return;
        }
        if let Some(stream) = self.stream.take() {
            // An error means that the peer was faster.
            let _ = stream.shutdown();
        }
        *self.reader.borrow_mut() = None;
        self.queue.borrow_mut().clear();
        self.envelope.borrow_mut().clear();
        *self.flush_timer.borrow_mut() = None;
        wake(&self.reading);
        wake(&self.writing);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// capnp-rpc lets go of the connection.
    pub(super) fn shut_down(&self, result: capnp::Result<()>) {
        self.end(match result {
            Err(error) if error.kind != capnp::ErrorKind::Disconnected => {
                CloseReason::Violation(error.to_string())
            }
            Err(error) => CloseReason::Local(error.extra),
            Ok(()) => CloseReason::Local("the connection was shut down".into()),
        });
        self.released.set(true);
        wake(&self.writing);
    }

    /// Resolves when the stream is shut down.
    pub(super) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase.get() == Phase::Over {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The error for whoever still waits for an answer.
    fn disconnected(&self) -> capnp::Error {
        match &*self.reason.borrow() {
            Some(reason) => reason.to_capnp(),
            None => capnp::Error::disconnected("the connection is closed".into()),
        }
    }

    // ----- reading -----

    /// The next message for capnp-rpc. An end of the stream is an error too: capnp-rpc would
    /// panic on an end that it learns of after it has let go of the connection.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<capnp::Result<Incoming>> {
        set(&self.reading, cx);
        for _ in 0..TURN {
            if self.phase.get() != Phase::Open {
                return Poll::Ready(Err(self.disconnected()));
            }
            let due = self.envelope.borrow_mut().next_due();
            if let Some(message) = due {
                return Poll::Ready(Ok(Some(Box::new(Inserted(message)))));
            }
            let frame = match &mut *self.reader.borrow_mut() {
                Some(reader) => reader.poll_frame(cx),
                None => Poll::Ready(Ok(None)),
            };
            match frame {
                Poll::Ready(Ok(Some(frame))) => match self.accept(frame) {
                    Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                    Ok(None) => {}
                    Err(reason) => self.end(reason),
                },
                Poll::Ready(Ok(None)) => self.end(CloseReason::PeerClosed),
                Poll::Ready(Err(reason)) => self.end(reason),
                Poll::Pending => {
                    // Only now, because what the peer sent before it closed is still worth having.
                    let failed = self.write_error.borrow_mut().take();
                    let Some(failed) = failed else {
                        return Poll::Pending;
                    };
                    self.end(CloseReason::Io(failed));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A frame on its way to capnp-rpc, unless it was dealt with.
    fn accept(&self, frame: Frame) -> Result<Incoming, CloseReason> {
        check(&frame, self.limits.nesting).map_err(CloseReason::Violation)?;
        let received = Received::new(frame, self.limits.nesting, &self.received);
        let wanted = self
            .envelope
            .borrow_mut()
            .incoming(&received, self.received.get())?;
        self.enqueue();
        Ok(wanted.then(|| Box::new(received) as Box<dyn IncomingMessage>))
    }

    // ----- writing -----

    /// Takes a message that capnp-rpc sends.
    pub(super) fn send(&self, outgoing: Outgoing) {
        if self.phase.get() != Phase::Open {
            self.send_last(outgoing);
            return;
        }
        let bytes = outgoing.message.size_in_words() * 8;
        if bytes > self.limits.message_bytes {
            self.kill(CloseReason::Local(format!(
                "a message of {bytes} bytes was to be sent (limit {})",
                self.limits.message_bytes
            )));
            return;
        }
        let noted = self.envelope.borrow_mut().outgoing(outgoing);
        if let Err(error) = noted {
            self.kill(CloseReason::Local(format!("a message to be sent: {error}")));
            return;
        }
        // The envelope may have something for capnp-rpc now.
        if self.envelope.borrow().has_due() {
            wake(&self.reading);
        }
        self.enqueue();
    }

    /// Of a connection that ends, only the word that it does is still sent.
    fn send_last(&self, outgoing: Outgoing) {
        let abort = outgoing
            .message
            .get_root_as_reader::<message::Reader<'_>>()
            .is_ok_and(|root| matches!(root.which(), Ok(message::Abort(_))));
        if self.phase.get() != Phase::Ending || !abort {
            return;
        }
        let outgoing = match &*self.reason.borrow() {
            // So that the peer can tell a fault of its own from a farewell.
            Some(CloseReason::Violation(text) | CloseReason::Timeout(text)) => abort_with(text),
            // It has gone.
            Some(CloseReason::PeerClosed | CloseReason::Aborted(_)) => return,
            _ => outgoing,
        };
        self.queue.borrow_mut().push(outgoing);
        wake(&self.writing);
    }

    /// Queues what the envelope lets through, and ends the connection of a peer that reads too
    /// slowly.
    fn enqueue(&self) {
        let mut queued = false;
        let failed = self.write_error.borrow().is_some();
        for outgoing in self.envelope.borrow_mut().drain() {
            if !failed {
                self.queue.borrow_mut().push(outgoing);
                queued = true;
            }
        }
        let bytes = self.queued_bytes();
        if bytes > self.limits.queued_bytes {
            self.kill(CloseReason::Violation(format!(
                "peer does not read: {bytes} bytes queued"
            )));
        } else if queued {
            wake(&self.writing);
        }
    }

    fn queued_bytes(&self) -> usize {
        self.queue.borrow().cost() + self.envelope.borrow().held_cost()
    }

    /// Writes for as long as the connection lasts. Done when the stream is shut down and capnp-rpc
    /// knows.
    pub(super) fn poll_drive(&self, cx: &mut Context<'_>) -> Poll<()> {
        set(&self.writing, cx);
        if self.phase.get() != Phase::Over {
            let flushed = match &mut *self.stream.borrow_mut() {
                Some(stream) => {
                    let flushed = self.queue.borrow_mut().poll_flush(stream, cx);
                    if flushed.is_ready() {
                        stream.written();
                    }
                    flushed
                }
                None => Poll::Ready(Ok(())),
            };
            match flushed {
                Poll::Ready(Err(error)) => self.write_failed(&error),
                Poll::Ready(Ok(())) if self.phase.get() == Phase::Ending && self.released.get() => {
                    self.kill(CloseReason::PeerClosed);
                }
                _ => {}
            }
        }
        if self.phase.get() == Phase::Ending && self.poll_flush_timer(cx).is_ready() {
            self.kill(CloseReason::PeerClosed);
        }
        if self.phase.get() == Phase::Over && self.released.get() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_flush_timer(&self, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.limits.flush_time;
        let mut timer = self.flush_timer.borrow_mut();
        timer
            .get_or_insert_with(|| Box::pin(sleep(time)))
            .as_mut()
            .poll(cx)
    }

    fn write_failed(&self, error: &std::io::Error) {
        let text = format!("writing failed: {error}");
        self.queue.borrow_mut().clear();
        if self.phase.get() == Phase::Open {
            *self.write_error.borrow_mut() = Some(text);
            wake(&self.reading);
        } else {
            self.kill(CloseReason::Io(text));
        }
    }
}

/// The message that ends a connection by the peer's fault.
fn abort_with(text: &str) -> Outgoing {
    let mut builder = Builder::new(HeapAllocator::new().first_segment_words(64));
    let mut abort = builder.init_root::<message::Builder<'_>>().init_abort();
    abort.set_type(exception::Type::Failed);
    abort.set_reason(text);
    Outgoing::new(builder)
}

fn set(slot: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    match &mut *slot {
        Some(waker) => waker.clone_from(cx.waker()),
        empty => *empty = Some(cx.waker().clone()),
    }
}

fn wake(slot: &RefCell<Option<Waker>>) {
    let waker = slot.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What the rest of the process holds of a connection: it can end it and see how it does.
///
/// Stays on the event loop's thread. Does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Handle(pub(super) Rc<Link>);

impl Handle {
    /// Ends the connection at once. Nothing that is queued is written, and every call on it fails
    /// as disconnected.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.0.kill(reason);
    }

    /// Ends the connection after what is queued was written, or after
    /// [`Limits::flush_time`](crate::limits::Limits::flush_time). Every call on it fails as
    /// disconnected. Does not wait.
    pub(crate) fn shut_down(&self, why: impl Into<String>) {
        self.0.end(CloseReason::Local(why.into()));
    }

    /// Resolves when the stream is shut down, with the reason.
    #[cfg(test)]
    pub(crate) fn closed(&self) -> impl Future<Output = CloseReason> + 'static {
        let link = Rc::clone(&self.0);
        poll_fn(move |cx| {
            link.poll_over(cx).map(|()| {
                link.reason()
                    .unwrap_or_else(|| CloseReason::Local("closed".into()))
            })
        })
    }

    /// Why the connection ended or is about to, if so.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.0.reason()
    }

    /// How many of the peer's calls are not finished.
    #[cfg(test)]
    pub(crate) fn calls_in_flight(&self) -> usize {
        self.0.envelope.borrow().calls_in_flight()
    }

    /// How many of our calls have no answer yet, given up ones included.
    #[cfg(test)]
    pub(crate) fn questions(&self) -> usize {
        self.0.envelope.borrow().questions()
    }

    /// How many of our objects the peer holds.
    #[cfg(test)]
    pub(crate) fn objects(&self) -> usize {
        self.0.envelope.borrow().objects()
    }

    /// The memory, in bytes, of messages that wait to be written.
    #[cfg(test)]
    pub(crate) fn queued_bytes(&self) -> usize {
        self.0.queued_bytes()
    }

    /// The memory, in bytes, of received messages that someone holds.
    #[cfg(test)]
    pub(crate) fn received_bytes(&self) -> usize {
        self.0.received.get()
    }
}
