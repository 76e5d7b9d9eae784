//! The calling thread, as its peers know it: its waiter, its name, the peers' threads that stand for
//! it, and the calls and requests it is inside of. libmultiprocess's `ThreadContext`.
//!
//! Knows thread-locals and waiters; nothing of messages.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::super::event_loop::waiter::{ConnectionId, SharedWaiter, Waiter};
use super::super::event_loop::{self, is_on_loop};
use super::names::{name_of, thread_name};
use super::peer_threads::{Callback, PeerThread, PeerThreads};
use crate::limits::Limits;

/// The peer's thread that a call runs on.
#[derive(Clone)]
pub enum Route {
    /// The thread that stands for this one, if it has been made.
    Thread(Option<Arc<PeerThread>>),
    /// The thread that waits for the answer to the request that this thread executes.
    Callback(Arc<PeerThread>),
}

/// A call that a thread waits for, or a request that it executes.
enum StackFrame {
    Call(ConnectionId),
    Request(ConnectionId, Option<Callback>),
}

impl StackFrame {
    fn is_request(&self) -> bool {
        matches!(self, Self::Request(..))
    }
}

struct ThreadContext {
    waiter: SharedWaiter,
    /// The name that peers see, if this is a server thread.
    name: Option<String>,
    /// This thread's name for the given executable name, cached since it costs system calls.
    own_name: Option<(String, Arc<str>)>,
    /// The pending calls and requests of this thread, outermost first.
    frames: Vec<StackFrame>,
    /// The time that it has waited for answers while it executed requests.
    waited: Duration,
    /// The threads of peers that stand for this one. They are released when it ends, and by their
    /// connections when those end.
    peer_threads: Vec<(Weak<PeerThreads>, Weak<PeerThread>)>,
}

impl ThreadContext {
    fn new(waiter: SharedWaiter, name: Option<String>) -> Self {
        Self {
            waiter,
            name,
            own_name: None,
            frames: Vec::new(),
            waited: Duration::ZERO,
            peer_threads: Vec::new(),
        }
    }

    /// Returns the thread in `all` that stands for this one.
    fn peer_thread(&self, all: &Arc<PeerThreads>) -> Option<Arc<PeerThread>> {
        let mut noted = self.peer_threads.iter();
        let found = noted.rfind(|(of, _)| of.as_ptr() == Arc::as_ptr(all));
        found.and_then(|(_, thread)| thread.upgrade())
    }
}

