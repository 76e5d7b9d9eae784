//! The vat under test: the library's states with an owner that carries effects out as `link.rs` does,
//! in memory, and an application's objects.
//!
//! Knows the interface of `state`, and the plan of each call; nothing of what is right.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use super::super::super::super::accounts::Account;
use super::super::super::cap::{
    Ask, Cap, Done, Host, Incoming, Owner, Param, Request, Response, Results, Spent, Target,
};
use super::super::super::carry_out::carry_out;
use super::super::super::ordered::Ordered;
use super::super::super::state::{Counts, Effect, Effects, Sabotage, State};
use super::super::super::wire::check::{Trail, check};
use super::super::super::wire::read::FrameReader;
use super::super::super::wire::reason::CloseReason;
use super::super::super::wire::received::Received;
use super::super::super::wire::write::Built;
use super::content::{self, POINTERS};
use super::lock;
use super::world::{CallId, Check, Give, ObjectId, Outcome, Ref, World};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The interface of every call.
pub const INTERFACE: u64 = 0x1234;

/// The vat's side of one connection.
pub struct Side {
    id: usize,
    weak: Weak<Self>,
    decisions: Ordered<(State, Effects), Effect>,
    /// The messages to the peer.
    pub output: Mutex<VecDeque<Built>>,
    released: Mutex<Vec<(u32, u64)>>,
    input: Mutex<(FrameReader, Trail)>,
    wrong: Mutex<Option<String>>,
}

impl Side {
    pub fn new(
        id: usize,
        limits: &Limits,
        account: &Arc<Account>,
        bootstrap: Arc<Object>,
        sabotage: Option<Sabotage>,
    ) -> Arc<Self> {
        let mut state = State::new(id, limits.clone(), account.clone(), Some(bootstrap));
        state.sabotage(sabotage);
        Arc::new_cyclic(|weak| Self {
            id,
            weak: weak.clone(),
            decisions: Ordered::new((state, Effects::default())),
            output: Mutex::default(),
            released: Mutex::default(),
            input: Mutex::new((FrameReader::new(limits, account), Trail::default())),
            wrong: Mutex::default(),
        })
    }

    fn update<R>(&self, decide: impl FnOnce(&mut State, &mut Effects) -> R) -> R {
        let (result, todo) = self.decisions.decide(|(state, effects), queue| {
            let result = decide(state, effects);
            lock(&self.output).extend(effects.messages.drain(..));
            queue.append(&mut effects.todo);
            if let Some(reason) = effects.exceeded.take() {
                *lock(&self.wrong) = Some(reason.to_string());
            }
            result
        });
        if let Some(todo) = todo {
            self.decisions.carry_out(todo, |effect| {
                carry_out(effect, |decide| self.update(decide));
            });
        }
        result
    }

    /// Reads some bytes of the peer; an error in them ends the conversation.
    pub fn read(&self, mut bytes: &[u8]) -> Check {
        if bytes.is_empty() {
            return Ok(());
        }
        let owner: Arc<dyn Owner> = self.weak.upgrade().unwrap();
        loop {
            let received = {
                let (reader, trail) = &mut *lock(&self.input);
                let Some(mut frame) = reader.next(&mut bytes).map_err(|e| e.to_string())? else {
                    break;
                };
                check(&mut frame, 64, trail)?;
                Received::new(frame, 64)
            };
            self.update(|state, effects| state.handle(&owner, received, effects))
                .map_err(|reason| format!("the vat ended the connection: {reason}"))?;
        }
        match lock(&self.wrong).take() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    /// Sends the Releases of dropped imports.
    pub fn flush(&self) {
        let released = std::mem::take(&mut *lock(&self.released));
        if !released.is_empty() {
            self.update(|state, effects| {
                for (id, given) in released {
                    state.release(id, given, effects);
                }
            });
        }
    }

    pub fn bootstrap(&self, done: Done, asks: Vec<Ask>) {
        self.update(|state, effects| state.ask(Some(done), &mut asks.into_iter(), effects));
    }

    pub fn close(&self) {
        self.update(|state, effects| state.close(CloseReason::PeerClosed, effects));
    }

    pub fn counts(&self) -> Counts {
        self.decisions.look(|(state, _)| state.counts())
    }
}

impl Owner for Side {
    fn id(&self) -> usize {
        self.id
    }

    fn release(&self, id: u32, given: u64) {
        lock(&self.released).push((id, given));
    }

    fn answer(&self, question: u32, outcome: Result<Results>, spent: Spent) {
        drop(spent);
        self.update(|state, effects| state.answer(question, outcome, effects));
    }

