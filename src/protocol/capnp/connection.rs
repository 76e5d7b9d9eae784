//! One connection: what this process and its peer have of each other, for any thread.
//!
//! Knows threads and the two sides' objects; nothing of addresses, processes or particular interfaces.
//! The messages themselves are `rpc`'s.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::current;
use super::event_loop::waiter::{ConnectionId, Slot, Waited};
use super::event_loop::{EventLoop, Timer};
use super::lanes::Lanes;
use super::rpc::{Cap, CloseReason, Host, Link};
use super::sync::{lock, wait, wait_timeout};
use super::threads::{ThreadServer, Unthreaded};
use crate::error::Result;
use crate::limits::Limits;

/// How long a connection that is let go of, and the answer to a request, wait for the peer to answer
/// the last `destroy`s.
pub const DESTROY_TIME: Duration = Duration::from_secs(2);

/// Numbers connections; never reused within a process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

type CleanupFn = Box<dyn FnOnce() + Send>;

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This process connected, and calls the peer's `Init`.
    Client,
    /// The peer connected, and calls this process's `Init`.
    Server,
}

/// A connection.
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// The loop that its stream is read by.
    pub event_loop: Arc<EventLoop>,
    /// Its bounds.
    pub limits: Limits,
    side: Side,
    link: OnceLock<Arc<Link>>,
    status: Mutex<Status>,
    changed: Condvar,
    /// The peer's thread map.
    pub thread_map: Mutex<Option<Cap>>,
    /// Threads of the peer for calls that no thread waits for.
    pub lanes: Lanes,
    /// Worker threads that run for the peer.
    pub workers: Arc<AtomicUsize>,
    /// The threads of `makePool`.
    pub pool: Mutex<Vec<Arc<ThreadServer>>>,
    /// The thread for calls that name none.
    pub unthreaded: Unthreaded,
    next_object: AtomicU64,
    destroying: Mutex<Destroying>,
}

#[derive(Default)]
struct Status {
    /// Why it ended, once it has.
    closed: Option<String>,
    /// Whether all that the peer held has been let go of since.
    over: bool,
    /// What to run when an object goes, by the object.
    cleanups: BTreeMap<u64, Vec<CleanupFn>>,
}

/// The `destroy`s under way.
#[derive(Default)]
struct Destroying {
    count: usize,
    /// The connection ends with the last of them, or when this goes off.
    closing: Option<Option<Timer>>,
}

