//! The peer's calls: which are taken, which are answered here, and when each of them is over.
//!
//! Knows Call, Finish and our Return.

use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, exception, message, message_target, promised_answer, return_,
};

use super::{Due, Envelope, Outgoing, Result, violation};

/// How often one unanswered call of the peer may be pipelined on.
const MAX_PIPELINED: usize = 4096;

/// A call of the peer's that capnp-rpc knows.
#[derive(Default)]
pub(super) struct Answer {
    /// How many calls it is pipelined on, one upon the other. Zero once it is answered.
    depth: u32,
    /// How often it was pipelined on while it was not answered.
    pipelined: usize,
    returned: bool,
    /// The peer's Finish that waits for our Return, and its `releaseResultCaps`.
    finish: Option<bool>,
    /// The objects that our Return handed out.
    exports: Vec<u32>,
}

/// What a call asks for beyond what every message does.
pub(super) struct Request {
    pub(super) question: u32,
    pub(super) depth: u32,
    /// Why it is not handed on.
    pub(super) refusal: Option<String>,
}

impl Envelope {
    pub(super) fn call(
        &mut self,
        call: call::Reader<'_>,
        bytes: usize,
        held: usize,
    ) -> Result<bool> {
        if !matches!(
            call.get_send_results_to().which()?,
            call::send_results_to::Caller(())
        ) {
            // capnp-rpc would never answer it, and keep its entry for good.
            return violation("a call whose results shall go elsewhere");
        }
        let mut request = Request {
            question: call.get_question_id(),
            depth: 0,
            refusal: self.overload(bytes, held),
        };
        if let message_target::PromisedAnswer(answer) = call.get_target()?.which()? {
            self.pipelined(answer?, &mut request)?;
        }
        let params = call.get_params()?;
        let caps = self.cap_table(params)?;
        for descriptor in caps {
            match descriptor.which()? {
                cap_descriptor::ReceiverAnswer(answer) => self.pipelined(answer?, &mut request)?,
                cap_descriptor::ThirdPartyHosted(_) => {
                    return violation("a capability hosted by a third party");
                }
                _ => {}
            }
        }
        let admitted = self.admit(request)?;
        if !admitted {
            for descriptor in caps {
                self.give_back(descriptor)?;
            }
        }
        Ok(admitted)
    }

    /// Why no further call can be taken now, if so.
    pub(super) fn overload(&self, bytes: usize, held: usize) -> Option<String> {
        let limits = &self.limits;
        if self.answers.len() >= limits.calls_in_flight {
            Some(format!(
                "too many calls in flight (limit {})",
                limits.calls_in_flight
            ))
        } else if self.exports.len() >= limits.objects {
            Some(format!("too many objects held (limit {})", limits.objects))
        } else if held > limits.received_bytes && held > bytes {
            Some(format!(
                "too many bytes in calls in flight (limit {})",
                limits.received_bytes
            ))
        } else {
            None
        }
    }

    /// Takes note that a call uses the answer of another, before or after that is there.
    fn pipelined(&mut self, on: promised_answer::Reader<'_>, request: &mut Request) -> Result<()> {
        let question = on.get_question_id();
        let limit = self.limits.nesting;
        if on.get_transform()?.len() > limit {
            return violation(format!("a pipelined path longer than {limit}"));
        }
        if self.refused.contains(&question) {
            request
                .refusal
                .get_or_insert_with(|| "pipelined on a call that was refused".into());
        } else if let Some(answer) = self.answers.get_mut(&question)
            && !answer.returned
        {
            answer.pipelined += 1;
            request.depth = request.depth.max(answer.depth + 1);
            if request.depth > limit {
                request.refusal = Some(format!("calls pipelined too deep (limit {limit})"));
            } else if answer.pipelined > MAX_PIPELINED {
                request.refusal = Some(format!(
                    "a call pipelined on too often (limit {MAX_PIPELINED})"
                ));
            }
        }
        Ok(())
    }

    /// Takes a question of the peer's into the tables, or answers it here.
    pub(super) fn admit(&mut self, request: Request) -> Result<bool> {
        let question = request.question;
        if self.answers.contains_key(&question) || self.refused.contains(&question) {
            return violation(format!("question {question} is already in use"));
        }
        let Some(refusal) = request.refusal else {
            let answer = Answer {
                depth: request.depth,
                ..Answer::default()
            };
            self.answers.insert(question, answer);
            return Ok(true);
        };
        if self.refused.len() >= self.limits.calls_in_flight {
            return violation(format!(
                "{} refused calls were not finished; the last: {refusal}",
                self.refused.len()
            ));
        }
        self.refused.insert(question);
        let mut builder = Builder::new(HeapAllocator::new().first_segment_words(32));
        let mut answer = builder.init_root::<message::Builder<'_>>().init_return();
        answer.set_answer_id(question);
        // Given back one by one: capnp-rpc on the other side would not heed it here.
        answer.set_release_param_caps(false);
        let mut exception = answer.init_exception();
        exception.set_type(exception::Type::Overloaded);
        exception.set_reason(refusal.as_str());
        self.out.push(Outgoing::new(builder));
        Ok(false)
    }

    /// Takes note of the peer's Finish. Answers whether capnp-rpc shall have it now.
    pub(super) fn finish(&mut self, question: u32, release: bool) -> bool {
        if self.refused.remove(&question) {
            return false;
        }
        match self.answers.get_mut(&question) {
            // Late for a Return that needed none.
            None => false,
            Some(answer) if answer.returned => {
                self.forget_answer(question, release);
                true
            }
            Some(answer) => {
                answer.finish.get_or_insert(release);
                false
            }
        }
    }

    pub(super) fn forget_answer(&mut self, question: u32, release: bool) {
        if let Some(answer) = self.answers.remove(&question)
            && release
        {
            for id in answer.exports {
                self.release_export(id, 1);
            }
        }
    }

    /// Takes note of our Return.
    pub(super) fn returning(&mut self, answer: return_::Reader<'_>) -> capnp::Result<()> {
        let question = answer.get_answer_id();
        let exports = match answer.which()? {
            return_::Results(results) => self.note_exports(results?)?,
            _ => Vec::new(),
        };
        if answer.get_no_finish_needed() {
            // Both sides forget the question with this, and a Finish of it would be late.
            self.answers.remove(&question);
        } else if let Some(answer) = self.answers.get_mut(&question) {
            answer.returned = true;
            answer.depth = 0;
            answer.exports = exports;
            if let Some(release) = answer.finish.take() {
                self.due.push_back(Due::Finish(question, release));
            }
        }
        Ok(())
    }
}
