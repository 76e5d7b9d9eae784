//! The peer's calls: which are accepted, and how they are answered.
//!
//! Knows Bootstrap, Call and Finish, and the Return of this side. Calls beyond the limits are answered
//! here.

use std::sync::Arc;

use super::super::cap::{Cap, Incoming, Owner, Results};
use super::super::wire::fields::{self, Descriptor, SendResultsTo, Target};
use super::super::wire::message as messages;
use super::super::wire::reason::{CloseReason, readable, violation};
use super::super::wire::received::Received;
use super::answers::{Answer, Given, Open, Place, Promise, ResultsTo, Want};
use super::effects::{Dropped, Effect, Effects, Flush};
#[cfg(test)]
use super::sabotage::Sabotage;
use super::tables::{Named, Phase, Tables};
use super::waiting::{broken_or, no_object};
use crate::error::{Error, Result};

/// Returns the reason that no further call can be accepted now, if there is one.
fn overload(tables: &Tables, received: &Received) -> Option<String> {
    let limits = &tables.limits;
    let held = tables.received + received.bytes();
    if tables.answers.table.len() >= limits.calls_in_flight {
        let limit = limits.calls_in_flight;
        Some(format!("too many calls in flight (limit {limit})"))
    } else if tables.exports.len() >= limits.objects {
        Some(format!("too many objects held (limit {})", limits.objects))
    } else if held > limits.received_bytes && held > received.bytes() {
        let limit = limits.received_bytes;
        Some(format!("too many bytes in calls in flight (limit {limit})"))
    } else {
        None
    }
}

/// Adds a question of the peer to the tables, or answers it with `refusal`; returns whether it was
/// added.
fn admit(
    tables: &mut Tables,
    question: u32,
    (depth, results): (u32, ResultsTo),
    received: usize,
    refusal: Option<String>,
    effects: &mut Effects,
) -> Result<bool, CloseReason> {
    if tables.answers.contains(question) {
        return violation(format!("question {question} is already in use"));
    }
    let Some(refusal) = refusal else {
        let open = Open {
            depth,
            results,
            wants: Vec::new(),
            received,
            finish: None,
        };
        tables.received += received;
        tables.answers.table.insert(question, Answer::Open(open));
        return Ok(true);
    };
    if tables.answers.refused.len() >= tables.limits.calls_in_flight {
        return violation(format!(
            "{} refused calls were not finished; the last: {refusal}",
            tables.answers.refused.len()
        ));
    }
    tables.answers.refused.insert(question);
    let failure = messages::failure(question, &Error::overloaded(refusal));
    tables.send(failure, Flush::Soon, effects);
    Ok(false)
}

/// Handles a Bootstrap: the peer asks for this side's object.
pub fn bootstrapped(
    tables: &mut Tables,
    question: u32,
    received: &Received,
    effects: &mut Effects,
) -> Result<(), CloseReason> {
    let refusal = overload(tables, received);
    if admit(
        tables,
        question,
        (0, ResultsTo::Caller),
        0,
        refusal,
        effects,
    )? {
        let outcome = match &tables.bootstrap {
            Some(host) => Results::of(question, |caps, mut content| {
                content.set_as_capability(caps.add(Cap::Own(host.clone())));
                Ok(())
            }),
            None => Err(Error::failed("this process offers nothing here")),
        };
        answered(tables, question, outcome, effects);
    }
    Ok(())
}

/// Returns where the peer wants the results of a call; `None` for a third party, which is not
/// supported.
fn results_to(call: fields::Call<'_>) -> Result<Option<ResultsTo>, CloseReason> {
    let to = readable(call.send_results_to(), "where results are sent to")?;
    let pipelines = (call.only_promise_pipeline(), call.no_promise_pipelining());
    Ok(match (to, pipelines) {
        (SendResultsTo::Yourself, _) => Some(ResultsTo::Here),
        (SendResultsTo::ThirdParty, _) => None,
        (SendResultsTo::Caller, (true, _)) => Some(ResultsTo::Pipeline),
        (SendResultsTo::Caller, (false, true)) => Some(ResultsTo::CallerOnly),
        (SendResultsTo::Caller, (false, false)) => Some(ResultsTo::Caller),
    })
}

