//! What messages and commands do to a connection: decisions, and nothing else.
//!
//! A message or a command changes the tables and adds to [`Effects`], which the caller carries out once
//! the state is unlocked, in their order. [`tables`] is all that is remembered: [`questions`] are the
//! calls of this process, [`answers`] those of the peer and [`waiting`] those of them that wait,
//! [`objects`] what each side holds of the other. [`calls`] and [`returns`] are what the messages do to
//! these.
//!
//! Nothing here names a lock, a clock, a thread, a socket or the event loop.
//!
//! A Resolve is not heeded: what a promise of the peer's becomes is the peer's to forward, for as long
//! as it is held. The short way could lead back to itself. And no promise is ever given to a peer, so
//! no Resolve and no Disembargo of this side's own is ever due.

mod answers;
mod calls;
mod effects;
mod numbered;
mod objects;
mod questions;
mod returns;
#[cfg(test)]
mod sabotage;
mod tables;
mod waiting;

use std::sync::Arc;

use capnp_rpc::rpc_capnp::{disembargo, exception, message};

pub use self::effects::{Dropped, Effect, Effects, Flush};
#[cfg(test)]
pub use self::sabotage::Sabotage;
pub use self::tables::Phase;

use self::answers::{Answer, Promise, Want};
use self::tables::{Named, Tables};
use super::super::accounts::Account;
use super::cap::{Ask, Cap, Done, Host, Owner, Results};
use super::wire::fields::{self, Target, kind, kind_of};
use super::wire::message as messages;
use super::wire::reason::{CloseReason, readable, violation};
use super::wire::received::Received;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// What libmultiprocess says of a call that the end of its connection interrupts.
pub const INTERRUPTED: &str = "IPC client method call interrupted by disconnect";
/// What libmultiprocess says of a call on a connection that has ended.
pub const AFTER_DISCONNECT: &str = "IPC client method called after disconnect";

/// The state of one connection.
pub struct State(Tables);

impl State {
    /// A connection that nothing has been said on. `owner` is the [`Owner::id`] of its owner,
    /// `bootstrap` what the peer gets when it asks for this side's object.
    pub fn new(
        owner: usize,
        limits: Limits,
        account: Arc<Account>,
        bootstrap: Option<Arc<dyn Host>>,
    ) -> Self {
        Self(Tables {
            owner,
            limits,
            account,
            phase: Phase::Open,
            reason: None,
            bootstrap,
            received: 0,
            questions: questions::Questions::default(),
            answers: answers::Answers::default(),
            waiting: waiting::Waiting::default(),
            exports: objects::Exports::default(),
            imports: objects::Imports::default(),
            #[cfg(test)]
            sabotage: None,
        })
    }

    /// How far the connection has come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Why it ended or is about to, if so.
    #[cfg(test)]
    pub fn reason(&self) -> Option<&CloseReason> {
        self.0.reason.as_ref()
    }

    // ----- messages -----