    fn ask(&self, asks: &mut dyn Iterator<Item = Ask>) {
        self.update(|state, effects| state.ask(None, asks, effects));
    }
}

/// An object of the application.
pub struct Object {
    name: ObjectId,
    world: Arc<Mutex<World>>,
}

impl Object {
    pub fn new(world: &Arc<Mutex<World>>, name: ObjectId) -> Arc<Self> {
        let this = Arc::new(Self {
            name,
            world: world.clone(),
        });
        lock(world).hosts.insert(name, Arc::downgrade(&this));
        this
    }

    pub fn name(&self) -> ObjectId {
        self.name
    }
}

fn params(call: &Incoming) -> Option<(u32, [Option<Cap>; POINTERS])> {
    let read = call.params(|params| content::read(params, call.caps()));
    read.ok()?.ok()
}

impl Host for Object {
    fn call(self: Arc<Self>, call: Incoming) {
        let id = call.method();
        let read = params(&call);
        {
            let mut world = lock(&self.world);
            let Some((_, caps)) = read.filter(|(value, _)| *value == u32::from(id)) else {
                world.wrong = Some(format!("the parameters of call {id} are not its own"));
                return;
            };
            let refs = caps.each_ref().map(|cap| world.name(cap.as_ref()));
            world.delivered.push((self.name, id, refs));
            let plan = world.script(id).plan;
            if plan.keeps {
                world.offer(&caps);
            }
            if plan.is_later {
                world.pending.insert(id, call);
                return;
            }
        }
        answer(&self.world, call);
    }
}

impl World {
    /// Offers these capabilities to the application, which holds them from the next step on.
    fn offer(&mut self, caps: &[Option<Cap>]) {
        for cap in caps.iter().flatten() {
            if let Ref::Object(object) = self.name(Some(cap)) {
                self.offered.push((object, cap.clone()));
            }
        }
    }
}

/// Answers a call by its plan.
pub fn answer(world: &Arc<Mutex<World>>, call: Incoming) {
    let id = call.method();
    let plan = lock(world).script(id).plan;
    if plan.fails {
        return call.fail(Error::failed(id.to_string()));
    }
    let params = params(&call).map_or([const { None }; POINTERS], |(_, params)| params);
    let caps = plan.gives.map(|give| match give {
        Give::Null => None,
        Give::New(object) => Some(Cap::Own(Object::new(world, object))),
        Give::Param(index) => params[index].clone(),
        Give::Held(object) => lock(world).held.get(&object).cloned(),
    });
    let results = call.results(|to, content| {
        content::write(
            content,
            id.into(),
            caps.map(|cap| cap.map(|cap| to.add(cap))),
        );
        Ok::<_, Error>(())
    });
    drop(params);
    call.answer(results.unwrap());
}

/// Makes a call of the application, with these parameters.
pub fn ask(
    world: &Arc<Mutex<World>>,
    id: CallId,
    target: Target,
    params: [Option<Param>; POINTERS],
) -> Ask {
    let request = Request::new(INTERFACE, id, |to, content| {
        content::write(
            content,
            id.into(),
            params.map(|param| param.map(|param| to.add(param))),
        );
        Ok(())
    });
    Ask {
        target,
        request: request.unwrap(),
        done: done(world, id),
    }
}

/// Makes the callback that records the answer to a call of the application.
pub fn done(world: &Arc<Mutex<World>>, id: CallId) -> Done {
    let world = world.clone();
    Box::new(move |answer| {
        let mut world = lock(&world);
        match answer.map(|response| read(&response, world.script(id).is_bootstrap)) {
            Ok(Some((value, caps))) => {
                let refs = caps.each_ref().map(|cap| world.name(cap.as_ref()));
                world.offer(&caps);
                world.got.push((id, Outcome::Results(value, refs)));
            }
            Ok(None) => world.wrong = Some(format!("the results of call {id} are malformed")),
            Err(error) => {
                let number = error.to_string().parse().ok();
                world.got.push((id, Outcome::Error(number)));
            }
        }
    })
}

fn read(response: &Response, is_bootstrap: bool) -> Option<(u32, [Option<Cap>; POINTERS])> {
    if is_bootstrap {
        return Some((0, [response.caps().first()?.clone(), None, None]));
    }
    let read = response.read(|results| content::read(results, response.caps()));
    read.ok()?.ok()
}

/// Returns whether the tables are empty.
pub fn is_free(counts: Counts) -> bool {
    (counts.answers, counts.questions, counts.exports) == (0, 0, 0)
}
