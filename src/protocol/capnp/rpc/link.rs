//! One connection: its stream, what is read and written, and how it ends.
//!
//! Knows bytes, times and the order of effects; nothing of what messages do, which
//! [`state`](super::state) decides. A link is open, then ending (nothing is read any more, and queued
//! messages have a little time to be written), then over. It never waits for the peer beyond that. Any
//! thread may call everything here; the thread that drives the event loop reads the stream.
//!
//! Effects are carried out by one thread at a time, in the order in which they were decided
//! ([`ordered`](super::ordered)). So calls reach objects in the order of their arrival, whichever
//! threads read and answer.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::accounts::Account;
use super::super::event_loop::{EventLoop, Ready, Source, Token, run_guarded};
use super::super::sync::{Mutex, Rank, lock};
use super::cap::{Ask, Done, Host, Owner, Results, Spent};
use super::carry_out::{Ending, carry_out};
use super::deadlines::{Deadline, Deadlines};
use super::input::{Input, Progress};
use super::lifecycle::Lifecycle;
use super::observer::{Observed, Observer};
use super::ordered::{Ordered, Todo};
use super::output::{Flushed, Output, Watch};
use super::released::Released;
use super::schedule::Schedule;
use super::state::{Effect, Effects, Flush, Phase, State};
use super::stream::StreamSink;
use super::wire::reason::CloseReason;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::transport::Stream;

/// The room asked for in the stream, in bytes. The fewer pieces of a large message wait for room,
/// the better.
const SEND_ROOM: usize = 256 * 1024;
/// The number of reads in a row that one connection gets before others get their turn.
const TURN: usize = 16;

/// Numbers links; 0 is none.
static NEXT_ID: AtomicUsize = AtomicUsize::new(1);

/// A connection. The event loop keeps it until it is over; its stream is closed then, whoever still
/// holds it.
pub struct Link {
    id: usize,
    weak: Weak<Self>,
    event_loop: Arc<EventLoop>,
    limits: Limits,
    token: Token,
    decisions: Ordered<Deciding, Effect>,
    /// Set while messages are read. Kept beside the state, which is locked for each message anyway.
    is_open: AtomicBool,
    output: Output<StreamSink>,
    /// Locked only by the thread that drives the loop, or tried at the end.
    input: Mutex<Option<Input>>,
    /// `None` once the connection is over.
    stream: Mutex<Option<Arc<dyn Stream>>>,
    released: Released,
    schedule: Schedule,
    deadlines: Deadlines,
    lifecycle: Mutex<Option<Arc<dyn Lifecycle>>>,
    observed: Observed,
}

/// The state, and the effects of the current decision.
struct Deciding {
    state: State,
    /// Empty between two decisions.
    effects: Effects,
}

impl Link {
    /// Makes a link over a non-blocking stream. The peer gets `bootstrap` when it asks for this side's
    /// object, and `account` is charged for everything that the peer makes this process hold.
    pub fn new(
        event_loop: &Arc<EventLoop>,
        limits: Limits,
        account: Arc<Account>,
        stream: Box<dyn Stream>,
        bootstrap: Option<Arc<dyn Host>>,
        lifecycle: Arc<dyn Lifecycle>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let token = event_loop.token();
        let stream: Arc<dyn Stream> = stream.into();
        Arc::new_cyclic(|weak| Self {
            id,
            weak: weak.clone(),
            event_loop: event_loop.clone(),
            token,
            output: Output::new(StreamSink::new(&stream)),
            input: Mutex::ranked(Rank::Input, Some(Input::new(&stream, &limits, &account))),
            is_open: AtomicBool::new(true),
            decisions: Ordered::new(Deciding {
                state: State::new(id, limits.clone(), account, bootstrap),
                effects: Effects::default(),
            }),
            stream: Mutex::new(Some(stream)),
            released: Released::default(),
            schedule: Schedule::new(id, event_loop, token),
            deadlines: Deadlines::new(event_loop),
            lifecycle: Mutex::new(Some(lifecycle)),
            observed: Observed::new(id, observer),
            limits,
        })
    }

