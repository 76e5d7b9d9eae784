//! Calls on what is not answered yet, and with it: what they wait for, and what becomes of them.
//!
//! Knows promises, which are places in the answers to the peer's calls.

use std::sync::{Arc, OnceLock};

use capnp::private::capability::PipelineOp;
use capnp_rpc::rpc_capnp::promised_answer;

use super::answers::{Answer, Outcome};
use super::call::{Incoming, content};
use super::cap::{Cap, find, read};
use super::forward::forward;
use super::link::Link;
use super::reason::{CloseReason, violation};
use super::tables::Tables;
use super::write::Built;
use crate::error::{Error, Result};

/// A call that waits for what others answer.
pub(super) struct Waiting {
    pub(super) call: Incoming,
    target: On,
    params: Vec<Promised>,
    /// How many of the parameters are known.
    known: usize,
    /// The promises that are kept. They may be all that still holds an answer, and with it objects of the
    /// application's, and so are dropped with the call.
    spent: Vec<Promise>,
}

/// What a call is made on.
pub(super) enum On {
    Known(Cap),
    Promise(Promise),
}

/// A parameter's capability.
pub(super) enum Promised {
    Known(Option<Cap>),
    Promise(Promise),
}

/// A place in the answer to a question.
pub(super) struct Place {
    question: u32,
    way: Vec<PipelineOp>,
}

/// A capability in an answer that the peer has named. It is what it was then, whatever becomes of the
/// question's number: the peer may finish the question at once, and use the number for another.
pub(super) struct Promise {
    question: u32,
    state: State,
}

enum State {
    /// The answer was there.
    Kept(Result<Option<Cap>>),
    /// It was not, and this is where it will be.
    Open(Arc<OnceLock<Outcome>>, Vec<PipelineOp>),
}

/// What became of a promise.
enum Kept {
    Cap(Option<Cap>),
    Waits,
    Broken(Error),
}

impl Promise {
    fn keep(&self) -> Kept {
        let kept = match &self.state {
            State::Kept(kept) => kept.clone(),
            State::Open(outcome, way) => match outcome.get() {
                None => return Kept::Waits,
                Some(outcome) => at(outcome, way),
            },
        };
        match kept {
            Ok(cap) => Kept::Cap(cap),
            Err(error) => Kept::Broken(error),
        }
    }
}

/// What is to be done once the tables are unlocked. What goes with a call must not be dropped before.
pub(super) enum Then {
    Deliver(Cap, Incoming, Vec<Promise>),
    Fail(Waiting, Error),
}

impl Waiting {
    /// A call that has not waited for anything yet.
    pub(super) fn new(call: Incoming, target: On, params: Vec<Promised>) -> Self {
        Self {
            call,
            target,
            params,
            known: 0,
            spent: Vec::new(),
        }
    }
}

impl Tables {
    /// What a call, `by` this number, means by a place in an answer.
    pub(super) fn promise(&mut self, place: Place, by: u32) -> Promise {
        let Place { question, way } = place;
        let state = match self.answers.get_mut(&question) {
            _ if question == by => State::Kept(Err(Error::failed(format!(
                "question {question} waits for itself"
            )))),
            Some(Answer::Open(open)) => {
                State::Open(open.outcome.get_or_insert_default().clone(), way)
            }
            Some(Answer::Given(given)) => State::Kept(at(&given.outcome, &way)),
            // Answered without objects, and so forgotten.
            None => State::Kept(Ok(None)),
        };
        Promise { question, state }
    }

