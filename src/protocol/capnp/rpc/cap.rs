//! What a capability is, and what a call on one is: objects of this process by what they do with a
//! call, and objects of peers by their numbers.
//!
//! Knows calls and answers as messages with capabilities; nothing of interfaces, nor of how a connection
//! keeps count. An import and a call of the peer's know their connection as an [`Owner`], which
//! outlives the connection's descriptor.

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

/// What answers a call of the peer's, written but not sent.
pub type Results = call::Results<Cap>;
/// What a call of this process was answered.
pub type Response = call::Response<Cap>;
/// A call of this process, written but not sent.
pub type Request = call::Request<Param>;

/// What a capability stands for.
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

/// A connection, as what came over it knows it.
pub trait Owner: Send + Sync {
    /// Identifies the connection within the process.
    fn id(&self) -> usize;

    /// An import that the peer has given `given` times is dropped.
    fn release(&self, id: u32, given: u64);

    /// Answers question `question` of the peer's. What the call brought is dropped before the peer
    /// can know of the answer.
    fn answer(&self, question: u32, outcome: Result<Results>, spent: Spent);

    /// Makes calls of imports, all at once and in this order.
    fn ask(&self, asks: &mut dyn Iterator<Item = Ask>);

    /// Why every call fails, where this stands for no connection.
    fn failure(&self) -> Option<&Error> {
        None
    }
}

/// An object of a peer. When the last reference goes, so does the peer's right to say that it is
/// still in use: the peer is told.
pub struct Import {
    owner: Arc<dyn Owner>,
    id: u32,
    /// How often the peer has given it.
    given: AtomicU64,
}

/// How often a peer may have given an object before most of these references are released: other
/// implementations count in 32 bits.
const GIVEN: u64 = 1000;

impl Import {
    /// Object `id` of the peer, given once.
    pub fn new(owner: &Arc<dyn Owner>, id: u32) -> Arc<Self> {
        Arc::new(Self {
            owner: owner.clone(),
            id,
            given: AtomicU64::new(1),
        })
    }

    /// An object on which every call fails with `error`: what a promise has become that was broken.
    pub fn broken(error: Error) -> Arc<Self> {
        let owner: Arc<dyn Owner> = Arc::new(Broken(error));
        Self::new(&owner, 0)
    }

    /// The connection that it came over.
    pub fn owner(&self) -> &Arc<dyn Owner> {
        &self.owner
    }

    /// Its number at the peer.
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

/// Stands for no connection.
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
    /// Whether the two are the same object.
    pub fn is(&self, other: &Self) -> bool {
        let same_kind = matches!(
            (self, other),
            (Self::Import(_), Self::Import(_)) | (Self::Own(_), Self::Own(_))
        );
        same_kind && self.address() == other.address()
    }

    /// Why every call on it fails, where it is what a broken promise has become.
    pub fn failure(&self) -> Option<&Error> {
        match self {
            Self::Import(import) => import.owner.failure(),
            Self::Own(_) => None,
        }
    }

    /// What tells an object from others, for as long as it is held.
    pub fn address(&self) -> usize {
        match self {
            Self::Import(import) => Arc::as_ptr(import).addr(),
            Self::Own(host) => Arc::as_ptr(host).cast::<()>().addr(),
        }
    }

    /// The object of this process, if it is one of this kind.
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

/// A call of the peer's, to be answered once. Dropped without an answer, it is answered with an error.
pub struct Incoming {
    owner: Arc<dyn Owner>,
    question: u32,
    interface: u64,
    method: u16,
    /// There until it is answered.
    spent: Option<Spent>,
}

/// What a call brought.
#[derive(Default)]
pub struct Spent {
    received: Option<Received>,
    caps: Vec<Option<Cap>>,
}

impl Incoming {
    /// A call of this method of this interface. Its capabilities are not known yet.
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

    /// Says what its capabilities are.
    pub fn supply(&mut self, caps: Vec<Option<Cap>>) {
        if let Some(spent) = &mut self.spent {
            spent.caps = caps;
        }
    }

    /// Its question.
    pub fn question(&self) -> u32 {
        self.question
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
        self.spent.as_ref().map_or(&[], |spent| &spent.caps)
    }

    /// The size of its message in bytes.
    pub fn bytes(&self) -> usize {
        let received = self
            .spent
            .as_ref()
            .and_then(|spent| spent.received.as_ref());
        received.map_or(0, Received::bytes)
    }

    /// Has `with` read its parameters.
    ///
    /// # Errors
    /// When they cannot be read, or are no longer here.
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

    /// Its parameters as they lie in the message, if they are a struct.
    pub fn words(&self) -> Option<Struct<'_>> {
        self.payload()?.structure()
    }

    /// Takes what the call brought, for when its answer needs it no longer.
    pub fn take_params(&mut self) -> Spent {
        self.spent.replace(Spent::default()).unwrap_or_default()
    }

    /// Results that `fill` writes.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn results<E>(
        &self,
        fill: impl FnOnce(&mut Caps<Cap>, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Results, E> {
        Results::of(self.question, fill)
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

/// Takes an answer, once. Runs on whatever thread read it, and must not block.
pub type Done = Box<dyn FnOnce(Result<Response>) + Send>;

/// A call, what it is made on, and what gets its answer.
pub struct Ask {
    /// What it is made on.
    pub target: Target,
    /// The call.
    pub request: Request,
    /// What gets the answer.
    pub done: Done,
}

/// What a call is made on.
pub enum Target {
    /// An object.
    Import(Arc<Import>),
    /// What the call before it in the same batch will answer: the capability at this pointer of its
    /// results, or the results themselves.
    Previous(Option<u16>),
}

/// A capability in a call that is not sent yet.
#[derive(Clone)]
pub enum Param {
    /// This one.
    Cap(Cap),
    /// One that is known when the call is sent: [`supply`] tells which.
    Later(usize),
    /// What the first call of the same batch will answer, at this pointer of its results.
    First(u16),
}

/// Tells which capability of a request the one is that was to be known later.
pub fn supply(request: &mut Request, number: usize, known: Param) {
    let is_it = |param: &&mut Param| matches!(param, Param::Later(n) if *n == number);
    if let Some(param) = request.caps_mut().find(is_it) {
        *param = known;
    }
}
