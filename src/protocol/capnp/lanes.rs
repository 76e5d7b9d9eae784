//! The peer's threads that stand for this process's.
//!
//! Knows `proxy.capnp`, and which thread a call goes to; nothing of methods or values. `threads` is
//! the other direction.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::channel::oneshot;
use futures::future::{FutureExt, LocalBoxFuture, Shared};

use super::connection::{Connection, DESTROY_TIME};
use super::convert::from_capnp;
use super::current::{CallbackId, Route, ThreadKey};
use super::generated::wire::proxy_capnp::{context, thread};
use super::runtime::timeout;
use super::threads::{NAME_LENGTH, ThreadServer, cut, gone, register};
use super::waiter::{SharedWaiter, Waiter};
use crate::error::{Error, Result};

/// Idle threads of the peer that are kept for async calls. To make one takes as long as some calls,
/// so a program that keeps many calls under way gets as many back; what a burst made beyond that is
/// let go of.
const IDLE_LANES: usize = 64;

/// The threads that a call names in its context.
#[derive(Clone)]
pub struct CallThreads {
    thread: thread::Client,
    callback: thread::Client,
}

impl CallThreads {
    /// Writes the context of a call.
    pub fn write(&self, mut builder: context::Builder<'_>) {
        builder.set_thread(self.thread.clone());
        builder.set_callback_thread(self.callback.clone());
    }
}

type Thread = Shared<LocalBoxFuture<'static, Result<thread::Client>>>;

/// A thread of the peer together with the thread of this process that it stands for.
///
/// Calls of the same depth go to it one after the other: two at once would crash a Core 30.0 node
/// and be refused by 30.1. A deeper call, from inside a callback, goes at once, since the peer's
/// thread waits for just that.
pub struct Lane {
    thread: Thread,
    callback: thread::Client,
    last: RefCell<Vec<Option<oneshot::Receiver<()>>>>,
    /// The `destroy`s under way that a request made.
    destroying: RefCell<Vec<oneshot::Receiver<()>>>,
}

/// Held while a call is under way on a lane; the next call begins when it is dropped.
pub struct Turn(#[allow(dead_code, reason = "its drop is what counts")] oneshot::Sender<()>);

impl Lane {
    fn new(thread: Thread, callback: thread::Client) -> Rc<Self> {
        Rc::new(Self {
            thread,
            callback,
            last: RefCell::default(),
            destroying: RefCell::default(),
        })
    }

    /// Takes the place behind the calls of this depth that came before. The place is taken at
    /// once; the future waits for its turn.
    pub fn turn(&self, depth: usize) -> impl Future<Output = Turn> + 'static {
        let (sender, receiver) = oneshot::channel();
        let mut last = self.last.borrow_mut();
        if last.len() <= depth {
            last.resize_with(depth + 1, || None);
        }
        let before = last[depth].replace(receiver);
        async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            Turn(sender)
        }
    }

    /// Notes a `destroy` that is under way until what this gives is dropped.
    pub fn destroy_begins(&self) -> oneshot::Sender<()> {
        let (sender, receiver) = oneshot::channel();
        self.destroying.borrow_mut().push(receiver);
        sender
    }

    /// The threads for a call's context.
    ///
    /// # Errors
    /// What the peer answered when it was asked for the thread.
    pub async fn threads(&self) -> Result<CallThreads> {
        Ok(CallThreads {
            thread: self.thread.clone().await?,
            callback: self.callback.clone(),
        })
    }
}

/// The peer's threads that stand for threads of this process.
pub struct Lanes {
    connection: Weak<Connection>,
    by_thread: RefCell<HashMap<ThreadKey, Rc<Lane>>>,
    by_request: RefCell<HashMap<CallbackId, Rc<Lane>>>,
    next_request: Cell<CallbackId>,
    idle: RefCell<Vec<Rc<Lane>>>,
    /// Worker threads that run for the peer.
    pub workers: Arc<AtomicUsize>,
}

impl Lanes {
    /// No threads yet.
    pub fn new(connection: Weak<Connection>) -> Self {
        Self {
            connection,
            by_thread: RefCell::default(),
            by_request: RefCell::default(),
            next_request: Cell::new(0),
            idle: RefCell::default(),
            workers: Arc::default(),
        }
    }

    /// The lane of a call that a thread makes.
    ///
    /// # Errors
    /// When the request that the thread executes has been given up by the peer, or the peer gave
    /// no thread map.
    pub fn of_route(&self, route: Route, waiter: &SharedWaiter, name: &str) -> Result<Rc<Lane>> {
        match route {
            Route::Callback(id) => self.by_request.borrow().get(&id).cloned().ok_or_else(|| {
                Error::Cancelled("the request whose method calls back is no longer wanted".into())
            }),
            Route::Thread(key) => {
                if let Some(lane) = self.by_thread.borrow().get(&key) {
                    return Ok(lane.clone());
                }
                let connection = self.connection.upgrade().ok_or_else(gone)?;
                let server = ThreadServer::application(&connection, waiter.clone(), name);
                let callback = register(&connection, server);
                let lane = Lane::new(self.make_thread(&connection, name)?, callback);
                self.by_thread.borrow_mut().insert(key, lane.clone());
                Ok(lane)
            }
        }
    }