    /// Does what a message of the peer's says.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn handle(
        &mut self,
        owner: &Arc<dyn Owner>,
        received: Received,
        effects: &mut Effects,
    ) -> Result<(), CloseReason> {
        let Self(tables) = self;
        // What is put into the tables of a connection that is over stays there, and keeps it.
        if tables.phase != Phase::Open {
            return Ok(());
        }
        match received.words().map(kind_of) {
            Some(kind::CALL) => return calls::called(tables, owner, received, effects),
            Some(kind::RETURN) => return returns::returned(tables, owner, received, effects),
            _ => {}
        }
        let root = received.root()?;
        let Ok(which) = root.which() else {
            return self.unknown(&received, effects);
        };
        match which {
            message::Bootstrap(bootstrap) => {
                let question = bootstrap?.get_question_id();
                calls::bootstrapped(tables, question, &received, effects)
            }
            message::Finish(finish) => {
                let finish = finish?;
                let release = finish.get_release_result_caps();
                calls::finished(tables, finish.get_question_id(), release, effects);
                Ok(())
            }
            message::Release(release) => {
                let release = release?;
                let count = release.get_reference_count();
                tables.take_back(&[release.get_id()], count.into(), effects);
                Ok(())
            }
            message::Resolve(_) => {
                let resolution = received.words().and_then(fields::resolution);
                if let Some(cap) = readable(resolution, "a Resolve")?
                    && let Named::Known(cap) = tables.named(owner, Some(cap), effects)?
                {
                    effects.drop(cap);
                }
                Ok(())
            }
            message::Disembargo(disembargo) => {
                let target = received.words().and_then(fields::disembargoed);
                self.disembargo(disembargo?, target, effects)
            }
            message::Abort(abort) => Err(aborted(abort?)),
            message::Unimplemented(of) => self.not_implemented(of?, effects),
            message::Provide(_)
            | message::Accept(_)
            | message::Join(_)
            | message::Call(_)
            | message::Return(_)
            | message::ObsoleteSave(_)
            | message::ObsoleteDelete(_) => self.unknown(&received, effects),
        }
    }

    /// Tells the peer that a message is not known here.
    fn unknown(&mut self, received: &Received, effects: &mut Effects) -> Result<(), CloseReason> {
        let message = messages::unimplemented(received.root()?, received.bytes())?;
        self.0.send(message, Flush::Soon, effects);
        Ok(())
    }

    /// The peer does not know a message of this side.
    fn not_implemented(
        &mut self,
        of: message::Reader<'_>,
        effects: &mut Effects,
    ) -> Result<(), CloseReason> {
        let Self(tables) = self;
        let question = match of.which()? {
            message::Call(call) => call?.get_question_id(),
            message::Bootstrap(bootstrap) => bootstrap?.get_question_id(),
            _ => return Ok(()),
        };
        if let Some(question) = tables.questions.remove(question) {
            tables.take_back(&question.exports, 1, effects);
            let error = Error::Unimplemented("the peer does not implement calls".into());
            effects.then(Effect::Tell(question.done, Err(error), question.about));
        }
        Ok(())
    }

    /// The peer wants to know when all that it had sent on a promise of this side's has come back to
    /// it, because it became an object of the peer's own.
    fn disembargo(
        &mut self,
        disembargo: disembargo::Reader<'_>,
        target: Option<Target<'_>>,
        effects: &mut Effects,
    ) -> Result<(), CloseReason> {
        let Self(tables) = self;
        let disembargo::context::SenderLoopback(embargo) = disembargo.get_context().which()? else {
            return violation("a disembargo that nobody asked for");
        };
        let target = match readable(target, "a target")? {
            Target::Import(id) => tables.exports.get(id).cloned(),
            Target::Answer(answer) => match tables.answers.promise(tables.place(answer)?) {
                Promise::Kept(kept) => kept.ok().flatten(),
                Promise::Open(_) => None,
            },
        };
        match &target {
            Some(Cap::Import(import)) if import.owner().id() == tables.owner => {
                tables.waiting.loopback(import, embargo, effects);
                effects.drop(target);
                Ok(())
            }
            _ => {
                effects.drop(target);
                violation("a disembargo of what is no object of the peer's")
            }
        }
    }

    // ----- commands -----

    /// Makes calls, all at once and in this order, after asking for the peer's object where
    /// `bootstrap` takes that. When the connection has ended they are answered with that.
    pub fn ask(
        &mut self,
        bootstrap: Option<Done>,
        asks: &mut dyn Iterator<Item = Ask>,
        effects: &mut Effects,
    ) {
        let Self(tables) = self;
        if tables.phase != Phase::Open {
            let error = self.disconnected(AFTER_DISCONNECT);
            for done in bootstrap.into_iter().chain(asks.map(|ask| ask.done)) {
                effects.then(Effect::Tell(done, Err(error.clone()), Vec::new()));
            }
            return;
        }
        let mut before = bootstrap.map(|done| returns::bootstrap(tables, done, effects));
        for ask in asks {
            before = returns::ask(tables, ask, before, effects);
        }
    }

    /// Answers a question of the peer's.
    pub fn answer(&mut self, question: u32, outcome: Result<Results>, effects: &mut Effects) {
        calls::answered(&mut self.0, question, outcome, effects);
    }

    /// Nobody holds an object any more that the peer has given `given` times.
    pub fn release(&mut self, id: u32, given: u64, effects: &mut Effects) {
        self.0.imports.forget(id);
        self.0.release(id, given, effects);
    }

    /// Everything sent on the peer's object `import` before is on its way to it.
    pub fn loopback(&mut self, import: u32, embargo: u32, effects: &mut Effects) {
        let message = messages::disembargo(import, embargo);
        self.0.send(message, Flush::Soon, effects);
    }

    // ----- ending -----

    /// Begins to end the connection; tells whether it was open. Nothing is read any more.
    pub fn end(&mut self, reason: CloseReason, effects: &mut Effects) -> bool {
        let Self(tables) = self;
        if tables.phase != Phase::Open {
            return false;
        }
        tables.phase = Phase::Ending;
        // So that the peer can tell a fault of its own from a farewell.
        let word = match &reason {
            CloseReason::Violation(text) | CloseReason::Timeout(text) => {
                Some(messages::abort(text, true))
            }
            CloseReason::Local(text) => Some(messages::abort(text, false)),
            // It has gone.
            CloseReason::PeerClosed
            | CloseReason::Farewell(_)
            | CloseReason::Aborted(_)
            | CloseReason::Io(_) => None,
        };
        if let Some(word) = word {
            tables.send(word, Flush::Soon, effects);
        }
        tables.reason.get_or_insert(reason);
        true
    }

    /// Ends the connection, and lets everybody know who waited for something; tells whether it was not
    /// over. The reason that it had before counts.
    pub fn close(&mut self, reason: CloseReason, effects: &mut Effects) -> bool {
        let Self(tables) = self;
        let reason = tables.reason.get_or_insert(reason).clone();
        if tables.phase == Phase::Over {
            return false;
        }
        tables.phase = Phase::Over;
        // First, so that who hears of it from a call finds the connection over.
        effects.then(Effect::Closing(reason));
        let mut asked = tables.questions.drain();
        let mut outcomes = Vec::new();
        for answer in std::mem::take(&mut tables.answers.table).into_values() {
            match answer {
                Answer::Open(open) => {
                    let whole = open.wants.into_iter().filter_map(|want| match want {
                        Want::Whole(done) => Some((done, Vec::new())),
                        _ => None,
                    });
                    asked.extend(whole);
                }
                Answer::Given(given) => outcomes.push(given.outcome),
            }
        }
        let (calls, bootstrap) = (tables.waiting.drain(), tables.bootstrap.take());
        effects.todo.extend(
            tables
                .exports
                .drain()
                .map(|cap| Effect::Drop(Dropped::Cap(cap))),
        );
        let error = self.disconnected(INTERRUPTED);
        for (done, about) in asked {
            effects.then(Effect::Tell(done, Err(error.clone()), about));
        }
        let outcomes = outcomes.into_iter().map(Dropped::Outcome);
        let rest = outcomes.chain([Dropped::Calls(calls), Dropped::Host(bootstrap)]);
        effects.todo.extend(rest.map(Effect::Drop));
        effects.then(Effect::Closed);
        true
    }

    /// The error of a call on a connection that has ended: what became of it, who ended the
    /// connection, and why.
    pub fn disconnected(&self, what: &str) -> Error {
        Error::Disconnected(match &self.0.reason {
            Some(reason) => format!("{what}: {reason}"),
            None => what.to_owned(),
        })
    }

    /// Has the state make a deliberate error.
    #[cfg(test)]
    pub fn sabotage(&mut self, error: Option<Sabotage>) {
        self.0.sabotage = error;
    }

    /// What there is, for tests.
    #[cfg(test)]
    pub fn counts(&self) -> Counts {
        Counts {
            answers: self.0.answers.table.len(),
            questions: self.0.questions.table.len(),
            exports: self.0.exports.len(),
        }
    }
}

/// How much there is in the tables.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The peer's calls that are not finished.
    pub answers: usize,
    /// The calls of this side that are not answered.
    pub questions: usize,
    /// The objects that the peer holds.
    pub exports: usize,
}

/// What the peer says before it ends the connection.
fn aborted(abort: exception::Reader<'_>) -> CloseReason {
    match (abort.get_type(), messages::some_of(abort.get_reason())) {
        (Ok(exception::Type::Disconnected), text) => CloseReason::Farewell(text),
        (_, text) => CloseReason::Aborted(text),
    }
}
