//! One conversation: the vat under test with one or two peers, and the order of what happens.
//!
//! Knows the parties and chance; nothing of messages.

mod ending;

use std::sync::{Arc, Mutex};

use super::super::super::super::accounts::{Account, Accounts, Resource};
use super::super::super::cap::{Cap, Param, Target};
use super::super::super::state::Sabotage;
use super::super::super::wire::random::Random;
use super::super::super::wire::received::Received;
use super::super::super::wire::write::WriteQueue;
use super::content::POINTERS;
use super::lock;
use super::oracle::{Meaning, Oracle, bootstrap_of};
use super::peer::{Context, Peer, State};
use super::vat::{self, Object, Side};
use super::world::{Call, CallId, Check, Counts, Mode, ObjectId, Party, Ref, Refs, World};
use crate::limits::Limits;

/// The least number of operations of a conversation.
const OPERATIONS: usize = 30;

pub struct Conversation {
    world: Arc<Mutex<World>>,
    oracle: Oracle,
    sides: Vec<Option<Arc<Side>>>,
    peers: Vec<Peer>,
    account: Arc<Account>,
    random: Random,
    counts: Counts,
    is_told: bool,
}

/// Runs a conversation; returns the number of occurrences of each kind. Prints its messages if
/// `is_told` is set.
pub fn converse(seed: u64, sabotage: Option<Sabotage>, is_told: bool) -> Check<Counts> {
    let mut this = Conversation::new(seed, sabotage);
    this.is_told = is_told;
    let result = this.run();
    let counts = std::mem::take(&mut this.counts);
    // They hold each other.
    let (held, pending) = {
        let mut world = lock(&this.world);
        let held = (
            std::mem::take(&mut world.held),
            std::mem::take(&mut world.offered),
        );
        (held, std::mem::take(&mut world.pending))
    };
    drop((held, pending));
    this.sides.iter().flatten().for_each(|side| side.close());
    result.map(|()| counts)
}

