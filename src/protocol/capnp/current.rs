//! What this thread is to its peers: its waiter, its name, and the calls it is inside of.
//!
//! Knows thread-locals and waiters; nothing of messages. libmultiprocess's `ThreadContext`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::connection::Shared;
use super::waiter::{ConnectionId, SharedWaiter, Waiter};

/// Identifies a thread within its process; never reused.
pub type ThreadKey = u64;

/// Identifies the thread of the peer that a request says its callbacks run on.
pub type CallbackId = u64;

static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

/// Which of the peer's threads a call runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The one that stands for this thread.
    Thread(ThreadKey),
    /// The one that waits for the request that this thread executes.
    Callback(CallbackId),
}

/// What a thread is inside of, outermost first.
#[derive(Clone, Copy)]
enum Frame {
    Call(ConnectionId),
    Job(ConnectionId, Option<CallbackId>),
}

struct Current {
    key: ThreadKey,
    waiter: SharedWaiter,
    /// The name the peer gave it, when it is a server thread.
    name: Option<String>,
    /// Its name for peers of a program of the first name, kept since it costs system calls.
    own_name: Option<(String, Arc<str>)>,
    frames: Vec<Frame>,
    /// Connections with a thread that stands for this one, to let it go when this one ends.
    used: Vec<Weak<Shared>>,
}

impl Current {
    fn new(waiter: SharedWaiter, name: Option<String>) -> Self {
        Self {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            waiter,
            name,
            own_name: None,
            frames: Vec::new(),
            used: Vec::new(),
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        drop(self.waiter.close());
        let key = self.key;
        for shared in self.used.iter().filter_map(Weak::upgrade) {
            shared.post(move |connection| connection.lanes.thread_ended(key));
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Gives what `f` does. A thread that is ending, where another of its thread-locals drops a handle
/// or calls, is a stranger to its peers from here on: what it is then comes back, to be kept for as
/// long as it is that.
fn with<R>(limit: usize, f: impl FnOnce(&mut Current) -> R) -> (R, Option<Current>) {
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
            (f(&mut stranger), Some(stranger))
        }
        (_, None) => unreachable!("f is taken only where its value comes back"),
    }
}

/// Makes this thread a server thread with this waiter and name.
pub fn adopt(waiter: SharedWaiter, name: String) {
    CURRENT.set(Some(Current::new(waiter, Some(name))));
}

/// A blocking call about to be made by this thread.
pub struct Calling {
    /// This thread's waiter.
    pub waiter: SharedWaiter,
    /// Where the call goes.
    pub route: Route,
    /// How many requests of the same connection this thread is executing.
    pub depth: usize,
    /// This thread's name for peers.
    pub name: Arc<str>,
}

/// Begins a blocking call over `shared`; `end_call` ends it. What comes with it is to be kept until
/// then.
pub fn begin_call(shared: &Arc<Shared>) -> (Calling, impl Sized + use<>) {
    with(shared.limits.callback_depth, |current| {
        let (route, depth) = route(current, shared);
        current.frames.push(Frame::Call(shared.id));
        current.waiter.enter(shared.id);
        Calling {
            waiter: current.waiter.clone(),
            route,
            depth,
            name: name(current, shared),
        }
    })
}

/// Ends what [`begin_call`] began.
pub fn end_call() {
    pop();
}

/// Where a call goes that this thread makes without waiting for it, and its depth.
pub fn route_for(shared: &Arc<Shared>) -> (Route, usize) {
    let (found, _stranger) = with(shared.limits.callback_depth, |current| {
        route(current, shared)
    });
    found
}

/// Runs `f` as the execution of a request that came over `connection`, whose callbacks go to
/// `callback`.
pub fn execute<R>(
    connection: ConnectionId,
    callback: Option<CallbackId>,
    f: impl FnOnce() -> R,
) -> R {
    /// Ends the frame, also when the method panics.
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            pop();
        }
    }
    let _ = CURRENT.try_with(|current| {
        if let Some(current) = &mut *current.borrow_mut() {
            current.frames.push(Frame::Job(connection, callback));
        }
    });
    let _pop = Pop;
    f()
}

fn pop() {
    let _ = CURRENT.try_with(|current| {
        if let Some(current) = &mut *current.borrow_mut() {
            current.frames.pop();
        }
    });
}

/// The outermost thing this thread is inside of with this connection decides: a request that it
/// executes sends calls to the thread that waits for the request; a call of its own, or nothing,
/// to the thread that stands for it (libmultiprocess, `type-context.h`: an entry of
/// `request_threads` that exists is left unchanged).
fn route(current: &mut Current, shared: &Arc<Shared>) -> (Route, usize) {
    let mut depth = 0;
    let mut outermost = None;
    for frame in &current.frames {
        match *frame {
            Frame::Call(connection) if connection == shared.id => {
                outermost.get_or_insert(Route::Thread(current.key));
            }
            Frame::Job(connection, callback) if connection == shared.id => {
                depth += 1;
                outermost
                    .get_or_insert(callback.map_or(Route::Thread(current.key), Route::Callback));
            }
            _ => {}
        }
    }
    let route = outermost.unwrap_or(Route::Thread(current.key));
    if route == Route::Thread(current.key)
        && !current
            .used
            .iter()
            .any(|used| used.as_ptr() == Arc::as_ptr(shared))
    {
        current.used.retain(|used| used.strong_count() > 0);
        current.used.push(Arc::downgrade(shared));
    }
    (route, depth)
}

fn name(current: &mut Current, shared: &Shared) -> Arc<str> {
    let exe_name = shared.event_loop.exe_name();
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
}

/// This thread's name as Core writes it: `<exe>-<pid>/<thread>-<tid>`.
pub fn thread_name(exe_name: &str) -> String {
    let pid = std::process::id();
    let thread = std::thread::current();
    let tid = rustix::thread::gettid();
    match thread.name() {
        Some(name) => format!("{exe_name}-{pid}/{name}-{tid}"),
        None => format!("{exe_name}-{pid}/{tid}"),
    }
}

/// The current thread's name as Core logs it: a server thread's tells whose calls it runs.
pub fn log_name(exe_name: &str) -> String {
    let name = CURRENT.try_with(|current| {
        let current = current.borrow();
        current.as_ref().and_then(|current| current.name.clone())
    });
    name.ok().flatten().unwrap_or_else(|| thread_name(exe_name))
}
