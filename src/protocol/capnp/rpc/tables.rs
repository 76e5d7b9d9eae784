//! What a connection has to remember: who holds which objects, which calls are open, and what waits
//! to be written.
//!
//! Knows the numbers that messages name things by. Everything here is under one lock, and nothing is
//! dropped under it that could want it: what goes is handed out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use capnp_rpc::rpc_capnp::cap_descriptor;
use slab::Slab;

use super::super::event_loop::Timer;
use super::answers::Answer;
use super::call::Incoming;
use super::cap::{Cap, Held, Host, Import};
use super::link::{Link, Phase};
use super::message::{self, Building};
use super::questions::{Done, Question, tell};
use super::reason::CloseReason;
use super::write::{Built, cost};
use crate::error::Error;

/// What libmultiprocess says of a call that the end of its connection interrupts.
pub const INTERRUPTED: &str = "IPC client method call interrupted by disconnect.";

/// An object of this process that the peer holds.
pub(super) struct Export {
    host: Arc<dyn Host>,
    /// How often it has been given to the peer.
    given: u64,
}

/// The state of both directions of one connection.
pub(super) struct Tables {
    pub(super) phase: Phase,
    pub(super) reason: Option<CloseReason>,
    /// Goes off when an ending connection does not get rid of what is queued.
    pub(super) flush_timer: Option<Timer>,
    /// What the peer gets when it asks for this side's object.
    pub(super) bootstrap: Option<Arc<dyn Host>>,

    /// Our calls that are not answered.
    pub(super) questions: Slab<Question>,
    /// The peer's calls that are not finished.
    pub(super) answers: BTreeMap<u32, Answer>,
    /// The peer's calls that were refused, until it has finished them.
    pub(super) refused: BTreeSet<u32>,
    exports: Slab<Export>,
    /// The numbers of exports, by the addresses of what they stand for.
    numbers: BTreeMap<usize, usize>,
    imports: BTreeMap<u32, Held>,

    /// Messages to be written, in order.
    pub(super) queue: VecDeque<Built>,
    /// What they cost in memory until they are, in bytes.
    pub(super) queued: usize,
    /// A thread is writing.
    pub(super) writing: bool,
    /// There is no room to write.
    pub(super) blocked: bool,
    /// The stream is watched for room to write.
    pub(super) watched: bool,
    /// A part of what was taken from the queue is not written.
    pub(super) unwritten: bool,
    /// Why writing ended, while there may still be something to read.
    pub(super) write_error: Option<String>,
}

impl Tables {
    pub(super) fn new(bootstrap: Option<Arc<dyn Host>>) -> Self {
        Self {
            phase: Phase::Open,
            reason: None,
            flush_timer: None,
            bootstrap,
            questions: Slab::new(),
            answers: BTreeMap::new(),
            refused: BTreeSet::new(),
            exports: Slab::new(),
            numbers: BTreeMap::new(),
            imports: BTreeMap::new(),
            queue: VecDeque::new(),
            queued: 0,
            writing: false,
            blocked: false,
            watched: false,
            unwritten: false,
            write_error: None,
        }
    }

    /// Queues a message.
    pub(super) fn push(&mut self, message: Building) {
        self.push_built(Arc::new(message));
    }

    /// Queues a message that is kept elsewhere, too.
    pub(super) fn push_built(&mut self, message: Built) {
        if self.phase != Phase::Over && self.write_error.is_none() {
            self.queued += cost(&message);
            self.queue.push_back(message);
        }
    }

    /// Takes out everything, because the connection is over.
    pub(super) fn clear(&mut self) -> Gone {
        self.queued = 0;
        Gone {
            questions: self.questions.drain().collect(),
            answers: std::mem::take(&mut self.answers).into_values().collect(),
            exports: self.exports.drain().collect(),
            bootstrap: self.bootstrap.take(),
            queue: std::mem::take(&mut self.queue),
            timer: self.flush_timer.take(),
        }
    }

    // ----- the peer's objects -----

