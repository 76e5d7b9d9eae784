//! The oracle: it derives what the vat under test must do from the same objects and calls, without a
//! wire.
//!
//! Knows each call with its caller, target and parameters, and in which order messages reach the vat;
//! nothing of numbers, reference counts, or bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::world::{Call, CallId, Check, ObjectId, Outcome, Party, Ref, Refs, World};

/// The content of a peer's Return.
#[derive(Debug, Clone, Copy)]
pub enum Gives {
    Outcome(Outcome),
    /// The results of a call of the peer (`takeFromOtherQuestion`).
    Take(CallId),
}

/// The meaning of a peer's message.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    Bootstrap(CallId),
    Call(CallId),
    Return(CallId, Gives),
    /// A message without an effect that the objects could see.
    Other,
}

/// An item that waits for the outcome of a call.
#[derive(Debug, Clone, Copy)]
enum Want {
    Target(CallId, usize),
    Param(CallId, usize, usize),
    Result(CallId, usize, usize),
    Whole(CallId),
}

/// The effects of a message or an operation.
enum Effect {
    Deliver(CallId, ObjectId),
    Fail(CallId),
    Tell(CallId, Outcome),
}

/// The oracle's knowledge of a call.
#[derive(Default)]
pub struct Known {
    /// The answer of the vat to a peer.
    pub outcome: Option<Outcome>,
    /// The number of calls that the vat had sent to that peer before.
    pub sent_before: usize,
    /// Set once the call has reached its object, or failed.
    pub is_delivered: bool,
    connection: usize,
    target: Option<ObjectId>,
    params: Option<Refs>,
    missing: usize,
    wants: Vec<Want>,
    /// The results of a peer, with the number of capabilities that are not known.
    partial: Option<(u32, Refs, usize)>,
}

#[derive(Default)]
struct Connection {
    is_over: bool,
    effects: VecDeque<Effect>,
    is_carrying_out: bool,
    /// The calls that wait for an object, in the order in which they were made.
    queues: BTreeMap<ObjectId, BTreeSet<CallId>>,
    /// The calls that the peer must get, in order, by target.
    sent: BTreeMap<Ref, VecDeque<(CallId, Refs)>>,
    sent_count: usize,
    /// The calls of the vat that the peer has not answered completely.
    asked: BTreeSet<CallId>,
}

/// The model of the vat under test.
#[derive(Default)]
pub struct Oracle {
    calls: Vec<Known>,
    connections: [Connection; 2],
    delivered: BTreeMap<ObjectId, VecDeque<(CallId, Refs)>>,
    got: BTreeMap<CallId, Outcome>,
}

