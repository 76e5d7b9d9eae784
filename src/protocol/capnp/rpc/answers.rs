//! The peer's calls: which are taken, and how they are answered.
//!
//! Knows Call, Bootstrap, Finish and our Return. A call counts from its arrival until our Return *and*
//! the peer's Finish, and a Finish in the middle of a call does not end it. Calls beyond the limits
//! are answered here.

use std::sync::{Arc, OnceLock};

use capnp_rpc::rpc_capnp::{call, cap_descriptor, message, message_target};

use super::super::sync::lock;
use super::call::{Incoming, Results, results};
use super::cap::{Cap, Host};
use super::flush::SOON;
use super::frame::Received;
use super::link::{Link, Phase};
use super::message as messages;
use super::pipeline::{On, Promised, Then, Waiting};
use super::reason::{CloseReason, violation};
use super::tables::Tables;
use super::write::Built;
use crate::error::{Error, Result};

/// A call of the peer's that is not finished.
pub(super) enum Answer {
    /// It is not answered.
    Open(Open),
    /// It is, and may be pipelined on until the peer's Finish.
    Given(Given),
}

/// A call that is not answered.
#[derive(Default)]
pub(super) struct Open {
    /// How many calls it is pipelined on, one upon the other.
    pub(super) depth: u32,
    /// The calls that are pipelined on it.
    pub(super) waiting: Vec<Waiting>,
    /// Where these find the answer, which may be finished before they get to it.
    pub(super) outcome: Option<Arc<OnceLock<Outcome>>>,
    /// The peer has finished it, and this is what its `releaseResultCaps` says.
    finish: Option<bool>,
}

/// What was answered: a message, and the capabilities in it.
pub(super) type Outcome = Result<(Built, Vec<Option<Cap>>)>;

/// An answer.
pub(super) struct Given {
    pub(super) outcome: Outcome,
    /// The objects that it gave to the peer.
    exports: Vec<u32>,
}

impl Answer {
    /// The calls that wait for this one.
    pub(super) fn into_waiting(self) -> Vec<Incoming> {
        match self {
            Self::Open(open) => open.waiting.into_iter().map(|w| w.call).collect(),
            Self::Given(_) => Vec::new(),
        }
    }
}

impl Tables {
    /// Why no further call can be taken now, if so.
    fn overload(&self, link: &Link, received: &Received) -> Option<String> {
        let (limits, held) = (&link.limits, received.held());
        if self.answers.len() >= limits.calls_in_flight {
            let limit = limits.calls_in_flight;
            Some(format!("too many calls in flight (limit {limit})"))
        } else if self.exported() >= limits.objects {
            Some(format!("too many objects held (limit {})", limits.objects))
        } else if held > limits.received_bytes && held > received.bytes() {
            let limit = limits.received_bytes;
            Some(format!("too many bytes in calls in flight (limit {limit})"))
        } else {
            None
        }
    }

    /// Takes a question of the peer's into the tables, or answers it here; tells which.
    fn admit(
        &mut self,
        link: &Link,
        question: u32,
        depth: u32,
        refusal: Option<String>,
    ) -> Result<bool, CloseReason> {
        if self.answers.contains_key(&question) || self.refused.contains(&question) {
            return violation(format!("question {question} is already in use"));
        }
        let Some(refusal) = refusal else {
            let open = Open {
                depth,
                ..Open::default()
            };
            self.answers.insert(question, Answer::Open(open));
            return Ok(true);
        };
        if self.refused.len() >= link.limits.calls_in_flight {
            return violation(format!(
                "{} refused calls were not finished; the last: {refusal}",
                self.refused.len()
            ));
        }
        self.refused.insert(question);
        self.push(messages::failure(question, &Error::overloaded(refusal)));
        Ok(false)
    }
}

impl Link {
    /// The peer asks for this side's object.
    pub(super) fn bootstrapped(
        self: &Arc<Self>,
        question: u32,
        received: &Received,
    ) -> Result<(), CloseReason> {
        let mut tables = lock(&self.tables);
        if tables.phase != Phase::Open {
            return Ok(());
        }
        let refusal = tables.overload(self, received);
        let admitted = tables.admit(self, question, 0, refusal)?;
        let bootstrap = tables.bootstrap.clone();
        drop(tables);
        self.written(SOON);
        if admitted {
            let outcome = match bootstrap {
                Some(host) => results(question, |caps, mut content| {
                    content.set_as_capability(caps.add(Cap::Own(host)));
                    Ok(())
                }),
                None => Err(Error::failed("this process offers nothing here")),
            };
            self.give(question, outcome);
        }
        Ok(())
    }