impl Drop for ThreadContext {
    fn drop(&mut self) {
        drop(self.waiter.close());
        for (all, thread) in &self.peer_threads {
            if let (Some(all), Some(thread)) = (all.upgrade(), thread.upgrade()) {
                all.forget(&thread);
            }
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<ThreadContext>> = const { RefCell::new(None) };
}

/// Runs `f` on the context of this thread, and returns its result. A thread that is ending has no
/// context any more, and yet another of its thread-locals may drop a handle or make a call: `f` then
/// gets a new context, which is also returned; the caller must keep it for as long as the call takes.
fn with<R>(limits: &Limits, f: impl FnOnce(&mut ThreadContext) -> R) -> (R, Option<Detached>) {
    let new = || ThreadContext::new(Arc::new(Waiter::new(false, limits.callback_depth)), None);
    let mut f = Some(f);
    let done = CURRENT.try_with(|current| {
        let mut current = current.borrow_mut();
        f.take().map(|f| f(current.get_or_insert_with(new)))
    });
    match (done, f) {
        (Ok(Some(value)), _) => (value, None),
        (_, Some(f)) => {
            let mut detached = new();
            (f(&mut detached), Some(Detached(detached)))
        }
        (_, None) => unreachable!("f is taken only where its value comes back"),
    }
}

/// The context of one call of a thread that is ending; later calls do not share it.
pub struct Detached(ThreadContext);

/// Makes this thread a server thread with this waiter and name.
pub fn adopt(waiter: SharedWaiter, name: String) {
    CURRENT.set(Some(ThreadContext::new(waiter, Some(name))));
}

/// A blocking call that this thread is about to make. The call ends when this is dropped, even when a
/// callback panics.
pub struct Calling {
    /// This thread's waiter.
    pub waiter: SharedWaiter,
    /// The peer's thread that the call runs on.
    pub route: Route,
    /// The number of requests of the same connection that this thread is executing.
    pub depth: usize,
    detached: Option<Detached>,
}

impl Calling {
    /// Keeps `thread`, one of `all`, as the peer's thread that stands for this one from now on.
    pub fn keep_peer_thread(&mut self, all: &Arc<PeerThreads>, thread: &Arc<PeerThread>) {
        let noted = (Arc::downgrade(all), Arc::downgrade(thread));
        match &mut self.detached {
            Some(Detached(detached)) => detached.peer_threads.push(noted),
            None => {
                with_kept(|current| {
                    let threads = &mut current.peer_threads;
                    threads.retain(|(_, thread)| thread.strong_count() > 0);
                    threads.push(noted);
                });
            }
        }
        all.keep(thread);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        drop(pop());
    }
}

/// Begins a blocking call to the peer that has these threads.
pub fn begin_call(peer: &Arc<PeerThreads>, limits: &Limits) -> Calling {
    let ((waiter, route, depth), detached) = with(limits, |current| {
        let (route, depth) = route(current, peer);
        current.frames.push(StackFrame::Call(peer.connection));
        (current.waiter.clone(), route, depth)
    });
    Calling {
        waiter,
        route,
        depth,
        detached,
    }
}

/// Returns this thread's waiter. The caller must keep the second value, if any, for as long as it
/// waits.
pub fn waiter(limits: &Limits) -> (SharedWaiter, Option<Detached>) {
    with(limits, |current| current.waiter.clone())
}

/// Returns the route and the depth of a call that this thread makes without waiting for its answer.
pub fn route_for(peer: &Arc<PeerThreads>, limits: &Limits) -> (Route, usize) {
    with(limits, |current| route(current, peer)).0
}

/// Returns this thread's name for peers.
pub fn name(exe_name: &str, limits: &Limits) -> Arc<str> {
    let name = |current: &mut ThreadContext| {
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
    with(limits, name).0
}

/// Releases the peer's thread that stands for this one, because it was not made or is busy with a call
/// that this thread gave up: the next call gets another.
pub fn forget_peer_thread(all: &PeerThreads, thread: &Arc<PeerThread>) {
    with_kept(|current| {
        let is_other = |noted: &Weak<PeerThread>| noted.as_ptr() != Arc::as_ptr(thread);
        current.peer_threads.retain(|(_, noted)| is_other(noted));
    });
    all.forget(thread);
}

/// Runs `f` as the execution of a request that came over `connection`, whose callbacks go to
/// `callback`. Afterwards `called` has the peer's thread that ran callbacks, if there were any.
pub fn execute<R>(
    connection: ConnectionId,
    callback: Option<Callback>,
    called: &mut Option<Arc<PeerThread>>,
    f: impl FnOnce() -> R,
) -> R {
    /// Ends the frame, even when the method panics.
    struct Pop<'a>(&'a mut Option<Arc<PeerThread>>);
    impl Drop for Pop<'_> {
        fn drop(&mut self) {
            if let Some(StackFrame::Request(_, Some(callback))) = pop() {
                *self.0 = callback.into_made();
            }
        }
    }
    with_kept(|current| {
        current
            .frames
            .push(StackFrame::Request(connection, callback))
    });
    let _pop = Pop(called);
    f()
}

/// Calls `wait`, and adds its duration to [`waited`] if this thread executes a request meanwhile.
pub fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    let executes = with_kept(|current| current.frames.iter().any(StackFrame::is_request));
    if executes != Some(true) {
        return wait();
    }
    let begun = Instant::now();
    let waited = wait();
    with_kept(|current| current.waited += begun.elapsed());
    waited
}

/// Returns the time that this thread has waited for answers while it executed requests.
pub fn waited() -> Duration {
    with_kept(|current| current.waited).unwrap_or_default()
}

/// Runs `f` on the context of this thread, if it has one.
fn with_kept<R>(f: impl FnOnce(&mut ThreadContext) -> R) -> Option<R> {
    let done = CURRENT.try_with(|current| current.borrow_mut().as_mut().map(f));
    done.ok().flatten()
}

/// Ends the innermost frame and returns it. The caller must drop it where this thread's context is not
/// borrowed.
fn pop() -> Option<StackFrame> {
    with_kept(|current| current.frames.pop()).flatten()
}

/// Returns the route and the depth of a call to `peer`. The outermost frame of this connection decides:
/// calls from inside a request go to the thread that waits for the request's answer; those from inside
/// a call of this thread, or from no frame at all, to the thread that stands for it (libmultiprocess,
/// `type-context.h`: an entry of `request_threads` that exists is left unchanged).
fn route(current: &mut ThreadContext, peer: &Arc<PeerThreads>) -> (Route, usize) {
    let mut depth = 0;
    let mut outermost = None;
    for frame in &mut current.frames {
        match frame {
            StackFrame::Call(id) if *id == peer.connection => {
                outermost.get_or_insert(None);
            }
            StackFrame::Request(id, callback) if *id == peer.connection => {
                depth += 1;
                outermost.get_or_insert_with(|| Some(callback.as_mut()?.thread().clone()));
            }
            _ => {}
        }
    }
    let route = match outermost.flatten() {
        Some(callback) => Route::Callback(callback),
        None => Route::Thread(current.peer_thread(peer)),
    };
    (route, depth)
}

/// Returns the current thread's name in a log for people. A thread that drives the event loop for
/// others has the loop's name meanwhile.
pub fn short_log_name() -> String {
    match is_on_loop() {
        true => event_loop::THREAD.to_owned(),
        false => std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned(),
    }
}

/// Returns the current thread's name as Core logs it: the name of a server thread names the caller's
/// thread.
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
