//! The tables of one connection, and the operations that its calls and returns share.
//!
//! Knows the numbers that messages name things by. Nothing whose destructor may take the state's lock
//! is dropped here: dropping it is an effect.

use std::sync::Arc;

use super::super::super::accounts::{Account, Charge, Resource};
use super::super::cap::{Cap, Host, Owner};
use super::super::wire::fields::{Answer, Descriptor, Payload};
use super::super::wire::message::{self, Building};
use super::super::wire::reason::{CloseReason, readable, violation};
use super::super::wire::words::Structs;
use super::super::wire::write::{Built, Complete};
use super::answers::{Answers, Outcome, Place, Want, at};
use super::effects::{Dropped, Effect, Effects, Flush};
use super::objects::{Exports, Imports};
use super::questions::Questions;
use super::waiting::{Waiting, broken_or};
use crate::limits::Limits;

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Messages are read and written.
    Open,
    /// Nothing is read any more, and the queued messages have a little time to be written.
    Ending,
    /// The connection is over.
    Over,
}

/// The state of both directions of one connection.
pub struct Tables {
    /// The [`Owner::id`] of the connection's owner, which identifies the connection.
    pub owner: usize,
    /// The limits on the peer.
    pub limits: Limits,
    /// The account charged for everything that the peer makes this process hold.
    pub account: Arc<Account>,
    /// The phase of the connection.
    pub phase: Phase,
    /// The reason that it ended or is about to, if so.
    pub reason: Option<CloseReason>,
    /// The object that the peer gets when it asks for this side's.
    pub bootstrap: Option<Arc<dyn Host>>,
    /// The calls of this process.
    pub questions: Questions,
    /// The size of the peer's calls that are not answered, in bytes.
    pub received: usize,
    /// The calls of the peer.
    pub answers: Answers,
    /// The calls of the peer that wait for a target or a parameter.
    pub waiting: Waiting,
    /// The objects that the peer holds.
    pub exports: Exports,
    /// The objects of the peer that are held here.
    pub imports: Imports,
    /// The deliberate error to make.
    #[cfg(test)]
    pub sabotage: Option<super::sabotage::Sabotage>,
}

/// A capability that a message names.
pub enum Named {
    /// A known capability; `None` for null.
    Known(Option<Cap>),
    /// The capability at this place in an answer.
    Place(Place),
}

impl Named {
    /// Returns the place, if it is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Place(place) => Some(place),
            Self::Known(_) => None,
        }
    }
}

impl Tables {
    /// Queues a message.
    pub fn send(&mut self, message: Building, flush: Flush, effects: &mut Effects) {
        let built = self.build(message, effects);
        self.send_built(built, flush, effects);
    }

    /// Queues a complete message, which the caller may keep, too.
    pub fn send_built(&mut self, message: Built, flush: Flush, effects: &mut Effects) {
        if self.phase != Phase::Over {
            effects.messages.push(message);
            effects.flush(flush);
        }
    }

    /// Completes a message, and charges it to the peer.
    pub fn build(&mut self, message: Building, effects: &mut Effects) -> Built {
        Complete::new(message, |cost| {
            let mut charge = Charge::to(&self.account, Resource::Bytes);
            if let Err(exceeded) = charge.add(cost) {
                effects.exceeded.get_or_insert_with(|| exceeded.into());
            }
            charge
        })
    }

    /// Queues a Release of references to an object of the peer.
    pub fn release(&mut self, id: u32, references: u64, effects: &mut Effects) {
        let references = u32::try_from(references).unwrap_or(u32::MAX);
        self.send(message::release(id, references), Flush::Later, effects);
    }

    /// Counts a reference to object `id` that the peer has sent, and returns the import.
    fn import(&mut self, owner: &Arc<dyn Owner>, id: u32, effects: &mut Effects) -> Cap {
        let (import, release) = self.imports.import(owner, id);
        if let Some(references) = release {
            self.release(id, references, effects);
        }
        Cap::Import(import)
    }

    /// Releases `count` references to each of these exports.
    pub fn take_back(&mut self, exports: &[u32], count: u64, effects: &mut Effects) {
        #[cfg(test)]
        let count = match self.sabotage {
            Some(super::sabotage::Sabotage::DoubleRelease) => 2 * count,
            _ => count,
        };
        for id in exports {
            effects.drop(self.exports.release(*id, count));
        }
    }

