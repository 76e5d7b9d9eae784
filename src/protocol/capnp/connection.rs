//! One connection: its peer's objects and threads on the event loop's side, and what other threads
//! may know of it.
//!
//! Knows streams, capnp-rpc and the loop; nothing of addresses, processes or particular interfaces.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;
use capnp_rpc::{CapabilityServerSet, RpcSystem};
use futures::channel::oneshot;
use futures::{FutureExt, future};

use super::convert::from_capnp;
use super::event_loop::{EventLoop, LoopState};
use super::frame::{self, CloseReason};
use super::generated::wire::proxy_capnp::{thread, thread_map};
use super::lanes::Lanes;
use super::rt::{Info, Role};
use super::runtime::{Stream, timeout};
use super::server::{AnyClient, Erased, ObjectServer};
use super::sync::lock;
use super::threads::{ThreadMapServer, ThreadServer, Unthreaded};
use super::waiter::ConnectionId;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// What libmultiprocess says of a call that the end of its connection interrupts.
pub const INTERRUPTED: &str = "IPC client method call interrupted by disconnect.";
/// What libmultiprocess says of a call on a connection that has ended.
pub const AFTER_DISCONNECT: &str = "IPC client method called after disconnect.";

/// How long a connection that is let go of, and the answer to a request, wait for the peer to answer
/// the last `destroy`s.
pub const DESTROY_TIME: Duration = Duration::from_secs(2);

/// Numbers connections; never reused within a process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

type CleanupFn = Box<dyn FnOnce() + Send>;

/// A connection as any thread may hold it.
pub struct Shared {
    /// Its number.
    pub id: ConnectionId,
    /// The loop it lives on.
    pub event_loop: Arc<EventLoop>,
    /// Its bounds.
    pub limits: Limits,
    status: Mutex<Status>,
    changed: Condvar,
}

#[derive(Default)]
struct Status {
    /// Why it ended, once it has.
    closed: Option<String>,
    /// What to run when an object goes, by the object.
    cleanups: BTreeMap<u64, Vec<CleanupFn>>,
}

impl Shared {
    /// A connection that is not open yet.
    pub fn new(event_loop: Arc<EventLoop>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            event_loop,
            limits,
            status: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Why it ended, once it has.
    pub fn closed(&self) -> Option<String> {
        lock(&self.status).closed.clone()
    }

    /// Blocks until it has ended or `timeout` has passed; tells whether it has ended.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut status = lock(&self.status);
        while status.closed.is_none() {
            status = match deadline {
                None => self
                    .changed
                    .wait(status)
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed
                        .wait_timeout(status, left)
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .0
                }
            };
        }
        true
    }

    /// Runs `task` on the loop with this connection, if it has not ended by then.
    pub fn post(&self, task: impl FnOnce(&Rc<Connection>) + Send + 'static) {
        let id = self.id;
        self.event_loop.post(move |state| {
            let connection = state.connections.borrow().get(&id).cloned();
            if let Some(connection) = connection {
                task(&connection);
            }
        });
    }

    /// Ends the connection at once: when this returns, nothing more is sent or received. On the
    /// loop's own thread it happens soon.
    pub fn disconnect(&self) {
        let id = self.id;
        let task = move |state: &Rc<LoopState>| {
            let connection = state.connections.borrow().get(&id).cloned();
            if let Some(connection) = connection {
                connection.disconnect();
            }
        };
        if self.event_loop.sync(task).is_err() {
            self.post(|connection| connection.disconnect());
        }
    }

    /// Ends the connection, after the peer has answered the `destroy`s under way.
    pub fn close(&self) {
        self.post(|connection| {
            let this = connection.clone();
            connection.spawn(async move {
                let destroyed = this.all_destroyed();
                let _ = timeout(DESTROY_TIME, destroyed).await;
                this.frames.shut_down("let go of");
            });
        });
    }

    /// Runs `f` when the object goes, or now if the connection has ended.
    pub fn on_cleanup(&self, object: u64, f: CleanupFn) {
        let mut status = lock(&self.status);
        if status.closed.is_none() {
            status.cleanups.entry(object).or_default().push(f);
        } else {
            drop(status);
            self.event_loop.clean_up(f);
        }
    }

    /// Runs what is to run when this object goes.
    pub fn object_gone(&self, object: u64) {
        let cleanups = lock(&self.status).cleanups.remove(&object);
        for cleanup in cleanups.into_iter().flatten() {
            self.event_loop.clean_up(cleanup);
        }
    }

    fn set_closed(&self, reason: String) {
        let mut status = lock(&self.status);
        if status.closed.is_some() {
            return;
        }
        status.closed = Some(reason);
        // Before anyone can see that it has ended, so that who then waits for what is cleaned up waits
        // for these, too.
        for cleanup in std::mem::take(&mut status.cleanups).into_values().flatten() {
            self.event_loop.clean_up(cleanup);
        }
        drop(status);
        self.changed.notify_all();
    }
}

