//! One connection: its link, its threads, and its end. Any thread may use it.
//!
//! Knows objects by their numbers; nothing of what they are, nor of addresses, processes or interfaces.
//! `rpc` has the messages, and `threads` knows which thread is which.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::accounts::{Account, Accounts};
use super::destroys::Destroys;
use super::event_loop::waiter::{ConnectionId, Slot, Waited};
use super::event_loop::{EventLoop, is_on_loop};
use super::rpc::{
    AFTER_DISCONNECT, Cap, CloseReason, Host, INTERRUPTED, Lifecycle, Link, Observer,
};
use super::sync::{Condvar, Mutex, Rank, lock, wait, wait_timeout};
use super::threads::errands::Errands;
use super::threads::own_threads::{FREE, OwnThreads, ThreadServer};
use super::threads::peer_threads::{Borrowed, PeerThread, PeerThreads};
use super::threads::thread_context::{self, Calling, Route};
use super::wakers::Wakers;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::transport::Stream;

/// The time that the end of a connection, and the answer to a request, wait for the peer to answer the
/// last `destroy` calls.
pub const DESTROY_TIME: Duration = Duration::from_secs(2);

/// The next connection's number; numbers are never reused within a process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

type CleanupFn = Box<dyn FnOnce() + Send>;

/// The side that a process is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This process connected, and calls the peer's `Init`.
    Client,
    /// The peer connected, and calls this process's `Init`.
    Server,
}

/// A connection.
pub struct Connection {
    /// Identifies the connection.
    pub id: ConnectionId,
    /// The event loop that reads its stream.
    pub event_loop: Arc<EventLoop>,
    /// The limits on the peer.
    pub limits: Limits,
    side: Side,
    link: OnceLock<Arc<Link>>,
    status: Mutex<Status>,
    changed: Condvar,
    /// The tasks that wait for its end.
    pub wakers: Wakers,
    /// The peer's thread map.
    pub thread_map: Mutex<Option<Cap>>,
    /// The peer's threads that stand for this process's.
    pub peer_threads: Arc<PeerThreads>,
    /// This process's threads that the peer runs calls on.
    pub own_threads: Arc<OwnThreads>,
    /// This process's workers that run the peer's async calls.
    pub errands: Arc<Errands>,
    next_object: AtomicU64,
    /// The number of holds on it.
    holds: AtomicUsize,
    /// The pending `destroy` calls.
    destroys: Destroys,
    /// The account charged for everything that the peer makes this process hold.
    pub account: Arc<Account>,
    /// Runs once all pending calls have failed.
    over: Mutex<Option<OverFn>>,
}

/// The terms on which a process has its connections.
#[derive(Clone)]
pub struct Terms {
    /// The limits on every peer.
    pub limits: Limits,
    /// The accounts of the memory, threads and connections that peers make this process hold.
    pub accounts: Arc<Accounts>,
    /// The observer of every message, if there is one.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Terms {
    /// Makes terms with these limits and no observer.
    pub fn new(limits: Limits) -> Self {
        Self {
            accounts: Accounts::new(&limits),
            limits,
            observer: None,
        }
    }

    /// Returns the account of whoever is at the other end of a stream.
    pub fn account(&self, stream: &dyn Stream) -> Arc<Account> {
        self.accounts.of(stream.peer())
    }
}

/// A closure that runs once, when a connection is over. It must not block.
pub type OverFn = Box<dyn FnOnce(&Arc<Connection>) + Send>;

#[derive(Default)]
struct Status {
    /// The reason for the end, once it has ended.
    closed: Option<String>,
    /// Set once every object exported to the peer is dropped.
    over: bool,
    /// The closures that run when an object is dropped, by the object.
    cleanups: BTreeMap<u64, Vec<CleanupFn>>,
}

impl Connection {
    /// Opens a connection over `stream`. `bootstrap` makes the object that the peer gets when it asks
    /// for this process's `Init`. `over` runs once the connection has ended; it must not block.
    ///
    /// # Errors
    /// Returns the errors of the stream.
    pub fn open(
        event_loop: &Arc<EventLoop>,
        terms: &Terms,
        account: Arc<Account>,
        stream: Box<dyn Stream>,
        side: Side,
        bootstrap: impl FnOnce(&Arc<Self>) -> Option<Arc<dyn Host>>,
        over: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        let limits = terms.limits.clone();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let own_threads = OwnThreads::new(event_loop, &limits, &account);
        let this = Arc::new(Self {
            id,
            event_loop: event_loop.clone(),
            limits: limits.clone(),
            side,
            link: OnceLock::new(),
            status: Mutex::ranked(Rank::Status, Status::default()),
            changed: Condvar::new(),
            wakers: Wakers::default(),
            thread_map: Mutex::default(),
            peer_threads: PeerThreads::new(id),
            errands: Errands::new(event_loop, &own_threads),
            own_threads,
            next_object: AtomicU64::new(0),
            holds: AtomicUsize::new(0),
            destroys: Destroys::default(),
            account: account.clone(),
            over: Mutex::new(Some(Box::new(over))),
        });
        let lifecycle: Arc<dyn Lifecycle> = Arc::new(Ending(this.clone()));
        let bootstrap = bootstrap(&this);
        let observer = terms.observer.clone();
        let link = Link::new(
            event_loop, limits, account, stream, bootstrap, lifecycle, observer,
        );
        let link = this.link.get_or_init(|| link);
        tracing::debug!(target: "ipc", "IPC {}: socket connected.", side_name(side));
        link.start(side == Side::Server).inspect_err(|error| {
            link.kill(CloseReason::Io(error.to_string()));
        })?;
        Ok(this)
    }

