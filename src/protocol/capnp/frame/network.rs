//! The connection as capnp-rpc wants it: its network traits for one stream.
//!
//! Knows capnp-rpc's ways: it prints what a failing task of its own tells it, so none fails here,
//! and the reasons are kept in the link instead.

use std::future::poll_fn;
use std::rc::Rc;

use capnp::any_pointer;
use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::{IncomingMessage, OutgoingMessage};

use super::super::runtime::Stream;
use super::envelope::Outgoing;
use super::link::{Handle, Link};
use super::message::Built;
use super::reason::CloseReason;
use super::write::OVERHEAD;
use crate::limits::Limits;

/// The largest first segment, in words, that is made before it is known what goes in. capnp-rpc
/// asks for 1024 words for each call, and most calls need some thirty.
const FIRST_SEGMENT: u32 = 128;

/// Which of the two sides is meant, as seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// This process.
    #[allow(
        dead_code,
        reason = "what the network answers for it is part of its contract"
    )]
    Local,
    /// The peer.
    Peer,
}

/// A connection over `stream`: what an [`RpcSystem`](capnp_rpc::RpcSystem) is made of, and what is
/// kept of it beside. A connection that is `incoming` must send its first message soon.
///
/// Bootstrap with [`Side::Peer`] for the peer's object, and do so before the system first runs.
/// The connection lasts until the system is dropped, at the latest.
pub(crate) fn connect(stream: Stream, limits: Limits, incoming: bool) -> (Network, Handle) {
    let link = Link::new(stream, limits, incoming);
    let network = Network {
        link: Rc::clone(&link),
        accepted: false,
    };
    (network, Handle(link))
}

/// The network of two parties over one stream.
pub(crate) struct Network {
    link: Rc<Link>,
    accepted: bool,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.link
            .kill(CloseReason::Local("the connection was dropped".into()));
    }
}

impl capnp_rpc::VatNetwork<Side> for Network {
    fn connect(&mut self, side: Side) -> Option<Box<dyn capnp_rpc::Connection<Side>>> {
        match side {
            Side::Local => None,
            Side::Peer => Some(Box::new(Connection(Rc::clone(&self.link)))),
        }
    }

    fn accept(&mut self) -> Promise<Box<dyn capnp_rpc::Connection<Side>>, capnp::Error> {
        if std::mem::replace(&mut self.accepted, true) {
            return Promise::from_future(std::future::pending());
        }
        Promise::ok(Box::new(Connection(Rc::clone(&self.link))))
    }

    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        let link = Rc::clone(&self.link);
        Promise::from_future(async move {
            poll_fn(|cx| link.poll_drive(cx)).await;
            Ok(())
        })
    }
}

/// The one connection of the network. capnp-rpc may ask for it twice.
struct Connection(Rc<Link>);

impl capnp_rpc::Connection<Side> for Connection {
    fn get_peer_vat_id(&self) -> Side {
        Side::Peer
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let words = first_segment_words.clamp(8, FIRST_SEGMENT);
        Box::new(Outbound {
            link: Rc::clone(&self.0),
            message: Builder::new(HeapAllocator::new().first_segment_words(words)),
            first_words: words as usize,
        })
    }

    fn receive_incoming_message(
        &mut self,
    ) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let link = Rc::clone(&self.0);
        Promise::from_future(poll_fn(move |cx| link.poll_receive(cx)))
    }

    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        self.0.shut_down(result);
        let link = Rc::clone(&self.0);
        Promise::from_future(async move {
            poll_fn(|cx| link.poll_over(cx)).await;
            Ok(())
        })
    }
}

/// A message that capnp-rpc builds.
struct Outbound {
    link: Rc<Link>,
    message: Builder<HeapAllocator>,
    first_words: usize,
}

impl OutgoingMessage for Outbound {
    fn get_body(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        self.message.get_root()
    }

    fn get_body_as_reader(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.message.get_root_as_reader()
    }

    /// The promise is fulfilled at once: it only serves flow control, which has bounds of its own.
    fn send(self: Box<Self>) -> (Promise<(), capnp::Error>, Built) {
        let words = self.message.size_in_words().max(self.first_words);
        let message = Rc::new(self.message);
        self.link.send(Outgoing {
            message: Rc::clone(&message),
            cost: words * 8 + OVERHEAD,
        });
        (Promise::ok(()), message)
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.message
    }

    fn size_in_words(&self) -> usize {
        self.message.size_in_words()
    }
}