    /// The peer has given this object.
    pub(super) fn import(&mut self, link: &Arc<Link>, id: u32) -> Arc<Import> {
        if let Some(import) = self.imports.get(&id).and_then(Held::upgrade) {
            if let Some(given) = import.give() {
                self.push(message::release(
                    id,
                    u32::try_from(given).unwrap_or(u32::MAX),
                ));
            }
            return import;
        }
        let import = Import::new(link, id);
        self.imports.insert(id, Arc::downgrade(&import));
        import
    }

    /// An object of the peer's was let go of that it had given so often.
    pub(super) fn release(&mut self, id: u32, given: u64) {
        // It may have been given again meanwhile.
        let is_gone = |held: &Held| held.strong_count() == 0;
        if self.imports.get(&id).is_some_and(is_gone) {
            self.imports.remove(&id);
        }
        let given = u32::try_from(given).unwrap_or(u32::MAX);
        self.push(message::release(id, given));
    }

    // ----- our objects -----

    /// How many of our objects the peer holds.
    pub(super) fn exported(&self) -> usize {
        self.exports.len()
    }

    /// Our object of this number.
    pub(super) fn export(&self, id: u32) -> Option<&Arc<dyn Host>> {
        let export = self.exports.get(usize::try_from(id).ok()?)?;
        Some(&export.host)
    }

    /// Gives an object to the peer; its number.
    fn give(&mut self, host: &Arc<dyn Host>) -> u32 {
        let number = *self.numbers.entry(address(host)).or_insert_with(|| {
            self.exports.insert(Export {
                host: host.clone(),
                given: 0,
            })
        });
        if let Some(export) = self.exports.get_mut(number) {
            export.given += 1;
        }
        // There are far fewer, since each takes memory.
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// The peer lets go of an object so often; gives the object when it has done so for good.
    #[must_use = "its destructor may want the tables"]
    pub(super) fn take_back(&mut self, id: u32, count: u64) -> Option<Arc<dyn Host>> {
        let number = usize::try_from(id).ok()?;
        let export = self.exports.get_mut(number)?;
        export.given = export.given.saturating_sub(count);
        if export.given > 0 {
            return None;
        }
        let export = self.exports.remove(number);
        self.numbers.remove(&address(&export.host));
        Some(export.host)
    }

    /// Writes how the peer is to understand a capability. Gives its number, if it is one of ours.
    pub(super) fn describe(
        &mut self,
        link: &Arc<Link>,
        cap: Option<&Cap>,
        mut descriptor: cap_descriptor::Builder<'_>,
    ) -> Option<u32> {
        let forwarded;
        let host = match cap {
            None => {
                descriptor.set_none(());
                return None;
            }
            Some(Cap::Own(host)) => match host.stands_for() {
                Some(import) if Arc::ptr_eq(&import.link, link) => {
                    descriptor.set_receiver_hosted(import.id);
                    return None;
                }
                _ => host,
            },
            Some(Cap::Import(import)) if Arc::ptr_eq(&import.link, link) => {
                descriptor.set_receiver_hosted(import.id);
                return None;
            }
            Some(Cap::Import(import)) => {
                forwarded = super::forward::host(import);
                &forwarded
            }
        };
        let id = self.give(host);
        descriptor.set_sender_hosted(id);
        Some(id)
    }
}

/// What tells an object from others.
fn address(host: &Arc<dyn Host>) -> usize {
    match host.stands_for() {
        Some(import) => Arc::as_ptr(import).addr(),
        None => Arc::as_ptr(host).cast::<()>().addr(),
    }
}

/// What a connection that is over leaves behind.
pub(super) struct Gone {
    questions: Vec<Question>,
    answers: Vec<Answer>,
    exports: Vec<Export>,
    bootstrap: Option<Arc<dyn Host>>,
    queue: VecDeque<Built>,
    timer: Option<Timer>,
}

impl Gone {
    /// Lets everybody know who waited for something.
    pub(super) fn tell(self) {
        let Self {
            questions,
            answers,
            exports,
            bootstrap,
            queue,
            timer,
        } = self;
        let calls: Vec<Done> = questions
            .into_iter()
            .map(|question| question.done)
            .collect();
        for done in calls {
            tell(done, Err(Error::Disconnected(INTERRUPTED.into())));
        }
        let waiting: Vec<Incoming> = answers.into_iter().flat_map(Answer::into_waiting).collect();
        drop((waiting, exports, bootstrap, queue, timer));
    }
}