    /// Goes on with a call as far as answers are there. Puts it behind the one that is not.
    pub(super) fn proceed(&mut self, mut waiting: Waiting) -> Option<Then> {
        while let Some(param) = waiting.params.get_mut(waiting.known) {
            if let Promised::Promise(promise) = param {
                match promise.keep() {
                    Kept::Cap(cap) => {
                        let kept = std::mem::replace(param, Promised::Known(cap));
                        if let Promised::Promise(promise) = kept {
                            waiting.spent.push(promise);
                        }
                    }
                    Kept::Waits => {
                        let question = promise.question;
                        return self.wait(question, waiting);
                    }
                    Kept::Broken(error) => return Some(Then::Fail(waiting, error)),
                }
            }
            waiting.known += 1;
        }
        let target = match &waiting.target {
            On::Known(cap) => cap.clone(),
            On::Promise(promise) => match promise.keep() {
                Kept::Cap(Some(cap)) => cap,
                Kept::Cap(None) => {
                    let text = format!(
                        "called on what question {} did not answer: an object",
                        promise.question
                    );
                    return Some(Then::Fail(waiting, Error::failed(text)));
                }
                Kept::Waits => {
                    let question = promise.question;
                    return self.wait(question, waiting);
                }
                Kept::Broken(error) => return Some(Then::Fail(waiting, error)),
            },
        };
        let (mut call, mut spent) = (waiting.call, waiting.spent);
        if let On::Promise(promise) = waiting.target {
            spent.push(promise);
        }
        let params = waiting.params.into_iter().map(|param| match param {
            Promised::Known(cap) => cap,
            Promised::Promise(_) => None,
        });
        call.caps = params.collect();
        Some(Then::Deliver(target, call, spent))
    }

    /// Puts a call behind an answer that is not there: so its question is still the one that was
    /// meant. It was open before the call came, and so calls do not wait for each other in a circle,
    /// and no deeper than they are let.
    fn wait(&mut self, question: u32, waiting: Waiting) -> Option<Then> {
        match self.answers.get_mut(&question) {
            Some(Answer::Open(open)) => {
                open.waiting.push(waiting);
                None
            }
            _ => {
                let text = format!("question {question} is not open");
                Some(Then::Fail(waiting, Error::failed(text)))
            }
        }
    }

    /// Counts how deep a call is pipelined, and whether it is on one that was refused.
    pub(super) fn depth(
        &self,
        link: &Link,
        place: &Place,
        depth: &mut u32,
        refusal: &mut Option<String>,
    ) {
        let limit = link.limits.nesting;
        if self.refused.contains(&place.question) {
            refusal.get_or_insert_with(|| "pipelined on a call that was refused".into());
        } else if let Some(Answer::Open(open)) = self.answers.get(&place.question) {
            *depth = (*depth).max(open.depth + 1);
            if *depth > limit {
                *refusal = Some(format!("calls pipelined too deep (limit {limit})"));
            }
        }
    }
}

/// What is at a place in an answer.
fn at(outcome: &Outcome, way: &[PipelineOp]) -> Result<Option<Cap>> {
    match outcome {
        Ok((message, caps)) => Ok(pipelined(message, caps, way)),
        Err(error) => Err(error.clone()),
    }
}

fn pipelined(message: &Built, caps: &[Option<Cap>], way: &[PipelineOp]) -> Option<Cap> {
    let root = message.get_root_as_reader().ok()?;
    read(content(root).ok()?, caps, |content| {
        let hook = content.get_pipelined_cap(way).ok()?;
        find(caps, &*hook).cloned()
    })
}

impl Link {
    pub(super) fn place(&self, answer: promised_answer::Reader<'_>) -> Result<Place, CloseReason> {
        let question = answer.get_question_id();
        let limit = self.limits.nesting;
        let transform = answer.get_transform()?;
        if transform.len() > limit {
            return violation(format!("a pipelined path longer than {limit}"));
        }
        let mut way = Vec::new();
        for step in transform {
            way.push(match step.which()? {
                promised_answer::op::Noop(()) => PipelineOp::Noop,
                promised_answer::op::GetPointerField(index) => PipelineOp::GetPointerField(index),
            });
        }
        Ok(Place { question, way })
    }

    /// The object at a place in an answer of ours, once that is there.
    pub(super) fn promised(
        &self,
        tables: &Tables,
        answer: promised_answer::Reader<'_>,
    ) -> Result<Option<Cap>, CloseReason> {
        let Place { question, way } = self.place(answer)?;
        Ok(match tables.answers.get(&question) {
            Some(Answer::Given(given)) => at(&given.outcome, &way).ok().flatten(),
            Some(Answer::Open(_)) | None => None,
        })
    }
}

impl Then {
    pub(super) fn run(self) {
        match self {
            Self::Deliver(Cap::Own(host), call, _spent) => host.call(call),
            Self::Deliver(Cap::Import(import), call, _spent) => forward(&import, call),
            Self::Fail(waiting, error) => waiting.call.fail(error),
        }
    }
}
