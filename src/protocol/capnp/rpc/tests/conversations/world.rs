//! The shared knowledge of a conversation's parties: names for objects and calls that no wire knows,
//! and the plan of each call.
//!
//! Knows the script of a conversation; nothing of messages.

use std::collections::BTreeMap;
use std::sync::Weak;

use super::super::super::cap::{Cap, Incoming};
use super::super::super::wire::random::Random;
use super::content::POINTERS;
use super::vat::Object;

/// An object, by its place in [`World::objects`].
pub type ObjectId = u32;
/// A call, by its place in [`World::calls`]. On the wire it is the method.
pub type CallId = u16;
/// The capabilities at the three pointers of a content.
pub type Refs = [Ref; POINTERS];
/// The result of a check; the error tells what is wrong.
pub type Check<T = ()> = Result<T, String>;

/// A capability, as its sender names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ref {
    /// A null capability.
    Null,
    /// A capability on which every call fails.
    Broken,
    /// The object of this name.
    Object(ObjectId),
    /// The capability in the answer to this call, at this pointer.
    Answer(CallId, usize),
}

impl Ref {
    /// Returns the call whose answer it is in.
    pub fn answer(self) -> Option<CallId> {
        match self {
            Self::Answer(call, _) => Some(call),
            _ => None,
        }
    }
}

/// The answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A value and capabilities.
    Results(u32, Refs),
    /// An exception, with its number where an object gave it.
    Error(Option<u32>),
}

impl Outcome {
    /// Returns the capability at a pointer; [`None`] if the answer is an exception.
    pub fn at(self, index: usize) -> Option<Ref> {
        match self {
            Self::Results(_, refs) => Some(refs[index]),
            Self::Error(_) => None,
        }
    }

    /// Returns whether an outcome is the expected one. The texts of exceptions that no object gave
    /// differ.
    pub fn is(self, expected: Self) -> bool {
        match (self, expected) {
            (Self::Error(_), Self::Error(None)) => true,
            _ => self == expected,
        }
    }
}

/// A party, which has objects and makes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The vat under test.
    Vat,
    /// The peer of this connection.
    Peer(usize),
}

/// The party that has an object, and whether the object is a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    pub party: Party,
    pub is_promise: bool,
}

/// The destination of a call's results, by the fields of the Call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Caller,
    NoPipelining,
    OnlyPipeline,
    Yourself,
}

/// A capability that an object of the vat under test puts into an answer.
#[derive(Debug, Clone, Copy)]
pub enum Give {
    Null,
    /// A new object, with this name.
    New(ObjectId),
    /// A parameter of the call.
    Param(usize),
    /// An object that the application holds, if it still does.
    Held(ObjectId),
}

/// The reaction of an object of the vat under test to a call.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Set if it answers when the driver says so.
    pub is_later: bool,
    /// Set if the application keeps the parameters.
    pub keeps: bool,
    /// Set if it answers with an exception.
    pub fails: bool,
    pub gives: [Give; POINTERS],
}

/// A call, as its caller means it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub from: Party,
    pub target: Ref,
    pub params: Refs,
    pub mode: Mode,
    pub is_bootstrap: bool,
    pub plan: Plan,
}

/// The script of a conversation, and a record of what the vat under test does.
#[derive(Default)]
pub struct World {
    pub objects: Vec<Home>,
    pub calls: Vec<Call>,
    /// The calls whose outcome is in that of this call.
    pub aliases: BTreeMap<CallId, Vec<CallId>>,
    /// The objects that each peer has ever exported, by number.
    pub numbers: [Vec<ObjectId>; 2],
    /// The objects of the vat under test.
    pub hosts: BTreeMap<ObjectId, Weak<Object>>,
    /// The calls that reached objects in this step.
    pub delivered: Vec<(ObjectId, CallId, Refs)>,
    /// The answers to calls of the vat under test in this step.
    pub got: Vec<(CallId, Outcome)>,
    /// The calls that are answered when the driver says so.
    pub pending: BTreeMap<CallId, Incoming>,
    /// The objects that the application holds.
    pub held: BTreeMap<ObjectId, Cap>,
    /// The objects that it will hold after this step.
    pub offered: Vec<(ObjectId, Cap)>,
    /// An error found where none can be returned.
    pub wrong: Option<String>,
}

impl World {
    /// Adds an object; returns its name.
    pub fn object(&mut self, party: Party, is_promise: bool) -> ObjectId {
        self.objects.push(Home { party, is_promise });
        ObjectId::try_from(self.objects.len() - 1).unwrap()
    }

    pub fn home(&self, object: ObjectId) -> Home {
        self.objects[object as usize]
    }

    /// Adds a call; returns its name.
    pub fn call(&mut self, call: Call) -> CallId {
        self.calls.push(call);
        CallId::try_from(self.calls.len() - 1).unwrap()
    }

    pub fn script(&self, call: CallId) -> &Call {
        &self.calls[usize::from(call)]
    }

    /// Chooses an object's reaction to a call.
    pub fn plan(&mut self, random: &mut Random) -> Plan {
        let mut give = || match random.below(8) {
            0 => Give::New(self.object(Party::Vat, false)),
            1 | 2 => Give::Param(random.below(POINTERS)),
            3 => random
                .pick(self.held.keys().copied())
                .map_or(Give::Null, Give::Held),
            _ => Give::Null,
        };
        let gives = [give(), give(), give()];
        Plan {
            is_later: random.one_in(3),
            keeps: random.one_in(2),
            fails: random.one_in(8),
            gives,
        }
    }

    /// Returns the answer of the vat under test, by the call's plan.
    pub fn outcome(&self, call: CallId, params: &Refs) -> Outcome {
        let plan = self.script(call).plan;
        if plan.fails {
            return Outcome::Error(Some(call.into()));
        }
        let refs = plan.gives.map(|give| match give {
            Give::Null => Ref::Null,
            Give::New(object) => Ref::Object(object),
            Give::Param(index) => params[index],
            Give::Held(object) => match self.held.contains_key(&object) {
                true => Ref::Object(object),
                false => Ref::Null,
            },
        });
        Outcome::Results(call.into(), refs)
    }

    /// Returns the object that a capability of the vat under test is.
    pub fn name(&self, cap: Option<&Cap>) -> Ref {
        match cap {
            None => Ref::Null,
            Some(Cap::Import(import)) if import.owner().failure().is_some() => Ref::Broken,
            Some(Cap::Import(import)) => {
                Ref::Object(self.numbers[import.owner().id() - 1][import.id() as usize])
            }
            Some(cap) => match cap.own::<Object>() {
                Some(object) => Ref::Object(object.name()),
                None => Ref::Broken,
            },
        }
    }
}

/// The number of occurrences of each kind.
#[derive(Default, Clone)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    pub fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }
}
