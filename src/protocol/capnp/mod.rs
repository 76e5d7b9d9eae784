//! The protocol on Cap'n Proto RPC, as libmultiprocess speaks it.
//!
//! Knows messages and threads; nothing of addresses, child processes, roles or the command line.
//! A request passes, from the stream to the method: `event_loop` (which thread reads), `rpc` (bounds,
//! capabilities), `server` (which thread executes it), generated code (values), the method. A call
//! passes: generated code, `calls`, `outgoing` (values), `batch`, `rpc`.
//!
//! Each file names only files after it in this order: `rt`, `cast`, `calls`, `outgoing`, `values`,
//! `served` and `server`, `object`, `batch`, `connection`, `threads`, `rpc`, `event_loop`. `values`,
//! `served` and `server` name each other, since a value may be an object that is served here. `handshake`
//! and `accept` are directly above `connection`, and `log` is directly above `rpc`. All of them may name
//! `accounts`, `convert`, `info`, `sync` and `wire`, which name none of them.

mod accept;
mod accounts;
mod batch;
mod calls;
mod cast;
mod connection;
mod convert;
mod destroys;
mod ended;
mod event_loop;
#[doc(hidden)]
pub mod generated;
mod handshake;
mod info;
mod log;
mod object;
mod outgoing;
mod relay;
mod rpc;
#[doc(hidden)]
pub mod rt;
mod served;
mod server;
mod sync;
mod threads;
mod values;
mod wakers;
#[doc(hidden)]
pub mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::accept::{Accepting, Serving};
use self::accounts::Account;
use self::connection::{Connection, Side, Terms};
use self::event_loop::{EventLoop, StandIn};
use self::info::{Info, StaticOrShared};
use self::object::Object;
pub use self::relay::Relay;
use self::rpc::Host;
pub use self::rpc::{CloseReason, Direction, Envelope, Observer, Seen, envelope};
use self::served::{Local, Served};
use self::server::ObjectServer;
pub use self::threads::thread_context::{log_name, short_log_name};
use self::values::Interface;
use super::{Listening, Protocol};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::transport::{Acceptor, Stream};

/// Cap'n Proto RPC with an event loop of its own. When it is dropped, the connections that it
/// serves end; those that it made go on until the last handle to an object of the peer is dropped.
pub struct Capnp {
    event_loop: Arc<EventLoop>,
    terms: Terms,
    serving: Arc<Serving>,
}

fn unusable(error: io::Error) -> Error {
    Error::io("prepare the connection's stream", error)
}

impl Capnp {
    /// Makes a process's IPC. `exe_name` is the name that peers see in the names of threads.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no descriptors.
    pub fn new(exe_name: &str, limits: Limits) -> Result<Self> {
        Ok(Self {
            event_loop: EventLoop::new(exe_name)?,
            terms: Terms::new(limits),
            serving: Arc::default(),
        })
    }

