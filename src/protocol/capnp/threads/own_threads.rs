//! This process's threads that the peer runs calls on.
//!
//! Knows `proxy.capnp` and worker threads; nothing of methods or values. One thread of the caller
//! is one thread of the callee for all its calls, so that thread names and recursive locks work
//! across processes; `peer_threads` is the other direction. Threads whose names end in [`FREE`] stand
//! for none of the caller's, and `errands` runs their calls. The facts are from libmultiprocess's
//! `type-context.h` and `proxy.cpp`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use capnp::any_pointer;
use capnp::capability::FromClientHook;
use capnp::traits::HasTypeId;

use super::super::accounts::Account;
use super::super::convert::{NO_INTERFACE, from_capnp};
use super::super::event_loop::waiter::{SharedWaiter, Waiter};
use super::super::event_loop::{EventLoop, spawn_thread};
use super::super::rpc::{Cap, Caps, Host, INTERRUPTED, Incoming};
use super::super::sync::{Mutex, Rank, lock};
use super::super::wire::proxy_capnp::{thread, thread_map};
use super::counted::Counted;
use super::names::{NAME_LENGTH, cut, thread_name};
use super::thread_context;
use crate::error::{Error, NO_METHOD, Result};
use crate::limits::Limits;

/// The suffix of the names of threads for async calls, which stand for no thread of the caller. Only
/// this library names threads so; to other implementations it is a name like any other.
pub const FREE: &str = "/async";

/// The methods' numbers (`mp/proxy.capnp`).
const GET_NAME: u16 = 0;
const MAKE_THREAD: u16 = 0;
const MAKE_POOL: u16 = 1;

/// The threads of this process that run the calls of one connection's peer.
pub struct OwnThreads {
    event_loop: Arc<EventLoop>,
    limits: Limits,
    account: Arc<Account>,
    /// The number of worker threads that run for the peer.
    workers: Arc<AtomicUsize>,
    /// The threads of `makePool`.
    pool: Mutex<Vec<Arc<ThreadServer>>>,
    unthreaded: Mutex<Unthreaded>,
    /// Set once the connection has ended; no pool is kept from then on.
    ended: AtomicBool,
}

impl OwnThreads {
    /// Makes an empty set of threads.
    pub fn new(event_loop: &Arc<EventLoop>, limits: &Limits, account: &Arc<Account>) -> Arc<Self> {
        Arc::new(Self {
            event_loop: event_loop.clone(),
            limits: limits.clone(),
            account: account.clone(),
            workers: Arc::default(),
            pool: Mutex::ranked(Rank::Pool, Vec::new()),
            unthreaded: Mutex::default(),
            ended: AtomicBool::new(false),
        })
    }

    /// Returns the thread of the pool with the fewest requests.
    ///
    /// # Errors
    /// Fails when the peer made no pool.
    pub fn of_pool(&self) -> Result<Arc<ThreadServer>> {
        let pool = lock(&self.pool);
        let least = pool.iter().min_by_key(|server| server.waiter.busy());
        let none = || Error::failed("no thread specified and no pool configured");
        least.cloned().ok_or_else(none)
    }

    /// Returns the waiter of the thread for calls that name none, and starts that thread for the first
    /// of them.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread, [`Error::Disconnected`] after
    /// [`OwnThreads::end`].
    pub fn unthreaded(&self) -> Result<SharedWaiter> {
        let mut unthreaded = lock(&self.unthreaded);
        match &*unthreaded {
            Unthreaded::Made(waiter) => Ok(waiter.clone()),
            Unthreaded::Over => Err(gone()),
            Unthreaded::NotMade => {
                let waiter = self.worker_waiter();
                self.start_worker(waiter.clone(), None, |_| ())?;
                *unthreaded = Unthreaded::Made(waiter.clone());
                Ok(waiter)
            }
        }
    }

