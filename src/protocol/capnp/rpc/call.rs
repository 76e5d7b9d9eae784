//! A call of the peer's, as the object that it is made on has it.
//!
//! Knows the messages that a call and its answer are; nothing of how they are counted.

use std::sync::Arc;

use capnp::any_pointer;
use capnp_rpc::rpc_capnp::{message, return_};

use super::cap::{Cap, Caps, read};
use super::frame::Received;
use super::link::Link;
use super::message::{Building, room};
use super::tables::Tables;
use super::write::Built;
use crate::error::{Error, Result};

/// The memory that results begin with, in words.
const FIRST_SEGMENT: u32 = 32;

/// A call of the peer's, to be answered once. Dropped without an answer, it is answered with an error.
pub struct Incoming {
    link: Arc<Link>,
    pub(super) question: u32,
    interface: u64,
    method: u16,
    /// There until it is answered.
    received: Option<Received>,
    pub(super) caps: Vec<Option<Cap>>,
}

/// What answers a call, written but not sent.
pub struct Results {
    message: Building,
    caps: Vec<Option<Cap>>,
}

impl Results {
    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * 8
    }

    /// Has `with` read what was written.
    ///
    /// # Errors
    /// When it was not written as results.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root = self.message.get_root_as_reader()?;
        Ok(read(content(root)?, &self.caps, with))
    }
}

impl Incoming {
    /// A call of this method of this interface. Its capabilities are not known yet.
    pub(super) fn new(
        link: &Arc<Link>,
        question: u32,
        (interface, method): (u64, u16),
        received: Received,
    ) -> Self {
        Self {
            link: link.clone(),
            question,
            interface,
            method,
            received: Some(received),
            caps: Vec::new(),
        }
    }

    /// The interface that declares the method.
    pub fn interface(&self) -> u64 {
        self.interface
    }

    /// The method's ordinal.
    pub fn method(&self) -> u16 {
        self.method
    }

    /// The objects among its parameters.
    pub fn caps(&self) -> &[Option<Cap>] {
        &self.caps
    }

    /// Has `with` read its parameters.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn params<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let received = self.received.as_ref();
        let received = received.ok_or_else(|| capnp::Error::failed("answered already".into()))?;
        match received.root()?.which()? {
            message::Call(call) => Ok(read(call?.get_params()?.get_content(), &self.caps, with)),
            _ => Err(capnp::Error::failed("no call".into())),
        }
    }

    /// Results that `fill` writes.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn results<E>(
        &self,
        fill: impl FnOnce(&mut Caps<Cap>, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Results, E> {
        results(self.question, fill)
    }

    /// Answers it.
    pub fn answer(mut self, results: Results) {
        self.give(Ok(results));
    }

    /// Answers it with an error.
    pub fn fail(mut self, error: Error) {
        self.give(Err(error));
    }

    fn give(&mut self, outcome: Result<Results>) {
        // Gone before the peer can know of the answer, and so may call again.
        let Some(received) = self.received.take() else {
            return;
        };
        let caps = std::mem::take(&mut self.caps);
        self.link.held(|| drop((received, caps)));
        self.link.give(self.question, outcome);
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.give(Err(Error::failed(
            "the thread ended before the request was executed",
        )));
    }
}

/// Results of a question that `fill` writes.
pub(super) fn results<E>(
    question: u32,
    fill: impl FnOnce(&mut Caps<Cap>, any_pointer::Builder<'_>) -> Result<(), E>,
) -> Result<Results, E> {
    let mut message = room(FIRST_SEGMENT);
    let mut answer = message.init_root::<message::Builder<'_>>().init_return();
    answer.set_answer_id(question);
    answer.set_release_param_caps(false);
    let caps = Caps::fill(answer.init_results().init_content(), fill)?;
    Ok(Results { message, caps })
}

impl Results {
    /// What is sent, and the capabilities in it.
    pub(super) fn into_built(self) -> (Built, Vec<Option<Cap>>) {
        (Arc::new(self.message), self.caps)
    }

    /// Writes what only the tables know: gives the objects that the peer gets.
    pub(super) fn complete(
        &mut self,
        tables: &mut Tables,
        link: &Arc<Link>,
    ) -> capnp::Result<Vec<u32>> {
        let root: message::Builder<'_> = self.message.get_root()?;
        let message::Return(answer) = root.which()? else {
            return Err(capnp::Error::failed("no answer".into()));
        };
        let mut answer = answer?;
        if self.caps.is_empty() {
            // Both sides forget the question with this, and a Finish of it would be late.
            answer.set_no_finish_needed(true);
            return Ok(Vec::new());
        }
        let return_::Results(results) = answer.which()? else {
            return Err(capnp::Error::failed("no results".into()));
        };
        let count = u32::try_from(self.caps.len()).unwrap_or(u32::MAX);
        let mut table = results?.init_cap_table(count);
        let mut exports = Vec::new();
        for (index, cap) in (0..).zip(&self.caps) {
            let descriptor = table.reborrow().get(index);
            exports.extend(tables.describe(link, cap.as_ref(), descriptor));
        }
        Ok(exports)
    }
}

/// The content of a Return.
pub(super) fn content(root: message::Reader<'_>) -> capnp::Result<any_pointer::Reader<'_>> {
    let message::Return(answer) = root.which()? else {
        return Err(capnp::Error::failed("no answer".into()));
    };
    match answer?.which()? {
        return_::Results(results) => Ok(results?.get_content()),
        _ => Err(capnp::Error::failed("no results".into())),
    }
}
