//! The decisions of a connection: how messages and commands change its state.
//!
//! A message or a command changes the tables and adds to [`Effects`], which the caller carries out once
//! the state is unlocked, in their order. [`tables`] is the whole state: [`questions`] are the calls of
//! this process, [`answers`] those of the peer and [`waiting`] those of them that wait, [`objects`] the
//! exports and imports. [`calls`] and [`returns`] handle the messages.
//!
//! Nothing here names a lock, a clock, a thread, a socket or the event loop.
//!
//! A Resolve changes nothing: the peer has to forward calls on its promise, for as long as the promise
//! is held. The short way could lead back to itself. And the only promises that are sent to a
//! peer are broken ones, whose Resolve follows at once, so this side never owes a Disembargo of its own.

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

/// libmultiprocess's text for a call that the end of its connection interrupts.
pub const INTERRUPTED: &str = "IPC client method call interrupted by disconnect";
/// libmultiprocess's text for a call on a connection that has ended.
pub const AFTER_DISCONNECT: &str = "IPC client method called after disconnect";

/// The state of one connection.
pub struct State(Tables);

impl State {
    /// Makes the state of a new connection. `owner` is the [`Owner::id`] of its owner, `bootstrap` the
    /// object that the peer gets when it asks for this side's.
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

    /// Returns the phase of the connection.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Returns the reason that it ended or is about to, if so.
    #[cfg(test)]
    pub fn reason(&self) -> Option<&CloseReason> {
        self.0.reason.as_ref()
    }

    // ----- messages -----

    /// Handles a message of the peer.
    ///
    /// # Errors
    /// Returns the reason that the connection must end.
    pub fn handle(
        &mut self,
        owner: &Arc<dyn Owner>,
        received: Received,
        effects: &mut Effects,
    ) -> Result<(), CloseReason> {
        let Self(tables) = self;
        // An entry added to the tables of a connection that is over would stay there, and keep it
        // alive.
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

    /// Answers an unknown message with Unimplemented.
    fn unknown(&mut self, received: &Received, effects: &mut Effects) -> Result<(), CloseReason> {
        let message = messages::unimplemented(received.root()?, received.bytes())?;
        self.0.send(message, Flush::Soon, effects);
        Ok(())
    }

    /// Handles an Unimplemented: fails the question of a message that the peer does not know.
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

    /// Handles a Disembargo: the peer asks when all calls that it had sent on a promise of this side
    /// have come back to it, because the promise became an object of the peer.
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

    /// Makes calls, all at once and in this order, after asking for the peer's object if `bootstrap` is
    /// given. If the connection has ended, they fail with that.
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

    /// Answers a question of the peer.
    pub fn answer(&mut self, question: u32, outcome: Result<Results>, effects: &mut Effects) {
        calls::answered(&mut self.0, question, outcome, effects);
    }

    /// Queues a Release of `given` references to import `id`, which was dropped.
    pub fn release(&mut self, id: u32, given: u64, effects: &mut Effects) {
        self.0.imports.forget(id);
        self.0.release(id, given, effects);
    }

    /// Answers embargo `embargo`: all calls sent on the peer's object `import` before have been
    /// forwarded.
    pub fn loopback(&mut self, import: u32, embargo: u32, effects: &mut Effects) {
        let message = messages::disembargo(import, embargo);
        self.0.send(message, Flush::Soon, effects);
    }

    // ----- ending -----

    /// Begins to end the connection; returns whether it was open. No further message is handled.
    pub fn end(&mut self, reason: CloseReason, effects: &mut Effects) -> bool {
        let Self(tables) = self;
        if tables.phase != Phase::Open {
            return false;
        }
        tables.phase = Phase::Ending;
        // The abort's type tells the peer a fault of its own from an end in good order.
        let word = match &reason {
            CloseReason::Violation(text) | CloseReason::Timeout(text) => {
                Some(messages::abort(text, true))
            }
            CloseReason::Local(text) => Some(messages::abort(text, false)),
            // The peer has gone.
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

    /// Ends the connection, and fails all pending calls; returns whether it was not over. A reason that
    /// it had before takes precedence over `reason`.
    pub fn close(&mut self, reason: CloseReason, effects: &mut Effects) -> bool {
        let Self(tables) = self;
        let reason = tables.reason.get_or_insert(reason).clone();
        if tables.phase == Phase::Over {
            return false;
        }
        tables.phase = Phase::Over;
        // First, so that a caller that learns of it from a failed call finds the connection over.
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

    /// Returns the error of a call on a connection that has ended: `what` became of the call, which
    /// side ended the connection, and why.
    pub fn disconnected(&self, what: &str) -> Error {
        Error::Disconnected(match &self.0.reason {
            Some(reason) => format!("{what}: {reason}"),
            None => what.to_owned(),
        })
    }

    /// Makes the state commit a deliberate error.
    #[cfg(test)]
    pub fn sabotage(&mut self, error: Option<Sabotage>) {
        self.0.sabotage = error;
    }

    /// Returns the sizes of the tables, for tests.
    #[cfg(test)]
    pub fn counts(&self) -> Counts {
        Counts {
            answers: self.0.answers.table.len(),
            questions: self.0.questions.table.len(),
            exports: self.0.exports.len(),
        }
    }
}

/// The sizes of the tables.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The number of the peer's calls that are not finished.
    pub answers: usize,
    /// The number of calls of this side that are not answered.
    pub questions: usize,
    /// The number of objects that the peer holds.
    pub exports: usize,
}

/// Returns the close reason of an Abort.
fn aborted(abort: exception::Reader<'_>) -> CloseReason {
    match (abort.get_type(), messages::some_of(abort.get_reason())) {
        (Ok(exception::Type::Disconnected), text) => CloseReason::Farewell(text),
        (_, text) => CloseReason::Aborted(text),
    }
}