    /// The lane of a call, if there is one already.
    pub fn existing(&self, route: Route) -> Option<Rc<Lane>> {
        match route {
            Route::Callback(id) => self.by_request.borrow().get(&id).cloned(),
            Route::Thread(key) => self.by_thread.borrow().get(&key).cloned(),
        }
    }

    /// A lane for an async call: any that is idle. `async_done` gives it back.
    ///
    /// # Errors
    /// When the peer gave no thread map.
    pub fn of_async(&self) -> Result<Rc<Lane>> {
        if let Some(lane) = self.idle.borrow_mut().pop() {
            return Ok(lane);
        }
        let connection = self.connection.upgrade().ok_or_else(gone)?;
        let name = format!(
            "{}-{}/async",
            connection.shared.event_loop.exe_name(),
            std::process::id()
        );
        let waiter = Arc::new(Waiter::new(true, connection.shared.limits.callback_depth));
        let server = ThreadServer::lazy(&connection, waiter, &name);
        let callback = register(&connection, server);
        Ok(Lane::new(self.make_thread(&connection, &name)?, callback))
    }

    /// Gives an async call's lane back once its call has been answered.
    pub fn async_done(&self, lane: Rc<Lane>) {
        let mut idle = self.idle.borrow_mut();
        // A thread that could not be made is not kept.
        let usable = matches!(lane.thread.peek(), Some(Ok(_)));
        if usable && idle.len() < IDLE_LANES {
            idle.push(lane);
        }
    }

    /// Asks the peer for a thread.
    fn make_thread(&self, connection: &Rc<Connection>, name: &str) -> Result<Thread> {
        let map = connection.thread_map.borrow().clone().ok_or_else(|| {
            Error::Usage(
                "the peer gave no ThreadMap, so no thread can be named: its Init has no `construct`"
                    .into(),
            )
        })?;
        let mut request = map.make_thread_request();
        request.get().set_name(cut(name, NAME_LENGTH));
        let response = request.send().promise;
        let connection = Rc::downgrade(connection);
        Ok(async move {
            let response = response.await.map_err(|error| match connection.upgrade() {
                Some(connection) => connection.call_error(error),
                None => gone(),
            })?;
            response
                .get()
                .and_then(|results| results.get_result())
                .map_err(from_capnp)
        }
        .boxed_local()
        .shared())
    }

    /// The lane of callbacks of a request: the thread of the peer that waits for it, and the
    /// thread of this process that executes it.
    pub fn of_request(
        self: &Lanes,
        callback: thread::Client,
        executes: thread::Client,
    ) -> RequestLane {
        let id = self.next_request.get();
        self.next_request.set(id + 1);
        let thread = futures::future::ready(Ok(callback)).boxed_local().shared();
        // Polled once, so that `peek` answers.
        let _ = thread.clone().now_or_never();
        self.by_request
            .borrow_mut()
            .insert(id, Lane::new(thread, executes));
        RequestLane {
            connection: self.connection.clone(),
            id,
        }
    }

    /// Lets go of the thread that stands for a thread of this process that has ended, or whose
    /// call has been given up and still holds it. A call under way keeps it until it is answered:
    /// dropping the handle in the middle of a call is an error in Core.
    pub fn thread_ended(&self, key: ThreadKey) {
        let lane = self.by_thread.borrow_mut().remove(&key);
        drop(lane);
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        drop(self.by_thread.take());
        drop(self.by_request.take());
        drop(self.idle.take());
    }
}

/// A request's callback lane, for as long as the request is under way.
pub struct RequestLane {
    connection: Weak<Connection>,
    /// Its number.
    pub id: CallbackId,
}

impl RequestLane {
    /// Waits for the `destroy`s that the request's method made, but not for ever: a peer may be
    /// one that does not answer them.
    pub async fn destroyed(&self) {
        let Some(connection) = self.connection.upgrade() else {
            return;
        };
        let lane = connection.lanes.existing(Route::Callback(self.id));
        let destroying = lane.map(|lane| lane.destroying.take()).unwrap_or_default();
        if !destroying.is_empty() {
            let answered = futures::future::join_all(destroying);
            let _ = timeout(DESTROY_TIME, answered).await;
        }
    }
}

impl Drop for RequestLane {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            let lane = connection.lanes.by_request.borrow_mut().remove(&self.id);
            drop(lane);
        }
    }
}
