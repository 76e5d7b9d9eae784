//! The fields compared with what the capnp crate reads, in messages of every kind and in corrupt ones.

#![allow(clippy::unwrap_used)]

use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, message, message_target, payload, promised_answer, return_,
};

use super::super::super::super::accounts::Charge;
use super::super::check::{Trail, check};
use super::super::frame::Frame;
use super::super::message::{Building, room};
use super::super::random::{Random, spoil};
use super::super::received::Received;
use super::*;

/// The fields of a message as text, for both readers. `None` if it cannot be read.
type Told = Option<String>;

fn told_by_fields(received: &Received) -> Told {
    let root = received.words()?;
    match kind_of(root) {
        kind::CALL => {
            let call = Call::of(root)?;
            Some(format!(
                "call {} {} {} {} {:?} {} {} {}",
                call.question(),
                call.interface(),
                call.method(),
                target_of(call.target()?)?,
                call.send_results_to()?,
                call.no_promise_pipelining(),
                call.only_promise_pipeline(),
                payload_of(call.params()?)?,
            ))
        }
        kind::RETURN => {
            let answer = Return::of(root)?;
            let outcome = match answer.outcome()? {
                Outcome::Results(results) => payload_of(results)?,
                Outcome::Exception => "exception".to_owned(),
                Outcome::Canceled => "canceled".to_owned(),
                Outcome::SentElsewhere => "elsewhere".to_owned(),
                Outcome::TakenFrom(other) => format!("of {other}"),
                Outcome::ThirdParty => "third".to_owned(),
            };
            Some(format!(
                "return {} {} {} {outcome}",
                answer.answer(),
                answer.releases_params(),
                answer.no_finish_needed(),
            ))
        }
        _ => Some("other".to_owned()),
    }
}

fn target_of(target: Target<'_>) -> Told {
    match target {
        Target::Import(id) => Some(format!("import {id}")),
        Target::Answer(answer) => place_of(answer),
    }
}

fn place_of(answer: Answer<'_>) -> Told {
    let way = answer.way()?;
    assert_eq!(answer.length(), Some(way.len()));
    Some(format!("answer {} {}", answer.question(), steps(&way)))
}

fn steps(way: &[PipelineOp]) -> String {
    let step = |step: &PipelineOp| match step {
        PipelineOp::Noop => "-".to_owned(),
        PipelineOp::GetPointerField(index) => index.to_string(),
    };
    way.iter().map(step).collect::<Vec<_>>().join(".")
}

fn payload_of(payload: Payload<'_>) -> Told {
    let mut told = Vec::new();
    for descriptor in payload.capabilities()? {
        told.push(match Descriptor::of(descriptor)? {
            Descriptor::None => "none".to_owned(),
            Descriptor::SenderHosted(id) => format!("sender {id}"),
            Descriptor::SenderPromise(id) => format!("promise {id}"),
            Descriptor::ReceiverHosted(id) => format!("receiver {id}"),
            Descriptor::ReceiverAnswer(answer) => place_of(answer)?,
            Descriptor::ThirdPartyHosted(vine) => format!("vine {vine}"),
        });
    }
    Some(told.join(", "))
}

fn told_by_capnp(root: message::Reader<'_>) -> capnp::Result<String> {
    fn target(target: message_target::Reader<'_>) -> capnp::Result<String> {
        Ok(match target.which()? {
            message_target::ImportedCap(id) => format!("import {id}"),
            message_target::PromisedAnswer(answer) => place(answer?)?,
        })
    }
    fn place(answer: promised_answer::Reader<'_>) -> capnp::Result<String> {
        let mut way = Vec::new();
        for step in answer.get_transform()? {
            way.push(match step.which()? {
                promised_answer::op::Noop(()) => PipelineOp::Noop,
                promised_answer::op::GetPointerField(index) => PipelineOp::GetPointerField(index),
            });
        }
        Ok(format!(
            "answer {} {}",
            answer.get_question_id(),
            steps(&way)
        ))
    }
    fn payload(payload: payload::Reader<'_>) -> capnp::Result<String> {
        let mut told = Vec::new();
        for descriptor in payload.get_cap_table()? {
            told.push(match descriptor.which()? {
                cap_descriptor::None(()) => "none".to_owned(),
                cap_descriptor::SenderHosted(id) => format!("sender {id}"),
                cap_descriptor::SenderPromise(id) => format!("promise {id}"),
                cap_descriptor::ReceiverHosted(id) => format!("receiver {id}"),
                cap_descriptor::ReceiverAnswer(answer) => place(answer?)?,
                cap_descriptor::ThirdPartyHosted(third) => {
                    format!("vine {}", third?.get_vine_id())
                }
            });
        }
        Ok(told.join(", "))
    }
    let Ok(which) = root.which() else {
        return Ok("other".to_owned());
    };
    Ok(match which {
        message::Call(call) => {
            let call: call::Reader<'_> = call?;
            let results = match call.get_send_results_to().which()? {
                call::send_results_to::Caller(()) => SendResultsTo::Caller,
                call::send_results_to::Yourself(()) => SendResultsTo::Yourself,
                call::send_results_to::ThirdParty(_) => SendResultsTo::ThirdParty,
            };
            format!(
                "call {} {} {} {} {results:?} {} {} {}",
                call.get_question_id(),
                call.get_interface_id(),
                call.get_method_id(),
                target(call.get_target()?)?,
                call.get_no_promise_pipelining(),
                call.get_only_promise_pipeline(),
                payload(call.get_params()?)?,
            )
        }
        message::Return(answer) => {
            let answer: return_::Reader<'_> = answer?;
            let outcome = match answer.which()? {
                return_::Results(results) => payload(results?)?,
                return_::Exception(_) => "exception".to_owned(),
                return_::Canceled(()) => "canceled".to_owned(),
                return_::ResultsSentElsewhere(()) => "elsewhere".to_owned(),
                return_::TakeFromOtherQuestion(other) => format!("of {other}"),
                return_::AcceptFromThirdParty(_) => "third".to_owned(),
            };
            format!(
                "return {} {} {} {outcome}",
                answer.get_answer_id(),
                answer.get_release_param_caps(),
                answer.get_no_finish_needed(),
            )
        }
        _ => "other".to_owned(),
    })
}

