//! Capabilities: what they stand for, and how they are in a message.
//!
//! Knows objects of this process by what they do with a call, and objects of peers by their numbers;
//! nothing of interfaces. In a message a capability is an index into the message's table. capnp wants
//! a [`ClientHook`] in its place: those here are nothing but the index, and what it stands for is in
//! a table beside the message.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use capnp::any_pointer;
use capnp::capability::{Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::traits::{Imbue, ImbueMut};

use super::call::Incoming;
use super::link::Link;

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
    /// Answers a call. Runs on whatever thread read it, and must not block.
    fn call(self: Arc<Self>, call: Incoming);

    /// The object of a peer that this stands for, if it is nothing of its own.
    fn stands_for(&self) -> Option<&Arc<Import>> {
        None
    }
}

/// An object of a peer. When the last reference goes, so does the peer's right to say that it is
/// still in use: the peer is told.
pub struct Import {
    pub(super) link: Arc<Link>,
    pub(super) id: u32,
    /// How often the peer has given it.
    pub(super) given: AtomicU64,
}

impl Import {
    pub(super) fn new(link: &Arc<Link>, id: u32) -> Arc<Self> {
        Arc::new(Self {
            link: link.clone(),
            id,
            given: AtomicU64::new(1),
        })
    }

    /// The connection that it came over.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let given = *self.given.get_mut();
        self.link.let_go(self.id, given);
    }
}

impl Cap {
    /// Whether the two are the same object.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Import(one), Self::Import(other)) => Arc::ptr_eq(one, other),
            (Self::Own(one), Self::Own(other)) => std::ptr::addr_eq(
                Arc::as_ptr(one).cast::<()>(),
                Arc::as_ptr(other).cast::<()>(),
            ),
            _ => false,
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

/// The imports of a connection that are still held, by number.
pub(super) type Held = Weak<Import>;

/// How often a peer may have given an object before it is told that most of that is done with: other
/// implementations count in 32 bits.
const GIVEN: u64 = 1000;

impl Import {
    /// Notes that the peer has given it once more. Gives how much of it the peer is to be told to
    /// forget, if that is time. Under the lock of the connection's tables, which orders this with
    /// other messages.
    pub(super) fn give(&self) -> Option<u64> {
        let given = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        (given > GIVEN).then(|| {
            self.given.store(1, Ordering::Relaxed);
            given - 1
        })
    }
}

/// A capability in a message: its index.
trait Index: 'static {
    fn index(&self) -> usize;
}

/// One of the first few, of which nothing has to be allocated to say which it is.
struct Small<const INDEX: usize>;

/// Any other.
struct Large(usize);

impl<const INDEX: usize> Index for Small<INDEX> {
    fn index(&self) -> usize {
        INDEX
    }
}

impl Index for Large {
    fn index(&self) -> usize {
        self.0
    }
}

struct Hook<I>(I);

/// What stands for the capability with this index.
fn hook(index: usize) -> Box<dyn ClientHook> {
    match index {
        0 => Box::new(Hook(Small::<0>)),
        1 => Box::new(Hook(Small::<1>)),
        2 => Box::new(Hook(Small::<2>)),
        3 => Box::new(Hook(Small::<3>)),
        _ => Box::new(Hook(Large(index))),
    }
}

impl<I: Index> ClientHook for Hook<I> {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        hook(self.0.index())
    }

    fn new_call(
        &self,
        interface: u64,
        method: u16,
        size: Option<capnp::MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        let broken = capnp_rpc::new_broken_cap(not_called());
        broken.hook.new_call(interface, method, size)
    }

    fn call(
        &self,
        _: u64,
        _: u16,
        _: Box<dyn ParamsHook>,
        _: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        Promise::err(not_called())
    }

    fn get_brand(&self) -> usize {
        0
    }

    fn get_ptr(&self) -> usize {
        self.0.index()
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        Promise::ok(())
    }
}

fn not_called() -> capnp::Error {
    capnp::Error::unimplemented("a capability in a message is called through its object".into())
}

/// capnp's table of a message's capabilities.
type Hooks = Vec<Option<Box<dyn ClientHook>>>;

/// The capabilities of a message that is written.
pub struct Caps<C> {
    caps: Vec<Option<C>>,
}

impl<C: Clone> Caps<C> {
    /// What stands for `cap` in the message.
    pub fn add(&mut self, cap: C) -> Box<dyn ClientHook> {
        self.caps.push(Some(cap));
        hook(self.caps.len() - 1)
    }

    /// The capabilities of a message whose content is copied into this one.
    pub(super) fn take_over(&mut self, caps: impl Iterator<Item = Option<C>>) {
        self.caps = caps.collect();
    }

    /// Has `fill` write the content of a message, and gives the message's capabilities, in the order
    /// of their indices there.
    pub(super) fn fill<E>(
        mut content: any_pointer::Builder<'_>,
        fill: impl FnOnce(&mut Self, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Vec<Option<C>>, E> {
        let mut this = Self { caps: Vec::new() };
        let mut hooks = Hooks::new();
        let mut inner = content.reborrow();
        inner.imbue_mut(&mut hooks);
        fill(&mut this, inner)?;
        let caps = hooks.into_iter().map(|hook| {
            let index = hook?.get_ptr();
            this.caps.get(index).cloned().flatten()
        });
        Ok(caps.collect())
    }
}

/// Has `read` read the content of a message that has these capabilities.
pub(super) fn read<C, R>(
    content: any_pointer::Reader<'_>,
    caps: &[Option<C>],
    read: impl FnOnce(any_pointer::Reader<'_>) -> R,
) -> R {
    let mut content = content;
    let hooks: Hooks = caps
        .iter()
        .enumerate()
        .map(|(index, cap)| cap.as_ref().map(|_| hook(index)))
        .collect();
    content.imbue(&hooks);
    read(content)
}

/// The capability that a hook in a message with these capabilities stands for.
pub fn find<'c>(caps: &'c [Option<Cap>], hook: &dyn ClientHook) -> Option<&'c Cap> {
    caps.get(hook.get_ptr())?.as_ref()
}