    /// Begins to read. The peer of an `incoming` connection must send a complete message within
    /// `handshake_time`.
    ///
    /// # Errors
    /// Returns the error of the operating system when it cannot watch the stream.
    pub fn start(self: &Arc<Self>, incoming: bool) -> io::Result<()> {
        let Some(stream) = lock(&self.stream).clone() else {
            return Ok(());
        };
        stream.set_send_room(SEND_ROOM);
        if incoming {
            let time = self.limits.handshake_time;
            self.by(Deadline::Handshake, time, move |this| {
                this.end(CloseReason::Timeout(format!(
                    "no complete message within {time:?} of connecting"
                )));
            });
        }
        self.event_loop
            .add(self.token, stream.as_fd(), self.clone())?;
        // It may have ended before it was added, and so was not removed.
        let is_over = |deciding: &Deciding| deciding.state.phase() == Phase::Over;
        if self.decisions.look(is_over) {
            self.event_loop.remove(self.token, stream.as_fd());
        }
        Ok(())
    }

    /// Runs `action` on the loop after `time`, unless the deadline is cleared before.
    fn by(
        &self,
        deadline: Deadline,
        time: Duration,
        action: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let weak = self.weak.clone();
        self.deadlines.set(deadline, time, move || {
            if let Some(this) = weak.upgrade() {
                action(&this);
            }
        });
    }

    /// Returns the error of a call after the connection has ended; `what` became of the call.
    pub fn disconnected(&self, what: &str) -> Error {
        self.decisions
            .look(|deciding| deciding.state.disconnected(what))
    }

    // ----- calls -----

    /// Makes calls, all at once and in this order. If the connection has ended, they fail with that.
    pub fn ask(&self, asks: impl IntoIterator<Item = Ask>) {
        let mut asks = asks.into_iter();
        self.update(|state, effects| state.ask(None, &mut asks, effects));
    }

    /// Asks for the peer's object, and makes calls on it at once.
    pub fn bootstrap(&self, done: Done, then: impl IntoIterator<Item = Ask>) {
        let mut asks = then.into_iter();
        self.update(|state, effects| state.ask(Some(done), &mut asks, effects));
    }

    // ----- decisions and effects -----

    /// Lets `decide` change the state, and does what follows.
    fn update<R>(&self, decide: impl FnOnce(&mut State, &mut Effects) -> R) -> R {
        let (result, follows) = self.decide(decide);
        self.follow(follows);
        result
    }

    /// Lets `decide` change the state, and queues the messages that follow.
    fn decide<R>(&self, decide: impl FnOnce(&mut State, &mut Effects) -> R) -> (R, Follows) {
        let ((result, flush, exceeded), todo) = self.decisions.decide(|deciding, queue| {
            let effects = &mut deciding.effects;
            match effects.todo.is_empty() {
                true => std::mem::swap(&mut effects.todo, queue),
                // A decision before this one panicked.
                false => effects.todo.append(queue),
            }
            let result = decide(&mut deciding.state, effects);
            std::mem::swap(&mut effects.todo, queue);
            if !effects.messages.is_empty() {
                self.observed.sent(&effects.messages);
                let cost = effects.messages.iter().map(|message| message.cost()).sum();
                // Under the lock, so that the order is that of the decisions.
                self.output.queue(effects.messages.drain(..), cost);
            }
            let flush = std::mem::take(&mut effects.flush);
            (result, flush, effects.exceeded.take())
        });
        let follows = Follows {
            todo,
            flush,
            exceeded,
        };
        (result, follows)
    }

    /// Does what follows from a decision.
    fn follow(&self, follows: Follows) {
        self.carry_out(follows.todo);
        self.schedule_flush(follows.flush);
        if let Some(reason) = follows.exceeded {
            self.kill(reason);
        }
    }