    /// Shows every message of connections made from now on, in both directions, to `observer`.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.terms.observer = Some(observer);
        self
    }

    /// Serves an object of any interface to the peer of a connected stream, and blocks until the
    /// connection has ended and the objects it used are destroyed.
    ///
    /// # Errors
    /// Returns the errors of [`Protocol::serve`].
    pub fn serve_object(
        &self,
        stream: impl Into<Box<dyn Stream>>,
        object: Arc<dyn Served>,
    ) -> Result<()> {
        let stream = stream.into();
        self.event_loop.check_not_on_loop()?;
        let bootstrap = |connection: &Arc<Connection>| -> Arc<dyn Host> {
            ObjectServer::new(connection, object)
        };
        // This thread has nothing else to do, and then the loop needs none of its own.
        let stand_in = StandIn::new(&self.event_loop);
        let ended = Arc::new(AtomicBool::new(false));
        let over = {
            let (ended, event_loop) = (ended.clone(), Arc::downgrade(&self.event_loop));
            move || {
                ended.store(true, Ordering::SeqCst);
                if let Some(event_loop) = event_loop.upgrade() {
                    event_loop.relieve();
                }
            }
        };
        let account = self.terms.account(&*stream);
        let (event_loop, terms) = (&self.event_loop, &self.terms);
        let opened = self
            .serving
            .open(event_loop, terms, account, stream, bootstrap, over);
        let connection = opened.map_err(unusable)?;
        match stand_in {
            Some(stand_in) => stand_in.until(|| ended.load(Ordering::SeqCst)),
            None => self.event_loop.attend(),
        }
        connection.wait_closed(None);
        self.event_loop.wait_cleaned_up();
        Ok(())
    }

    /// Opens a connection over a connected stream.
    fn open(
        &self,
        stream: Box<dyn Stream>,
        side: Side,
        bootstrap: impl FnOnce(&Arc<Connection>) -> Option<Arc<dyn Host>>,
        over: impl FnOnce(&Arc<Connection>) + Send + 'static,
    ) -> Result<Arc<Connection>> {
        let account = self.terms.account(&*stream);
        self.open_with(&self.terms, account, stream, side, bootstrap, over)
    }

    /// Opens a connection over a connected stream on other terms, charged to `account`.
    fn open_with(
        &self,
        terms: &Terms,
        account: Arc<Account>,
        stream: Box<dyn Stream>,
        side: Side,
        bootstrap: impl FnOnce(&Arc<Connection>) -> Option<Arc<dyn Host>>,
        over: impl FnOnce(&Arc<Connection>) + Send + 'static,
    ) -> Result<Arc<Connection>> {
        let event_loop = &self.event_loop;
        let opened = Connection::open(event_loop, terms, account, stream, side, bootstrap, over);
        opened.map_err(unusable)
    }

    /// Opens a client connection over a connected stream to a peer whose bootstrap interface is `info`.
    /// The connection ends when the last handle to any object of the peer is dropped.
    ///
    /// # Errors
    /// Returns the errors of [`Protocol::connect`].
    pub fn connect_object(
        &self,
        stream: impl Into<Box<dyn Stream>>,
        info: StaticOrShared<Info>,
    ) -> Result<Object> {
        self.event_loop.check_not_on_loop()?;
        let connection = self.open(stream.into(), Side::Client, |_| None, |_| ())?;
        let import = handshake::ask(&connection, &info).inspect_err(|_| connection.disconnect())?;
        Ok(Object::new(&connection, import, info))
    }

    fn disconnect_incoming(&self) {
        self.serving.disconnect();
    }

    /// Accepts connections on `acceptor`, until the returned value is dropped. `bootstrap` makes the
    /// object that each peer gets.
    fn accept_with(
        &self,
        acceptor: Box<dyn Acceptor>,
        terms: Terms,
        bootstrap: impl Fn(&Arc<Connection>) -> Arc<dyn Host> + Send + Sync + 'static,
    ) -> Result<Listening> {
        let accepting = Accepting::start(
            &self.event_loop,
            terms,
            &self.serving,
            acceptor,
            Box::new(bootstrap),
        );
        let accepting = accepting.map_err(|error| Error::io("prepare the listener", error))?;
        Ok(Listening::new(move || accepting.stop()))
    }
}

impl Drop for Capnp {
    fn drop(&mut self) {
        self.serving.disconnect();
    }
}

impl<I: Interface + ?Sized> Protocol<I> for Capnp {
    fn connect(&self, stream: Box<dyn Stream>) -> Result<Arc<I>> {
        Ok(I::client(self.connect_object(stream, I::INFO.into())?))
    }

    fn serve(&self, stream: Box<dyn Stream>, init: Arc<I>) -> Result<()> {
        self.serve_object(stream, Arc::new(Local(init)))
    }

    fn listen(&self, acceptor: Box<dyn Acceptor>, init: Arc<I>) -> Result<Listening> {
        let init: Arc<dyn Served> = Arc::new(Local(init));
        self.accept_with(acceptor, self.terms.clone(), move |connection| {
            ObjectServer::new(connection, init.clone())
        })
    }

    fn disconnect_incoming(&self) {
        Self::disconnect_incoming(self);
    }

    fn incoming(&self) -> usize {
        self.serving.count()
    }
}

crate::opaque::opaque!(Capnp, "Capnp");