/// Handles a Call.
pub fn called(
    tables: &mut Tables,
    owner: &Arc<dyn Owner>,
    received: Received,
    effects: &mut Effects,
) -> Result<(), CloseReason> {
    let call = readable(received.words().and_then(fields::Call::of), "a Call")?;
    let Some(results) = results_to(call)? else {
        let unknown = messages::unimplemented(received.root()?, received.bytes())?;
        tables.send(unknown, Flush::Soon, effects);
        return Ok(());
    };
    let question = call.question();
    let method = (call.interface(), call.method());
    let descriptors = tables.cap_table(readable(call.params(), "parameters")?)?;
    let mut refusal = overload(tables, &received);
    let mut depth = 0;
    let target = match readable(call.target(), "a target")? {
        Target::Import(id) => match tables.exports.get(id) {
            Some(cap) => Named::Known(Some(cap.clone())),
            None => return violation(format!("Message target is no object of ours: {id}")),
        },
        Target::Answer(answer) => Named::Place(tables.place(answer)?),
    };
    let mut params = Vec::with_capacity(descriptors.len());
    for descriptor in descriptors {
        params.push(tables.named(owner, Descriptor::of(descriptor), effects)?);
    }
    let named = [&target].into_iter().chain(&params);
    for place in named.filter_map(Named::place) {
        look_up(tables, place, &mut depth, &mut refusal);
    }
    if !admit(
        tables,
        question,
        (depth, results),
        received.bytes(),
        refusal,
        effects,
    )? {
        for named in params {
            if let Named::Known(cap) = named {
                effects.drop(cap);
            }
        }
        return Ok(());
    }
    let call = Incoming::new(owner, question, method, received);
    enter(tables, call, target, params, effects);
    #[cfg(test)]
    if effects.todo.is_empty() && tables.sabotage == Some(Sabotage::EarlyReturn) {
        let nothing = Results::of(question, |_, _| Ok(()));
        answered(tables, question, nothing, effects);
    }
    Ok(())
}

/// Raises `depth` to the pipelining depth of a call that names a place, and sets `refusal` if that is
/// too deep or on a refused call.
fn look_up(tables: &Tables, place: &Place, depth: &mut u32, refusal: &mut Option<String>) {
    let limit = tables.limits.nesting;
    if tables.answers.refused.contains(&place.question) {
        refusal.get_or_insert_with(|| "pipelined on a call that was refused".into());
        return;
    }
    *depth = (*depth).max(tables.answers.depth(place.question));
    if *depth > limit {
        *refusal = Some(format!("calls pipelined too deep (limit {limit})"));
    }
}

/// Makes a call wait for the places that it names, or delivers it.
fn enter(
    tables: &mut Tables,
    call: Incoming,
    target: Named,
    params: Vec<Named>,
    effects: &mut Effects,
) {
    let (question, key) = (call.question(), tables.waiting.new_key());
    let promise = |tables: &Tables, place: Place| match place.question == question {
        true => Promise::Kept(Err(Error::failed(format!(
            "question {question} waits for itself"
        )))),
        false => tables.answers.promise(place),
    };
    let mut missing = 0;
    let mut known = Vec::with_capacity(params.len());
    for (index, named) in params.into_iter().enumerate() {
        known.push(match named {
            Named::Known(cap) => cap,
            Named::Place(place) => match promise(tables, place) {
                Promise::Kept(kept) => broken_or(kept),
                Promise::Open(Place { question, way }) => {
                    missing += 1;
                    let want = Want::Param {
                        call: key,
                        index,
                        way,
                    };
                    tables.answers.want(question, want);
                    None
                }
            },
        });
    }
    let target = match target {
        Named::Known(cap) => cap.ok_or_else(|| no_object(question)),
        Named::Place(place) => {
            let on = place.question;
            match promise(tables, place) {
                Promise::Kept(kept) => kept.and_then(|cap| cap.ok_or_else(|| no_object(on))),
                Promise::Open(Place { question, way }) => {
                    tables
                        .answers
                        .want(question, Want::Target { call: key, way });
                    return tables.waiting.add(key, call, None, known, missing, effects);
                }
            }
        }
    };
    match target {
        #[cfg(test)]
        Ok(cap) if missing == 0 && tables.sabotage == Some(Sabotage::Order) => {
            let mut call = call;
            call.supply(known);
            effects.then(Effect::Deliver(cap, call));
        }
        Ok(cap) => tables
            .waiting
            .add(key, call, Some(cap), known, missing, effects),
        Err(error) => {
            let mut call = call;
            call.supply(known);
            effects.then(Effect::Fail(call, error));
        }
    }
}

