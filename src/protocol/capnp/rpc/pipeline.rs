//! Calls on what is not answered yet, and with it: what they wait for, and what becomes of them.
//!
//! Knows promises, which are places in the answers to the peer's calls.

use capnp::private::capability::PipelineOp;
use capnp_rpc::rpc_capnp::promised_answer;

use super::answers::Answer;
use super::call::{Incoming, content};
use super::cap::{Cap, find, read};
use super::forward::forward;
use super::link::Link;
use super::reason::{CloseReason, violation};
use super::tables::Tables;
use super::write::Built;
use crate::error::Error;

/// A call that waits for what others answer.
pub(super) struct Waiting {
    pub(super) call: Incoming,
    target: On,
    params: Vec<Promised>,
    /// How many of the parameters are known.
    known: usize,
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

/// A capability in an answer that is not there yet, or was not when the peer named it.
pub(super) struct Promise {
    question: u32,
    way: Vec<PipelineOp>,
}

/// What became of a promise.
pub(super) enum Kept {
    Cap(Option<Cap>),
    Waits(u32),
    Broken(Error),
}

/// What is to be done once the tables are unlocked. What goes with a call that fails, too, must not be
/// dropped before.
pub(super) enum Then {
    Deliver(Cap, Incoming),
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
        }
    }
}

impl Tables {
    /// What a promise has become.
    fn keep(&self, promise: &Promise) -> Kept {
        let question = promise.question;
        match self.answers.get(&question) {
            Some(Answer::Open(_)) => Kept::Waits(question),
            Some(Answer::Given(given)) => match &given.outcome {
                Ok((message, caps)) => Kept::Cap(pipelined(message, caps, &promise.way)),
                Err(error) => Kept::Broken(error.clone()),
            },
            // Answered without objects, and so forgotten.
            None => Kept::Cap(None),
        }
    }

    /// Goes on with a call as far as answers are there. Puts it behind the one that is not.
    pub(super) fn proceed(&mut self, mut waiting: Waiting) -> Option<Then> {
        while let Some(param) = waiting.params.get_mut(waiting.known) {
            if let Promised::Promise(promise) = param {
                match self.keep(promise) {
                    Kept::Cap(cap) => *param = Promised::Known(cap),
                    Kept::Waits(question) => return self.wait(question, waiting),
                    Kept::Broken(error) => return Some(Then::Fail(waiting, error)),
                }
            }
            waiting.known += 1;
        }
        let target = match &waiting.target {
            On::Known(cap) => cap.clone(),
            On::Promise(promise) => match self.keep(promise) {
                Kept::Cap(Some(cap)) => cap,
                Kept::Cap(None) => {
                    let text = format!(
                        "called on what question {} did not answer: an object",
                        promise.question
                    );
                    return Some(Then::Fail(waiting, Error::failed(text)));
                }
                Kept::Waits(question) => return self.wait(question, waiting),
                Kept::Broken(error) => return Some(Then::Fail(waiting, error)),
            },
        };
        let mut call = waiting.call;
        let params = waiting.params.into_iter().map(|param| match param {
            Promised::Known(cap) => cap,
            Promised::Promise(_) => None,
        });
        call.caps = params.collect();
        Some(Then::Deliver(target, call))
    }

    fn wait(&mut self, question: u32, waiting: Waiting) -> Option<Then> {
        match self.answers.get_mut(&question) {
            Some(Answer::Open(open)) if question != waiting.call.question => {
                open.waiting.push(waiting);
                None
            }
            _ => {
                let text = format!("question {question} waits for itself");
                Some(Then::Fail(waiting, Error::failed(text)))
            }
        }
    }

    /// Counts how deep a call is pipelined, and whether it is on one that was refused.
    pub(super) fn depth(
        &self,
        link: &Link,
        promise: &Promise,
        depth: &mut u32,
        refusal: &mut Option<String>,
    ) {
        let limit = link.limits.nesting;
        if self.refused.contains(&promise.question) {
            refusal.get_or_insert_with(|| "pipelined on a call that was refused".into());
        } else if let Some(Answer::Open(open)) = self.answers.get(&promise.question) {
            *depth = (*depth).max(open.depth + 1);
            if *depth > limit {
                *refusal = Some(format!("calls pipelined too deep (limit {limit})"));
            }
        }
    }
}

/// The capability at a place in an answer.
fn pipelined(message: &Built, caps: &[Option<Cap>], way: &[PipelineOp]) -> Option<Cap> {
    let root = message.get_root_as_reader().ok()?;
    read(content(root).ok()?, caps, |content| {
        let hook = content.get_pipelined_cap(way).ok()?;
        find(caps, &*hook).cloned()
    })
}

impl Link {
    pub(super) fn promise(
        &self,
        answer: promised_answer::Reader<'_>,
    ) -> Result<Promise, CloseReason> {
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
        Ok(Promise { question, way })
    }

    /// The object at a place in an answer of ours, once that is there.
    pub(super) fn promised(
        &self,
        tables: &Tables,
        answer: promised_answer::Reader<'_>,
    ) -> Result<Option<Cap>, CloseReason> {
        let promise = self.promise(answer)?;
        Ok(match tables.keep(&promise) {
            Kept::Cap(cap) => cap,
            Kept::Waits(_) | Kept::Broken(_) => None,
        })
    }
}

impl Then {
    pub(super) fn run(self) {
        match self {
            Self::Deliver(Cap::Own(host), call) => host.call(call),
            Self::Deliver(Cap::Import(import), call) => forward(&import, call),
            Self::Fail(waiting, error) => waiting.call.fail(error),
        }
    }
}
