//! The protocol on Cap'n Proto RPC, as libmultiprocess speaks it.
//!
//! Knows capnp-rpc and threads; nothing of addresses, child processes, roles or the command line.
//! From the stream to the method a request passes: `frame` (bounds), capnp-rpc, `server` (which
//! thread), generated code (values), the method. A call passes: generated code, `object`, the
//! `event_loop`, capnp-rpc, `frame`. `waiter` is where threads wait; `threads` and `lanes` are which is
//! which.

mod connection;
mod convert;
mod current;
mod event_loop;
mod exchange;
mod frame;
pub mod generated;
mod lanes;
mod log;
mod object;
mod relay;
pub mod rt;
mod runtime;
mod server;
mod sync;
mod threads;
pub mod waiter;

use std::collections::HashMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ::capnp::capability::FromClientHook;
use futures::channel::{mpsc as local, oneshot};
use futures::future::{self, Either, FutureExt};
use futures::stream::StreamExt;

use self::connection::{Connection, Shared, Side};
pub use self::current::log_name;
use self::event_loop::{EventLoop, LoopState, OffLoop};
use self::object::Object;
pub use self::relay::Relay;
use self::rt::{Held, Info, Interface, Untyped};
use self::runtime::{Listener, Stream, sleep, timeout};
use self::server::{AnyClient, Erased, Local, LocalUntyped};
use self::sync::lock;
use self::waiter::ConnectionId;
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

#[derive(Default)]
struct Incoming(Mutex<HashMap<ConnectionId, Arc<Shared>>>);

impl Capnp {
    /// Accepts connections on `listener` and gives each peer what `bootstrap` makes.
    fn accept_with(
        &self,
        listener: UnixListener,
        bootstrap: impl Fn(&Rc<Connection>) -> AnyClient + Send + 'static,
    ) -> Result<Listening> {
        let failed = |error| Error::io("prepare the listening socket", error);
        listener.set_nonblocking(true).map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (event_loop, limits) = (self.event_loop.clone(), self.limits.clone());
        let incoming = self.incoming.clone();
        let begun = self.event_loop.sync(move |state| {
            let accepting = accept(
                state.clone(),
                event_loop,
                Listener::new(listener)?,
                bootstrap,
                limits,
                incoming,
            );
            state.spawn(future::select(Box::pin(accepting), stopped).map(|_| ()));
            Ok(())
        })?;
        begun.map_err(failed)?;
        Ok(Listening::new(move || drop(stop)))
    }

    /// Starts the event loop. `exe_name` is what peers see in the names of threads.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn new(exe_name: &str, limits: Limits) -> Result<Self> {
        Ok(Self {
            event_loop: EventLoop::start(exe_name)?,
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
        self.serve_erased(stream, Box::new(LocalUntyped(object)))
    }

    fn serve_erased(&self, stream: UnixStream, object: Box<dyn Erased>) -> Result<()> {
        let shared = Shared::new(self.event_loop.clone(), self.limits.clone());
        let (incoming, served) = (self.incoming.clone(), shared.clone());
        let object = OffLoop::new(&self.event_loop, object);
        self.event_loop.sync(move |state| {
            let stream = watched(stream)?;
            let bootstrap = |connection: &Rc<Connection>| connection.serve(object.into_inner());
            incoming.open(state, &served, stream, bootstrap, || ());
            Ok(())
        })??;
        shared.wait_closed(None);
        self.event_loop.wait_cleaned_up();
        Ok(())
    }

    /// Makes a connected stream a client connection whose peer's bootstrap interface a schema
    /// tells at run time. The connection ends when the last handle to that object is dropped.
    ///
    /// # Errors
    /// As [`Protocol::connect`].
    pub fn connect_object(&self, stream: UnixStream, info: Held<Info>) -> Result<Object> {
        self.event_loop.check_not_on_loop()?;
        let shared = Shared::new(self.event_loop.clone(), self.limits.clone());
        let (sender, receiver) = mpsc::sync_channel(1);
        self.event_loop.post(move |state| {
            let stream = match watched(stream) {
                Ok(stream) => stream,
                Err(error) => return drop(sender.send(Err(error))),
            };
            let (connection, peer) =
                Connection::open(state, shared, stream, Side::Client, |_| None, || ());
            state.spawn(async move {
                let _ = sender.send(handshake(connection, peer, info).await);
            });
        });
        receiver
            .recv()
            .map_err(|_| Error::Disconnected("the event loop has ended".into()))?
    }
}

impl Drop for Capnp {
    fn drop(&mut self) {
        self.incoming.disconnect();
    }
}

impl Incoming {
    fn disconnect(&self) {
        // Not under the lock, which the loop takes when a connection has ended.
        let connections: Vec<_> = lock(&self.0).values().cloned().collect();
        for shared in connections {
            shared.disconnect();
        }
    }

