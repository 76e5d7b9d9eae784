//! The fields of Call and Return, and of the structs in them, read in place.
//!
//! Knows where `rpc.capnp` has them: each number below is a place in that schema's structs, and the
//! tests compare them with what the capnp crate reads. `None` stands for what the schema does not know,
//! or for another type than it declares.

use capnp::private::capability::PipelineOp;

use super::words::{Place, Struct, Structs};

/// The kinds of messages, by the numbers of `Message`'s union.
pub mod kind {
    /// A Call.
    pub const CALL: u16 = 2;
    /// A Return.
    pub const RETURN: u16 = 3;
}

/// Returns the kind of a message.
pub fn kind_of(root: Struct<'_>) -> u16 {
    root.u16(0)
}

/// A Call.
#[derive(Clone, Copy)]
pub struct Call<'a>(Struct<'a>);

/// The place where the sender of a call wants its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendResultsTo {
    /// The results come with the Return.
    Caller,
    /// The results stay at the callee.
    Yourself,
    /// The results go to a third party.
    ThirdParty,
}

/// The target of a call.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// An object of the receiver.
    Import(u32),
    /// A place in the answer to a question of the sender.
    Answer(Answer<'a>),
}

impl<'a> Call<'a> {
    /// Returns the Call that a message is.
    pub fn of(root: Struct<'a>) -> Option<Self> {
        root.structure(0).map(Self)
    }

    /// Returns the id of the sender's question.
    pub fn question(self) -> u32 {
        self.0.u32(0)
    }

    /// Returns the method's ordinal.
    pub fn method(self) -> u16 {
        self.0.u16(2)
    }

    /// Returns the id of the interface that declares the method.
    pub fn interface(self) -> u64 {
        self.0.u64(1)
    }

    /// Returns the target of the call.
    pub fn target(self) -> Option<Target<'a>> {
        target(self.0)
    }

    /// Returns the parameters.
    pub fn params(self) -> Option<Payload<'a>> {
        self.0.structure(1).map(Payload)
    }

    /// Returns where the results are to go.
    pub fn send_results_to(self) -> Option<SendResultsTo> {
        match self.0.u16(3) {
            0 => Some(SendResultsTo::Caller),
            1 => Some(SendResultsTo::Yourself),
            2 => Some(SendResultsTo::ThirdParty),
            _ => None,
        }
    }

    /// Returns whether the sender makes no calls on the results.
    pub fn no_promise_pipelining(self) -> bool {
        self.0.bit(129)
    }

    /// Returns whether the sender only makes calls on the results.
    pub fn only_promise_pipeline(self) -> bool {
        self.0.bit(130)
    }
}

/// A Return.
#[derive(Clone, Copy)]
pub struct Return<'a>(Struct<'a>);

/// The answer to a call.
pub enum Outcome<'a> {
    /// Results.
    Results(Payload<'a>),
    /// An exception.
    Exception,
    /// The call was cancelled.
    Canceled,
    /// The results stay where the call ran.
    SentElsewhere,
    /// The results are those of this question of the receiver.
    TakenFrom(u32),
    /// The results are at a third party.
    ThirdParty,
}

impl<'a> Return<'a> {
    /// Returns the Return that a message is.
    pub fn of(root: Struct<'a>) -> Option<Self> {
        root.structure(0).map(Self)
    }

    /// Returns the id of the receiver's question.
    pub fn answer(self) -> u32 {
        self.0.u32(0)
    }

    /// Returns whether the capabilities among the parameters are released, which is the default.
    pub fn releases_params(self) -> bool {
        !self.0.bit(32)
    }

    /// Returns whether no Finish is needed.
    pub fn no_finish_needed(self) -> bool {
        self.0.bit(33)
    }

    /// Returns the answer to the question.
    pub fn outcome(self) -> Option<Outcome<'a>> {
        Some(match self.0.u16(3) {
            0 => Outcome::Results(Payload(self.0.structure(0)?)),
            1 => Outcome::Exception,
            2 => Outcome::Canceled,
            3 => Outcome::SentElsewhere,
            4 => Outcome::TakenFrom(self.0.u32(2)),
            5 => Outcome::ThirdParty,
            _ => return None,
        })
    }
}

/// Parameters or results, with their capabilities.
#[derive(Clone, Copy)]
pub struct Payload<'a>(Struct<'a>);

impl<'a> Payload<'a> {
    /// Returns the place of the pointer to the content.
    pub fn content(self) -> Option<Place> {
        self.0.place(0)
    }

    /// Returns the content, if it is a struct.
    pub fn structure(self) -> Option<Struct<'a>> {
        self.0.structure(0)
    }

    /// Returns the descriptors of the capabilities in the content.
    pub fn capabilities(self) -> Option<Structs<'a>> {
        self.0.structs(1)
    }
}

/// The descriptor of a capability in a message.
pub enum Descriptor<'a> {
    /// A null capability.
    None,
    /// An object of the sender.
    SenderHosted(u32),
    /// A promise of the sender.
    SenderPromise(u32),
    /// An object of the receiver.
    ReceiverHosted(u32),
    /// A place in the answer to a question of the sender.
    ReceiverAnswer(Answer<'a>),
    /// An object of a third party, for which this one of the sender stands.
    ThirdPartyHosted(u32),
}

impl<'a> Descriptor<'a> {
    /// Reads a descriptor.
    pub fn of(descriptor: Struct<'a>) -> Option<Self> {
        let id = descriptor.u32(1);
        Some(match descriptor.u16(0) {
            0 => Self::None,
            1 => Self::SenderHosted(id),
            2 => Self::SenderPromise(id),
            3 => Self::ReceiverHosted(id),
            4 => Self::ReceiverAnswer(Answer(descriptor.structure(0)?)),
            5 => Self::ThirdPartyHosted(descriptor.structure(0)?.u32(0)),
            _ => return None,
        })
    }
}

/// A place in the answer to a question.
#[derive(Clone, Copy)]
pub struct Answer<'a>(Struct<'a>);

impl<'a> Answer<'a> {
    /// Returns the id of the question.
    pub fn question(self) -> u32 {
        self.0.u32(0)
    }

    /// Returns how many steps lead to the place.
    pub fn length(self) -> Option<usize> {
        self.0.structs(0).map(|steps| steps.len())
    }

    /// Returns the steps to the place.
    pub fn way(self) -> Option<Vec<PipelineOp>> {
        let step = |step: Struct<'_>| match step.u16(0) {
            0 => Some(PipelineOp::Noop),
            1 => Some(PipelineOp::GetPointerField(step.u16(1))),
            _ => None,
        };
        self.0.structs(0)?.map(step).collect()
    }
}

/// Reads what a Resolve says that a promise became: a capability, or `Some(None)` for an exception.
pub fn resolution(root: Struct<'_>) -> Option<Option<Descriptor<'_>>> {
    let resolve = root.structure(0)?;
    match resolve.u16(2) {
        0 => Descriptor::of(resolve.structure(0)?).map(Some),
        1 => Some(None),
        _ => None,
    }
}

/// Reads the target of a Call or a Disembargo.
fn target(of: Struct<'_>) -> Option<Target<'_>> {
    let target = of.structure(0)?;
    match target.u16(2) {
        0 => Some(Target::Import(target.u32(0))),
        1 => Some(Target::Answer(Answer(target.structure(0)?))),
        _ => None,
    }
}

/// Reads the target of a Disembargo.
pub fn disembargoed(root: Struct<'_>) -> Option<Target<'_>> {
    target(root.structure(0)?)
}

#[cfg(test)]
mod tests;
