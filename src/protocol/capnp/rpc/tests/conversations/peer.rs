//! The other party: a plain vat of level 1, whose messages are written by hand.
//!
//! Knows the numbers of one connection and its reference counts. It reads messages in `peer_reads.rs`,
//! and acts of its own accord in `peer_acts.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::ClientHook;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload, promised_answer};

use super::super::super::super::accounts::Account;
use super::super::super::wire::random::Random;
use super::super::super::wire::read::FrameReader;
use super::super::only;
use super::content;
use super::oracle::{Meaning, Oracle};
use super::world::{CallId, Counts, Mode, ObjectId, Outcome, Party, Ref, Refs, World};
use crate::limits::Limits;

/// The rest of the conversation, which a party acts on.
pub struct Context<'a> {
    pub world: &'a mut World,
    pub oracle: &'a mut Oracle,
    pub random: &'a mut Random,
    pub counts: &'a mut Counts,
}

/// An object that was exported to the vat.
pub struct Export {
    pub object: ObjectId,
    pub references: u64,
}

/// An object of the vat.
pub struct Import {
    /// An object, or a broken capability.
    pub object: Ref,
    pub references: usize,
    /// The number of uses that need it to be held.
    pub pins: usize,
}

/// A promise that was exported to the vat.
#[derive(Default)]
pub struct Promise {
    pub becomes: Option<Ref>,
    /// The vat's questions that wait for it.
    pub queue: Vec<u32>,
}

/// A call of this peer.
pub struct Question {
    pub call: CallId,
    pub is_returned: bool,
    /// The `releaseResultCaps` of its Finish, once that is sent.
    pub finish: Option<bool>,
    /// The number of this peer's answers that need it.
    pub pins: usize,
    /// The calls that were pipelined on it, each with the pointer.
    pub pipelined: Vec<(CallId, usize)>,
    /// The imports in its results.
    pub results: Vec<u32>,
}

/// A call of the vat.
pub struct Answer {
    pub call: CallId,
    pub state: State,
    /// The vat's questions that are pipelined on it, each with the pointer.
    pub waiting: Vec<(u32, usize)>,
    /// The imports in its parameters.
    pub params: Vec<u32>,
    /// Set once the number is free for another question.
    pub is_finished: bool,
}

/// The state of a call of the vat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The call waits for its target.
    Waiting,
    /// The call can be answered.
    Ready,
    Given(Outcome),
    /// The results are those of this call of the peer.
    Tail(CallId),
}

/// Calls that must have come back to this peer when its embargo is lifted.
pub struct Embargo {
    pub object: ObjectId,
    pub calls: Vec<CallId>,
}

pub struct Peer {
    pub number: usize,
    /// The messages to the vat.
    pub output: VecDeque<(Vec<u8>, Meaning)>,
    pub reader: FrameReader,
    /// The exports by number. No number is used twice.
    pub exports: Vec<Export>,
    pub numbers: BTreeMap<ObjectId, u32>,
    pub promises: BTreeMap<ObjectId, Promise>,
    pub imports: BTreeMap<u32, Import>,
    pub import_numbers: BTreeMap<ObjectId, u32>,
    /// The vat's promises that it has not broken yet.
    pub unresolved: BTreeSet<u32>,
    pub questions: BTreeMap<u32, Question>,
    pub question_numbers: BTreeMap<CallId, u32>,
    pub only_pipelined: u32,
    pub answers: BTreeMap<u32, Answer>,
    pub answer_numbers: BTreeMap<CallId, u32>,
    pub embargoes: BTreeMap<u32, Embargo>,
    pub embargo: u32,
    /// The calls that have arrived.
    pub arrived: BTreeSet<CallId>,
    /// The number of Bootstraps that have arrived.
    pub bootstraps: usize,
}

impl Peer {
    pub fn new(number: usize, limits: &Limits, nobody: &Arc<Account>) -> Self {
        Self {
            number,
            output: VecDeque::new(),
            reader: FrameReader::new(limits, nobody),
            exports: Vec::new(),
            numbers: BTreeMap::new(),
            promises: BTreeMap::new(),
            imports: BTreeMap::new(),
            import_numbers: BTreeMap::new(),
            unresolved: BTreeSet::new(),
            questions: BTreeMap::new(),
            question_numbers: BTreeMap::new(),
            only_pipelined: 1 << 31,
            answers: BTreeMap::new(),
            answer_numbers: BTreeMap::new(),
            embargoes: BTreeMap::new(),
            embargo: 0,
            arrived: BTreeSet::new(),
            bootstraps: 0,
        }
    }

    pub fn party(&self) -> Party {
        Party::Peer(self.number)
    }

