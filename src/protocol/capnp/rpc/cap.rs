//! Capabilities and calls on them: objects of this process by what they do with a call, and objects of
//! peers by their numbers.
//!
//! Knows calls and answers as messages with capabilities; nothing of interfaces, nor of how a
//! connection counts references. An import and a call of the peer know their connection as an
//! [`Owner`], which outlives the connection's descriptor.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use capnp::any_pointer;

use super::call;
use super::wire::cap_table::{Caps, read};
use super::wire::fields::{self, Payload};
use super::wire::message::parameters;
use super::wire::received::Received;
use super::wire::words::Struct;
use crate::error::{Error, Result};

/// The results of a call of the peer, written but not sent.
pub type Results = call::Results<Cap>;
/// The results that a call of this process was answered with.
pub type Response = call::Response<Cap>;
/// A call of this process, written but not sent.
pub type Request = call::Request<Param>;

/// A capability.
#[derive(Clone)]
pub enum Cap {
    /// An object of a peer.
    Import(Arc<Import>),
    /// An object of this process.
    Own(Arc<dyn Host>),
}

/// An object of this process that peers can call.
pub trait Host: Any + Send + Sync {
    /// Answers a call. Runs on whatever thread delivers it, and must not block.
    fn call(self: Arc<Self>, call: Incoming);
}

/// A connection, as its imports and incoming calls know it.
pub trait Owner: Send + Sync {
    /// Identifies the connection within the process.
    fn id(&self) -> usize;

    /// Queues a Release of `given` references to import `id`, which was dropped.
    fn release(&self, id: u32, given: u64);

    /// Answers question `question` of the peer. `spent`, which the call brought, is dropped before the
    /// peer can get the answer.
    fn answer(&self, question: u32, outcome: Result<Results>, spent: Spent);

    /// Makes calls of imports, all at once and in this order.
    fn ask(&self, asks: &mut dyn Iterator<Item = Ask>);

    /// Returns the error of every call, if this stands for no connection.
    fn failure(&self) -> Option<&Error> {
        None
    }
}

/// An object of a peer. When the last reference is dropped, all references that the peer has given are
/// released.
pub struct Import {
    owner: Arc<dyn Owner>,
    id: u32,
    /// The number of references that the peer has given and that are not released.
    given: AtomicU64,
}

/// The number of references that a peer may have given before most of them are released: other
/// implementations count in 32 bits.
const GIVEN: u64 = 1000;

impl Import {
    /// Makes an import of object `id` of the peer, with one reference.
    pub fn new(owner: &Arc<dyn Owner>, id: u32) -> Arc<Self> {
        Arc::new(Self {
            owner: owner.clone(),
            id,
            given: AtomicU64::new(1),
        })
    }

    /// Makes an object on which every call fails with `error`: a broken promise resolves to it.
    pub fn broken(error: Error) -> Arc<Self> {
        let owner: Arc<dyn Owner> = Arc::new(Broken(error));
        Self::new(&owner, 0)
    }

    /// Returns the connection that it came over.
    pub fn owner(&self) -> &Arc<dyn Owner> {
        &self.owner
    }

    /// Returns its number at the peer.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Counts another reference. Returns how many references to release now, if any. Called with the
    /// connection's state locked, which orders this with other messages.
    pub fn count_reference(&self) -> Option<u64> {
        let given = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        (given > GIVEN).then(|| {
            self.given.store(1, Ordering::Relaxed);
            given - 1
        })
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let given = *self.given.get_mut();
        self.owner.release(self.id, given);
    }
}

/// The owner of a broken promise's import, which stands for no connection.
struct Broken(Error);

impl Owner for Broken {
    fn id(&self) -> usize {
        0
    }

    fn release(&self, _: u32, _: u64) {}

    fn answer(&self, _: u32, _: Result<Results>, _: Spent) {}

    fn ask(&self, asks: &mut dyn Iterator<Item = Ask>) {
        for ask in asks {
            (ask.done)(Err(self.0.clone()));
        }
    }

    fn failure(&self) -> Option<&Error> {
        Some(&self.0)
    }
}

impl Cap {
    /// Returns whether the two are the same object.
    pub fn is(&self, other: &Self) -> bool {
        let same_kind = matches!(
            (self, other),
            (Self::Import(_), Self::Import(_)) | (Self::Own(_), Self::Own(_))
        );
        same_kind && self.address() == other.address()
    }

    /// Returns the error of every call on it, if it is a broken promise.
    pub fn failure(&self) -> Option<&Error> {
        match self {
            Self::Import(import) => import.owner.failure(),
            Self::Own(_) => None,
        }
    }

    /// Returns an address that identifies the object for as long as it is held.
    pub fn address(&self) -> usize {
        match self {
            Self::Import(import) => Arc::as_ptr(import).addr(),
            Self::Own(host) => Arc::as_ptr(host).cast::<()>().addr(),
        }
    }