    /// Serves what `bootstrap` makes on a stream. `on_closed` runs on the loop.
    fn open(
        self: &Arc<Self>,
        state: &Rc<LoopState>,
        shared: &Arc<Shared>,
        stream: Stream,
        bootstrap: impl FnOnce(&Rc<Connection>) -> AnyClient,
        on_closed: impl FnOnce() + 'static,
    ) {
        let (this, id) = (self.clone(), shared.id);
        lock(&self.0).insert(id, shared.clone());
        Connection::open(
            state,
            shared.clone(),
            stream,
            Side::Server,
            |connection| Some(bootstrap(connection)),
            move || {
                lock(&this.0).remove(&id);
                on_closed();
            },
        );
    }
}

impl<I: Interface + ?Sized> Protocol<I> for Capnp {
    fn connect(&self, stream: UnixStream) -> Result<Arc<I>> {
        Ok(I::client(self.connect_object(stream, I::INFO.into())?))
    }

    fn serve(&self, stream: UnixStream, init: Arc<I>) -> Result<()> {
        self.serve_erased(stream, Box::new(Local(init)))
    }

    fn listen(&self, listener: UnixListener, init: Arc<I>) -> Result<Listening> {
        let init = OffLoop::new(&self.event_loop, init);
        self.accept_with(listener, move |connection| {
            connection.serve(Box::new(Local(init.clone())))
        })
    }

    fn disconnect_incoming(&self) {
        self.incoming.disconnect();
    }

    fn incoming(&self) -> usize {
        lock(&self.incoming.0).len()
    }
}

/// A stream as the loop has it, on the loop.
fn watched(stream: UnixStream) -> Result<Stream> {
    stream
        .set_nonblocking(true)
        .and_then(|()| Stream::new(stream))
        .map_err(|error| Error::io("prepare the connection's stream", error))
}

/// Swaps thread maps and makes the peer's `Init` a handle that owns the connection.
async fn handshake(
    connection: Rc<Connection>,
    peer: AnyClient,
    info: Held<Info>,
) -> Result<Object> {
    let limit = connection.shared.limits.handshake_time;
    let constructed = timeout(limit, connection.construct(&peer, &info)).await;
    let result = match constructed {
        Ok(Ok(())) => {
            let object = Object::new(&connection, peer.into_client_hook(), info);
            object.own_connection();
            return Ok(object);
        }
        Ok(Err(Error::Disconnected(_))) => Err(Error::Disconnected(format!(
            "the peer ended the connection before it answered {}.construct",
            info.name
        ))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Timeout {
            what: format!("the peer's answer to {}.construct", info.name),
            after: limit,
        }),
    };
    connection.disconnect();
    result
}

/// Accepts connections, no more at once than the limit: further clients wait in the kernel's
/// queue, as with libmultiprocess.
async fn accept(
    state: Rc<LoopState>,
    event_loop: Arc<EventLoop>,
    listener: Listener,
    bootstrap: impl Fn(&Rc<Connection>) -> AnyClient,
    limits: Limits,
    incoming: Arc<Incoming>,
) {
    let (closed, mut closing) = local::unbounded::<()>();
    let mut active = 0;
    loop {
        while active >= limits.connections {
            closing.next().await;
            active -= 1;
        }
        let accepted = {
            let accept = Box::pin(listener.accept());
            match future::select(accept, closing.next()).await {
                Either::Left((accepted, _)) => accepted,
                Either::Right(_) => {
                    active -= 1;
                    continue;
                }
            }
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(target: "ipc", "IPC server: accept failed: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let shared = Shared::new(event_loop.clone(), limits.clone());
        let closed = closed.clone();
        let on_closed = move || {
            let _ = closed.unbounded_send(());
        };
        incoming.open(&state, &shared, stream, &bootstrap, on_closed);
        active += 1;
    }
}
