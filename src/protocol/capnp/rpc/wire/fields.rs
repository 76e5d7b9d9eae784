//! The fields of Call and Return, and of what they hold, read where they lie in the message.
//!
//! Knows where `rpc.capnp` has them: each number below is a place in that schema's structs, and the tests
//! compare them with what the capnp crate reads. `None` is what the schema does not know, or something
//! else than it has there.

use capnp::private::capability::PipelineOp;

use super::words::{Place, Struct, Structs};

/// Which messages there are, by the numbers of `Message`'s union.
pub mod kind {
    /// A Call.
    pub const CALL: u16 = 2;
    /// A Return.
    pub const RETURN: u16 = 3;
}

/// The kind of a message.
pub fn kind_of(root: Struct<'_>) -> u16 {
    root.u16(0)
}

/// A Call.
#[derive(Clone, Copy)]
pub struct Call<'a>(Struct<'a>);

/// Where the sender of a call wants its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendResultsTo {
    /// With the Return.
    Caller,
    /// To stay at the callee.
    Yourself,
    /// To a third party.
    ThirdParty,
}

/// What a call is made on.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// An object of the receiver's.
    Import(u32),
    /// A place in the answer to a question of the sender's.
    Answer(Answer<'a>),
}

impl<'a> Call<'a> {
    /// The Call that a message is.
    pub fn of(root: Struct<'a>) -> Option<Self> {
        root.structure(0).map(Self)
    }

    /// The sender's question.
    pub fn question(self) -> u32 {
        self.0.u32(0)
    }

    /// The method's ordinal.
    pub fn method(self) -> u16 {
        self.0.u16(2)
    }

    /// The interface that declares it.
    pub fn interface(self) -> u64 {
        self.0.u64(1)
    }

    /// What it is made on.
    pub fn target(self) -> Option<Target<'a>> {
        target(self.0)
    }

    /// Its parameters.
    pub fn params(self) -> Option<Payload<'a>> {
        self.0.structure(1).map(Payload)
    }

    /// Where its results are to go.
    pub fn send_results_to(self) -> Option<SendResultsTo> {
        match self.0.u16(3) {
            0 => Some(SendResultsTo::Caller),
            1 => Some(SendResultsTo::Yourself),
            2 => Some(SendResultsTo::ThirdParty),
            _ => None,
        }
    }

    /// Whether the sender makes no calls on the results.
    pub fn no_promise_pipelining(self) -> bool {
        self.0.bit(129)
    }

    /// Whether the sender only makes calls on the results.
    pub fn only_promise_pipeline(self) -> bool {
        self.0.bit(130)
    }
}

/// A Return.
#[derive(Clone, Copy)]
pub struct Return<'a>(Struct<'a>);

/// What a call was answered.
pub enum Outcome<'a> {
    /// Results.
    Results(Payload<'a>),
    /// An exception.
    Exception,
    /// It was cancelled.
    Canceled,
    /// The results stay where the call ran.
    SentElsewhere,
    /// The results of this question of the receiver's.
    TakenFrom(u32),
    /// A third party has them.
    ThirdParty,
}

impl<'a> Return<'a> {
    /// The Return that a message is.
    pub fn of(root: Struct<'a>) -> Option<Self> {
        root.structure(0).map(Self)
    }

    /// The receiver's question.
    pub fn answer(self) -> u32 {
        self.0.u32(0)
    }

    /// Whether the objects among the parameters are released, which is so unless a message says
    /// otherwise.
    pub fn releases_params(self) -> bool {
        !self.0.bit(32)
    }

    /// Whether no Finish is wanted.
    pub fn no_finish_needed(self) -> bool {
        self.0.bit(33)
    }

    /// What the question is answered.
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
    /// The place of the pointer to them.
    pub fn content(self) -> Option<Place> {
        self.0.place(0)
    }

    /// Them, where they are a struct.
    pub fn structure(self) -> Option<Struct<'a>> {
        self.0.structure(0)
    }

    /// What describes the capabilities among them.
    pub fn capabilities(self) -> Option<Structs<'a>> {
        self.0.structs(1)
    }
}

/// What a capability in a message stands for.
pub enum Descriptor<'a> {
    /// None.
    None,
    /// An object of the sender's.
    SenderHosted(u32),
    /// A promise of the sender's.
    SenderPromise(u32),
    /// An object of the receiver's.
    ReceiverHosted(u32),
    /// A place in the answer to a question of the sender's.
    ReceiverAnswer(Answer<'a>),
    /// An object of a third party's, for which this one of the sender's stands.
    ThirdPartyHosted(u32),
}

impl<'a> Descriptor<'a> {
    /// What a descriptor says.
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
    /// The question.
    pub fn question(self) -> u32 {
        self.0.u32(0)
    }

    /// How many steps lead to the place.
    pub fn length(self) -> Option<usize> {
        self.0.structs(0).map(|steps| steps.len())
    }

    /// The steps to the place.
    pub fn way(self) -> Option<Vec<PipelineOp>> {
        let step = |step: Struct<'_>| match step.u16(0) {
            0 => Some(PipelineOp::Noop),
            1 => Some(PipelineOp::GetPointerField(step.u16(1))),
            _ => None,
        };
        self.0.structs(0)?.map(step).collect()
    }
}

/// What a Resolve says that a promise became: an object, or else an exception.
pub fn resolution(root: Struct<'_>) -> Option<Option<Descriptor<'_>>> {
    let resolve = root.structure(0)?;
    match resolve.u16(2) {
        0 => Descriptor::of(resolve.structure(0)?).map(Some),
        1 => Some(None),
        _ => None,
    }
}

/// What a message to an object names: the target of a Call or a Disembargo.
fn target(of: Struct<'_>) -> Option<Target<'_>> {
    let target = of.structure(0)?;
    match target.u16(2) {
        0 => Some(Target::Import(target.u32(0))),
        1 => Some(Target::Answer(Answer(target.structure(0)?))),
        _ => None,
    }
}

/// What a Disembargo is about.
pub fn disembargoed(root: Struct<'_>) -> Option<Target<'_>> {
    target(root.structure(0)?)
}

#[cfg(test)]
mod tests;