/// Answers a question of the peer.
pub fn answered(
    tables: &mut Tables,
    question: u32,
    outcome: Result<Results>,
    effects: &mut Effects,
) {
    let open = match tables.answers.table.remove(question) {
        Some(Answer::Open(open)) if tables.phase == Phase::Open => open,
        other => {
            if let Some(answer) = other {
                tables.answers.table.insert(question, answer);
            }
            return tables.discard(Dropped::Results(outcome), effects);
        }
    };
    tables.received -= open.received;
    let is_sent = matches!(open.results, ResultsTo::Caller | ResultsTo::CallerOnly);
    let mut exports = Vec::new();
    let outcome = match outcome {
        Ok(mut results) => {
            let completed = match is_sent {
                true => results.complete(|cap, descriptor| {
                    exports.extend(tables.exports.describe(tables.owner, cap, descriptor));
                }),
                false => Ok(()),
            };
            match completed {
                Ok(()) => {
                    let (message, caps) = results.into_parts();
                    Ok((tables.build(message, effects), caps))
                }
                Err(error) => {
                    tables.discard(Dropped::Results(Ok(results)), effects);
                    Err(Error::failed(format!("an answer to be sent: {error}")))
                }
            }
        }
        Err(error) => Err(error),
    };
    match (open.results, &outcome) {
        (ResultsTo::Pipeline, _) => {}
        (ResultsTo::Here, _) => {
            tables.send(messages::sent_elsewhere(question), Flush::Soon, effects);
        }
        (_, Ok((message, _))) => {
            tables.send_built(message.clone(), Flush::Soon, effects);
            tables.break_promises(&exports, effects);
        }
        (_, Err(error)) => {
            tables.send(messages::failure(question, error), Flush::Soon, effects);
        }
    }
    let is_forgotten = is_sent && matches!(&outcome, Ok((_, caps)) if caps.is_empty());
    if !open.wants.is_empty() {
        tables.resolve(question, open.wants, &outcome, effects);
    }
    let outcome = match open.results {
        ResultsTo::CallerOnly => {
            tables.discard(Dropped::Outcome(outcome), effects);
            Err(Error::failed("called on what was not to be pipelined on"))
        }
        _ => outcome,
    };
    let given = Given {
        outcome,
        exports,
        is_here: open.results == ResultsTo::Here,
    };
    match open.finish.or(is_forgotten.then_some(false)) {
        Some(release) => finish(tables, given, release, effects),
        None => tables.answers.table.insert(question, Answer::Given(given)),
    }
}

/// Handles a Finish.
pub fn finished(tables: &mut Tables, question: u32, release: bool, effects: &mut Effects) {
    #[cfg(test)]
    if tables.sabotage == Some(Sabotage::LostFinish) {
        return;
    }
    if tables.answers.refused.remove(&question) {
        return;
    }
    if let Some(Answer::Open(open)) = tables.answers.table.get_mut(question) {
        open.finish.get_or_insert(release);
        return;
    }
    // There is no answer if the Finish is late for a Return that needed none.
    if let Some(Answer::Given(given)) = tables.answers.table.remove(question) {
        finish(tables, given, release, effects);
    }
}

/// Drops an answer that is not needed any longer; `release` tells whether its exports are released,
/// too.
fn finish(tables: &mut Tables, given: Given, release: bool, effects: &mut Effects) {
    if release {
        tables.take_back(&given.exports, 1, effects);
    }
    let holds = matches!(&given.outcome, Ok((_, caps)) if !caps.is_empty());
    if holds {
        tables.discard(Dropped::Outcome(given.outcome), effects);
    }
}