    /// The peer calls.
    pub(super) fn called(self: &Arc<Self>, received: Received) -> Result<(), CloseReason> {
        let message::Call(call) = received.root()?.which()? else {
            return Ok(());
        };
        let call: call::Reader<'_> = call?;
        if !matches!(
            call.get_send_results_to().which()?,
            call::send_results_to::Caller(())
        ) {
            return violation("a call whose results shall go elsewhere");
        }
        let question = call.get_question_id();
        let (interface, method) = (call.get_interface_id(), call.get_method_id());
        let descriptors = self.cap_table(call.get_params()?)?;
        let mut tables = lock(&self.tables);
        // What is put into the tables of a connection that is over stays there, and keeps it.
        if tables.phase != Phase::Open {
            return Ok(());
        }
        let mut refusal = tables.overload(self, &received);
        let mut depth = 0;
        let target = match call.get_target()?.which()? {
            message_target::ImportedCap(id) => match tables.export(id) {
                Some(host) => On::Known(Cap::Own(host.clone())),
                None => return violation(format!("Message target is no object of ours: {id}")),
            },
            message_target::PromisedAnswer(answer) => {
                let place = self.place(answer?)?;
                tables.depth(self, &place, &mut depth, &mut refusal);
                On::Promise(tables.promise(place, question))
            }
        };
        let mut params = Vec::new();
        for descriptor in descriptors {
            params.push(match descriptor.which()? {
                cap_descriptor::ReceiverAnswer(answer) => {
                    let place = self.place(answer?)?;
                    tables.depth(self, &place, &mut depth, &mut refusal);
                    Promised::Promise(tables.promise(place, question))
                }
                _ => Promised::Known(self.cap(&mut tables, descriptor)?),
            });
        }
        if !tables.admit(self, question, depth, refusal)? {
            drop(tables);
            self.written(SOON);
            return Ok(());
        }
        let call = Incoming::new(self, question, (interface, method), received);
        let then = tables.proceed(Waiting::new(call, target, params));
        drop(tables);
        then.into_iter().for_each(Then::run);
        Ok(())
    }

    /// Answers a question of the peer's.
    pub(super) fn give(self: &Arc<Self>, question: u32, outcome: Result<Results>) {
        let mut tables = lock(&self.tables);
        if tables.phase != Phase::Open {
            return;
        }
        let Some(Answer::Open(open)) = tables.answers.remove(&question) else {
            return;
        };
        let (mut exports, mut unused) = (Vec::new(), None);
        let completed = outcome.and_then(|mut results| match results.complete(&mut tables, self) {
            Ok(given) => {
                exports = given;
                Ok(results.into_built())
            }
            Err(error) => {
                unused = Some(results);
                Err(Error::failed(format!("an answer to be sent: {error}")))
            }
        });
        let is_forgotten = matches!(&completed, Ok((_, caps)) if caps.is_empty());
        match &completed {
            Ok((message, _)) => tables.push_built(message.clone()),
            Err(error) => tables.push(messages::failure(question, error)),
        }
        if let Some(shared) = &open.outcome {
            // Nobody else sets it: the question was open.
            let _ = shared.set(completed.clone());
        }
        let given = Given {
            outcome: completed,
            exports,
        };
        tables.answers.insert(question, Answer::Given(given));
        let mut then = Vec::new();
        for waiting in open.waiting {
            then.extend(tables.proceed(waiting));
        }
        let finished = match open.finish {
            Some(release) => tables.finish(question, release),
            None if is_forgotten => tables.finish(question, false),
            None => Finished::default(),
        };
        drop(tables);
        drop((finished, unused));
        // Before the peer can know of the answer, and call what is in it directly.
        then.into_iter().for_each(Then::run);
        self.written(SOON);
    }

    /// The peer has finished a question.
    pub(super) fn finished(&self, question: u32, release: bool) {
        let mut tables = lock(&self.tables);
        if tables.refused.remove(&question) {
            return;
        }
        let finished = match tables.answers.get_mut(&question) {
            // Late for a Return that needed none.
            None => return,
            Some(Answer::Open(open)) => {
                open.finish.get_or_insert(release);
                return;
            }
            Some(Answer::Given(_)) => tables.finish(question, release),
        };
        drop(tables);
        drop(finished);
    }
}

/// What a question that is finished leaves behind.
#[derive(Default)]
struct Finished(
    #[allow(dead_code, reason = "kept to be dropped elsewhere")] Option<Answer>,
    #[allow(dead_code, reason = "kept to be dropped elsewhere")] Vec<Arc<dyn Host>>,
);

impl Tables {
    fn finish(&mut self, question: u32, release: bool) -> Finished {
        let answer = self.answers.remove(&question);
        let mut hosts = Vec::new();
        if let (Some(Answer::Given(given)), true) = (&answer, release) {
            for id in &given.exports {
                hosts.extend(self.take_back(*id, 1));
            }
        }
        Finished(answer, hosts)
    }
}