    /// Returns the object of this process, if it is one of type `H`.
    pub fn own<H: Host>(&self) -> Option<Arc<H>> {
        match self {
            Self::Own(host) => {
                let any: Arc<dyn Any + Send + Sync> = host.clone();
                any.downcast().ok()
            }
            Self::Import(_) => None,
        }
    }
}

/// A call of the peer, to be answered once. Dropped without an answer, it is answered with an error.
pub struct Incoming {
    owner: Arc<dyn Owner>,
    question: u32,
    interface: u64,
    method: u16,
    /// `Some` until it is answered.
    spent: Option<Spent>,
}

/// The message and capabilities that a call brought.
#[derive(Default)]
pub struct Spent {
    received: Option<Received>,
    caps: Vec<Option<Cap>>,
}

impl Incoming {
    /// Makes a call of this method of this interface. Its capabilities are not known yet.
    pub fn new(
        owner: &Arc<dyn Owner>,
        question: u32,
        (interface, method): (u64, u16),
        received: Received,
    ) -> Self {
        Self {
            owner: owner.clone(),
            question,
            interface,
            method,
            spent: Some(Spent {
                received: Some(received),
                caps: Vec::new(),
            }),
        }
    }

    /// Sets its capabilities.
    pub fn supply(&mut self, caps: Vec<Option<Cap>>) {
        if let Some(spent) = &mut self.spent {
            spent.caps = caps;
        }
    }

    /// Returns the id of its question.
    pub fn question(&self) -> u32 {
        self.question
    }

    /// Returns the id of the interface that declares the method.
    pub fn interface(&self) -> u64 {
        self.interface
    }

    /// Returns the method's ordinal.
    pub fn method(&self) -> u16 {
        self.method
    }

    /// Returns the capabilities among its parameters.
    pub fn caps(&self) -> &[Option<Cap>] {
        self.spent.as_ref().map_or(&[], |spent| &spent.caps)
    }

    /// Returns the size of its message in bytes.
    pub fn bytes(&self) -> usize {
        let received = self
            .spent
            .as_ref()
            .and_then(|spent| spent.received.as_ref());
        received.map_or(0, Received::bytes)
    }

    /// Reads its parameters with `with`.
    ///
    /// # Errors
    /// Fails when they cannot be read, or were taken.
    pub fn params<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let received = self
            .spent
            .as_ref()
            .and_then(|spent| spent.received.as_ref());
        let received = received.ok_or_else(|| capnp::Error::failed("answered already".into()))?;
        let place = self.payload().and_then(Payload::content);
        received.read(place, parameters, |params| read(params, self.caps(), with))
    }

    fn payload(&self) -> Option<Payload<'_>> {
        let received = self.spent.as_ref()?.received.as_ref()?;
        fields::Call::of(received.words()?)?.params()
    }

    /// Returns its parameters in place, if they are a struct.
    pub fn words(&self) -> Option<Struct<'_>> {
        self.payload()?.structure()
    }

    /// Takes what the call brought, once its answer needs it no longer.
    pub fn take_params(&mut self) -> Spent {
        self.spent.replace(Spent::default()).unwrap_or_default()
    }

    /// Makes its results; `fill` writes them.
    ///
    /// # Errors
    /// Returns the errors of `fill`.
    pub fn results<E>(
        &self,
        fill: impl FnOnce(&mut Caps<Cap>, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Results, E> {
        Results::of(self.question, fill)
    }

    /// Answers it with results.
    pub fn answer(mut self, results: Results) {
        self.give(Ok(results));
    }

    /// Answers it with an error.
    pub fn fail(mut self, error: Error) {
        self.give(Err(error));
    }

    fn give(&mut self, outcome: Result<Results>) {
        if let Some(spent) = self.spent.take() {
            self.owner.answer(self.question, outcome, spent);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.give(Err(Error::failed(
            "the thread ended before the request was executed",
        )));
    }
}

/// The callback for an answer. Runs once, on any thread, and must not block.
pub type Done = Box<dyn FnOnce(Result<Response>) + Send>;

/// A call, its target, and the callback that gets its answer.
pub struct Ask {
    /// The target of the call.
    pub target: Target,
    /// The call.
    pub request: Request,
    /// The callback that gets the answer.
    pub done: Done,
}

/// The target of a call.
pub enum Target {
    /// An object.
    Import(Arc<Import>),
    /// A part of the answer to the previous call of the same batch: the capability at this pointer of
    /// its results, or the results themselves.
    Previous(Option<u16>),
}

/// A capability in a call that is not sent yet.
#[derive(Clone)]
pub enum Param {
    /// A known capability.
    Cap(Cap),
    /// A capability that is known when the call is sent: [`supply`] sets it.
    Later(usize),
    /// The capability at this pointer of the results of the first call of the same batch.
    First(u16),
}

/// Replaces the request's [`Param::Later`] with this number by a known parameter.
pub fn supply(request: &mut Request, number: usize, known: Param) {
    let is_it = |param: &&mut Param| matches!(param, Param::Later(n) if *n == number);
    if let Some(param) = request.caps_mut().find(is_it) {
        *param = known;
    }
}