    /// Releases the pool, and ends the thread for calls that name none. Neither is made from now on.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let pool = std::mem::take(&mut *lock(&self.pool));
        let before = std::mem::replace(&mut *lock(&self.unthreaded), Unthreaded::Over);
        if let Unthreaded::Made(waiter) = before {
            drop(waiter.close());
        }
        drop(pool);
    }

    /// Makes a waiter for a server thread.
    fn worker_waiter(&self) -> SharedWaiter {
        Arc::new(Waiter::new(true, self.limits.callback_depth))
    }

    /// Starts a worker thread for the peer's thread `from`, or for this process's own needs, which are
    /// few and not counted. `started` gets its name, on that thread, once it runs.
    fn start_worker(
        &self,
        waiter: SharedWaiter,
        from: Option<String>,
        started: impl FnOnce(String) + Send + 'static,
    ) -> Result<()> {
        let counted = match from {
            Some(_) => {
                let limit = self.limits.threads_per_connection;
                Some(Counted::new(&self.workers, limit, &self.account)?)
            }
            None => None,
        };
        let exe_name = self.event_loop.exe_name().to_owned();
        let on = self.event_loop.as_loop();
        spawn_thread("ipc-worker", move || {
            let _counted = counted;
            let mut name = thread_name(&exe_name);
            if let Some(from) = from {
                name = format!("{name} (from {from})");
            }
            thread_context::adopt(waiter.clone(), name.clone());
            started(name);
            waiter.serve(&on);
        })
    }

    /// Makes a worker for the peer's calls that may run on any thread; `from` names the peer's thread
    /// that the first one comes from. `started` gets the worker, on its thread.
    ///
    /// # Errors
    /// Fails when there are too many threads, or the operating system gives none.
    pub fn worker(
        &self,
        from: &str,
        started: impl FnOnce(Weak<ThreadServer>) + Send + 'static,
    ) -> Result<Arc<ThreadServer>> {
        let waiter = self.worker_waiter();
        let server = ThreadServer::new(waiter.clone(), "", Kind::Errand);
        let weak = Arc::downgrade(&server);
        self.start_worker(waiter, Some(from.to_owned()), move |name| {
            if let Some(server) = weak.upgrade() {
                *lock(&server.name) = name;
            }
            started(weak);
        })?;
        Ok(server)
    }

    /// Makes a thread for the peer, and passes it to `started`, on that thread, once it runs.
    fn make_worker(
        &self,
        from: String,
        started: impl FnOnce(Arc<ThreadServer>) + Send + 'static,
    ) -> Result<()> {
        let waiter = self.worker_waiter();
        // From here on the server's drop closes the waiter, also when the connection ends before the
        // thread runs: "worker thread destroyed before it is initialized".
        let server = ThreadServer::new(waiter.clone(), "", Kind::Worker);
        self.start_worker(waiter, Some(from), move |name| {
            *lock(&server.name) = name;
            started(server);
        })
    }
}

/// The worker for calls that name no thread because their method has no context. In Core such a
/// call runs on the event loop; here no user code does, so each connection has one thread that
/// keeps their order, made when the first one comes.
#[derive(Default)]
enum Unthreaded {
    #[default]
    NotMade,
    Made(SharedWaiter),
    /// The connection has ended. A request that came before may still be on its way to here, and a
    /// thread made for it now would never end.
    Over,
}

/// A thread of this process that the peer may run calls on.
pub struct ThreadServer {
    /// The queue of its jobs.
    pub waiter: SharedWaiter,
    name: Mutex<String>,
    kind: Kind,
    /// The peer's thread that the last request came from.
    callback: Mutex<Option<Cap>>,
}

enum Kind {
    /// A thread of the application, which exists anyway.
    Application,
    /// A thread made for the peer; it ends when the peer releases it.
    Worker,
    /// A thread that stands for no thread of the peer: any worker may run its calls.
    Free,
    /// A worker for such calls; it ends with the connection, or when there are too many.
    Errand,
    /// A thread for the callbacks of async calls, started for the first one.
    Lazy(AtomicBool, Weak<OwnThreads>),
}

impl ThreadServer {
    /// Makes a server for a thread of the application that makes calls, for their callbacks.
    pub fn application(waiter: SharedWaiter, name: &str) -> Arc<Self> {
        Self::new(waiter, name, Kind::Application)
    }

    /// Returns whether it stands for no thread of the peer, so that any worker may run its calls.
    pub fn is_free(&self) -> bool {
        matches!(self.kind, Kind::Free)
    }

    /// Returns its name.
    pub fn name(&self) -> String {
        lock(&self.name).clone()
    }

    /// Makes a server for the callbacks of async calls, whose thread starts with the first one.
    pub fn lazy(threads: &Arc<OwnThreads>, name: &str) -> Arc<Self> {
        let kind = Kind::Lazy(AtomicBool::new(false), Arc::downgrade(threads));
        Self::new(threads.worker_waiter(), name, kind)
    }

