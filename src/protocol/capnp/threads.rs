//! This process's threads that the peer runs calls on.
//!
//! Knows `proxy.capnp` and worker threads; nothing of methods or values. One thread of the caller
//! is one thread of the callee for all its calls, so that thread names and recursive locks work
//! across processes; `lanes` is the other direction. The facts are from libmultiprocess's
//! `type-context.h` and `proxy.cpp`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use capnp::any_pointer;
use capnp::capability::FromClientHook;
use capnp::traits::HasTypeId;

use super::connection::Connection;
use super::convert::from_capnp;
use super::current;
use super::event_loop::spawn_thread;
use super::event_loop::waiter::{SharedWaiter, Waiter};
use super::generated::wire::proxy_capnp::{thread, thread_map};
use super::rpc::{Cap, Caps, Host, INTERRUPTED, Incoming};
use super::sync::lock;
use crate::error::{Error, Result};

/// Peers' names for their threads are cut at this many bytes.
pub const NAME_LENGTH: usize = 256;

/// The methods' numbers (`mp/proxy.capnp`).
const GET_NAME: u16 = 0;
const MAKE_THREAD: u16 = 0;
const MAKE_POOL: u16 = 1;

/// A thread of this process that the peer may run calls on.
pub struct ThreadServer {
    /// Takes the jobs.
    pub waiter: SharedWaiter,
    name: Mutex<String>,
    kind: Kind,
    /// The peer's thread that the last request came from.
    callback: Mutex<Option<Cap>>,
}

enum Kind {
    /// An application's thread, which is there anyway.
    Application,
    /// Made for the peer; ends when the peer lets go of it.
    Worker,
    /// Made for the callbacks of async calls, when the first one comes.
    Lazy(AtomicBool, Weak<Connection>),
}

impl ThreadServer {
    /// A thread of the application's that makes calls, for their callbacks.
    pub fn application(waiter: SharedWaiter, name: &str) -> Arc<Self> {
        Self::new(waiter, name, Kind::Application)
    }

    /// A thread for the callbacks of async calls, which begins with the first one.
    pub fn lazy(connection: &Arc<Connection>, name: &str) -> Arc<Self> {
        let kind = Kind::Lazy(AtomicBool::new(false), Arc::downgrade(connection));
        Self::new(worker_waiter(connection), name, kind)
    }

    fn new(waiter: SharedWaiter, name: &str, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            waiter,
            name: Mutex::new(name.to_owned()),
            kind,
            callback: Mutex::default(),
        })
    }

    /// Keeps the peer's thread that a request came from. As long as one is held, those of later
    /// requests are the same one again, and no Release has to be sent for each. Only a worker does,
    /// of a request that names it: it ends with the peer's handle to it, while an application's
    /// thread and its worker in the peer would keep each other for ever.
    pub fn keep_callback(&self, callback: &Cap) {
        // Nothing but an object of the peer's: a thread of ours that the peer names here would keep
        // itself.
        if !matches!((&self.kind, callback), (Kind::Worker, Cap::Import(_))) {
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

    /// Lets a thread begin that has waited for its first use.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn ensure_running(&self) -> Result<()> {
        if let Kind::Lazy(running, connection) = &self.kind
            && !running.swap(true, Ordering::SeqCst)
        {
            let connection = connection.upgrade().ok_or_else(gone)?;
            let started = start_worker(&connection, self.waiter.clone(), None, |_| ());
            return started.inspect_err(|_| running.store(false, Ordering::SeqCst));
        }
        Ok(())
    }
}

impl Drop for ThreadServer {
    fn drop(&mut self) {
        if !matches!(self.kind, Kind::Application) {
            // What it was still to run fails with this.
            drop(self.waiter.close());
        }
    }
}