impl Oracle {
    fn known(&mut self, call: CallId) -> &mut Known {
        let index = usize::from(call);
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Known::default);
        }
        &mut self.calls[index]
    }

    /// Returns the knowledge of a call.
    pub fn get(&mut self, call: CallId) -> &Known {
        self.known(call)
    }

    // ----- what happens -----

    /// Handles a message of peer `from` that reaches the vat.
    pub fn hear(&mut self, world: &World, from: usize, meaning: Meaning) {
        if self.connections[from].is_over {
            return;
        }
        match meaning {
            Meaning::Bootstrap(call) => {
                self.known(call).connection = from;
                self.known(call).is_delivered = true;
                let root = Ref::Object(bootstrap_of(from));
                self.answer(
                    world,
                    call,
                    Outcome::Results(0, [root, Ref::Null, Ref::Null]),
                );
            }
            Meaning::Call(call) => self.call(world, from, call),
            Meaning::Return(call, Gives::Outcome(outcome)) => {
                self.returned(from, call, outcome);
            }
            Meaning::Return(call, Gives::Take(other)) => match self.known(other).outcome {
                Some(outcome) => self.tell(from, call, outcome),
                None => self.known(other).wants.push(Want::Whole(call)),
            },
            Meaning::Other => {}
        }
        self.follow(world, from);
    }

    /// Answers a call that the vat's application was to answer later.
    pub fn answer_pending(&mut self, world: &World, call: CallId) {
        let params = self.known(call).params.unwrap_or([Ref::Null; 3]);
        self.answer(world, call, world.outcome(call, &params));
    }

    /// Makes a call of the vat over connection `to`.
    pub fn ask(&mut self, world: &World, to: usize, call: CallId) {
        let Call { target, params, .. } = *world.script(call);
        self.send(to, call, target, params);
        self.follow(world, to);
    }

    /// Ends a connection.
    pub fn close(&mut self, world: &World, connection: usize) {
        let of = &mut self.connections[connection];
        of.is_over = true;
        of.queues.clear();
        for call in std::mem::take(&mut of.asked) {
            self.tell(connection, call, Outcome::Error(None));
        }
        self.follow(world, connection);
    }

    // ----- what follows -----

    fn call(&mut self, world: &World, from: usize, call: CallId) {
        let Call { target, params, .. } = *world.script(call);
        self.known(call).connection = from;
        let mut missing = 0;
        let mut known = params;
        for (index, param) in params.into_iter().enumerate() {
            if let Ref::Answer(other, at) = param {
                known[index] = match self.known(other).outcome {
                    Some(outcome) => outcome.at(at).unwrap_or(Ref::Broken),
                    None => {
                        missing += 1;
                        let want = Want::Param(call, index, at);
                        self.known(other).wants.push(want);
                        Ref::Null
                    }
                };
            }
        }
        self.known(call).params = Some(known);
        self.known(call).missing = missing;
        let target = match target {
            Ref::Answer(other, at) => match self.known(other).outcome {
                Some(outcome) => outcome.at(at).unwrap_or(Ref::Broken),
                None => return self.known(other).wants.push(Want::Target(call, at)),
            },
            target => target,
        };
        self.place(from, call, target);
    }

    /// Sets a call's target: the call is queued behind those that were made on that before.
    fn place(&mut self, connection: usize, call: CallId, target: Ref) {
        let missing = self.known(call).missing;
        let of = &mut self.connections[connection];
        let Ref::Object(object) = target else {
            return of.effects.push_back(Effect::Fail(call));
        };
        match of.queues.get_mut(&object) {
            Some(queue) => {
                queue.insert(call);
                self.advance(connection, object);
            }
            None if missing > 0 => {
                of.queues.insert(object, [call].into());
            }
            None => of.effects.push_back(Effect::Deliver(call, object)),
        }
        self.known(call).target = Some(object);
    }

    /// Delivers the queue of an object, up to the next call that misses a parameter.
    fn advance(&mut self, connection: usize, object: ObjectId) {
        while let Some(queue) = self.connections[connection].queues.get(&object) {
            match queue.first() {
                Some(call) if self.calls[usize::from(*call)].missing > 0 => return,
                Some(call) => {
                    let call = *call;
                    let of = &mut self.connections[connection];
                    of.effects.push_back(Effect::Deliver(call, object));
                    of.queues.get_mut(&object).unwrap().pop_first();
                }
                None => {
                    self.connections[connection].queues.remove(&object);
                }
            }
        }
    }

    fn returned(&mut self, from: usize, call: CallId, outcome: Outcome) {
        let Outcome::Results(value, refs) = outcome else {
            return self.tell(from, call, outcome);
        };
        let (mut known, mut missing) = (refs, 0);
        for (index, named) in refs.into_iter().enumerate() {
            if let Ref::Answer(other, at) = named {
                match self.known(other).outcome {
                    Some(outcome) => known[index] = outcome.at(at).unwrap_or(Ref::Broken),
                    None => {
                        missing += 1;
                        let want = Want::Result(call, index, at);
                        self.known(other).wants.push(want);
                    }
                }
            }
        }
        match missing {
            0 => self.tell(from, call, Outcome::Results(value, known)),
            _ => self.known(call).partial = Some((value, known, missing)),
        }
    }

    fn tell(&mut self, connection: usize, call: CallId, outcome: Outcome) {
        let of = &mut self.connections[connection];
        of.asked.remove(&call);
        of.effects.push_back(Effect::Tell(call, outcome));
    }

    fn send(&mut self, to: usize, call: CallId, target: Ref, params: Refs) {
        let of = &mut self.connections[to];
        if of.is_over {
            of.effects
                .push_back(Effect::Tell(call, Outcome::Error(None)));
            return;
        }
        of.asked.insert(call);
        of.sent.entry(target).or_default().push_back((call, params));
        of.sent_count += 1;
    }

    /// Answers a call of a peer.
    fn answer(&mut self, world: &World, call: CallId, outcome: Outcome) {
        let connection = self.known(call).connection;
        let of = &self.connections[connection];
        if of.is_over {
            return;
        }
        let sent_before = of.sent_count;
        let known = self.known(call);
        known.outcome = Some(outcome);
        known.sent_before = sent_before;
        for want in std::mem::take(&mut known.wants) {
            let at = |at| outcome.at(at).unwrap_or(Ref::Broken);
            match want {
                Want::Target(call, index) => self.place(connection, call, at(index)),
                Want::Param(call, param, index) => {
                    let known = self.known(call);
                    if let Some(params) = &mut known.params {
                        params[param] = at(index);
                    }
                    known.missing -= 1;
                    if let (0, Some(target)) = (known.missing, known.target) {
                        self.advance(connection, target);
                    }
                }
                Want::Result(call, result, index) => {
                    let Some((value, mut refs, missing)) = self.known(call).partial else {
                        continue;
                    };
                    refs[result] = at(index);
                    self.known(call).partial = Some((value, refs, missing - 1));
                    if missing == 1 {
                        self.tell(connection, call, Outcome::Results(value, refs));
                    }
                }
                Want::Whole(call) => self.tell(connection, call, outcome),
            }
        }
        self.follow(world, connection);
    }

    /// Carries out the effects, once at a time for each connection.
    fn follow(&mut self, world: &World, connection: usize) {
        if std::mem::replace(&mut self.connections[connection].is_carrying_out, true) {
            return;
        }
        while let Some(effect) = self.connections[connection].effects.pop_front() {
            match effect {
                Effect::Deliver(call, object) => self.deliver(world, call, object),
                Effect::Fail(call) => {
                    self.known(call).is_delivered = true;
                    self.answer(world, call, Outcome::Error(None));
                }
                Effect::Tell(call, outcome) => match world.script(call).from {
                    Party::Vat => drop(self.got.insert(call, outcome)),
                    Party::Peer(_) => self.answer(world, call, outcome),
                },
            }
        }
        self.connections[connection].is_carrying_out = false;
    }

    fn deliver(&mut self, world: &World, call: CallId, object: ObjectId) {
        let known = self.known(call);
        known.is_delivered = true;
        let params = known.params.unwrap_or([Ref::Null; 3]);
        match world.home(object).party {
            Party::Vat => {
                let queue = self.delivered.entry(object).or_default();
                queue.push_back((call, params));
                if !world.script(call).plan.is_later {
                    self.answer(world, call, world.outcome(call, &params));
                }
            }
            Party::Peer(peer) => {
                self.send(peer, call, Ref::Object(object), params);
                self.follow(world, peer);
            }
        }
    }

    // ----- what is compared -----

    /// Checks a call that a peer gets on `target`; returns the parameters that it must have.
    pub fn receive(&mut self, peer: usize, call: CallId, target: Ref) -> Check<Refs> {
        let next = self.connections[peer].sent.get_mut(&target);
        match next.and_then(VecDeque::pop_front) {
            Some((expected, params)) if expected == call => Ok(params),
            other => Err(format!(
                "peer {peer} got call {call} on {target:?}, and not {other:?}"
            )),
        }
    }

    /// Returns the next call that a peer must get on `target`.
    pub fn next(&self, peer: usize, target: Ref) -> Option<CallId> {
        let queue = self.connections[peer].sent.get(&target)?;
        queue.front().map(|(call, _)| *call)
    }

    /// Checks that the vat did in this step what it had to do.
    pub fn compare(&mut self, world: &mut World) -> Check {
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
        for (object, call, params) in world.delivered.drain(..) {
            let queue = self.delivered.get_mut(&object);
            let expected = queue.and_then(VecDeque::pop_front);
            if expected != Some((call, params)) {
                return Err(format!(
                    "object {object} got call {call} with {params:?}, and not {expected:?}"
                ));
            }
        }
        for (object, queue) in &self.delivered {
            if let Some(missing) = queue.front() {
                return Err(format!("object {object} did not get call {missing:?}"));
            }
        }
        for (call, outcome) in world.got.drain(..) {
            match self.got.remove(&call) {
                Some(expected) if outcome.is(expected) => {}
                expected => {
                    return Err(format!(
                        "call {call} was answered {outcome:?}, and not {expected:?}"
                    ));
                }
            }
        }
        match self.got.first_key_value() {
            Some((call, outcome)) => Err(format!("call {call} was not answered {outcome:?}")),
            None => Ok(()),
        }
    }

    /// Returns whether a call that is made now by `peer` could wait for `on`, through the answers that
    /// it names, the calls sent before it, and the outcomes of these.
    pub fn would_wait(
        &mut self,
        world: &World,
        peer: Option<usize>,
        refs: impl IntoIterator<Item = Ref>,
        on: CallId,
    ) -> bool {
        let mut work: Vec<CallId> = refs.into_iter().filter_map(Ref::answer).collect();
        let mut seen = BTreeSet::new();
        if let Some(peer) = peer {
            self.undelivered(world, peer, world.calls.len(), &mut work);
        }
        while let Some(call) = work.pop() {
            if call == on {
                return true;
            }
            if !seen.insert(call) {
                continue;
            }
            if let Some(others) = world.aliases.get(&call) {
                work.extend(others);
            }
            let script = *world.script(call);
            if let Party::Peer(peer) = script.from
                && !self.known(call).is_delivered
            {
                work.extend(
                    [script.target]
                        .into_iter()
                        .chain(script.params)
                        .filter_map(Ref::answer),
                );
                self.undelivered(world, peer, usize::from(call), &mut work);
            }
        }
        false
    }

    /// Adds the calls of `peer` before `end` that have not reached an object to `work`.
    fn undelivered(&mut self, world: &World, peer: usize, end: usize, work: &mut Vec<CallId>) {
        for (id, call) in (0..).zip(&world.calls[..end]) {
            if call.from == Party::Peer(peer) && !self.known(id).is_delivered {
                work.push(id);
            }
        }
    }
}

/// Returns the bootstrap object of the vat for a peer: the first objects, one for each.
pub fn bootstrap_of(peer: usize) -> ObjectId {
    u32::try_from(peer).unwrap()
}
