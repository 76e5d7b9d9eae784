//! The protocol on Cap'n Proto RPC, as libmultiprocess speaks it.
//!
//! Knows messages and threads; nothing of addresses, child processes, roles or the command line.
//! From the stream to the method a request passes: `event_loop` (who reads), `rpc` (bounds, objects),
//! `server` (which thread), generated code (values), the method. A call passes: generated code,
//! `object`, `exchange`, `rpc`. `threads` and `lanes` are which thread is which, and `current` is what
//! the calling thread is to its peers.

mod connection;
mod convert;
mod current;
mod event_loop;
mod exchange;
pub mod generated;
mod lanes;
mod log;
mod object;
mod relay;
mod rpc;
pub mod rt;
mod server;
mod sync;
mod threads;

use std::collections::HashMap;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use self::connection::{Connection, Side};
pub use self::current::{log_name, short_log_name};
use self::event_loop::waiter::{ConnectionId, Waited};
use self::event_loop::{EventLoop, OffLoop, Ready, Source, Timer, Token};
use self::object::Object;
pub use self::relay::Relay;
use self::rpc::{Ask, Cap, Host, Import, Request, Response, Target, find};
use self::rt::{Held, Info, Interface, Role, Untyped};
use self::server::{Erased, Local, LocalUntyped, ObjectServer};
use self::sync::lock;
use self::threads::ThreadMapServer;
use super::{Listening, Protocol};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// How long a listener rests after the system refused it a connection, such as for want of
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Cap'n Proto RPC with an event loop of its own. When it is dropped, the connections that it
/// serves end; those that it made go on until their `Init` is dropped.
pub struct Capnp {
    event_loop: Arc<EventLoop>,
    limits: Limits,
    incoming: Arc<Incoming>,
}

/// The connections that are served.
#[derive(Default)]
struct Incoming(Mutex<HashMap<ConnectionId, Arc<Connection>>>);

impl Incoming {
    fn disconnect(&self) {
        // Not under the lock, which a connection that ends takes.
        let connections: Vec<_> = lock(&self.0).values().cloned().collect();
        for connection in connections {
            connection.disconnect();
        }
    }

    fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// Notes a connection until it has ended. `over` runs then.
    fn open(
        self: &Arc<Self>,
        event_loop: &Arc<EventLoop>,
        limits: &Limits,
        stream: UnixStream,
        bootstrap: impl FnOnce(&Arc<Connection>) -> Arc<dyn Host>,
        over: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Connection>> {
        let this = self.clone();
        let connection = Connection::open(
            event_loop,
            limits.clone(),
            stream,
            Side::Server,
            |connection| Some(bootstrap(connection)),
            move |connection| {
                this.forget(connection);
                over();
            },
        )?;
        lock(&self.0).insert(connection.id, connection.clone());
        // It may have been forgotten already.
        if connection.closed().is_some() {
            self.forget(&connection);
        }
        Ok(connection)
    }

    fn forget(&self, connection: &Connection) {
        let ended = lock(&self.0).remove(&connection.id);
        drop(ended);
    }
}

fn unusable(error: io::Error) -> Error {
    Error::io("prepare the connection's stream", error)
}

impl Capnp {
    /// A process's IPC. `exe_name` is what peers see in the names of threads.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no descriptors.
    pub fn new(exe_name: &str, limits: Limits) -> Result<Self> {
        Ok(Self {
            event_loop: EventLoop::new(exe_name)?,
            limits,
            incoming: Arc::default(),
        })
    }

    /// Serves an object whose interface a schema tells at run time to the peer of a connected
    /// stream, and blocks until the connection has ended and the objects it used are destroyed.
    ///
    /// # Errors
    /// As [`Protocol::serve`].
    pub fn serve_object(&self, stream: UnixStream, object: Arc<dyn Untyped>) -> Result<()> {
        self.serve_erased(stream, Arc::new(LocalUntyped(object)))
    }

    fn serve_erased(&self, stream: UnixStream, object: Arc<dyn Erased>) -> Result<()> {
        self.event_loop.check_not_on_loop()?;
        let bootstrap = |connection: &Arc<Connection>| -> Arc<dyn Host> {
            ObjectServer::new(connection, object)
        };
        // This thread has nothing else to do, and then the loop needs none of its own.
        let stand_in = self.event_loop.stand_in();
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
        let opened = self
            .incoming
            .open(&self.event_loop, &self.limits, stream, bootstrap, over);
        let connection = opened.map_err(unusable)?;
        match stand_in {
            Some(stand_in) => stand_in.until(|| ended.load(Ordering::SeqCst)),
            None => self.event_loop.attend(),
        }
        connection.wait_closed(None);
        self.event_loop.wait_cleaned_up();
        Ok(())
    }

