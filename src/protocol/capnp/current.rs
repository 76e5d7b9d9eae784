//! What this thread is to its peers: its waiter, its name, and the calls it is inside of.
//!
//! Knows thread-locals and waiters; nothing of messages. libmultiprocess's `ThreadContext`.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::event_loop::waiter::{ConnectionId, SharedWaiter, Waiter};
use super::event_loop::{self, is_on_loop};
use super::lanes::Lane;

/// Which of the peer's threads a call runs on.
#[derive(Clone)]
pub enum Route {
    /// The one that stands for this thread, if it has been made.
    Thread(Option<Arc<Lane>>),
    /// The one that waits for the request that this thread executes.
    Callback(Arc<Lane>),
}

/// What a thread is inside of, outermost first.
enum Frame {
    Call(ConnectionId),
    Job(ConnectionId, Option<Arc<Lane>>),
}

impl Frame {
    fn is_job(&self) -> bool {
        matches!(self, Self::Job(..))
    }
}

struct Current {
    waiter: SharedWaiter,
    /// The name the peer gave it, when it is a server thread.
    name: Option<String>,
    /// Its name for peers of a program of the first name, kept since it costs system calls.
    own_name: Option<(String, Arc<str>)>,
    frames: Vec<Frame>,
    /// How long it has waited for answers while it executed requests.
    waited: Duration,
    /// The threads of peers that stand for this one. They are let go of when it ends, and by their
    /// connections when those do.
    lanes: Vec<(Weak<Connection>, Weak<Lane>)>,
}

impl Current {
    fn new(waiter: SharedWaiter, name: Option<String>) -> Self {
        Self {
            waiter,
            name,
            own_name: None,
            frames: Vec::new(),
            waited: Duration::ZERO,
            lanes: Vec::new(),
        }
    }

    fn lane(&self, connection: &Arc<Connection>) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.iter();
        let found = lanes.rfind(|(of, _)| of.as_ptr() == Arc::as_ptr(connection));
        found.and_then(|(_, lane)| lane.upgrade())
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        drop(self.waiter.close());
        for (connection, lane) in &self.lanes {
            if let (Some(connection), Some(lane)) = (connection.upgrade(), lane.upgrade()) {
                connection.lanes.forget(&lane);
            }
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Gives what `f` does. A thread that is ending, where another of its thread-locals drops a handle
/// or calls, is a stranger to its peers from here on: what it is then comes back, to be kept for as
/// long as it is that.
fn with<R>(limit: usize, f: impl FnOnce(&mut Current) -> R) -> (R, Option<Stranger>) {
    let new = || Current::new(Arc::new(Waiter::new(false, limit)), None);
    let mut f = Some(f);
    let done = CURRENT.try_with(|current| {
        let mut current = current.borrow_mut();
        f.take().map(|f| f(current.get_or_insert_with(new)))
    });
    match (done, f) {
        (Ok(Some(value)), _) => (value, None),
        (_, Some(f)) => {
            let mut stranger = new();
            (f(&mut stranger), Some(Stranger(stranger)))
        }
        (_, None) => unreachable!("f is taken only where its value comes back"),
    }
}

/// What a thread is that is ending.
pub struct Stranger(Current);

/// Makes this thread a server thread with this waiter and name.
pub fn adopt(waiter: SharedWaiter, name: String) {
    CURRENT.set(Some(Current::new(waiter, Some(name))));
}

/// A blocking call about to be made by this thread. It ends when this is dropped, also when a
/// callback panics through.
pub struct Calling {
    /// This thread's waiter.
    pub waiter: SharedWaiter,
    /// Where the call goes.
    pub route: Route,
    /// How many requests of the same connection this thread is executing.
    pub depth: usize,
    stranger: Option<Stranger>,
}

impl Calling {
    /// Keeps the thread of the peer that stands for this one from now on.
    pub fn keep_lane(&mut self, connection: &Arc<Connection>, lane: &Arc<Lane>) {
        let noted = (Arc::downgrade(connection), Arc::downgrade(lane));
        match &mut self.stranger {
            Some(Stranger(stranger)) => stranger.lanes.push(noted),
            None => {
                with_kept(|current| {
                    current.lanes.retain(|(_, lane)| lane.strong_count() > 0);
                    current.lanes.push(noted);
                });
            }
        }
        connection.keep_lane(lane);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        pop();
    }
}

/// Begins a blocking call over `connection`.
pub fn begin_call(connection: &Arc<Connection>) -> Calling {
    let ((waiter, route, depth), stranger) = with(connection.limits.callback_depth, |current| {
        let (route, depth) = route(current, connection);
        current.frames.push(Frame::Call(connection.id));
        (current.waiter.clone(), route, depth)
    });
    Calling {
        waiter,
        route,
        depth,
        stranger,
    }
}

/// This thread's waiter, and what comes with it, which is to be kept for as long as it waits.
pub fn waiter(connection: &Connection) -> (SharedWaiter, Option<Stranger>) {
    with(connection.limits.callback_depth, |current| {
        current.waiter.clone()
    })
}

/// Where a call goes that this thread makes without waiting for it, and its depth.
pub fn route_for(connection: &Arc<Connection>) -> (Route, usize) {
    with(connection.limits.callback_depth, |current| {
        route(current, connection)
    })
    .0
}

/// This thread's name for peers.
pub fn name(connection: &Connection) -> Arc<str> {
    let name = |current: &mut Current| {
        let exe_name = connection.event_loop.exe_name();
        match &current.own_name {
            Some((kept, name)) if kept == exe_name => return name.clone(),
            _ => {}
        }
        let name: Arc<str> = match &current.name {
            Some(name) => name.as_str().into(),
            None => thread_name(exe_name).into(),
        };
        current.own_name = Some((exe_name.to_owned(), name.clone()));
        name
    };
    with(connection.limits.callback_depth, name).0
}

/// Lets go of the thread of the peer that stands for this one, because it is busy with a call that
/// was given up: the next call gets another.
pub fn forget_lane(connection: &Connection, lane: &Arc<Lane>) {
    with_kept(|current| {
        let is_other = |noted: &Weak<Lane>| noted.as_ptr() != Arc::as_ptr(lane);
        current.lanes.retain(|(_, noted)| is_other(noted));
    });
    connection.lanes.forget(lane);
}

/// Runs `f` as the execution of a request that came over `connection`, whose callbacks go to
/// `callback`.
pub fn execute<R>(
    connection: ConnectionId,
    callback: Option<Arc<Lane>>,
    f: impl FnOnce() -> R,
) -> R {
    /// Ends the frame, also when the method panics.
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            pop();
        }
    }
    with_kept(|current| current.frames.push(Frame::Job(connection, callback)));
    let _pop = Pop;
    f()
}

