//! The envelope of an RPC message: its kind and ids, without its content.
//!
//! Knows `rpc.capnp`; nothing of a connection's state.

use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, disembargo, exception, message, message_target, return_,
};

use super::message::some_of;

/// The kind of a message, with the ids that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// The sender asks for the receiver's bootstrap object.
    Bootstrap {
        /// The sender's question.
        question: u32,
    },
    /// The sender calls.
    Call {
        /// The sender's question.
        question: u32,
        /// The target of the call.
        target: Target,
        /// The interface that declares the method.
        interface: u64,
        /// The method's ordinal.
        method: u16,
        /// The number of capabilities among the parameters.
        capabilities: u32,
    },
    /// The sender answers.
    Return {
        /// The receiver's question.
        answer: u32,
        /// The answer to the question.
        outcome: Outcome,
    },
    /// The sender needs an answer no longer.
    Finish {
        /// The sender's question.
        question: u32,
        /// Set if it releases the capabilities in the answer.
        release: bool,
    },
    /// A promise of the sender was resolved.
    Resolve {
        /// The sender's promise.
        promise: u32,
    },
    /// The sender releases references.
    Release {
        /// The receiver's object.
        import: u32,
        /// The number of references.
        count: u32,
    },
    /// The sender asks for the end of an embargo, or answers that.
    Disembargo {
        /// Set if this is the answer, which lifts the embargo.
        is_answer: bool,
    },
    /// The sender ends the connection, with these words.
    Abort(String),
    /// The sender does not know a message.
    Unimplemented,
    /// A message that is not known here.
    Unknown,
}

/// The target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An object of the receiver.
    Import(u32),
    /// A capability in the answer to a question of the sender.
    Answer(u32),
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Results with so many capabilities.
    Results(u32),
    /// An exception with these words.
    Exception(String),
    /// The call was cancelled.
    Canceled,
    /// The results are kept where the call ran.
    SentElsewhere,
    /// The results are those of this other question.
    TakenFrom(u32),
    /// Any other answer.
    Other,
}

impl Envelope {
    /// Reads the envelope of a message.
    ///
    /// # Errors
    /// Fails when the message cannot be read.
    #[doc(hidden)]
    pub fn of(root: message::Reader<'_>) -> capnp::Result<Self> {
        let Ok(which) = root.which() else {
            return Ok(Self::Unknown);
        };
        Ok(match which {
            message::Bootstrap(bootstrap) => Self::Bootstrap {
                question: bootstrap?.get_question_id(),
            },
            message::Call(call) => Self::call(call?)?,
            message::Return(answer) => {
                let answer = answer?;
                Self::Return {
                    answer: answer.get_answer_id(),
                    outcome: outcome(answer)?,
                }
            }
            message::Finish(finish) => {
                let finish = finish?;
                Self::Finish {
                    question: finish.get_question_id(),
                    release: finish.get_release_result_caps(),
                }
            }
            message::Resolve(resolve) => Self::Resolve {
                promise: resolve?.get_promise_id(),
            },
            message::Release(release) => {
                let release = release?;
                Self::Release {
                    import: release.get_id(),
                    count: release.get_reference_count(),
                }
            }
            message::Disembargo(embargo) => Self::Disembargo {
                is_answer: matches!(
                    embargo?.get_context().which(),
                    Ok(disembargo::context::ReceiverLoopback(_))
                ),
            },
            message::Abort(abort) => {
                let abort: exception::Reader<'_> = abort?;
                Self::Abort(some_of(abort.get_reason()))
            }
            message::Unimplemented(_) => Self::Unimplemented,
            _ => Self::Unknown,
        })
    }

    fn call(call: call::Reader<'_>) -> capnp::Result<Self> {
        let target = match call.get_target()?.which()? {
            message_target::ImportedCap(id) => Target::Import(id),
            message_target::PromisedAnswer(answer) => Target::Answer(answer?.get_question_id()),
        };
        let caps: capnp::struct_list::Reader<'_, cap_descriptor::Owned> =
            call.get_params()?.get_cap_table()?;
        Ok(Self::Call {
            question: call.get_question_id(),
            target,
            interface: call.get_interface_id(),
            method: call.get_method_id(),
            capabilities: caps.len(),
        })
    }
}

fn outcome(answer: return_::Reader<'_>) -> capnp::Result<Outcome> {
    let Ok(which) = answer.which() else {
        return Ok(Outcome::Other);
    };
    Ok(match which {
        return_::Results(results) => Outcome::Results(results?.get_cap_table()?.len()),
        return_::Exception(exception) => Outcome::Exception(some_of(exception?.get_reason())),
        return_::Canceled(()) => Outcome::Canceled,
        return_::ResultsSentElsewhere(()) => Outcome::SentElsewhere,
        return_::TakeFromOtherQuestion(other) => Outcome::TakenFrom(other),
        return_::AcceptFromThirdParty(_) => Outcome::Other,
    })
}