impl Host for ThreadServer {
    fn call(self: Arc<Self>, call: Incoming) {
        if (call.interface(), call.method()) != (thread::Client::TYPE_ID, GET_NAME) {
            return call.fail(unimplemented());
        }
        let name = lock(&self.name).clone();
        reply(call, |_, results| {
            let mut results = results.init_as::<thread::get_name_results::Builder<'_>>();
            results.set_result(name.as_str());
        });
    }
}

/// Core's words, which tell a client which generation it talks to.
pub fn unimplemented() -> Error {
    Error::Unimplemented("Method not implemented.".into())
}

/// Answers a call with what `fill` writes.
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

/// A waiter for a server thread.
fn worker_waiter(connection: &Connection) -> SharedWaiter {
    Arc::new(Waiter::new(true, connection.limits.callback_depth))
}

/// Counts the worker threads of a connection, until they have really ended.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connection: &Connection) -> Result<Self> {
        let count = connection.workers.clone();
        let limit = connection.limits.threads_per_connection;
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
/// there are few. `started` is told its name, on it, once it runs.
fn start_worker(
    connection: &Connection,
    waiter: SharedWaiter,
    from: Option<String>,
    started: impl FnOnce(String) + Send + 'static,
) -> Result<()> {
    let counted = match from {
        Some(_) => Some(Counted::new(connection)?),
        None => None,
    };
    let exe_name = connection.event_loop.exe_name().to_owned();
    let on = connection.event_loop.as_loop();
    spawn_thread("ipc-worker", move || {
        let _counted = counted;
        let mut name = current::thread_name(&exe_name);
        if let Some(from) = from {
            name = format!("{name} (from {from})");
        }
        current::adopt(waiter.clone(), name.clone());
        started(name);
        waiter.serve(&on);
    })
}

/// The connection ended meanwhile.
pub fn gone() -> Error {
    Error::Disconnected(INTERRUPTED.into())
}

/// Makes a thread for the peer, and gives it to `started`, on it, once it runs.
fn make_worker(
    connection: &Arc<Connection>,
    from: String,
    started: impl FnOnce(Arc<ThreadServer>) + Send + 'static,
) -> Result<()> {
    let waiter = worker_waiter(connection);
    // From here on the server's drop closes the waiter, also when the connection ends before the
    // thread runs: "worker thread destroyed before it is initialized".
    let server = ThreadServer::new(waiter.clone(), "", Kind::Worker);
    start_worker(connection, waiter, Some(from), move |name| {
        *lock(&server.name) = name;
        started(server);
    })
}

/// What the peer makes its threads of this process with.
pub struct ThreadMapServer(Weak<Connection>);

impl ThreadMapServer {
    /// The thread map for the peer of `connection`.
    pub fn of(connection: &Arc<Connection>) -> Cap {
        Cap::Own(Arc::new(Self(Arc::downgrade(connection))))
    }
}

impl Host for ThreadMapServer {
    fn call(self: Arc<Self>, call: Incoming) {
        let Some(connection) = self.0.upgrade() else {
            return call.fail(gone());
        };
        match (call.interface(), call.method()) {
            (thread_map::Client::TYPE_ID, MAKE_THREAD) => make_thread(&connection, call),
            (thread_map::Client::TYPE_ID, MAKE_POOL) => make_pool(&connection, call),
            _ => call.fail(unimplemented()),
        }
    }
}

fn make_thread(connection: &Arc<Connection>, call: Incoming) {
    let from = call.params(|params| {
        let params = params.get_as::<thread_map::make_thread_params::Reader<'_>>()?;
        let from = String::from_utf8_lossy(params.get_name()?.as_bytes()).into_owned();
        Ok(cut(&from, NAME_LENGTH).to_owned())
    });
    let from = match from.and_then(|from| from) {
        Ok(from) => from,
        Err(error) => return call.fail(from_capnp(error)),
    };
    let call = Pending::new(call);
    let pending = call.clone();
    let made = make_worker(connection, from, move |server| {
        if let Some(call) = pending.take() {
            reply(call, |caps, results| {
                use thread_map::make_thread_results::Builder;
                let thread = caps.add(Cap::Own(server));
                let mut results = results.init_as::<Builder<'_>>();
                results.set_result(FromClientHook::new(thread));
            });
        }
    });
    if let Err(error) = made {
        call.fail(error);
    }
}