/// Waits by `wait`, and notes how long if this thread executes a request meanwhile.
pub fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    let executes = with_kept(|current| current.frames.iter().any(Frame::is_job));
    if executes != Some(true) {
        return wait();
    }
    let begun = Instant::now();
    let waited = wait();
    with_kept(|current| current.waited += begun.elapsed());
    waited
}

/// How long this thread has waited for answers while it executed requests.
pub fn waited() -> Duration {
    with_kept(|current| current.waited).unwrap_or_default()
}

/// Gives what `f` does, if this thread is known to its peers.
fn with_kept<R>(f: impl FnOnce(&mut Current) -> R) -> Option<R> {
    let done = CURRENT.try_with(|current| current.borrow_mut().as_mut().map(f));
    done.ok().flatten()
}

fn pop() {
    let popped = with_kept(|current| current.frames.pop());
    // What it held is dropped here, where this thread may be asked for again.
    drop(popped);
}

/// The outermost thing this thread is inside of with this connection decides: a request that it
/// executes sends calls to the thread that waits for the request; a call of its own, or nothing,
/// to the thread that stands for it (libmultiprocess, `type-context.h`: an entry of
/// `request_threads` that exists is left unchanged).
fn route(current: &Current, connection: &Arc<Connection>) -> (Route, usize) {
    let mut depth = 0;
    let mut outermost = None;
    for frame in &current.frames {
        match frame {
            Frame::Call(id) if *id == connection.id => {
                outermost.get_or_insert(None);
            }
            Frame::Job(id, callback) if *id == connection.id => {
                depth += 1;
                outermost.get_or_insert_with(|| callback.clone());
            }
            _ => {}
        }
    }
    let route = match outermost.flatten() {
        Some(callback) => Route::Callback(callback),
        None => Route::Thread(current.lane(connection)),
    };
    (route, depth)
}

/// This thread's name as Core writes it: `<exe>-<pid>/<thread>-<tid>`.
pub fn thread_name(exe_name: &str) -> String {
    name_of(exe_name, std::thread::current().name())
}

fn name_of(exe_name: &str, thread: Option<&str>) -> String {
    let pid = std::process::id();
    let tid = rustix::thread::gettid();
    match thread {
        Some(name) => format!("{exe_name}-{pid}/{name}-{tid}"),
        None => format!("{exe_name}-{pid}/{tid}"),
    }
}

/// The current thread's name in a log, as people read it. What a thread does that drives the event
/// loop for others is the loop's doing.
pub fn short_log_name() -> String {
    match is_on_loop() {
        true => event_loop::THREAD.to_owned(),
        false => std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned(),
    }
}

/// The current thread's name as Core logs it: a server thread's tells whose calls it runs.
pub fn log_name(exe_name: &str) -> String {
    if is_on_loop() {
        return name_of(exe_name, Some(event_loop::THREAD));
    }
    let name = CURRENT.try_with(|current| {
        let current = current.borrow();
        current.as_ref().and_then(|current| current.name.clone())
    });
    name.ok().flatten().unwrap_or_else(|| thread_name(exe_name))
}
