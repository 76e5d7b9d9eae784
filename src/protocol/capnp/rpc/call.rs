//! A call and its answer as messages, with their capabilities beside them.
//!
//! Knows `rpc.capnp`'s Call and Return; nothing of what a capability is, of how calls are counted, or
//! of when they are sent.

use capnp::any_pointer;
use capnp_rpc::rpc_capnp::{call, cap_descriptor, message, message_target, return_};

use super::wire::cap_table::{Caps, read};
use super::wire::fields;
use super::wire::frame::WORD;
use super::wire::message::{Building, content, parameters, room};
use super::wire::received::Received;
use super::wire::write::Built;
use crate::error::Result;

/// The initial size of results, in words.
const RESULTS: u32 = 32;
/// The initial size of a call, in words: most calls need some thirty.
const CALL: u32 = 64;

/// The results of a call, written but not sent.
pub struct Results<C> {
    message: Building,
    caps: Vec<Option<C>>,
}

impl<C: Clone> Results<C> {
    /// Makes the results of a question; `fill` writes them.
    ///
    /// # Errors
    /// Returns the errors of `fill`.
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

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * WORD
    }

    /// Reads what was written with `with`.
    ///
    /// # Errors
    /// Fails when it was not written as results.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root = self.message.get_root_as_reader()?;
        Ok(read(content(root)?, &self.caps, with))
    }

    /// Completes the message: `describe` writes each capability's descriptor.
    ///
    /// # Errors
    /// Fails when these are no results.
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

    /// Returns the message and the capabilities in it.
    pub fn into_parts(self) -> (Building, Vec<Option<C>>) {
        (self.message, self.caps)
    }
}

/// The results that a call was answered with.
pub struct Response<C> {
    message: Message,
    caps: Vec<Option<C>>,
}

/// The message that holds results.
enum Message {
    Received(Received),
    /// The results of a call of the peer, which it has passed on to a call of this process.
    Own(Built),
}

impl<C> Response<C> {
    /// Makes a response of results that the peer sent.
    pub fn new(received: Received, caps: Vec<Option<C>>) -> Self {
        Self {
            message: Message::Received(received),
            caps,
        }
    }

    /// Makes a response of results that this process gave to a call of the peer.
    pub fn own(message: Built, caps: Vec<Option<C>>) -> Self {
        Self {
            message: Message::Own(message),
            caps,
        }
    }

    /// Returns its capabilities.
    pub fn caps(&self) -> &[Option<C>] {
        &self.caps
    }

    /// Returns its capabilities, without null ones, and drops the rest.
    pub fn into_caps(self) -> Vec<C> {
        self.caps.into_iter().flatten().collect()
    }

    /// Sets the capability at `index`.
    pub fn supply(&mut self, index: usize, cap: Option<C>) {
        if let Some(place) = self.caps.get_mut(index) {
            *place = cap;
        }
    }

    /// Reads the results with `with`.
    ///
    /// # Errors
    /// Fails when it holds no results.
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

/// A call, written but not sent.
pub struct Request<C> {
    message: Building,
    caps: Vec<Option<C>>,
}

impl<C: Clone> Request<C> {
    /// Makes a call of a method; `fill` writes its parameters.
    ///
    /// # Errors
    /// Returns the errors of `fill`.
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

    /// Returns the number of its capabilities.
    pub fn caps(&self) -> usize {
        self.caps.len()
    }

    /// Returns its capabilities, without null ones.
    pub fn caps_mut(&mut self) -> impl Iterator<Item = &mut C> {
        self.caps.iter_mut().flatten()
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * WORD
    }

    /// Reads its parameters with `with`.
    ///
    /// # Errors
    /// Fails when it was not written as a call.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root = self.message.get_root_as_reader()?;
        Ok(read(parameters(root)?, &self.caps, with))
    }

    /// Completes the message as question `question`. `target` writes the target of the call, `describe`
    /// each capability's descriptor.
    ///
    /// # Errors
    /// Fails when this is no call.
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

    /// Returns the message.
    pub fn into_message(self) -> Building {
        self.message
    }
}