/// A call that one of several may answer.
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

fn make_pool(connection: &Arc<Connection>, call: Incoming) {
    let count = call.params(|params| {
        let params = params.get_as::<thread_map::make_pool_params::Reader<'_>>()?;
        Ok(params.get_count() as usize)
    });
    let count = match count.and_then(|count| count) {
        Ok(count) => count,
        Err(error) => return call.fail(from_capnp(error)),
    };
    let existing = || Error::failed("makePool called on connection with existing pool");
    if !lock(&connection.pool).is_empty() {
        return call.fail(existing());
    }
    let limit = connection.limits.threads_per_connection;
    if count > limit {
        return call.fail(Error::overloaded(format!(
            "a pool of {count} threads is beyond this connection's limit of {limit}"
        )));
    }
    let call = Pending::new(call);
    let made: Arc<Mutex<Vec<Arc<ThreadServer>>>> = Arc::default();
    let finish = {
        let (connection, made, call) = (Arc::downgrade(connection), made.clone(), call.clone());
        move || {
            let (Some(connection), Some(call)) = (connection.upgrade(), call.take()) else {
                return;
            };
            let mut pool = lock(&connection.pool);
            // Another makePool may have been answered while this one waited for its threads.
            if !pool.is_empty() {
                drop(pool);
                return call.fail(existing());
            }
            if connection.closed().is_none() {
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
        let started = make_worker(connection, format!("pool/{index}"), move |server| {
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

/// `text`, cut at `length` bytes at the most, between characters.
pub fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// The worker for calls that name no thread because their method has no context. In Core such a
/// call runs on the event loop; here no user code does, so each connection has one thread that
/// keeps their order, made when the first one comes.
#[derive(Default)]
pub struct Unthreaded(Mutex<Only>);

/// A connection's only thread of its kind.
#[derive(Default)]
enum Only {
    #[default]
    NotMade,
    Made(SharedWaiter),
    /// The connection has ended. A request that came before may still be on its way to here, and a
    /// thread that was made for it now would be there for ever.
    Over,
}

impl Unthreaded {
    /// The thread's waiter.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread, [`Error::Disconnected`] after
    /// [`Unthreaded::close`].
    pub fn waiter(&self, connection: &Connection) -> Result<SharedWaiter> {
        let mut only = lock(&self.0);
        match &*only {
            Only::Made(waiter) => Ok(waiter.clone()),
            Only::Over => Err(gone()),
            Only::NotMade => {
                let waiter = worker_waiter(connection);
                start_worker(connection, waiter.clone(), None, |_| ())?;
                *only = Only::Made(waiter.clone());
                Ok(waiter)
            }
        }
    }

    /// Ends the thread, and has none made from now on.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *lock(&self.0), Only::Over);
        if let Only::Made(waiter) = before {
            drop(waiter.close());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::super::connection::Side;
    use super::super::event_loop::EventLoop;
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn no_thread_is_made_for_a_request_that_comes_after_the_end() {
        let event_loop = EventLoop::new("test").unwrap();
        let (stream, _peer) = UnixStream::pair().unwrap();
        let limits = Limits::default();
        let connection =
            Connection::open(&event_loop, limits, stream, Side::Server, |_| None, |_| ());
        let connection = connection.unwrap();
        let made = connection.unthreaded.waiter(&connection).unwrap();
        let again = connection.unthreaded.waiter(&connection).unwrap();
        assert!(Arc::ptr_eq(&made, &again));
        connection.disconnect();
        let late = connection.unthreaded.waiter(&connection);
        assert!(matches!(late, Err(Error::Disconnected(_))));
    }
}
