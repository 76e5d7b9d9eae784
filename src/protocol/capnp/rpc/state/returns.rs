//! The calls of this process: how they are sent, and how their returns are handled.
//!
//! Knows Call and Bootstrap of this side, and the peer's Return.

use std::sync::Arc;

use capnp_rpc::rpc_capnp::{message, promised_answer};

use super::super::cap::{Ask, Cap, Done, Owner, Param, Response, Target};
use super::super::wire::fields::{self, Descriptor, Outcome};
use super::super::wire::message::{self as messages, exception, room};
use super::super::wire::reason::{CloseReason, readable, violation};
use super::super::wire::received::Received;
use super::answers::{Answer, Place, Promise, Want};
use super::effects::{Effect, Effects, Flush};
use super::questions::Question;
use super::tables::{Named, Tables, taken};
use super::waiting::broken_or;
use crate::error::Error;

/// The questions that came before one in its batch.
#[derive(Clone, Copy)]
pub struct Before {
    first: u32,
    previous: u32,
}

/// Writes a place in the answer to a question of this side: a pointer in its results, or the results
/// themselves.
fn promise(mut answer: promised_answer::Builder<'_>, question: u32, pointer: Option<u16>) {
    answer.set_question_id(question);
    if let Some(pointer) = pointer {
        let mut way = answer.init_transform(1).get(0);
        way.set_get_pointer_field(pointer);
    }
}

/// Asks for the peer's object; returns its place in the batch, for the calls that follow.
pub fn bootstrap(tables: &mut Tables, done: Done, effects: &mut Effects) -> Before {
    let question = tables.questions.add(Question {
        done,
        exports: Vec::new(),
        about: Vec::new(),
    });
    let mut message = room(8);
    let root = message.init_root::<message::Builder<'_>>();
    root.init_bootstrap().set_question_id(question);
    tables.send(message, Flush::Soon, effects);
    Before {
        first: question,
        previous: question,
    }
}

/// Makes a call; returns its place in the batch, for the calls that follow.
pub fn ask(
    tables: &mut Tables,
    ask: Ask,
    before: Option<Before>,
    effects: &mut Effects,
) -> Option<Before> {
    let Ask {
        target,
        mut request,
        done,
    } = ask;
    let question = tables.questions.next_number();
    let mut about = Vec::with_capacity(request.caps() + 1);
    let mut exports = Vec::new();
    let mut is_first = false;
    let completed = request.complete(
        question,
        |mut on| match &target {
            Target::Import(import) => on.set_imported_cap(import.id()),
            Target::Previous(pointer) => match before {
                Some(before) => promise(on.init_promised_answer(), before.previous, *pointer),
                None => is_first = true,
            },
        },
        |param, descriptor| {
            let cap = match (param, before) {
                (Some(Param::Cap(cap)), _) => Some(cap),
                (Some(Param::First(pointer)), Some(before)) => {
                    let answer = descriptor.init_receiver_answer();
                    return promise(answer, before.first, Some(pointer));
                }
                _ => None,
            };
            let export = tables
                .exports
                .describe(tables.owner, cap.as_ref(), descriptor);
            if let Some(export) = export {
                exports.push(export);
            }
            if let Some(cap) = cap {
                about.push(cap);
            }
        },
    );
    if let Target::Import(import) = target {
        about.push(Cap::Import(import));
    }
    let error = match completed {
        Ok(()) if is_first => Error::failed("a call to be sent: no call before it"),
        Ok(()) => {
            tables.send(request.into_message(), Flush::Soon, effects);
            tables.break_promises(&exports, effects);
            tables.questions.add(Question {
                done,
                exports,
                about,
            });
            let first = before.map_or(question, |before| before.first);
            return Some(Before {
                first,
                previous: question,
            });
        }
        Err(error) => Error::failed(format!("a call to be sent: {error}")),
    };
    tables.take_back(&exports, 1, effects);
    effects.then(Effect::Tell(done, Err(error), about));
    before
}

/// Handles a Return: the peer's answer to a question of this side.
pub fn returned(
    tables: &mut Tables,
    owner: &Arc<dyn Owner>,
    received: Received,
    effects: &mut Effects,
) -> Result<(), CloseReason> {
    /// The content of a Return.
    enum Gives {
        Results(Vec<Named>),
        Error(Error),
        Answer(u32),
    }
    let answer = received.words().and_then(fields::Return::of);
    let answer = readable(answer, "a Return")?;
    let id = answer.answer();
    if !tables.questions.contains(id) {
        return violation(format!("a Return for question {id}, which is not open"));
    }
    let gives = match readable(answer.outcome(), "an answer")? {
        Outcome::Results(results) => {
            let descriptors = tables.cap_table(results)?;
            let mut caps = Vec::with_capacity(descriptors.len());
            for descriptor in descriptors {
                caps.push(tables.named(owner, Descriptor::of(descriptor), effects)?);
            }
            Gives::Results(caps)
        }
        Outcome::Exception => Gives::Error(exception(received.root()?)?),
        Outcome::TakenFrom(other) => Gives::Answer(other),
        Outcome::Canceled => {
            return violation(format!("question {id} was cancelled by the peer"));
        }
        Outcome::SentElsewhere | Outcome::ThirdParty => {
            return violation(format!("the results of question {id} went elsewhere"));
        }
    };
    if let Gives::Answer(other) = gives {
        let is_here = match tables.answers.table.get(other) {
            Some(Answer::Open(open)) => open.results == super::answers::ResultsTo::Here,
            Some(Answer::Given(given)) => given.is_here,
            None => false,
        };
        if !is_here {
            return violation(format!(
                "question {id} takes the results of call {other}, which are not here"
            ));
        }
    }
    let Some(question) = tables.questions.remove(id) else {
        return Ok(());
    };
    if answer.releases_params() {
        tables.take_back(&question.exports, 1, effects);
    }
    if !answer.no_finish_needed() {
        tables.send(messages::finish(id), Flush::Later, effects);
    }
    let Question { done, about, .. } = question;
    match gives {
        Gives::Error(error) => effects.then(Effect::Tell(done, Err(error), about)),
        Gives::Results(caps) => {
            results(tables, received, caps, done, about, effects);
        }
        Gives::Answer(other) => match tables.answers.table.get(other) {
            Some(Answer::Given(given)) => {
                effects.then(Effect::Tell(done, taken(&given.outcome), about));
            }
            _ => {
                effects.drop(about);
                tables.answers.want(other, Want::Whole(done));
            }
        },
    }
    Ok(())
}

/// Passes results to `done`, once the promises of this side that are in them are resolved.
fn results(
    tables: &mut Tables,
    received: Received,
    named: Vec<Named>,
    done: Done,
    about: Vec<Cap>,
    effects: &mut Effects,
) {
    let mut caps = Vec::with_capacity(named.len());
    let mut missing = Vec::new();
    for (index, named) in named.into_iter().enumerate() {
        caps.push(match named {
            Named::Known(cap) => cap,
            Named::Place(place) => match tables.answers.promise(place) {
                Promise::Kept(kept) => broken_or(kept),
                Promise::Open(place) => {
                    missing.push((index, place));
                    None
                }
            },
        });
    }
    let response = Response::new(received, caps);
    if missing.is_empty() {
        return effects.then(Effect::Tell(done, Ok(response), about));
    }
    effects.drop(about);
    let key = tables
        .questions
        .complete_later(response, missing.len(), done);
    for (index, Place { question, way }) in missing {
        let want = Want::Response {
            response: key,
            index,
            way,
        };
        tables.answers.want(question, want);
    }
}