    fn new(waiter: SharedWaiter, name: &str, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            waiter,
            name: Mutex::new(name.to_owned()),
            kind,
            callback: Mutex::default(),
        })
    }

    /// Keeps the peer's thread that a request came from. As long as one is held, later requests name
    /// the same import again, and need no Release each. Only a worker keeps it, for a request that
    /// names that worker: it ends with the peer's handle to it, while an application's thread and its
    /// worker in the peer would keep each other for ever.
    pub fn keep_callback(&self, callback: &Cap) {
        // Only an import: a thread of this process that the peer names here would keep itself.
        let keeps = matches!(self.kind, Kind::Worker | Kind::Free);
        if !(keeps && matches!(callback, Cap::Import(_))) {
            return;
        }
        let mut kept = lock(&self.callback);
        if kept.as_ref().is_some_and(|kept| kept.is(callback)) {
            return;
        }
        let before = kept.replace(callback.clone());
        drop(kept);
        drop(before);
    }

    /// Starts a thread that has not run yet.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread, [`Error::Disconnected`] when
    /// the connection is gone.
    pub fn ensure_running(&self) -> Result<()> {
        if let Kind::Lazy(running, threads) = &self.kind
            && !running.swap(true, Ordering::SeqCst)
        {
            let threads = threads.upgrade().ok_or_else(gone)?;
            let started = threads.start_worker(self.waiter.clone(), None, |_| ());
            return started.inspect_err(|_| running.store(false, Ordering::SeqCst));
        }
        Ok(())
    }
}

impl Drop for ThreadServer {
    fn drop(&mut self) {
        if !matches!(self.kind, Kind::Application) {
            // Dropping the queued jobs fails their calls.
            drop(self.waiter.close());
        }
    }
}

impl Host for ThreadServer {
    fn call(self: Arc<Self>, call: Incoming) {
        if (call.interface(), call.method()) != (thread::Client::TYPE_ID, GET_NAME) {
            let has_interface = call.interface() == thread::Client::TYPE_ID;
            return call.fail(unimplemented(has_interface));
        }
        let name = self.name();
        reply(call, |_, results| {
            let mut results = results.init_as::<thread::get_name_results::Builder<'_>>();
            results.set_result(name.as_str());
        });
    }
}

/// Makes the error for an unknown method, or for an interface that an object does not have, in the words
/// of Cap'n Proto's C++, by which a client tells the two apart.
pub fn unimplemented(has_interface: bool) -> Error {
    let text = match has_interface {
        true => NO_METHOD,
        false => NO_INTERFACE,
    };
    Error::Unimplemented(format!("{text}."))
}