    /// Returns the link that reads and writes its messages.
    pub fn link(&self) -> &Arc<Link> {
        match self.link.get() {
            Some(link) => link,
            None => unreachable!("`open` gives no connection without one"),
        }
    }

    // ----- ending -----

    /// Returns the reason for the end, once it has ended.
    pub fn closed(&self) -> Option<String> {
        lock(&self.status).closed.clone()
    }

    /// Returns whether it has ended and every object exported to the peer is dropped.
    pub fn is_over(&self) -> bool {
        lock(&self.status).over
    }

    /// Blocks until it has ended and every object exported to the peer is dropped, or `timeout` has
    /// passed. Returns whether it has ended.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut status = lock(&self.status);
        while !status.over {
            status = match deadline {
                None => wait(&self.changed, status),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // Reports a connection as closed once any call has seen it end.
                        return status.closed.is_some();
                    }
                    wait_timeout(&self.changed, status, left).0
                }
            };
        }
        true
    }

    /// Ends the connection at once: when this returns, nothing more is sent or received. Only a client's
    /// pending `destroy` calls are waited for, for [`DESTROY_TIME`] at most: a Core 30 node aborts when
    /// the connection ends while it destroys an object.
    pub fn disconnect(&self) {
        if self.side == Side::Client && !is_on_loop() && self.destroys.any() {
            self.event_loop.attend();
            self.destroys.wait(DESTROY_TIME);
        }
        self.link().kill(CloseReason::Local("disconnected".into()));
    }

    /// Ends the connection once the peer has answered the pending `destroy` calls, or after
    /// [`DESTROY_TIME`].
    pub fn close(self: &Arc<Self>) {
        let timer = || {
            let link = Arc::downgrade(self.link());
            self.event_loop.after(DESTROY_TIME, move || {
                if let Some(link) = link.upgrade() {
                    link.end(released());
                }
            })
        };
        if self.destroys.close(timer) {
            self.link().end(released());
        }
    }

    /// Records that a `destroy` is pending; [`Connection::close`] waits for it.
    pub fn destroy_begins(&self) {
        self.destroys.begin();
    }

    /// Records that a `destroy` has been answered. Ends the connection if [`Connection::close`] waited
    /// for it.
    pub fn destroy_ends(&self) {
        if self.destroys.end() {
            self.link().end(released());
        }
    }

    /// Logs why the connection ended, at a limited rate for each process.
    fn log_end(&self, reason: &CloseReason) {
        let name = side_name(self.side);
        if reason.is_clean() {
            tracing::debug!(target: "ipc", "IPC {name}: socket disconnected: {reason}");
            return;
        }
        let account = &self.account;
        account.warn(
            &self.event_loop,
            format_args!("IPC {name}: connection to {account} closed: {reason}"),
        );
    }

    /// Returns the error of a call that the end of the connection interrupts.
    pub fn interrupted(&self) -> Error {
        self.link().disconnected(INTERRUPTED)
    }

    /// Returns the error of a call on a connection that has ended.
    pub fn after_disconnect(&self) -> Error {
        self.link().disconnected(AFTER_DISCONNECT)
    }

    /// Releases everything of the peer. The remaining handles fail from now on.
    fn finish(&self, reason: &CloseReason) {
        self.log_end(reason);
        let mut status = lock(&self.status);
        status.closed = Some(reason.to_string());
        // Before any thread can see that it has ended: one that then waits for the cleanup waits for
        // these, too.
        for cleanup in std::mem::take(&mut status.cleanups).into_values().flatten() {
            self.event_loop.clean_up(cleanup);
        }
        drop(status);
        // Taken out first: dropping one may use the others.
        let thread_map = lock(&self.thread_map).take();
        let closing = self.destroys.stop();
        self.peer_threads.end();
        self.own_threads.end();
        self.errands.end();
        drop((thread_map, closing));
    }

    // ----- objects -----

    /// Returns the number of a new handle to an object of the peer.
    pub fn next_object(&self) -> u64 {
        self.next_object.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns a hold on the connection for a new handle. `None` at the server's side, where the peer
    /// ends the connection.
    pub fn hold(self: &Arc<Self>) -> Option<Hold> {
        if self.side == Side::Server {
            return None;
        }
        self.holds.fetch_add(1, Ordering::Relaxed);
        Some(Hold(self.clone()))
    }

    /// Runs `f` when the object is dropped, or now if the connection has ended.
    pub fn on_cleanup(&self, object: u64, f: CleanupFn) {
        let mut status = lock(&self.status);
        if status.closed.is_none() {
            status.cleanups.entry(object).or_default().push(f);
        } else {
            drop(status);
            self.event_loop.clean_up(f);
        }
    }

    /// Runs the closures of an object that is dropped.
    pub fn object_gone(&self, object: u64) {
        let cleanups = lock(&self.status).cleanups.remove(&object);
        for cleanup in cleanups.into_iter().flatten() {
            self.event_loop.clean_up(cleanup);
        }
    }

    // ----- threads -----

    /// Borrows a thread of the peer for one call that no thread of this process waits for. The peer may
    /// not have made it yet.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] when the peer makes no threads, [`Error::Disconnected`] after the end.
    pub fn borrow_peer_thread(&self) -> Result<Borrowed> {
        self.peer_threads.borrow(|| {
            let exe_name = self.event_loop.exe_name();
            let name = format!("{exe_name}-{}{FREE}", std::process::id());
            self.new_peer_thread(&name, ThreadServer::lazy(&self.own_threads, &name))
        })
    }

    /// Returns a thread of the peer for this process's thread `callback` of this name. The peer makes
    /// it when it is first needed.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] when the peer makes no threads, [`Error::Disconnected`] after the end.
    pub fn new_peer_thread(
        &self,
        name: &str,
        callback: Arc<ThreadServer>,
    ) -> Result<Arc<PeerThread>> {
        let map = lock(&self.thread_map).clone();
        match map {
            Some(Cap::Import(map)) => PeerThread::to_be_made(map, name, Cap::Own(callback)),
            // The map was released when the connection ended.
            _ if self.closed().is_some() => Err(self.interrupted()),
            _ => Err(Error::Usage(
                "the peer gave no ThreadMap, so no thread can be named: its Init has no `construct`"
                    .into(),
            )),
        }
    }

    /// Begins a blocking call of this thread.
    pub fn begin_call(&self) -> Calling {
        thread_context::begin_call(&self.peer_threads, &self.limits)
    }

    /// Returns the route and the depth of a call that this thread makes without waiting for its answer.
    pub fn route(&self) -> (Route, usize) {
        thread_context::route_for(&self.peer_threads, &self.limits)
    }

    /// Returns a new thread of the peer that stands for this one, for a call that is about to be made.
    /// The peer makes it when that call is sent.
    ///
    /// # Errors
    /// Returns the errors of [`Connection::new_peer_thread`].
    pub fn stand_for_this(&self, calling: &mut Calling) -> Result<Arc<PeerThread>> {
        let name = thread_context::name(self.event_loop.exe_name(), &self.limits);
        let server = ThreadServer::application(calling.waiter.clone(), &name);
        let thread = self.new_peer_thread(&name, server)?;
        calling.keep_peer_thread(&self.peer_threads, &thread);
        Ok(thread)
    }

    /// Releases the peer's thread that stands for this one: the next call gets another.
    pub fn forget_peer_thread(&self, thread: &Arc<PeerThread>) {
        thread_context::forget_peer_thread(&self.peer_threads, thread);
    }

    // ----- waiting -----

    /// Blocks until the [`Tell`] that `begin` gets delivers a value, until `deadline`, or until
    /// `stopped` returns true after this thread was woken.
    ///
    /// # Errors
    /// Returns [`crate::Error::Usage`] on a thread that drives the event loop.
    pub fn wait_for<R: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        stopped: impl Fn() -> bool,
        begin: impl FnOnce(Tell<R>),
    ) -> Result<Waited<R>> {
        self.event_loop.check_not_on_loop()?;
        let (waiter, _detached) = thread_context::waiter(&self.limits);
        let slot = Arc::new(Slot::default());
        waiter.enter(self.id);
        let tell = {
            let (waiter, slot) = (waiter.clone(), slot.clone());
            Tell(Box::new(move |value| slot.fill(&waiter, value)))
        };
        begin(tell);
        let on = self.event_loop.as_loop();
        let wait = || waiter.wait(&on, self.id, &slot, deadline, stopped);
        Ok(thread_context::waiting(wait))
    }
}

/// Keeps a client's connection. When the last one is dropped, the connection is closed.
pub struct Hold(Arc<Connection>);

impl Drop for Hold {
    fn drop(&mut self) {
        let Self(connection) = self;
        if connection.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            connection.close();
        }
    }
}

/// Ends a connection with its link.
struct Ending(Arc<Connection>);

impl Lifecycle for Ending {
    fn closing(&self, reason: &CloseReason) {
        self.0.finish(reason);
    }

    fn closed(&self) {
        let Self(connection) = self;
        let over = lock(&connection.over).take();
        if let Some(over) = over {
            over(connection);
        }
        lock(&connection.status).over = true;
        connection.changed.notify_all();
        connection.wakers.wake();
    }
}

/// Delivers a value to a thread that waits for it.
pub struct Tell<R>(Box<dyn FnOnce(R) + Send>);

impl<R> Tell<R> {
    /// Delivers the value and wakes the thread. Does not block.
    pub fn tell(self, value: R) {
        (self.0)(value);
    }
}

fn released() -> CloseReason {
    CloseReason::Local("let go of".into())
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