    /// Makes a connected stream a connection.
    fn open(
        &self,
        stream: UnixStream,
        side: Side,
        bootstrap: impl FnOnce(&Arc<Connection>) -> Option<Arc<dyn Host>>,
        over: impl FnOnce(&Arc<Connection>) + Send + 'static,
    ) -> Result<Arc<Connection>> {
        let (event_loop, limits) = (&self.event_loop, self.limits.clone());
        Connection::open(event_loop, limits, stream, side, bootstrap, over).map_err(unusable)
    }

    /// Makes a connected stream a client connection whose peer's bootstrap interface a schema
    /// tells at run time. The connection ends when the last handle to that object is dropped.
    ///
    /// # Errors
    /// As [`Protocol::connect`].
    pub fn connect_object(&self, stream: UnixStream, info: Held<Info>) -> Result<Object> {
        self.event_loop.check_not_on_loop()?;
        let connection = self.open(stream, Side::Client, |_| None, |_| ())?;
        let import = handshake(&connection, &info).inspect_err(|_| connection.disconnect())?;
        let object = Object::new(&connection, import, info);
        object.own_connection();
        Ok(object)
    }

    fn disconnect_incoming(&self) {
        self.incoming.disconnect();
    }

    /// Accepts connections on `listener` and gives each peer what `bootstrap` makes, until what this
    /// gives is dropped.
    fn accept_with(
        &self,
        listener: UnixListener,
        bootstrap: impl Fn(&Arc<Connection>) -> Arc<dyn Host> + Send + Sync + 'static,
    ) -> Result<Listening> {
        let failed = |error| Error::io("prepare the listening socket", error);
        listener.set_nonblocking(true).map_err(failed)?;
        let accepting = Arc::new(Accepting {
            token: self.event_loop.token(),
            listener,
            event_loop: self.event_loop.clone(),
            limits: self.limits.clone(),
            incoming: self.incoming.clone(),
            bootstrap: OffLoop::new(&self.event_loop, Box::new(bootstrap)),
            active: Mutex::new(0),
            pause: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let source = accepting.clone();
        self.event_loop
            .add(accepting.token, &accepting.listener, source)
            .map_err(failed)?;
        self.event_loop.attend();
        Ok(Listening::new(move || accepting.stop()))
    }
}

impl Drop for Capnp {
    fn drop(&mut self) {
        self.incoming.disconnect();
    }
}

impl<I: Interface + ?Sized> Protocol<I> for Capnp {
    fn connect(&self, stream: UnixStream) -> Result<Arc<I>> {
        Ok(I::client(self.connect_object(stream, I::INFO.into())?))
    }

    fn serve(&self, stream: UnixStream, init: Arc<I>) -> Result<()> {
        self.serve_erased(stream, Arc::new(Local(init)))
    }

    fn listen(&self, listener: UnixListener, init: Arc<I>) -> Result<Listening> {
        let init: Arc<dyn Erased> = Arc::new(Local(init));
        self.accept_with(listener, move |connection| {
            ObjectServer::new(connection, init.clone())
        })
    }

    fn disconnect_incoming(&self) {
        Self::disconnect_incoming(self);
    }

    fn incoming(&self) -> usize {
        self.incoming.count()
    }
}

/// Asks for the peer's `Init`, and swaps thread maps with it: the first call on every connection.
fn handshake(connection: &Arc<Connection>, info: &Info) -> Result<Arc<Import>> {
    let limit = connection.limits.handshake_time;
    let deadline = Instant::now().checked_add(limit);
    let construct = info.methods.iter().find(|m| m.role == Role::Construct);
    let request = construct.map(|method| {
        use self::generated::wire::init_capnp::init::construct_params;
        use ::capnp::capability::FromClientHook;
        Request::new(method.interface_id, method.ordinal, |caps, params| {
            let map = caps.add(rpc::Param::Cap(ThreadMapServer::of(connection)));
            let mut params = params.init_as::<construct_params::Builder<'_>>();
            params.set_thread_map(FromClientHook::new(map));
            Ok(())
        })
    });
    let request = request.transpose()?;
    let constructs = request.is_some();
    let waited = connection.wait_for(
        deadline,
        || false,
        |tell| {
            let both = Arc::new(Mutex::new((None, None, Some(tell))));
            let told = both.clone();
            let complete = move |both: &Mutex<Handshake>| {
                let mut state = lock(both);
                if state.0.is_none() || (constructs && state.1.is_none()) {
                    return;
                }
                if let (Some(init), constructed, Some(tell)) =
                    (state.0.take(), state.1.take(), state.2.take())
                {
                    drop(state);
                    tell.tell((init, constructed));
                }
            };
            let bootstrapped = move |answer| {
                lock(&told).0 = Some(answer);
                complete(&told);
            };
            let ask = request.map(|request| Ask {
                target: Target::Previous(None),
                request,
                done: Box::new(move |answer| {
                    lock(&both).1 = Some(answer);
                    complete(&both);
                }),
            });
            connection.link().bootstrap(Box::new(bootstrapped), ask);
        },
    )?;
    let name = &info.name;
    let (init, constructed) = match waited {
        Waited::Done(both) => both,
        Waited::TimedOut | Waited::Stopped => {
            return Err(Error::Timeout {
                what: format!("the peer's answer to {name}.construct"),
                after: limit,
            });
        }
    };
    let ended = |error| match error {
        Error::Disconnected(_) => Error::Disconnected(format!(
            "the peer ended the connection before it answered {name}.construct"
        )),
        error => error,
    };
    if let Some(constructed) = constructed {
        let map = thread_map_of(&constructed.map_err(ended)?)?;
        *lock(&connection.thread_map) = map;
    }
    let init = init.map_err(ended)?;
    match init.caps().first() {
        Some(Some(Cap::Import(import))) => Ok(import.clone()),
        _ => Err(Error::failed("the peer offers no object")),
    }
}

/// What a handshake waits for: the peer's object, the answer to its `construct`, and who is told.
type Handshake = (
    Option<Result<Response>>,
    Option<Result<Response>>,
    Option<connection::Tell<(Result<Response>, Option<Result<Response>>)>>,
);

/// The peer's thread map in its answer to `construct`.
fn thread_map_of(answer: &Response) -> Result<Option<Cap>> {
    use self::generated::wire::init_capnp::init::construct_results;
    use ::capnp::capability::FromClientHook;
    let map = answer.read(|results| {
        let results = results.get_as::<construct_results::Reader<'_>>()?;
        match results.has_thread_map() {
            true => {
                let map = results.get_thread_map()?;
                Ok(find(answer.caps(), map.as_client_hook()).cloned())
            }
            false => Ok(None),
        }
    });
    map.and_then(|map| map).map_err(convert::from_capnp)
}

/// What makes the object that a client gets.
type Bootstrap = Box<dyn Fn(&Arc<Connection>) -> Arc<dyn Host> + Send + Sync>;

/// A listener whose connections are accepted, no more at once than the limit: further clients wait in
/// the kernel's queue, as with libmultiprocess.
struct Accepting {
    token: Token,
    listener: UnixListener,
    event_loop: Arc<EventLoop>,
    limits: Limits,
    incoming: Arc<Incoming>,
    bootstrap: OffLoop<Bootstrap>,
    /// How many of its connections there are.
    active: Mutex<usize>,
    /// Goes off when it may try again.
    pause: Mutex<Option<Timer>>,
    stopped: AtomicBool,
}

impl Accepting {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.event_loop.remove(self.token, &self.listener);
    }

    /// Takes a place for a connection, if there is one.
    fn begin(&self) -> bool {
        let mut active = lock(&self.active);
        let free = *active < self.limits.connections;
        *active += usize::from(free);
        free
    }

    fn end(&self) {
        *lock(&self.active) -= 1;
        if !self.stopped.load(Ordering::SeqCst) {
            self.event_loop.nudge(self.token);
        }
    }

    fn rest(self: &Arc<Self>, error: &io::Error) {
        tracing::warn!(target: "ipc", "IPC server: accept failed: {error}");
        let weak = Arc::downgrade(self);
        let timer = self.event_loop.after(ACCEPT_PAUSE, move || {
            if let Some(this) = Weak::upgrade(&weak) {
                this.event_loop.nudge(this.token);
            }
        });
        let before = std::mem::replace(&mut *lock(&self.pause), timer);
        drop(before);
    }
}

impl Source for Accepting {
    fn ready(self: Arc<Self>, _: Ready, _: &mut Vec<u8>) -> bool {
        while !self.stopped.load(Ordering::SeqCst) && self.begin() {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    *lock(&self.active) -= 1;
                    match error.kind() {
                        io::ErrorKind::WouldBlock => {}
                        io::ErrorKind::Interrupted => continue,
                        _ => self.rest(&error),
                    }
                    return false;
                }
            };
            let (weak, bootstrap) = (Arc::downgrade(&self), self.bootstrap.get());
            let over = move || {
                if let Some(this) = weak.upgrade() {
                    this.end();
                }
            };
            let opened =
                self.incoming
                    .open(&self.event_loop, &self.limits, stream, bootstrap, over);
            match opened {
                // It came while this was being stopped.
                Ok(connection) if self.stopped.load(Ordering::SeqCst) => connection.disconnect(),
                Ok(_) => {}
                Err(error) => tracing::warn!(target: "ipc", "IPC server: a connection: {error}"),
            }
        }
        false
    }

    fn flush(&self) {}

    fn failed(&self) {}
}
