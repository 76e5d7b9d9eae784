//! Calls of the peer that wait for their target, or for a capability among their parameters.
//!
//! Calls reach an object in the order in which they were made on it. A call that waits for a parameter
//! holds back the calls that follow on the same object, and no others. So each object with such a call
//! has a queue here, in the order in which the calls arrived. A call whose object becomes known later
//! takes its place in that order: behind a call that arrived after it, it could wait for itself, since
//! that one may wait for its answer.

use std::collections::BTreeMap;

use super::super::cap::{Cap, Import, Incoming};
use super::effects::{Effect, Effects};
use crate::error::{Error, Result};

/// A call that waits.
struct Call {
    call: Incoming,
    /// The target of the call, once it is known.
    target: Option<Cap>,
    params: Vec<Option<Cap>>,
    /// The number of parameters that are not known.
    missing: usize,
}

/// An entry in the queue of an object.
enum Entry {
    Call,
    Loopback { import: u32, embargo: u32 },
}

/// The calls that wait.
#[derive(Default)]
pub struct Waiting {
    calls: BTreeMap<u64, Call>,
    /// The queue of each object that is the target of a call with missing parameters, by
    /// [`Cap::address`], and by key. The first entry is always such a call.
    queues: BTreeMap<usize, BTreeMap<u64, Entry>>,
    next: u64,
}

impl Waiting {
    /// Returns a key for a call. No other call gets it, even if this one does not wait after all: the
    /// wants for its parameters keep the key.
    pub fn new_key(&mut self) -> u64 {
        let key = self.next;
        self.next += 1;
        key
    }

    /// Adds a call of which `missing` parameters are not known, or delivers it if it need not wait.
    /// `target` is `None` while the target is not known.
    pub fn add(
        &mut self,
        key: u64,
        call: Incoming,
        target: Option<Cap>,
        params: Vec<Option<Cap>>,
        missing: usize,
        effects: &mut Effects,
    ) {
        // A call of a broken promise has nothing to wait for.
        let must_wait = |cap: &Cap| {
            cap.failure().is_none() && (missing > 0 || self.queues.contains_key(&cap.address()))
        };
        match target {
            Some(cap) if !must_wait(&cap) => deliver(cap, call, params, effects),
            target => {
                let waiting = Call {
                    call,
                    target: None,
                    params,
                    missing,
                };
                self.calls.insert(key, waiting);
                if let Some(cap) = target {
                    self.place(key, cap, effects);
                }
            }
        }
    }

    /// Sets the target of a call that waited for it. `question` is the one in whose answer the target
    /// is.
    pub fn supply_target(
        &mut self,
        key: u64,
        question: u32,
        target: Result<Option<Cap>>,
        effects: &mut Effects,
    ) {
        match target {
            Ok(Some(cap)) => match cap.failure().cloned() {
                Some(error) => self.fail(key, error, effects),
                None => self.place(key, cap, effects),
            },
            Ok(None) => self.fail(key, no_object(question), effects),
            Err(error) => self.fail(key, error, effects),
        }
    }

    /// Sets a parameter of a call that waited for it. A broken promise becomes an object whose calls
    /// fail.
    pub fn supply_param(
        &mut self,
        key: u64,
        index: usize,
        param: Result<Option<Cap>>,
        effects: &mut Effects,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if let Some(place) = call.params.get_mut(index) {
            *place = broken_or(param);
        }
        call.missing = call.missing.saturating_sub(1);
        if call.missing == 0
            && let Some(address) = call.target.as_ref().map(Cap::address)
        {
            self.advance(address, effects);
        }
    }

    /// Answers an embargo on a promise that became the peer's own object, after the calls that are to
    /// be forwarded to it.
    pub fn loopback(&mut self, on: &std::sync::Arc<Import>, embargo: u32, effects: &mut Effects) {
        let (import, key) = (on.id(), self.new_key());
        match self.queues.get_mut(&Cap::Import(on.clone()).address()) {
            Some(queue) => {
                queue.insert(key, Entry::Loopback { import, embargo });
            }
            None => effects.then(Effect::Loopback { import, embargo }),
        }
    }

    /// Removes and returns all calls.
    pub fn drain(&mut self) -> Vec<Incoming> {
        self.queues.clear();
        let calls = std::mem::take(&mut self.calls).into_values();
        calls.map(Call::into_call).collect()
    }

    /// Queues a call behind those that were made on the same object before, or delivers it.
    fn place(&mut self, key: u64, cap: Cap, effects: &mut Effects) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let address = cap.address();
        call.target = Some(cap);
        match self.queues.get_mut(&address) {
            Some(queue) => {
                queue.insert(key, Entry::Call);
                self.advance(address, effects);
            }
            None if call.missing > 0 => {
                self.queues.insert(address, [(key, Entry::Call)].into());
            }
            None => self.deliver(key, effects),
        }
    }

    /// Delivers the queue of an object, up to the next call that misses a parameter.
    fn advance(&mut self, address: usize, effects: &mut Effects) {
        let Some(mut queue) = self.queues.remove(&address) else {
            return;
        };
        while let Some((key, entry)) = queue.pop_first() {
            match entry {
                Entry::Loopback { import, embargo } => {
                    effects.then(Effect::Loopback { import, embargo });
                }
                Entry::Call if self.calls.get(&key).is_some_and(|call| call.missing > 0) => {
                    queue.insert(key, entry);
                    self.queues.insert(address, queue);
                    return;
                }
                Entry::Call => self.deliver(key, effects),
            }
        }
    }

    fn deliver(&mut self, key: u64, effects: &mut Effects) {
        if let Some(call) = self.calls.remove(&key)
            && let Some(cap) = call.target
        {
            deliver(cap, call.call, call.params, effects);
        }
    }

    fn fail(&mut self, key: u64, error: Error, effects: &mut Effects) {
        if let Some(call) = self.calls.remove(&key) {
            effects.then(Effect::Fail(call.into_call(), error));
        }
    }
}

impl Call {
    /// Returns the call with its capabilities, so that they are dropped with it.
    fn into_call(mut self) -> Incoming {
        self.params.push(self.target);
        self.call.supply(self.params);
        self.call
    }
}

fn deliver(cap: Cap, mut call: Incoming, params: Vec<Option<Cap>>, effects: &mut Effects) {
    call.supply(params);
    effects.then(Effect::Deliver(cap, call));
}

/// Returns the capability of a resolved promise, or one whose calls fail as the promise did.
pub fn broken_or(promise: Result<Option<Cap>>) -> Option<Cap> {
    promise.unwrap_or_else(|error| Some(Cap::Import(Import::broken(error))))
}

/// Makes the error of a call on a place in an answer that holds no object.
pub fn no_object(question: u32) -> Error {
    Error::failed(format!(
        "called on what question {question} did not answer: an object"
    ))
}