fn describe_all(mut table: capnp::struct_list::Builder<'_, cap_descriptor::Owned>) {
    table.reborrow().get(0).set_none(());
    table.reborrow().get(1).set_sender_hosted(11);
    table.reborrow().get(2).set_sender_promise(12);
    table.reborrow().get(3).set_receiver_hosted(13);
    let mut answer = table.reborrow().get(4).init_receiver_answer();
    answer.set_question_id(14);
    answer.init_transform(1).get(0).set_get_pointer_field(15);
    table.get(5).init_third_party_hosted().set_vine_id(16);
}

/// Makes a message of every kind that is read here. `words` is the size of the first segment: with
/// little, there are several.
fn samples(words: u32) -> Vec<Building> {
    let mut samples = Vec::new();
    for results in 0..3 {
        let mut message = room(words);
        let mut call = message.init_root::<message::Builder<'_>>().init_call();
        call.set_question_id(1);
        call.set_interface_id(0x0123_4567_89ab_cdef);
        call.set_method_id(2);
        call.set_no_promise_pipelining(results == 1);
        call.set_only_promise_pipeline(results == 2);
        let mut to = call.reborrow().init_send_results_to();
        match results {
            0 => to.set_caller(()),
            1 => to.set_yourself(()),
            _ => drop(to.init_third_party()),
        }
        match results {
            0 => call.reborrow().init_target().set_imported_cap(3),
            _ => {
                let mut answer = call.reborrow().init_target().init_promised_answer();
                answer.set_question_id(4);
                let mut way = answer.init_transform(2);
                way.reborrow().get(0).set_noop(());
                way.get(1).set_get_pointer_field(5);
            }
        }
        let mut params = call.init_params();
        params.reborrow().get_content().set_as("some text").unwrap();
        describe_all(params.init_cap_table(6));
        samples.push(message);
    }
    for outcome in 0..6 {
        let mut message = room(words);
        let mut answer = message.init_root::<message::Builder<'_>>().init_return();
        answer.set_answer_id(7);
        answer.set_release_param_caps(outcome % 2 == 0);
        answer.set_no_finish_needed(outcome % 3 == 0);
        match outcome {
            0 => describe_all(answer.init_results().init_cap_table(6)),
            1 => answer.init_exception().set_reason("a reason"),
            2 => answer.set_canceled(()),
            3 => answer.set_results_sent_elsewhere(()),
            4 => answer.set_take_from_other_question(8),
            _ => drop(answer.init_accept_from_third_party()),
        }
        samples.push(message);
    }
    samples
}

/// Returns the bytes of all segments, and where each but the last ends, in words.
fn parts(message: &Building) -> (Vec<u8>, Vec<usize>) {
    let segments = message.get_segments_for_output();
    let mut ends = Vec::new();
    let mut bytes = Vec::new();
    for segment in segments.iter() {
        bytes.extend_from_slice(segment);
        ends.push(bytes.len() / 8);
    }
    ends.pop();
    (bytes, ends)
}

/// Returns both readings of a message, if the check passes it.
fn told(bytes: Vec<u8>, ends: Vec<usize>) -> Option<(Told, capnp::Result<String>)> {
    let mut frame = Frame::new(bytes, ends, Charge::none());
    check(&mut frame, 64, &mut Trail::default()).ok()?;
    let received = Received::new(frame, 64);
    let by_capnp = received.root().and_then(told_by_capnp);
    Some((told_by_fields(&received), by_capnp))
}

#[test]
fn every_field_is_what_capnp_reads() {
    for (words, segments) in [(4, 3), (12, 2), (200, 1)] {
        let mut most = 0;
        for message in samples(words) {
            let (bytes, ends) = parts(&message);
            most = most.max(ends.len() + 1);
            let (fields, capnp) = told(bytes, ends).unwrap();
            assert_eq!(fields.unwrap(), capnp.unwrap());
        }
        assert!(most >= segments, "{most} segments");
    }
}

#[test]
fn spoilt_messages_are_read_alike_or_not_at_all() {
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let samples: Vec<_> = [12, 200].into_iter().flat_map(samples).collect();
    let (mut alike, mut refused) = (0, 0);
    for _ in 0..30_000 {
        let (mut bytes, ends) = parts(&samples[random.below(samples.len())]);
        spoil(&mut bytes, 3, &mut random);
        match told(bytes, ends) {
            Some((Some(fields), Ok(capnp))) => {
                assert_eq!(fields, capnp);
                alike += 1;
            }
            // Lists of structs may also be written as lists of words, which no implementation does.
            Some((None, _)) | None => refused += 1,
            Some((Some(fields), Err(error))) => panic!("{fields}: {error}"),
        }
    }
    assert!(alike > 5000 && refused > 1000, "{alike} {refused}");
}