impl Connection {
    /// A connection over `stream`. `bootstrap` makes what the peer gets when it asks for this
    /// process's `Init`. `over` runs once the connection is; it must not block.
    ///
    /// # Errors
    /// What the operating system says of the stream.
    pub fn open(
        event_loop: &Arc<EventLoop>,
        limits: Limits,
        stream: UnixStream,
        side: Side,
        bootstrap: impl FnOnce(&Arc<Self>) -> Option<Arc<dyn Host>>,
        over: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        let this = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            event_loop: event_loop.clone(),
            limits: limits.clone(),
            side,
            link: OnceLock::new(),
            status: Mutex::default(),
            changed: Condvar::new(),
            thread_map: Mutex::default(),
            lanes: Lanes::default(),
            workers: Arc::default(),
            pool: Mutex::default(),
            unthreaded: Unthreaded::default(),
            next_object: AtomicU64::new(0),
            destroying: Mutex::default(),
        });
        let connection = this.clone();
        let link = Link::new(
            event_loop,
            limits,
            stream,
            bootstrap(&this),
            move |reason| {
                connection.finish(reason);
                Box::new(move || {
                    over(&connection);
                    lock(&connection.status).over = true;
                    connection.changed.notify_all();
                })
            },
        );
        let link = this.link.get_or_init(|| link);
        tracing::debug!(target: "ipc", "IPC {}: socket connected.", side_name(side));
        link.start(side == Side::Server).inspect_err(|error| {
            link.kill(CloseReason::Io(error.to_string()));
        })?;
        Ok(this)
    }

    /// Its messages.
    pub fn link(&self) -> &Arc<Link> {
        match self.link.get() {
            Some(link) => link,
            None => unreachable!("`open` gives no connection without one"),
        }
    }

    // ----- ending -----

    /// Why it ended, once it has.
    pub fn closed(&self) -> Option<String> {
        lock(&self.status).closed.clone()
    }

    /// Blocks until it has ended, and what the peer held has been let go of, or `timeout` has passed;
    /// tells whether it has ended.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut status = lock(&self.status);
        while !status.over {
            status = match deadline {
                None => wait(&self.changed, status),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // Who has heard of the end from a call is not told that there was none.
                        return status.closed.is_some();
                    }
                    wait_timeout(&self.changed, status, left).0
                }
            };
        }
        true
    }

    /// Ends the connection at once: when this returns, nothing more is sent or received.
    pub fn disconnect(&self) {
        self.link().kill(CloseReason::Local("disconnected".into()));
    }

    /// Ends the connection, after the peer has answered the `destroy`s under way.
    pub fn close(self: &Arc<Self>) {
        let mut destroying = lock(&self.destroying);
        if destroying.count > 0 {
            let link = Arc::downgrade(self.link());
            let timer = self.event_loop.after(DESTROY_TIME, move || {
                if let Some(link) = link.upgrade() {
                    link.end(let_go_of());
                }
            });
            destroying.closing = Some(timer);
            return;
        }
        drop(destroying);
        self.link().end(let_go_of());
    }

    /// Notes that a `destroy` is under way; [`Connection::close`] waits for it.
    pub fn destroy_begins(&self) {
        lock(&self.destroying).count += 1;
    }

    /// Notes that a `destroy` has been answered.
    pub fn destroy_ends(&self) {
        let mut destroying = lock(&self.destroying);
        destroying.count = destroying.count.saturating_sub(1);
        if destroying.count > 0 {
            return;
        }
        let closing = destroying.closing.take();
        drop(destroying);
        if closing.is_some() {
            self.link().end(let_go_of());
        }
    }

    /// Forgets everything of the peer. Handles that are left fail from now on.
    fn finish(&self, reason: &CloseReason) {
        let name = side_name(self.side);
        if reason.is_clean() {
            tracing::debug!(target: "ipc", "IPC {name}: socket disconnected: {reason}");
        } else {
            tracing::warn!(target: "ipc", "IPC {name}: connection closed: {reason}");
        }
        let mut status = lock(&self.status);
        status.closed = Some(reason.to_string());
        // Before anyone can see that it has ended, so that who then waits for what is cleaned up waits
        // for these, too.
        for cleanup in std::mem::take(&mut status.cleanups).into_values().flatten() {
            self.event_loop.clean_up(cleanup);
        }
        drop(status);
        // Taken out first: dropping one may look at the others.
        let thread_map = lock(&self.thread_map).take();
        let pool = std::mem::take(&mut *lock(&self.pool));
        let closing = lock(&self.destroying).closing.take();
        self.lanes.clear();
        self.unthreaded.close();
        drop((thread_map, pool, closing));
    }

    // ----- objects -----

    /// A number for an object of the peer's that this process has a handle to.
    pub fn next_object(&self) -> u64 {
        self.next_object.fetch_add(1, Ordering::Relaxed)
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

    // ----- waiting -----

    /// Has this thread wait for what `begin` is given a way to tell, until a time, or until `stopped`
    /// comes true after the thread was woken.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] on a thread that drives the event loop.
    pub fn wait_for<R: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        stopped: impl Fn() -> bool,
        begin: impl FnOnce(Tell<R>),
    ) -> Result<Waited<R>> {
        self.event_loop.check_not_on_loop()?;
        let (waiter, _stranger) = current::waiter(self);
        let slot = Arc::new(Slot::default());
        waiter.enter(self.id);
        let tell = {
            let (waiter, slot) = (waiter.clone(), slot.clone());
            Tell(Box::new(move |value| slot.fill(&waiter, value)))
        };
        begin(tell);
        let on = self.event_loop.as_loop();
        let wait = || waiter.wait(&on, self.id, &slot, deadline, stopped);
        Ok(current::waiting(wait))
    }
}

/// Gives a value to a thread that waits for it.
pub struct Tell<R>(Box<dyn FnOnce(R) + Send>);

impl<R> Tell<R> {
    /// This value. Does not block.
    pub fn tell(self, value: R) {
        (self.0)(value);
    }
}

fn let_go_of() -> CloseReason {
    CloseReason::Local("let go of".into())
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