    /// Carries effects out, if they are this thread's.
    fn carry_out(&self, todo: Option<Todo<Effect>>) {
        if let Some(todo) = todo {
            self.decisions.carry_out(todo, |effect| {
                // It may run application code, whose panics must not affect others.
                run_guarded("what waits for a message", || self.apply(effect));
            });
        }
    }

    fn apply(&self, effect: Effect) {
        match carry_out(effect, |decide| self.update(decide)) {
            None => {}
            Some(Ending::Closing(reason)) => {
                let lifecycle = lock(&self.lifecycle).clone();
                if let Some(lifecycle) = lifecycle {
                    lifecycle.closing(&reason);
                }
            }
            Some(Ending::Closed) => {
                let lifecycle = lock(&self.lifecycle).take();
                if let Some(lifecycle) = lifecycle {
                    lifecycle.closed();
                }
            }
        }
    }

    // ----- ending -----

    /// Stops reading, and writes the queued messages for `flush_time` only.
    pub fn end(self: &Arc<Self>, reason: CloseReason) {
        let (was_open, follows) = self.decide(|state, effects| state.end(reason, effects));
        if was_open {
            self.is_open.store(false, Ordering::SeqCst);
            self.by(Deadline::Flush, self.limits.flush_time, |this| {
                this.kill(CloseReason::PeerClosed);
            });
            self.output.end();
        }
        self.follow(follows);
        if was_open {
            self.flush();
        }
    }

    /// Ends the connection now, whatever is queued. When this returns, nothing is read or written any
    /// more.
    pub fn kill(&self, reason: CloseReason) {
        let (was_there, follows) = self.decide(|state, effects| state.close(reason, effects));
        if was_there {
            // First, so that a thread that reads at the moment sees it afterwards.
            self.is_open.store(false, Ordering::SeqCst);
            self.shut();
        }
        self.follow(follows);
    }

    /// Closes the stream, and drops the queued messages and the incomplete one.
    fn shut(&self) {
        if self.output.close() {
            self.event_loop.settle();
        }
        let stream = lock(&self.stream).take();
        if let Some(stream) = stream {
            // An error means that the peer was faster.
            let _ = stream.shut_down();
            self.event_loop.remove(self.token, stream.as_fd());
        }
        self.deadlines.clear_all();
        self.forget_input();
    }

    /// Drops the reader with its incomplete message, once the connection is over.
    fn forget_input(&self) {
        // A thread that reads at the moment does so itself.
        drop(self.input.try_lock().map(|mut input| input.take()));
    }

    // ----- reading -----

    fn read(self: &Arc<Self>, scratch: &mut Vec<u8>, closed: bool) -> Result<bool, CloseReason> {
        let mut guard = lock(&self.input);
        let Some(input) = &mut *guard else {
            return Ok(false);
        };
        let owner: Arc<dyn Owner> = self.clone();
        let mut progress = Progress::More;
        let mut has_come = false;
        for _ in 0..TURN {
            if !self.is_open.load(Ordering::SeqCst) {
                return Ok(false);
            }
            progress = input.read(scratch, closed, |received| {
                has_come = true;
                self.observed.received(&received);
                self.update(|state, effects| state.handle(&owner, received, effects))
            })?;
            if progress == Progress::Drained {
                break;
            }
        }
        let is_inside = input.is_inside();
        drop(guard);
        self.time_messages(has_come, is_inside);
        let more = progress == Progress::More;
        // Only now, because messages that the peer sent before it closed are still read.
        match self.output.error().filter(|_| !more) {
            Some(failed) => Err(CloseReason::Io(failed)),
            None => Ok(more),
        }
    }

    /// Sets a deadline for an incomplete message. A complete one clears those before.
    fn time_messages(&self, has_come: bool, is_inside: bool) {
        if has_come {
            self.deadlines.clear(Deadline::Handshake);
            self.deadlines.clear(Deadline::Frame);
        }
        if is_inside && !self.deadlines.is_set(Deadline::Frame) {
            let time = self.limits.frame_time;
            self.by(Deadline::Frame, time, move |this| {
                this.end(CloseReason::Timeout(format!(
                    "a message was not complete {time:?} after its first byte"
                )));
            });
        }
    }