impl Conversation {
    fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let limits = Limits::default();
        let account = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
        let nobody = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
        let mut random = Random::new(seed);
        let parties = 1 + random.below(2);
        let world = Arc::new(Mutex::new(World::default()));
        {
            let mut world = lock(&world);
            world.object(Party::Vat, false);
            world.object(Party::Vat, false);
            // The value of a Bootstrap's answer is 0, and no call's is.
            world.call(NO_CALL);
        }
        let side = |peer: usize| {
            let root = Object::new(&world, bootstrap_of(peer));
            Some(Side::new(peer + 1, &limits, &account, root, sabotage))
        };
        Self {
            oracle: Oracle::default(),
            sides: (0..parties).map(side).collect(),
            peers: (0..parties)
                .map(|peer| Peer::new(peer, &limits, &nobody))
                .collect(),
            account,
            random,
            counts: Counts::default(),
            is_told: false,
            world,
        }
    }

    fn run(&mut self) -> Check {
        self.counts.add(match self.peers.len() {
            1 => "conversation of two",
            _ => "conversation of three",
        });
        let mut operations = 0;
        let mut attempts = 0;
        while operations < OPERATIONS {
            attempts += 1;
            if attempts > 100 * OPERATIONS {
                return Err("there is nothing to do".into());
            }
            operations += usize::from(self.operate()?);
            for _ in 0..self.random.below(4) {
                self.deliver()?;
            }
        }
        self.settle()?;
        self.leave()
    }

    // ----- operations -----

    /// Tries a random operation; returns whether it was possible.
    fn operate(&mut self) -> Check<bool> {
        let open: Vec<usize> = (0..self.peers.len())
            .filter(|peer| self.sides[*peer].is_some())
            .collect();
        let Some(peer) = self.random.pick(open) else {
            // All peers have left: no operation is possible any more.
            return Ok(true);
        };
        let what = self.random.below(100);
        match what {
            0..12 => return self.ask(),
            12..14 => return self.ask_bootstrap(peer),
            14..24 => return self.answer_pending(),
            24..28 => return Ok(self.drop_held()),
            28 if self.random.one_in(8) => return self.disconnect(peer),
            _ => {}
        }
        let mut world = lock(&self.world);
        let (this, mut context) = (
            &mut self.peers[peer],
            Context {
                world: &mut world,
                oracle: &mut self.oracle,
                random: &mut self.random,
                counts: &mut self.counts,
            },
        );
        match what {
            ..32 => this.bootstrap(&mut context),
            32..62 => {
                let target = this.target(what >= 45, &mut context);
                let Some(target) = target else {
                    return Ok(false);
                };
                this.call(target, &mut context);
            }
            62..78 => return this.answer(&mut context),
            78..88 => return Ok(this.finish(true, &mut context)),
            88..94 => return Ok(this.release(false, &mut context)),
            _ => return this.resolve(&mut context),
        }
        Ok(true)
    }

    fn script(&mut self, target: Ref, params: Refs, is_bootstrap: bool) -> CallId {
        let mut world = lock(&self.world);
        world.call(Call {
            target,
            params,
            is_bootstrap,
            ..NO_CALL
        })
    }

    /// Chooses capabilities for a call of the vat.
    fn params(&mut self, first: Option<CallId>) -> (Refs, [Option<Param>; POINTERS]) {
        let mut refs = [Ref::Null; POINTERS];
        let params = std::array::from_fn(|index| {
            let (one, param) = match (self.random.below(6), first) {
                (0, _) => {
                    let name = lock(&self.world).object(Party::Vat, false);
                    let object = Cap::Own(Object::new(&self.world, name));
                    (Ref::Object(name), Param::Cap(object))
                }
                (1 | 2, _) => {
                    let world = lock(&self.world);
                    let name = self.random.pick(world.held.keys().copied())?;
                    (Ref::Object(name), Param::Cap(world.held[&name].clone()))
                }
                (3, Some(first)) => {
                    let pointer = self.random.below(POINTERS);
                    let param = Param::First(pointer.try_into().unwrap());
                    (Ref::Answer(first, pointer), param)
                }
                _ => return None,
            };
            refs[index] = one;
            Some(param)
        });
        (refs, params)
    }

    /// Makes the vat call an object of a peer, and pipeline calls on the answer.
    fn ask(&mut self) -> Check<bool> {
        let picked = {
            let world = lock(&self.world);
            let imports = world.held.iter().filter_map(|(name, cap)| match cap {
                Cap::Import(import) => Some((*name, import)),
                Cap::Own(_) => None,
            });
            let picked = self.random.pick(imports);
            picked.map(|(name, import)| (name, import.clone()))
        };
        let Some((name, import)) = picked else {
            return Ok(false);
        };
        let (refs, params) = self.params(None);
        let first = self.script(Ref::Object(name), refs, false);
        let target = Target::Import(import.clone());
        let mut asks = vec![vat::ask(&self.world, first, target, params)];
        let mut calls = vec![first];
        self.counts.add("call of the vat's");
        self.pipeline(first, &mut calls, &mut asks);
        import.owner().ask(&mut asks.into_iter());
        let connection = import.owner().id() - 1;
        drop(import);
        self.asked(connection, calls)
    }

    fn ask_bootstrap(&mut self, peer: usize) -> Check<bool> {
        let first = self.script(Ref::Null, [Ref::Null; POINTERS], true);
        let mut calls = vec![first];
        let mut asks = Vec::new();
        self.counts.add("bootstrap of the vat's");
        self.pipeline(first, &mut calls, &mut asks);
        let side = self.sides[peer].clone().unwrap();
        side.bootstrap(vat::done(&self.world, first), asks);
        self.asked(peer, calls)
    }

    /// Adds calls, each on the answer to the call before.
    fn pipeline(
        &mut self,
        first: CallId,
        calls: &mut Vec<CallId>,
        asks: &mut Vec<super::super::super::cap::Ask>,
    ) {
        let mut previous = first;
        let is_root = lock(&self.world).script(first).is_bootstrap;
        for _ in 0..self.random.below(4) / 2 {
            let is_direct = is_root && previous == first;
            let pointer = match is_direct {
                true => 0,
                false => self.random.below(POINTERS),
            };
            let (refs, params) = self.params((!is_root).then_some(first));
            let call = self.script(Ref::Answer(previous, pointer), refs, false);
            let pointer = (!is_direct).then_some(pointer.try_into().unwrap());
            let target = Target::Previous(pointer);
            asks.push(vat::ask(&self.world, call, target, params));
            calls.push(call);
            self.counts.add("pipelined call of the vat's");
            previous = call;
        }
    }

    fn asked(&mut self, connection: usize, calls: Vec<CallId>) -> Check<bool> {
        {
            let world = lock(&self.world);
            for call in calls {
                self.oracle.ask(&world, connection, call);
            }
        }
        self.compare()?;
        Ok(true)
    }

    fn answer_pending(&mut self) -> Check<bool> {
        let call = {
            let mut world = lock(&self.world);
            let pending = self.random.pick(world.pending.keys().copied());
            pending.and_then(|call| world.pending.remove(&call))
        };
        let Some(call) = call else { return Ok(false) };
        let id = call.method();
        vat::answer(&self.world, call);
        self.oracle.answer_pending(&lock(&self.world), id);
        self.compare()?;
        Ok(true)
    }

    fn drop_held(&mut self) -> bool {
        let held = {
            let mut world = lock(&self.world);
            let held = self.random.pick(world.held.keys().copied());
            held.and_then(|object| world.held.remove(&object))
        };
        held.is_some()
    }

    fn disconnect(&mut self, peer: usize) -> Check<bool> {
        self.counts.add("disconnect");
        if let Some(side) = self.sides[peer].take() {
            side.close();
        }
        self.oracle.close(&lock(&self.world), peer);
        self.compare()?;
        Ok(true)
    }

    // ----- messages -----

    /// Delivers a message in a random direction; returns whether there was one in any.
    fn deliver(&mut self) -> Check<bool> {
        let mut ways = Vec::new();
        for (peer, side) in self.sides.iter().enumerate() {
            let Some(side) = side else { continue };
            if self.random.one_in(3) {
                side.flush();
            }
            if !lock(&side.output).is_empty() {
                ways.push((peer, true));
            }
            if !self.peers[peer].output.is_empty() {
                ways.push((peer, false));
            }
        }
        match self.random.pick(ways) {
            Some((peer, true)) => self.deliver_to_peer(peer)?,
            Some((peer, false)) => self.deliver_to_vat(peer)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    fn deliver_to_vat(&mut self, peer: usize) -> Check {
        let Some(side) = self.sides[peer].clone() else {
            return Ok(());
        };
        let Some((bytes, meaning)) = self.peers[peer].output.pop_front() else {
            return Ok(());
        };
        if self.is_told {
            let world = lock(&self.world);
            let script = match meaning {
                Meaning::Call(call) => Some(world.script(call)),
                _ => None,
            };
            println!("{peer} -> vat: {} {meaning:?} {script:?}", tell(&bytes));
        }
        // A message may arrive in pieces.
        let (start, end) = match self.random.one_in(8) {
            true => bytes.split_at(self.random.below(bytes.len())),
            false => (&bytes[..0], &bytes[..]),
        };
        side.read(start)?;
        side.read(end)?;
        self.oracle.hear(&lock(&self.world), peer, meaning);
        self.compare()
    }

    fn deliver_to_peer(&mut self, peer: usize) -> Check {
        let Some(side) = self.sides[peer].clone() else {
            return Ok(());
        };
        let Some(message) = lock(&side.output).pop_front() else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        let mut queue = WriteQueue::default();
        queue.append(&mut [message].into());
        queue.write(&mut bytes, &mut 0).map_err(|e| e.to_string())?;
        if self.is_told {
            println!("vat -> {peer}: {}", tell(&bytes));
        }
        let mut context = Context {
            world: &mut lock(&self.world),
            oracle: &mut self.oracle,
            random: &mut self.random,
            counts: &mut self.counts,
        };
        self.peers[peer].read(&bytes, &mut context)
    }

    /// Checks that the vat did what the oracle requires; then the application holds the objects that it
    /// was offered.
    fn compare(&mut self) -> Check {
        let mut world = lock(&self.world);
        self.oracle.compare(&mut world)?;
        let offered = std::mem::take(&mut world.offered);
        let replaced: Vec<_> = offered
            .into_iter()
            .map(|(object, cap)| world.held.insert(object, cap))
            .collect();
        drop(world);
        drop(replaced);
        Ok(())
    }
}

/// Describes a message in a few words.
fn tell(mut bytes: &[u8]) -> String {
    let frame = super::super::reader().next(&mut bytes).unwrap().unwrap();
    let received = Received::new(frame, 64);
    super::super::describe(received.root().unwrap())
}

const NO_CALL: Call = Call {
    from: Party::Vat,
    target: Ref::Null,
    params: [Ref::Null; POINTERS],
    mode: Mode::Caller,
    is_bootstrap: false,
    plan: super::world::Plan {
        is_later: false,
        keeps: false,
        fails: false,
        gives: [super::world::Give::Null; POINTERS],
    },
};
