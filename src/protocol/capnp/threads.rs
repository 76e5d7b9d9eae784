//! This process's threads that the peer runs calls on.
//!
//! Knows `proxy.capnp` and worker threads; nothing of methods or values. One thread of the caller
//! is one thread of the callee for all its calls, so that thread names and recursive locks work
//! across processes; `lanes` is the other direction. The facts are from libmultiprocess's
//! `type-context.h` and `proxy.cpp`.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capnp::capability::FromClientHook;
use futures::channel::oneshot;

use super::connection::Connection;
use super::convert::to_capnp;
use super::current;
use super::event_loop::{EventLoop, spawn_thread};
use super::generated::wire::proxy_capnp::{thread, thread_map};
use super::waiter::{SharedWaiter, Waiter};
use crate::error::{Error, Result};

/// Peers' names for their threads are cut at this many bytes.
pub const NAME_LENGTH: usize = 256;

/// A thread of this process that the peer may run calls on.
pub struct ThreadServer {
    /// Takes the jobs.
    pub waiter: SharedWaiter,
    name: RefCell<String>,
    kind: Kind,
    event_loop: Arc<EventLoop>,
    /// The peer's thread that the last request came from, and how many came from it.
    callback: RefCell<Option<(thread::Client, u32)>>,
}

/// How many requests of one thread of the peer's are taken before it is told that they are done
/// with: capnp-rpc counts them in 32 bits.
const KEPT: u32 = 1000;

/// What capnp-rpc gives as the brand of objects of this process, and of calls that wait for one.
const OURS: usize = 0;

enum Kind {
    /// An application's thread, which is there anyway.
    Application,
    /// Made for the peer; ends when the peer lets go of it.
    Worker,
    /// Made for the callbacks of async calls, when the first one comes.
    Lazy(Cell<bool>, Weak<Connection>),
}

impl ThreadServer {
    /// A thread of the application's that makes calls, for their callbacks.
    pub fn application(connection: &Connection, waiter: SharedWaiter, name: &str) -> Rc<Self> {
        Self::new(connection, waiter, name, Kind::Application)
    }

    /// A thread for the callbacks of async calls, which begins with the first one.
    pub fn lazy(connection: &Rc<Connection>, waiter: SharedWaiter, name: &str) -> Rc<Self> {
        let kind = Kind::Lazy(Cell::new(false), Rc::downgrade(connection));
        Self::new(connection, waiter, name, kind)
    }

    fn new(connection: &Connection, waiter: SharedWaiter, name: &str, kind: Kind) -> Rc<Self> {
        Rc::new(Self {
            waiter,
            name: RefCell::new(name.to_owned()),
            kind,
            event_loop: connection.shared.event_loop.clone(),
            callback: RefCell::default(),
        })
    }

    /// Keeps the peer's thread that a request came from. As long as one is held, those of later
    /// requests are the same one again, and no Release has to be sent for each. Only a worker does,
    /// of a request that names it: it ends with the peer's handle to it, while an application's
    /// thread and its worker in the peer would keep each other for ever.
    pub fn keep_callback(&self, callback: &thread::Client) {
        let hook = callback.as_client_hook();
        // Nothing but an object of the peer's: a thread of ours that the peer names here would keep
        // itself, or may be what a promise becomes.
        let is_peers = hook.get_brand() != OURS && hook.when_more_resolved().is_none();
        if !matches!(self.kind, Kind::Worker) || !is_peers {
            return;
        }
        let mut kept = self.callback.borrow_mut();
        let same = |kept: &thread::Client| {
            kept.as_client_hook().get_ptr() == callback.as_client_hook().get_ptr()
        };
        let before = match &mut *kept {
            Some((client, count)) if *count < KEPT && same(client) => {
                *count += 1;
                return;
            }
            // Let go of, so that it is released with this request.
            Some((_, count)) if *count >= KEPT => kept.take(),
            kept => kept.replace((callback.clone(), 1)),
        };
        drop(before);
    }

    /// Lets a thread begin that has waited for its first use.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn ensure_running(&self) -> Result<()> {
        if let Kind::Lazy(running, connection) = &self.kind
            && !running.get()
        {
            let connection = connection.upgrade().ok_or_else(gone)?;
            drop(start_worker(&connection, self.waiter.clone(), None)?);
            running.set(true);
        }
        Ok(())
    }
}

impl Drop for ThreadServer {
    fn drop(&mut self) {
        if !matches!(self.kind, Kind::Application) {
            close(&self.event_loop, &self.waiter);
        }
    }
}

/// Ends a worker; what it was still to run is dropped off the loop, like every application's
/// object.
fn close(event_loop: &EventLoop, waiter: &Waiter) {
    let dropped = waiter.close();
    if !dropped.is_empty() {
        event_loop.clean_up(move || drop(dropped));
    }
}

impl thread::Server for ThreadServer {
    async fn get_name(
        self: Rc<Self>,
        _: thread::GetNameParams,
        mut results: thread::GetNameResults,
    ) -> capnp::Result<()> {
        results.get().set_result(self.name.borrow().as_str());
        Ok(())
    }
}