/// A connection on the event loop.
pub struct Connection {
    /// Its part that other threads may hold.
    pub shared: Arc<Shared>,
    state: Weak<LoopState>,
    frames: frame::Handle,
    /// The peer's objects that this process has handles to.
    objects: RefCell<HashMap<u64, Box<dyn ClientHook>>>,
    next_object: Cell<u64>,
    /// This process's objects that the peer may hold, to know them when they come back.
    exports: RefCell<CapabilityServerSet<ObjectServer, AnyClient>>,
    exported: Cell<usize>,
    /// The peer's thread map.
    pub thread_map: RefCell<Option<thread_map::Client>>,
    /// This process's threads that the peer may name.
    pub threads: RefCell<CapabilityServerSet<ThreadServer, thread::Client>>,
    /// The peer's threads that stand for this process's.
    pub lanes: Lanes,
    /// The threads of `makePool`.
    pub pool: RefCell<Vec<(Rc<ThreadServer>, thread::Client)>>,
    /// The thread for calls that name none.
    pub unthreaded: Unthreaded,
    /// The peer's bootstrap capability, where it is to be handed on.
    pub bootstrap: RefCell<Option<AnyClient>>,
    destroying: Cell<usize>,
    destroyed: RefCell<Vec<oneshot::Sender<()>>>,
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This process connected, and calls the peer's `Init`.
    Client,
    /// The peer connected, and calls this process's `Init`.
    Server,
}

impl Connection {
    /// Puts a stream on the loop. `bootstrap` makes what the peer gets when it asks for this
    /// process's `Init`; the peer's own comes back as a capability.
    pub fn open(
        state: &Rc<LoopState>,
        shared: Arc<Shared>,
        stream: Stream,
        side: Side,
        bootstrap: impl FnOnce(&Rc<Self>) -> Option<AnyClient>,
        on_closed: impl FnOnce() + 'static,
    ) -> (Rc<Self>, AnyClient) {
        let (network, frames) = frame::connect(stream, shared.limits.clone(), side == Side::Server);
        let this = Rc::new_cyclic(|weak: &Weak<Self>| Self {
            shared: shared.clone(),
            state: Rc::downgrade(state),
            frames: frames.clone(),
            objects: RefCell::default(),
            next_object: Cell::new(0),
            exports: RefCell::default(),
            exported: Cell::new(0),
            thread_map: RefCell::default(),
            threads: RefCell::default(),
            lanes: Lanes::new(weak.clone()),
            pool: RefCell::default(),
            unthreaded: Unthreaded::default(),
            bootstrap: RefCell::default(),
            destroying: Cell::new(0),
            destroyed: RefCell::default(),
        });
        let bootstrap = bootstrap(&this)
            .map(|client| capnp::capability::Client::new(client.into_client_hook()));
        let mut rpc = RpcSystem::new(Box::new(network), bootstrap);
        let peer = rpc.bootstrap::<AnyClient>(frame::Side::Peer);
        state
            .connections
            .borrow_mut()
            .insert(shared.id, this.clone());
        tracing::debug!(target: "ipc", "IPC {}: socket connected.", side_name(side));
        let connection = this.clone();
        state.spawn(async move {
            // capnp-rpc still has places that panic on what a peer sends; one peer's connection
            // must not take the others with it.
            let ended = std::panic::AssertUnwindSafe(rpc).catch_unwind().await;
            let reason = match ended {
                Ok(_) => connection
                    .frames
                    .reason()
                    .unwrap_or(CloseReason::PeerClosed),
                Err(_) => {
                    let text = "the peer sent what this process cannot handle";
                    let reason = CloseReason::Violation(text.to_owned());
                    connection.frames.close(reason.clone());
                    reason
                }
            };
            connection.finish(side, &reason);
            on_closed();
        });
        (this, peer)
    }

    /// The loop, unless it has ended.
    pub fn state(&self) -> Option<Rc<LoopState>> {
        self.state.upgrade()
    }