    // ----- writing -----

    fn schedule_flush(&self, flush: Flush) {
        if self.schedule.is_now(flush) {
            self.flush();
        }
    }

    /// Writes the queued messages until the stream has no room. If another thread writes, it writes
    /// these, too.
    fn flush(&self) {
        self.schedule.begin();
        if let Some(released) = self.released.take() {
            let ((), follows) = self.decide(|state, effects| {
                for (id, given) in released {
                    state.release(id, given, effects);
                }
            });
            self.carry_out(follows.todo);
        }
        match self.output.flush(self) {
            Flushed::Done => {}
            Flushed::Ended => self.kill(CloseReason::PeerClosed),
            Flushed::Left(queued) => self.check_queued(queued),
            Flushed::Blocked { queued, turn } => {
                let time = self.limits.write_time;
                self.by(Deadline::Write, time, move |this| {
                    if this.output.is_stalled(turn) {
                        let text = format!("it has read nothing for {time:?}");
                        this.kill(CloseReason::Timeout(text));
                    }
                });
                self.check_queued(queued);
            }
            // Nothing is read any more either.
            Flushed::Failed if !self.is_open.load(Ordering::SeqCst) => {
                self.kill(CloseReason::PeerClosed);
            }
            Flushed::Failed => self.event_loop.nudge(self.token),
            Flushed::Unwatched(error) => {
                self.kill(CloseReason::Io(format!("watching the stream: {error}")));
            }
        }
    }

    /// Ends the connection of a peer that reads too slowly.
    fn check_queued(&self, queued: usize) {
        if queued > self.limits.queued_bytes {
            self.kill(CloseReason::Violation(format!(
                "peer does not read: {queued} bytes queued"
            )));
        }
    }
}

impl Owner for Link {
    fn id(&self) -> usize {
        self.id
    }

    fn release(&self, id: u32, given: u64) {
        self.released.push(id, given);
        // An import may be dropped anywhere, even where this thread holds the state's lock.
        let is_free = self.event_loop.is_driven_here() || self.decisions.is_free();
        match is_free {
            true => self.schedule_flush(Flush::Later),
            false => self.event_loop.write_soon(self.token),
        }
    }

    fn answer(&self, question: u32, outcome: Result<Results>, spent: Spent) {
        // First: the peer may call again as soon as it has the answer. Releases from this go with it.
        self.schedule.hold_back(|| drop(spent));
        self.update(|state, effects| state.answer(question, outcome, effects));
    }

    fn ask(&self, asks: &mut dyn Iterator<Item = Ask>) {
        self.update(|state, effects| state.ask(None, asks, effects));
    }
}

impl Source for Link {
    fn ready(self: Arc<Self>, ready: Ready, scratch: &mut Vec<u8>) -> bool {
        if ready.writable && self.output.unblock() {
            self.event_loop.settle();
            self.flush();
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
        if !self.is_open.load(Ordering::SeqCst) {
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

/// The consequences of a decision.
struct Follows {
    /// The effects, unless another thread carries them out.
    todo: Option<Todo<Effect>>,
    flush: Flush,
    exceeded: Option<CloseReason>,
}

impl Watch for Link {
    fn watch(&self, writable: bool) -> io::Result<()> {
        match &*lock(&self.stream) {
            Some(stream) => self
                .event_loop
                .watch_writable(self.token, stream.as_fd(), writable),
            None => Ok(()),
        }
    }

    fn blocked(&self) {
        self.event_loop.expect();
    }
}

#[cfg(test)]
impl Link {
    /// Calls `look` with the state, for tests.
    pub(super) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.decisions.look(|deciding| look(&deciding.state))
    }

    /// Returns the cost of the messages that are not written, in bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.output.queued()
    }
}
