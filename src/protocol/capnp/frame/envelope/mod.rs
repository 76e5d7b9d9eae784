//! What each message does to a connection's tables, and what of it is let through.
//!
//! Knows the schema of RPC and the limits, nothing of streams. It follows both directions:
//!
//! - The peer's calls count from their arrival until the peer's Finish *and* our Return: so long
//!   does capnp-rpc remember them. Calls beyond the limits are answered here.
//! - A Finish from the peer for a call that still runs waits for our Return. capnp-rpc would drop
//!   the call without ever answering it, and keep its entry for good.
//! - A Finish of ours for a call that the peer still runs waits for the peer's Return: Bitcoin
//!   Core 30 dies when a call is cancelled while it executes. While it waits, so does each
//!   Release after it, because to drop a thread's handle in the middle of a call is as bad.
//! - A Resolve is not handed on: what a promise becomes is the peer's to forward.
//! - Messages that capnp-rpc panics on, leaks by, or never ends a call after, end the connection.
//!
//! What is here is the way of each message; what it does is in [`answers`] for the peer's calls, in
//! [`questions`] for ours, and in [`capabilities`].

mod answers;
mod capabilities;
mod questions;

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::{exception, message, resolve};

use self::answers::{Answer, Request};
use self::questions::Question;
use super::message::{Built, Received};
use super::reason::CloseReason;
use crate::limits::Limits;

/// How much of a peer's words is kept.
const MAX_TEXT: usize = 1024;

type Result<T, E = CloseReason> = std::result::Result<T, E>;

/// A message to be sent, and what it costs while it waits.
pub(super) struct Outgoing {
    pub(super) message: Built,
    pub(super) cost: usize,
}

impl Outgoing {
    pub(super) fn new(message: Builder<HeapAllocator>) -> Self {
        let cost = message.size_in_words() * 8 + super::write::OVERHEAD;
        Self {
            message: Rc::new(message),
            cost,
        }
    }
}

/// What capnp-rpc is to be told though it is no message that just arrived.
enum Due {
    /// The peer's Finish of a question, whose time has come, and its `releaseResultCaps`.
    Finish(u32, bool),
    /// The peer lets go of an object. A Return can say so, but capnp-rpc does not heed that.
    Release(u32),
}

/// The state of both directions of one connection.
pub(super) struct Envelope {
    limits: Limits,
    /// The peer's questions that capnp-rpc has.
    answers: HashMap<u32, Answer>,
    /// The peer's questions that were answered here, until their Finish.
    refused: HashSet<u32>,
    /// What is to be handed to capnp-rpc before anything else.
    due: VecDeque<Due>,
    questions: HashMap<u32, Question>,
    /// The peer's objects that open questions are about, and how many of them.
    named: HashMap<u32, usize>,
    /// Releases that wait for such questions.
    releases: Vec<(u32, Outgoing)>,
    /// What the messages cost that are held back.
    held_cost: usize,
    /// Our objects that the peer holds, and how often.
    exports: HashMap<u32, u64>,
    /// Those of them that were promises when the peer got them.
    promised: HashSet<u32>,
    /// Messages to be sent, in order.
    out: Vec<Outgoing>,
}