    /// Runs `future` on the loop.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if let Some(state) = self.state.upgrade() {
            state.spawn(future);
        }
    }

    /// The next request's number.
    pub fn next_request(&self) -> u64 {
        self.state.upgrade().map_or(0, |state| state.next_request())
    }

    /// Ends the connection at once.
    pub fn disconnect(&self) {
        self.frames.close(CloseReason::Local("disconnected".into()));
    }

    /// Swaps thread maps with the peer: the first call on every connection.
    ///
    /// # Errors
    /// What the peer answers.
    pub async fn construct(self: &Rc<Self>, init: &AnyClient, info: &Info) -> Result<()> {
        let Some(method) = info.methods.iter().find(|m| m.role == Role::Construct) else {
            return Ok(());
        };
        use super::generated::wire::init_capnp::init::{construct_params, construct_results};
        let mut request = capnp::capability::Client::new(init.as_client_hook().add_ref())
            .new_call::<construct_params::Owned, construct_results::Owned>(
            method.interface_id,
            method.ordinal,
            None,
        );
        request.get().set_thread_map(ThreadMapServer::client(self));
        let response = request
            .send()
            .promise
            .await
            .map_err(|e| self.call_error(e))?;
        let results = response.get().map_err(from_capnp)?;
        if results.has_thread_map() {
            let map = results.get_thread_map().map_err(from_capnp)?;
            *self.thread_map.borrow_mut() = Some(map);
        }
        Ok(())
    }

    /// Keeps a capability of the peer, by a number that any thread may hold.
    pub fn add_object(&self, hook: Box<dyn ClientHook>) -> u64 {
        let id = self.next_object.get();
        self.next_object.set(id + 1);
        self.objects.borrow_mut().insert(id, hook);
        id
    }

    /// The peer's object with this number.
    pub fn object(&self, id: u64) -> Option<Box<dyn ClientHook>> {
        self.objects.borrow().get(&id).map(|hook| hook.add_ref())
    }

    /// Lets go of the peer's object.
    pub fn remove_object(&self, id: u64) {
        let hook = self.objects.borrow_mut().remove(&id);
        drop(hook);
    }

    /// Gives the peer access to an object of this process.
    pub fn serve(self: &Rc<Self>, object: Box<dyn Erased>) -> AnyClient {
        let mut exports = self.exports.borrow_mut();
        // The set keeps an entry for each object it ever saw until it is told to look.
        self.exported.set(self.exported.get() + 1);
        if self.exported.get().is_multiple_of(256) {
            exports.gc();
        }
        exports.new_client(ObjectServer::new(self, object))
    }

    /// The object of this process behind `client`, when it is one.
    pub fn own_object(&self, client: &AnyClient) -> Option<Rc<ObjectServer>> {
        self.exports.borrow().get_local_server_of_resolved(client)
    }

    /// Notes that a `destroy` is under way; [`Shared::close`] waits for it.
    pub fn destroy_begins(&self) {
        self.destroying.set(self.destroying.get() + 1);
    }

    /// Notes that a `destroy` has been answered.
    pub fn destroy_ends(&self) {
        self.destroying.set(self.destroying.get().saturating_sub(1));
        if self.destroying.get() == 0 {
            for waiting in self.destroyed.take() {
                let _ = waiting.send(());
            }
        }
    }

    fn all_destroyed(&self) -> future::LocalBoxFuture<'static, ()> {
        if self.destroying.get() == 0 {
            return future::ready(()).boxed_local();
        }
        let (sender, receiver) = oneshot::channel();
        self.destroyed.borrow_mut().push(sender);
        receiver.map(|_| ()).boxed_local()
    }

    /// What a failed call means: the peer's exception, or the end of the connection.
    pub fn call_error(&self, error: capnp::Error) -> Error {
        match from_capnp(error) {
            Error::Disconnected(text) if !text.starts_with(REMOTE) => {
                Error::Disconnected(INTERRUPTED.into())
            }
            Error::Disconnected(text) => Error::Disconnected(text[REMOTE.len()..].to_owned()),
            error => error,
        }
    }

    /// Forgets everything of the peer. Handles that are left fail from now on.
    fn finish(&self, side: Side, reason: &CloseReason) {
        if let Some(state) = self.state.upgrade() {
            state.connections.borrow_mut().remove(&self.shared.id);
        }
        let name = side_name(side);
        if reason.is_clean() {
            tracing::debug!(target: "ipc", "IPC {name}: socket disconnected: {reason}");
        } else {
            tracing::warn!(target: "ipc", "IPC {name}: connection closed: {reason}");
        }
        // Taken out first: dropping one may look at the others.
        drop(self.objects.take());
        drop(self.bootstrap.take());
        drop(self.thread_map.take());
        self.lanes.clear();
        drop(self.pool.take());
        self.unthreaded.close(&self.shared.event_loop);
        self.destroying.set(0);
        for waiting in self.destroyed.take() {
            let _ = waiting.send(());
        }
        self.shared.set_closed(reason.to_string());
    }
}

/// How capnp-rpc marks an exception that came from the peer.
pub const REMOTE: &str = "remote exception: ";

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