/// Answers a call with the results that `fill` writes.
pub fn reply(call: Incoming, fill: impl FnOnce(&mut Caps<Cap>, any_pointer::Builder<'_>)) {
    let results = call.results(|caps, content| {
        fill(caps, content);
        Ok::<_, std::convert::Infallible>(())
    });
    match results {
        Ok(results) => call.answer(results),
        Err(never) => match never {},
    }
}

/// Makes the error of a request whose connection ended meanwhile.
pub fn gone() -> Error {
    Error::Disconnected(format!("{INTERRUPTED}."))
}

/// The thread map through which the peer makes threads of this process.
pub struct ThreadMapServer(Weak<OwnThreads>);

impl ThreadMapServer {
    /// Returns the thread map of these threads.
    pub fn of(threads: &Arc<OwnThreads>) -> Cap {
        Cap::Own(Arc::new(Self(Arc::downgrade(threads))))
    }
}

impl Host for ThreadMapServer {
    fn call(self: Arc<Self>, call: Incoming) {
        let Some(threads) = self.0.upgrade() else {
            return call.fail(gone());
        };
        match (call.interface(), call.method()) {
            (thread_map::Client::TYPE_ID, MAKE_THREAD) => make_thread(&threads, call),
            (thread_map::Client::TYPE_ID, MAKE_POOL) => make_pool(&threads, call),
            (interface, _) => {
                call.fail(unimplemented(interface == thread_map::Client::TYPE_ID));
            }
        }
    }
}

fn make_thread(threads: &Arc<OwnThreads>, call: Incoming) {
    let from = call.params(|params| {
        let params = params.get_as::<thread_map::make_thread_params::Reader<'_>>()?;
        let from = String::from_utf8_lossy(params.get_name()?.as_bytes()).into_owned();
        Ok(cut(&from, NAME_LENGTH).to_owned())
    });
    let from = match from.and_then(|from| from) {
        Ok(from) => from,
        Err(error) => return call.fail(from_capnp(error)),
    };
    let answer = |call: Incoming, server| {
        reply(call, |caps, results| {
            use thread_map::make_thread_results::Builder;
            let thread = caps.add(Cap::Own(server));
            let mut results = results.init_as::<Builder<'_>>();
            results.set_result(FromClientHook::new(thread));
        });
    };
    if from.ends_with(FREE) {
        let name = format!(
            "{} (from {from})",
            thread_name(threads.event_loop.exe_name())
        );
        let server = ThreadServer::new(threads.worker_waiter(), &name, Kind::Free);
        return answer(call, server);
    }
    let call = Pending::new(call);
    let pending = call.clone();
    let made = threads.make_worker(from, move |server| {
        if let Some(call) = pending.take() {
            answer(call, server);
        }
    });
    if let Err(error) = made {
        call.fail(error);
    }
}

/// A call that one of several threads may answer.
#[derive(Clone)]
struct Pending(Arc<Mutex<Option<Incoming>>>);

impl Pending {
    fn new(call: Incoming) -> Self {
        Self(Arc::new(Mutex::new(Some(call))))
    }

    fn take(&self) -> Option<Incoming> {
        lock(&self.0).take()
    }

    fn fail(&self, error: Error) {
        if let Some(call) = self.take() {
            call.fail(error);
        }
    }
}

fn make_pool(threads: &Arc<OwnThreads>, call: Incoming) {
    let count = call.params(|params| {
        let params = params.get_as::<thread_map::make_pool_params::Reader<'_>>()?;
        Ok(params.get_count() as usize)
    });
    let count = match count.and_then(|count| count) {
        Ok(count) => count,
        Err(error) => return call.fail(from_capnp(error)),
    };
    let existing = || Error::failed("makePool called on connection with existing pool");
    if !lock(&threads.pool).is_empty() {
        return call.fail(existing());
    }
    let limit = threads.limits.threads_per_connection;
    if count > limit {
        return call.fail(Error::overloaded(format!(
            "a pool of {count} threads is beyond this connection's limit of {limit}"
        )));
    }
    let call = Pending::new(call);
    let made: Arc<Mutex<Vec<Arc<ThreadServer>>>> = Arc::default();
    let finish = {
        let (threads, made, call) = (Arc::downgrade(threads), made.clone(), call.clone());
        move || {
            let (Some(threads), Some(call)) = (threads.upgrade(), call.take()) else {
                return;
            };
            let mut pool = lock(&threads.pool);
            // Another makePool may have been answered while this one waited for its threads.
            if !pool.is_empty() {
                drop(pool);
                return call.fail(existing());
            }
            if !threads.ended.load(Ordering::SeqCst) {
                *pool = std::mem::take(&mut *lock(&made));
            }
            drop(pool);
            reply(call, |_, results| {
                results.init_as::<thread_map::make_pool_results::Builder<'_>>();
            });
        }
    };
    if count == 0 {
        return finish();
    }
    for index in 0..count {
        let (made, finish) = (made.clone(), finish.clone());
        let started = threads.make_worker(format!("pool/{index}"), move |server| {
            let mut servers = lock(&made);
            servers.push(server);
            let complete = servers.len() == count;
            drop(servers);
            if complete {
                finish();
            }
        });
        if let Err(error) = started {
            return call.fail(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::accounts::Accounts;
    use super::*;

    #[test]
    fn no_thread_is_made_for_a_request_that_comes_after_the_end() {
        let event_loop = EventLoop::new("test").unwrap();
        let limits = Limits::default();
        let account = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
        let threads = OwnThreads::new(&event_loop, &limits, &account);
        let made = threads.unthreaded().unwrap();
        let again = threads.unthreaded().unwrap();
        assert!(Arc::ptr_eq(&made, &again));
        threads.end();
        let late = threads.unthreaded();
        assert!(matches!(late, Err(Error::Disconnected(_))));
    }
}