/// Counts the worker threads of a connection, until they have really ended.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connection: &Connection) -> Result<Self> {
        let count = connection.lanes.workers.clone();
        let limit = connection.shared.limits.threads_per_connection;
        if count.fetch_add(1, Ordering::SeqCst) >= limit {
            count.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::overloaded(format!(
                "too many threads on this connection (limit {limit})"
            )));
        }
        Ok(Self(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts a worker thread, for the peer's thread `from` or for this process's own needs, of which
/// there are few; its name comes back once it runs.
fn start_worker(
    connection: &Connection,
    waiter: SharedWaiter,
    from: Option<String>,
) -> Result<oneshot::Receiver<String>> {
    let counted = match from {
        Some(_) => Some(Counted::new(connection)?),
        None => None,
    };
    let (sender, receiver) = oneshot::channel();
    let exe_name = connection.shared.event_loop.exe_name().to_owned();
    spawn_thread("ipc-worker", move || {
        let _counted = counted;
        let mut name = current::thread_name(&exe_name);
        if let Some(from) = from {
            name = format!("{name} (from {from})");
        }
        current::adopt(waiter.clone(), name.clone());
        let _ = sender.send(name);
        waiter.serve();
    })?;
    Ok(receiver)
}

/// The connection ended meanwhile.
pub fn gone() -> Error {
    Error::Disconnected(super::connection::INTERRUPTED.into())
}

/// Makes a thread for the peer.
async fn make_worker(
    connection: &Rc<Connection>,
    from: String,
) -> Result<(Rc<ThreadServer>, thread::Client)> {
    let waiter = Arc::new(Waiter::new(true, connection.shared.limits.callback_depth));
    // From here on the server's drop closes the waiter, also when the connection ends before the
    // thread runs: "worker thread destroyed before it is initialized".
    let server = ThreadServer::new(connection, waiter.clone(), "", Kind::Worker);
    let name = start_worker(connection, waiter, Some(from))?
        .await
        .map_err(|_| gone())?;
    server.name.replace(name);
    Ok((server.clone(), register(connection, server)))
}

/// Makes a thread one that the peer can name.
pub fn register(connection: &Rc<Connection>, server: Rc<ThreadServer>) -> thread::Client {
    let mut threads = connection.threads.borrow_mut();
    threads.gc();
    threads.new_client_from_rc(server)
}

/// What the peer makes its threads of this process with.
pub struct ThreadMapServer(Weak<Connection>);

impl ThreadMapServer {
    /// The thread map for the peer of `connection`.
    pub fn client(connection: &Rc<Connection>) -> thread_map::Client {
        capnp_rpc::new_client(Self(Rc::downgrade(connection)))
    }
}

impl thread_map::Server for ThreadMapServer {
    async fn make_thread(
        self: Rc<Self>,
        params: thread_map::MakeThreadParams,
        mut results: thread_map::MakeThreadResults,
    ) -> capnp::Result<()> {
        let connection = self.0.upgrade().ok_or_else(|| to_capnp(&gone()))?;
        let from = String::from_utf8_lossy(params.get()?.get_name()?.as_bytes()).into_owned();
        let from = cut(&from, NAME_LENGTH).to_owned();
        let (_, client) = make_worker(&connection, from)
            .await
            .map_err(|e| to_capnp(&e))?;
        results.get().set_result(client);
        Ok(())
    }

    async fn make_pool(
        self: Rc<Self>,
        params: thread_map::MakePoolParams,
        _: thread_map::MakePoolResults,
    ) -> capnp::Result<()> {
        let connection = self.0.upgrade().ok_or_else(|| to_capnp(&gone()))?;
        if !connection.pool.borrow().is_empty() {
            return Err(capnp::Error::failed(
                "makePool called on connection with existing pool".into(),
            ));
        }
        let count = params.get()?.get_count() as usize;
        let limit = connection.shared.limits.threads_per_connection;
        if count > limit {
            return Err(capnp::Error::overloaded(format!(
                "a pool of {count} threads is beyond this connection's limit of {limit}"
            )));
        }
        let mut pool = Vec::with_capacity(count);
        for index in 0..count {
            let worker = make_worker(&connection, format!("pool/{index}"))
                .await
                .map_err(|e| to_capnp(&e))?;
            pool.push(worker);
        }
        // Another makePool may have been answered while this one waited for its threads.
        if !connection.pool.borrow().is_empty() {
            return Err(capnp::Error::failed(
                "makePool called on connection with existing pool".into(),
            ));
        }
        connection.pool.replace(pool);
        Ok(())
    }
}

/// `text`, cut at `length` bytes at the most, between characters.
pub fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// The worker for calls that name no thread because their method has no context. In Core such a
/// call runs on the event loop; here no user code does, so each connection has one thread that
/// keeps their order, made when the first one comes.
#[derive(Default)]
pub struct Unthreaded(RefCell<Option<SharedWaiter>>);

impl Unthreaded {
    /// The thread's waiter.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn waiter(&self, connection: &Connection) -> Result<SharedWaiter> {
        if let Some(waiter) = &*self.0.borrow() {
            return Ok(waiter.clone());
        }
        let waiter = Arc::new(Waiter::new(true, connection.shared.limits.callback_depth));
        drop(start_worker(connection, waiter.clone(), None)?);
        self.0.replace(Some(waiter.clone()));
        Ok(waiter)
    }

    /// Ends the thread.
    pub fn close(&self, event_loop: &EventLoop) {
        if let Some(waiter) = self.0.take() {
            close(event_loop, &waiter);
        }
    }
}
