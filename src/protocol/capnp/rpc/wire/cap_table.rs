//! The capabilities in a message.
//!
//! Knows the encoding of capabilities; nothing of what they are. In a message a capability is an index
//! into the message's table. capnp wants a [`ClientHook`] in its place: those here hold nothing but the
//! index, and the capability itself is in a table beside the message.

use capnp::any_pointer;
use capnp::capability::{Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::traits::{Imbue, ImbueMut};

/// A capability in a message: its index.
trait Index: 'static {
    fn index(&self) -> usize;
}

/// One of the first few indices: a type of no size, so that its hook needs no allocation.
struct Small<const INDEX: usize>;

/// Any other index.
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

/// Makes the hook that stands for the capability with this index.
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

/// The capabilities of a message that is being written.
pub struct Caps<C> {
    caps: Vec<Option<C>>,
}

impl<C: Clone> Caps<C> {
    /// Adds `cap` to the message, and returns the hook that stands for it.
    pub fn add(&mut self, cap: C) -> Box<dyn ClientHook> {
        self.caps.push(Some(cap));
        hook(self.caps.len() - 1)
    }

    /// Takes over the capabilities of a message whose content is copied into this one.
    pub fn take_over(&mut self, caps: impl Iterator<Item = Option<C>>) {
        self.caps = caps.collect();
    }

    /// Lets `fill` write the content of a message, and returns the message's capabilities, in the order
    /// of their indices there.
    pub fn fill<E>(
        mut content: any_pointer::Builder<'_>,
        fill: impl FnOnce(&mut Self, any_pointer::Builder<'_>) -> Result<(), E>,
    ) -> Result<Vec<Option<C>>, E> {
        let mut this = Self { caps: Vec::new() };
        let mut hooks = Hooks::new();
        let mut inner = content.reborrow();
        inner.imbue_mut(&mut hooks);
        fill(&mut this, inner)?;
        let index_of =
            |hook: &Option<Box<dyn ClientHook>>| hook.as_ref().map(|hook| hook.get_ptr());
        // The usual case: each is written once, as soon as it is added.
        if hooks
            .iter()
            .map(index_of)
            .eq((0..this.caps.len()).map(Some))
        {
            return Ok(this.caps);
        }
        let caps = hooks.into_iter().map(|hook| {
            let index = hook?.get_ptr();
            this.caps.get(index).cloned().flatten()
        });
        Ok(caps.collect())
    }
}

/// Lets `read` read the content of a message that has these capabilities. A pointer to a null
/// capability is read like others, so that the content can be copied: [`find`] tells.
pub fn read<C, R>(
    content: any_pointer::Reader<'_>,
    caps: &[Option<C>],
    read: impl FnOnce(any_pointer::Reader<'_>) -> R,
) -> R {
    let mut content = content;
    let hooks: Hooks = (0..caps.len()).map(|index| Some(hook(index))).collect();
    content.imbue(&hooks);
    read(content)
}

/// Returns the table's entry that a hook in a message stands for.
pub fn find<'c, C>(caps: &'c [Option<C>], hook: &dyn ClientHook) -> Option<&'c C> {
    caps.get(hook.get_ptr())?.as_ref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::message::room;
    use super::*;

    /// Makes a content that holds the capability at `index` of these.
    fn message(caps: &[Option<u8>], index: usize) -> super::super::message::Building {
        let mut message = room(8);
        let content = message.get_root().unwrap();
        let filled = Caps::fill(content, |to: &mut Caps<u8>, mut content| {
            to.take_over(caps.iter().copied());
            content.set_as_capability(hook(index));
            Ok::<_, capnp::Error>(())
        });
        assert_eq!(filled.unwrap(), [caps[index]]);
        message
    }

    /// Guards against a call that was not forwarded: a promised parameter may turn out to be null, and
    /// a pointer to it could not be copied.
    #[test]
    fn a_content_with_a_null_capability_can_be_copied() {
        let original = message(&[None], 0);
        let mut copy = room(8);
        let copied = read(
            original.get_root_as_reader().unwrap(),
            &[None::<u8>],
            |from| {
                Caps::fill(
                    copy.get_root().unwrap(),
                    |to: &mut Caps<u8>, mut content| {
                        to.take_over([None].into_iter());
                        content.set_as(from)
                    },
                )
            },
        );
        assert_eq!(copied.unwrap(), [None]);
    }
}