impl Envelope {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            answers: HashMap::new(),
            refused: HashSet::new(),
            due: VecDeque::new(),
            questions: HashMap::new(),
            named: HashMap::new(),
            releases: Vec::new(),
            held_cost: 0,
            exports: HashMap::new(),
            promised: HashSet::new(),
            out: Vec::new(),
        }
    }

    /// The peer's calls that are not finished.
    #[cfg(test)]
    pub(super) fn calls_in_flight(&self) -> usize {
        self.answers.len()
    }

    /// Our calls that are not answered.
    #[cfg(test)]
    pub(super) fn questions(&self) -> usize {
        self.questions.len()
    }

    /// Our objects that the peer holds.
    #[cfg(test)]
    pub(super) fn objects(&self) -> usize {
        self.exports.len()
    }

    /// What the messages cost that wait for a Return.
    pub(super) fn held_cost(&self) -> usize {
        self.held_cost
    }

    /// The messages that are to be sent now, in order.
    pub(super) fn drain(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.out.drain(..)
    }

    /// Forgets what waits, because the connection has ended.
    pub(super) fn clear(&mut self) {
        self.due.clear();
        self.questions.clear();
        self.named.clear();
        self.releases.clear();
        self.held_cost = 0;
        self.out.clear();
    }

    /// Whether there is a message for capnp-rpc that did not just arrive.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next message for capnp-rpc that did not just arrive.
    pub(super) fn next_due(&mut self) -> Option<Builder<HeapAllocator>> {
        match self.due.pop_front()? {
            Due::Finish(question, release) => {
                self.forget_answer(question, release);
                let mut builder = small();
                let mut finish = builder.init_root::<message::Builder<'_>>().init_finish();
                finish.set_question_id(question);
                finish.set_release_result_caps(release);
                Some(builder)
            }
            Due::Release(id) => {
                self.release_export(id, 1);
                Some(release_of(id))
            }
        }
    }

    /// Takes note of a message from the peer. `held` is what received messages occupy, this one
    /// among them. Answers whether capnp-rpc shall have it.
    pub(super) fn incoming(&mut self, received: &Received, held: usize) -> Result<bool> {
        let Ok(which) = received.root()?.which() else {
            // capnp-rpc tells the peer that we do not know this.
            return Ok(true);
        };
        match which {
            message::Call(call) => self.call(call?, received.bytes(), held),
            message::Bootstrap(bootstrap) => {
                let question = bootstrap?.get_question_id();
                self.admit(Request {
                    question,
                    depth: 0,
                    refusal: self.overload(received.bytes(), held),
                })
            }
            message::Finish(finish) => {
                let finish = finish?;
                Ok(self.finish(finish.get_question_id(), finish.get_release_result_caps()))
            }
            message::Return(answer) => self.returned(answer?),
            message::Release(release) => {
                let release = release?;
                self.release_export(release.get_id(), release.get_reference_count().into());
                Ok(true)
            }
            message::Resolve(resolve) => self.resolve(resolve?),
            message::Abort(abort) => Err(aborted(abort?)),
            // capnp-rpc either bears these or tells the peer that we do not know them.
            message::Unimplemented(_)
            | message::Disembargo(_)
            | message::Provide(_)
            | message::Accept(_)
            | message::Join(_)
            | message::ObsoleteSave(_)
            | message::ObsoleteDelete(_) => Ok(true),
        }
    }

    /// Takes note of a message that capnp-rpc sends, and queues it or holds it back.
    pub(super) fn outgoing(&mut self, outgoing: Outgoing) -> capnp::Result<()> {
        let message = Rc::clone(&outgoing.message);
        match message
            .get_root_as_reader::<message::Reader<'_>>()?
            .which()?
        {
            message::Call(call) => {
                self.asked(call?)?;
            }
            message::Bootstrap(bootstrap) => {
                let id = bootstrap?.get_question_id();
                self.questions.insert(id, Question::default());
            }
            message::Return(answer) => self.returning(answer?)?,
            message::Resolve(resolve) => {
                if let resolve::Cap(cap) = resolve?.which()? {
                    self.note_export(cap?)?;
                }
            }
            message::Finish(finish) => {
                self.finished(finish?.get_question_id(), outgoing);
                return Ok(());
            }
            message::Release(release) => {
                self.release(release?.get_id(), outgoing);
                return Ok(());
            }
            _ => {}
        }
        self.out.push(outgoing);
        Ok(())
    }
}

fn small() -> Builder<HeapAllocator> {
    Builder::new(HeapAllocator::new().first_segment_words(8))
}

fn release_of(id: u32) -> Builder<HeapAllocator> {
    let mut builder = small();
    let mut release = builder.init_root::<message::Builder<'_>>().init_release();
    release.set_id(id);
    release.set_reference_count(1);
    builder
}

/// What the peer says before it ends the connection.
fn aborted(abort: exception::Reader<'_>) -> CloseReason {
    if let Ok(exception::Type::Disconnected) = abort.get_type() {
        return CloseReason::PeerClosed;
    }
    let text = abort.get_reason().map(|reason| {
        let bytes = reason.as_bytes();
        String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes)).into_owned()
    });
    CloseReason::Aborted(text.unwrap_or_default())
}

fn violation<T>(text: impl Into<String>) -> Result<T> {
    Err(CloseReason::Violation(text.into()))
}