    /// Queues a message.
    pub fn send(&mut self, meaning: Meaning, build: impl FnOnce(&mut Self, message::Builder<'_>)) {
        let mut caps = Vec::new();
        let mut builder = Builder::new(HeapAllocator::new().first_segment_words(64));
        let mut root: any_pointer::Builder<'_> = builder.get_root().unwrap();
        root.imbue_mut(&mut caps);
        build(self, root.init_as());
        let bytes = capnp::serialize::write_message_to_words(&builder);
        self.output.push_back((bytes, meaning));
    }

    /// Writes a content with these capabilities. Returns the exports that went with it.
    pub fn fill(
        &mut self,
        world: &mut World,
        mut payload: payload::Builder<'_>,
        value: u32,
        refs: Refs,
    ) {
        let is_there = |one: &&Ref| **one != Ref::Null;
        let count = refs.iter().filter(is_there).count();
        let mut table = payload.reborrow().init_cap_table(count.try_into().unwrap());
        for (index, one) in (0..).zip(refs.iter().filter(is_there)) {
            self.describe(world, *one, table.reborrow().get(index));
        }
        let hook = |one: Ref| (one != Ref::Null).then(only as fn() -> Box<dyn ClientHook>);
        content::write(payload.get_content(), value, refs.map(hook));
    }

    pub fn describe(
        &mut self,
        world: &mut World,
        one: Ref,
        mut descriptor: cap_descriptor::Builder<'_>,
    ) {
        match one {
            Ref::Object(object) if world.home(object).party == self.party() => {
                let number = self.export(world, object);
                match world.home(object).is_promise {
                    true => {
                        self.promises.entry(object).or_default();
                        descriptor.set_sender_promise(number);
                    }
                    false => descriptor.set_sender_hosted(number),
                }
            }
            Ref::Object(object) => descriptor.set_receiver_hosted(self.import_numbers[&object]),
            Ref::Answer(call, index) => {
                self.promised(world, call, index, descriptor.init_receiver_answer());
            }
            Ref::Null | Ref::Broken => descriptor.set_none(()),
        }
    }

    /// Writes a place in the answer to a call of this peer.
    pub fn promised(
        &self,
        world: &World,
        call: CallId,
        index: usize,
        mut answer: promised_answer::Builder<'_>,
    ) {
        answer.set_question_id(self.question_numbers[&call]);
        if !world.script(call).is_bootstrap {
            let mut way = answer.init_transform(1).get(0);
            way.set_get_pointer_field(index.try_into().unwrap());
        }
    }

    /// Adds a reference to an object that is sent to the vat; returns its number.
    fn export(&mut self, world: &mut World, object: ObjectId) -> u32 {
        let exports = &mut self.exports;
        let number = *self.numbers.entry(object).or_insert_with(|| {
            exports.push(Export {
                object,
                references: 0,
            });
            u32::try_from(exports.len() - 1).unwrap()
        });
        if world.numbers[self.number].len() < self.exports.len() {
            world.numbers[self.number].push(object);
        }
        self.exports[number as usize].references += 1;
        number
    }

    // ----- what is held of the vat -----

    /// Marks a capability of the vat as needed: it must stay held until [`Peer::unpin`].
    pub fn pin(&mut self, one: Ref) {
        match one {
            Ref::Object(object) => {
                if let Some(number) = self.import_numbers.get(&object) {
                    self.imports.get_mut(number).unwrap().pins += 1;
                }
            }
            Ref::Answer(call, _) => self.pin_question(call, true),
            Ref::Null | Ref::Broken => {}
        }
    }

    pub fn unpin(&mut self, one: Ref) {
        match one {
            Ref::Object(object) => {
                if let Some(number) = self.import_numbers.get(&object) {
                    self.imports.get_mut(number).unwrap().pins -= 1;
                }
            }
            Ref::Answer(call, _) => self.pin_question(call, false),
            Ref::Null | Ref::Broken => {}
        }
    }

    /// Forgets a promise that the vat does not hold, unless calls wait for it.
    pub fn forget_promise(&mut self, object: ObjectId) {
        let is_over = |promise: &mut Promise| promise.queue.is_empty();
        if !self.numbers.contains_key(&object)
            && self.promises.get_mut(&object).is_some_and(is_over)
        {
            let promise = self.promises.remove(&object);
            let becomes = promise.and_then(|promise| promise.becomes);
            self.unpin(becomes.unwrap_or(Ref::Null));
        }
    }

    pub fn pin_question(&mut self, call: CallId, pin: bool) {
        let number = self.question_numbers[&call];
        let pins = &mut self.questions.get_mut(&number).unwrap().pins;
        *pins = match pin {
            true => *pins + 1,
            false => *pins - 1,
        };
    }

    /// Returns how many references to an import may be released.
    pub fn spare(&self, number: u32) -> usize {
        match self.imports.get(&number) {
            Some(import) => import.references - usize::from(import.pins > 0),
            None => 0,
        }
    }

    /// Drops references to an import.
    pub fn forget(&mut self, number: u32, references: usize) {
        let Some(import) = self.imports.get_mut(&number) else {
            return;
        };
        import.references -= references;
        if import.references == 0 {
            if let Ref::Object(object) = import.object {
                self.import_numbers.remove(&object);
            }
            self.imports.remove(&number);
        }
    }

    /// Returns whether a reference to each of these may be released.
    pub fn may_forget(&self, numbers: &[u32]) -> bool {
        numbers.iter().all(|number| {
            let count = numbers.iter().filter(|other| *other == number).count();
            self.spare(*number) >= count
        })
    }

    /// Returns the questions on whose answers calls may be pipelined.
    pub fn pipelinable(&self, world: &World) -> Vec<CallId> {
        let questions = self.questions.values();
        let open = questions.filter(|question| {
            question.finish.is_none() && world.script(question.call).mode != Mode::NoPipelining
        });
        open.map(|question| question.call).collect()
    }

    /// Returns whether no message or question is pending; objects may still be held.
    pub fn is_quiet(&self) -> bool {
        self.output.is_empty()
            && self.questions.is_empty()
            && self.answers.values().all(|answer| answer.is_finished)
    }
}
