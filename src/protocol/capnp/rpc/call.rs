//! The messages that a call and its answer are, with their capabilities beside them.
//!
//! Knows `rpc.capnp`'s Call and Return; nothing of what a capability is, of how calls are counted, or of
//! when they are sent.

use capnp::any_pointer;
use capnp_rpc::rpc_capnp::{call, cap_descriptor, message, message_target, return_};

use super::wire::cap_table::{Caps, read};
use super::wire::fields;
use super::wire::frame::WORD;
use super::wire::message::{Building, content, parameters, room};
use super::wire::received::Received;
use super::wire::write::Built;
use crate::error::Result;

/// The memory that results begin with, in words.
const RESULTS: u32 = 32;
/// The memory that a call begins with, in words: most need some thirty.
const CALL: u32 = 64;

/// What answers a call, written but not sent.
pub struct Results<C> {
    message: Building,
    caps: Vec<Option<C>>,
}

impl<C: Clone> Results<C> {
    /// Results of a question that `fill` writes.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn of<E>(
        question: u32,
        fill: impl FnOnce(&mut Caps<C>, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut message = room(RESULTS);
        let mut answer = message.init_root::<message::Builder<'_>>().init_return();
        answer.set_answer_id(question);
        answer.set_release_param_caps(false);
        let caps = Caps::fill(answer.init_results().init_content(), fill)?;
        Ok(Self { message, caps })
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * WORD
    }

    /// Has `with` read what was written.
    ///
    /// # Errors
    /// When it was not written as results.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root = self.message.get_root_as_reader()?;
        Ok(read(content(root)?, &self.caps, with))
    }

    /// Has `describe` write each capability's descriptor.
    ///
    /// # Errors
    /// When these are no results.
    pub fn complete(
        &mut self,
        mut describe: impl FnMut(Option<&C>, cap_descriptor::Builder<'_>),
    ) -> capnp::Result<()> {
        let root: message::Builder<'_> = self.message.get_root()?;
        let message::Return(answer) = root.which()? else {
            return Err(capnp::Error::failed("no answer".into()));
        };
        let mut answer = answer?;
        if self.caps.is_empty() {
            // Both sides forget the question with this, and a Finish of it would be late.
            answer.set_no_finish_needed(true);
            return Ok(());
        }
        let return_::Results(results) = answer.which()? else {
            return Err(capnp::Error::failed("no results".into()));
        };
        let count = u32::try_from(self.caps.len()).unwrap_or(u32::MAX);
        let mut table = results?.init_cap_table(count);
        for (index, cap) in (0..).zip(&self.caps) {
            describe(cap.as_ref(), table.reborrow().get(index));
        }
        Ok(())
    }

    /// The message, and the capabilities in it.
    pub fn into_parts(self) -> (Building, Vec<Option<C>>) {
        (self.message, self.caps)
    }
}

/// What a call was answered.
pub struct Response<C> {
    message: Message,
    caps: Vec<Option<C>>,
}

/// Where results are.
enum Message {
    Received(Received),
    /// They are those of a call of the peer's, which it has passed on to a call of this process.
    Own(Built),
}

impl<C> Response<C> {
    /// Results that the peer sent.
    pub fn new(received: Received, caps: Vec<Option<C>>) -> Self {
        Self {
            message: Message::Received(received),
            caps,
        }
    }

    /// Results that this process gave to a call of the peer's.
    pub fn own(message: Built, caps: Vec<Option<C>>) -> Self {
        Self {
            message: Message::Own(message),
            caps,
        }
    }

    /// The objects in it.
    pub fn caps(&self) -> &[Option<C>] {
        &self.caps
    }

    /// The objects in it, without the rest.
    pub fn into_caps(self) -> Vec<C> {
        self.caps.into_iter().flatten().collect()
    }

    /// Says what one of its capabilities is.
    pub fn supply(&mut self, index: usize, cap: Option<C>) {
        if let Some(place) = self.caps.get_mut(index) {
            *place = cap;
        }
    }

    /// Has `with` read it.
    ///
    /// # Errors
    /// When it holds no results.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let with = |content: any_pointer::Reader<'_>| read(content, &self.caps, with);
        match &self.message {
            Message::Received(received) => {
                let answer = received.words().and_then(fields::Return::of);
                let place = match answer.and_then(fields::Return::outcome) {
                    Some(fields::Outcome::Results(results)) => results.content(),
                    _ => None,
                };
                received.read(place, content, with)
            }
            Message::Own(built) => Ok(with(content(built.message().get_root_as_reader()?)?)),
        }
    }
}

/// A call that is written, but not sent.
pub struct Request<C> {
    message: Building,
    caps: Vec<Option<C>>,
}

impl<C: Clone> Request<C> {
    /// A call of a method, whose parameters `fill` writes.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn new(
        interface: u64,
        method: u16,
        fill: impl FnOnce(&mut Caps<C>, any_pointer::Builder<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut message = room(CALL);
        let mut call = message.init_root::<message::Builder<'_>>().init_call();
        call.set_interface_id(interface);
        call.set_method_id(method);
        let caps = Caps::fill(call.init_params().init_content(), fill)?;
        Ok(Self { message, caps })
    }

    /// How many capabilities it has.
    pub fn caps(&self) -> usize {
        self.caps.len()
    }

    /// Its capabilities.
    pub fn caps_mut(&mut self) -> impl Iterator<Item = &mut C> {
        self.caps.iter_mut().flatten()
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * WORD
    }

    /// Has `with` read its parameters.
    ///
    /// # Errors
    /// When it was not written as a call.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root = self.message.get_root_as_reader()?;
        Ok(read(parameters(root)?, &self.caps, with))
    }

    /// Makes it question `question`. `target` writes what it is made on, `describe` each capability's
    /// descriptor.
    ///
    /// # Errors
    /// When this is no call.
    pub fn complete(
        &mut self,
        question: u32,
        target: impl FnOnce(message_target::Builder<'_>),
        mut describe: impl FnMut(Option<C>, cap_descriptor::Builder<'_>),
    ) -> capnp::Result<()> {
        let root: message::Builder<'_> = self.message.get_root()?;
        let message::Call(call) = root.which()? else {
            return Err(capnp::Error::failed("no call".into()));
        };
        let mut call: call::Builder<'_> = call?;
        call.set_question_id(question);
        target(call.reborrow().init_target());
        if !self.caps.is_empty() {
            let count = u32::try_from(self.caps.len()).unwrap_or(u32::MAX);
            let mut table = call.get_params()?.init_cap_table(count);
            for (index, cap) in (0..).zip(self.caps.drain(..)) {
                describe(cap, table.reborrow().get(index));
            }
        }
        Ok(())
    }

    /// The message.
    pub fn into_message(self) -> Building {
        self.message
    }
}