    /// Sends the reasons of those of these exports that are broken promises. The message that gives them
    /// to the peer has been sent.
    pub fn break_promises(&mut self, exports: &[u32], effects: &mut Effects) {
        for id in exports {
            let failure = self.exports.get(*id).and_then(Cap::failure);
            if let Some(message) = failure.map(|error| message::broken(*id, error)) {
                self.send(message, Flush::Soon, effects);
            }
        }
    }

    /// Resolves the descriptor of a capability in a message.
    ///
    /// # Errors
    /// Returns [`CloseReason::Violation`] when it stands for nothing.
    pub fn named(
        &mut self,
        owner: &Arc<dyn Owner>,
        descriptor: Option<Descriptor<'_>>,
        effects: &mut Effects,
    ) -> Result<Named, CloseReason> {
        Ok(Named::Known(match readable(descriptor, "a capability")? {
            Descriptor::None => None,
            // The peer has to forward calls on its promise, for as long as that is held. No third party
            // is contacted: its vine forwards to it.
            Descriptor::SenderHosted(id)
            | Descriptor::SenderPromise(id)
            | Descriptor::ThirdPartyHosted(id) => Some(self.import(owner, id, effects)),
            Descriptor::ReceiverHosted(id) => match self.exports.get(id) {
                Some(cap) => Some(cap.clone()),
                None => return violation(format!("a capability that is no object of ours: {id}")),
            },
            Descriptor::ReceiverAnswer(answer) => {
                return Ok(Named::Place(self.place(answer)?));
            }
        }))
    }

    /// Reads a place in an answer to the peer.
    ///
    /// # Errors
    /// Returns [`CloseReason::Violation`] when the way to it is too long.
    pub fn place(&self, answer: Answer<'_>) -> Result<Place, CloseReason> {
        let limit = self.limits.nesting;
        let length = readable(answer.length(), "a pipelined path")?;
        if usize::try_from(limit).is_ok_and(|limit| length > limit) {
            return violation(format!("a pipelined path longer than {limit}"));
        }
        Ok(Place {
            question: answer.question(),
            way: readable(answer.way(), "a pipelined path")?,
        })
    }

    /// Returns the descriptors of a message's capabilities.
    ///
    /// # Errors
    /// Returns [`CloseReason::Violation`] when there are too many.
    pub fn cap_table<'a>(&self, payload: Payload<'a>) -> Result<Structs<'a>, CloseReason> {
        let caps = readable(payload.capabilities(), "a table of capabilities")?;
        let (count, limit) = (caps.len(), self.limits.capabilities);
        if count > limit {
            return violation(format!(
                "a message with {count} capabilities (limit {limit})"
            ));
        }
        Ok(caps)
    }

    /// Passes the answer to `question` to its wants, in the order in which they came.
    pub fn resolve(
        &mut self,
        question: u32,
        wants: Vec<Want>,
        outcome: &Outcome,
        effects: &mut Effects,
    ) {
        #[cfg(test)]
        let wants: Vec<Want> = match self.sabotage {
            Some(super::sabotage::Sabotage::ForgottenPromise) => {
                let is_kept = |want: &Want| !matches!(want, Want::Target { .. });
                wants.into_iter().filter(is_kept).collect()
            }
            _ => wants,
        };
        for want in wants {
            match want {
                Want::Target { call, way } => {
                    let target = at(outcome, &way);
                    self.waiting.supply_target(call, question, target, effects);
                }
                Want::Param { call, index, way } => {
                    let param = at(outcome, &way);
                    self.waiting.supply_param(call, index, param, effects);
                }
                Want::Response {
                    response,
                    index,
                    way,
                } => {
                    let cap = broken_or(at(outcome, &way));
                    self.questions.supply(response, index, cap, effects);
                }
                Want::Whole(done) => {
                    effects.then(Effect::Tell(done, taken(outcome), Vec::new()));
                }
            }
        }
    }

    /// Drops something without the lock of the state.
    pub fn discard(&mut self, dropped: Dropped, effects: &mut Effects) {
        effects.then(Effect::Drop(dropped));
    }
}

/// Returns an answer to the peer as the response to a call of this process that takes it.
pub fn taken(outcome: &Outcome) -> crate::error::Result<super::super::cap::Response> {
    match outcome {
        Ok((message, caps)) => Ok(super::super::cap::Response::own(
            message.clone(),
            caps.clone(),
        )),
        Err(error) => Err(error.clone()),
    }
}
