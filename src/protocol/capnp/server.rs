//! An object of this process that a peer calls.
//!
//! Knows requests, and the thread that executes each; nothing of particular methods, whose values
//! [`Served::dispatch`] reads and writes.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::connection::{Connection, DESTROY_TIME};
use super::convert::{check_size, from_capnp};
use super::event_loop::waiter::{Job, Refused, SharedWaiter, Work};
use super::event_loop::{EventLoop, run_guarded};
use super::handshake;
use super::info::{Info, Method, Role, StaticOrShared};
use super::log;
use super::rpc::{Cap, Host, Incoming, Results};
use super::served::{Served, local};
use super::sync::{Mutex, lock};
use super::threads::errands::{Errand, this_worker};
use super::threads::own_threads::{ThreadServer, gone, unimplemented};
use super::threads::peer_threads::{Callback, PeerThread};
use super::threads::thread_context;
use super::values::{Answer, Interface, Read};
use super::wire::init_capnp::init::construct_params;
use crate::error::{Error, Result};

/// The server of one object for one peer.
pub struct ObjectServer {
    connection: Weak<Connection>,
    event_loop: Arc<EventLoop>,
    info: StaticOrShared<Info>,
    object: Mutex<Option<Arc<dyn Served>>>,
}

impl ObjectServer {
    /// Makes a server of `object` for the peer of `connection`.
    pub fn new(connection: &Arc<Connection>, object: Arc<dyn Served>) -> Arc<Self> {
        Arc::new(Self {
            connection: Arc::downgrade(connection),
            event_loop: connection.event_loop.clone(),
            info: object.info(),
            object: Mutex::new(Some(object)),
        })
    }

    /// Returns the object, if it has not been destroyed.
    pub fn served(&self) -> Option<Arc<dyn Served>> {
        lock(&self.object).clone()
    }

    /// Returns the object as one of interface `I` of generated code, if it is one and has not been
    /// destroyed.
    pub fn object<I: Interface + ?Sized>(&self) -> Option<Arc<I>> {
        local(&self.served()?)
    }

    fn method(&self, call: &Incoming) -> Option<(usize, StaticOrShared<Method>)> {
        let is = |method: &&StaticOrShared<Method>| {
            method.interface_id == call.interface() && method.ordinal == call.method()
        };
        let mut methods = self.info.methods.iter().enumerate();
        let (index, method) = methods.find(|(_, method)| is(method))?;
        Some((index, method.clone()))
    }
}

impl Host for ObjectServer {
    /// Posts a request to the thread that executes it.
    fn call(self: Arc<Self>, call: Incoming) {
        let Some(connection) = self.connection.upgrade() else {
            return call.fail(gone());
        };
        let Some((index, method)) = self.method(&call) else {
            let has_interface = self.info.answers_as(call.interface());
            return call.fail(unimplemented(has_interface));
        };
        let number = connection.event_loop.next_request();
        log::server_receives(number, &method, &call);
        if method.role == Role::Construct {
            return handshake::answer(&connection, &method, number, call);
        }
        let context = match method.threaded {
            true => Context::read(&call).map(Some),
            false => check_parameters(&call).map(|()| None),
        };
        let is_quick = method.pace.is_quick();
        let executor = context.and_then(|context| Executor::of(&connection, context, is_quick));
        let executor = match executor {
            Ok(executor) => executor,
            Err(error) => {
                log::server_fails(number, &method, &error);
                return call.fail(error);
            }
        };
        let waiter = executor.waiter.clone();
        let job = Job {
            connection: connection.id,
            slow: method.pace.is_slow(),
            alone: executor.errand.is_some(),
            quick: executor.errand.is_some() && is_quick,
            guard: None,
            work: Box::new(PendingRequest {
                number,
                connection,
                object: self,
                index,
                method,
                call,
                executor,
            }),
        };
        if let Err((refused, job)) = waiter.post(job) {
            job.work.refuse(refused);
        }
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        let object = self.object.get_mut();
        if let Some(object) = object.take() {
            self.event_loop.clean_up(move || drop(object));
        }
    }
}

/// A request on its way to the thread that executes it.
struct PendingRequest {
    number: u64,
    connection: Arc<Connection>,
    object: Arc<ObjectServer>,
    index: usize,
    method: StaticOrShared<Method>,
    call: Incoming,
    executor: Executor,
}

impl Work for PendingRequest {
    fn run(mut self: Box<Self>, followed: &dyn Fn() -> bool) {
        let number = self.number;
        tracing::debug!(target: "ipc", "IPC server executing request #{number}");
        let (begun, waited) = (Instant::now(), thread_context::waited());
        let (callback, mut called) = (self.executor.callback(), None);
        let outcome = run_guarded(&*self.method, || {
            thread_context::execute(self.connection.id, callback, &mut called, || self.execute())
        });
        let outcome = outcome.unwrap_or_else(|| {
            Err(Error::failed(format!(
                "{} panicked",
                self.method.full_name()
            )))
        });
        if let Some(called) = called {
            self.wait_destroyed(&called);
        }
        let waited = thread_context::waited().saturating_sub(waited);
        self.method.pace.note(begun.elapsed(), waited);
        // Before the answer: the caller's next call finds the worker free.
        let gathers = self.executor.errand.take().is_some() && followed();
        let event_loop = self.connection.event_loop.clone();
        let Self { call, method, .. } = *self;
        let give = || match outcome {
            Ok(results) => {
                log::server_sends(number, &method, &results);
                call.answer(results);
            }
            Err(error) => {
                log::server_fails(number, &method, &error);
                call.fail(error);
            }
        };
        match gathers {
            true => event_loop.gather_for_next(give),
            false => give(),
        }
    }

    fn refuse(self: Box<Self>, refused: Refused) {
        if self.method.role == Role::Destroy {
            // The thread has gone on; the object is destroyed all the same, in order with others.
            let event_loop = self.connection.event_loop.clone();
            return event_loop.clean_up(move || self.run(&|| false));
        }
        let error = match refused {
            Refused::NotWaiting => {
                Error::failed("the thread is not waiting for a call on this connection")
            }
            Refused::TooDeep => Error::overloaded("calls back and forth are nested too deeply"),
        };
        log::server_fails(self.number, &self.method, &error);
        self.call.fail(error);
    }
}

impl PendingRequest {
    /// Runs the method.
    fn execute(&self) -> Result<Results> {
        if self.method.role == Role::Destroy {
            let object = lock(&self.object.object).take();
            // The object dies on the thread that asked for it, before the answer.
            drop(object.ok_or_else(|| self.destroyed())?);
            return self.call.results(|_, _| Ok(()));
        }
        let object = self.object.served().ok_or_else(|| self.destroyed())?;
        let read = Read::new(&self.connection, self.call.caps());
        let mut answer = Answer::new(&self.connection, &self.call);
        let dispatched = self
            .call
            .params(|params| object.dispatch(self.index, &read, params, &mut answer));
        dispatched.map_err(from_capnp)??;
        let results = answer.finish()?;
        check_size(&self.connection.limits, results.size(), &self.method)?;
        Ok(results)
    }

    fn destroyed(&self) -> Error {
        Error::failed(format!(
            "{} was called after its destroy",
            self.object.info.name
        ))
    }

    /// Waits until `thread` has no pending `destroy`, for at most [`DESTROY_TIME`]. Destructors are
    /// part of the method: once the caller has its answer, its thread no longer runs them.
    fn wait_destroyed(&self, thread: &Arc<PeerThread>) {
        let Some(then) = thread.destroyed(|| ()) else {
            let deadline = Instant::now().checked_add(DESTROY_TIME);
            let _ = self.connection.wait_for(
                deadline,
                || false,
                |tell| {
                    if let Some(then) = thread.destroyed(move || tell.tell(())) {
                        then();
                    }
                },
            );
            return;
        };
        then();
    }
}

/// Checks that the parameters of a call are a struct, which a method without any does not read. A peer
/// that asks whether there is such a method sends others
/// ([`Outgoing::never_run`](super::outgoing::Outgoing::never_run)).
fn check_parameters(call: &Incoming) -> Result<()> {
    if call.words().is_some() {
        return Ok(());
    }
    // They may be in a message with an unusual layout, or null.
    let read = call.params(|params| params.get_as::<construct_params::Reader<'_>>().map(drop));
    let read = read.and_then(|read| read);
    read.map_err(|error| Error::failed(format!("parameters that cannot be read: {error}")))
}

/// The pointers of a context.
const THREAD: usize = 0;
const CALLBACK: usize = 1;

/// The threads that a request names.
struct Context {
    thread: Option<Cap>,
    callback: Option<Cap>,
}

impl Context {
    /// Reads the context of any method: it is the first pointer of the parameters of each method that
    /// has one, and holds the two threads (`mp/proxy.capnp`).
    fn read(call: &Incoming) -> Result<Self> {
        let context = call.words().and_then(|params| params.structure(0));
        let context = context.ok_or_else(|| Error::failed("a context that cannot be read"))?;
        let cap = |pointer| match context.capability(pointer) {
            Some(None) => Ok(None),
            Some(Some(index)) => Ok(call.caps().get(index).cloned().flatten()),
            None => Err(Error::failed("invalid thread handle")),
        };
        Ok(Self {
            thread: cap(THREAD)?,
            callback: cap(CALLBACK)?,
        })
    }
}

/// The thread that executes a request, and the thread that its callbacks go to.
struct Executor {
    waiter: SharedWaiter,
    /// Keeps the thread alive for the request, even when the peer drops its handle meanwhile.
    thread: Option<Arc<ThreadServer>>,
    /// The worker chosen for the request, if any worker may execute it.
    errand: Option<Errand>,
    /// The peer's thread that the request's callbacks go to.
    callback: Option<Cap>,
}

impl Executor {
    fn of(connection: &Arc<Connection>, context: Option<Context>, is_quick: bool) -> Result<Self> {
        let Some(context) = context else {
            return Ok(Self {
                waiter: connection.own_threads.unthreaded()?,
                thread: None,
                errand: None,
                callback: None,
            });
        };
        let server = match context.thread {
            Some(thread) => {
                let server = thread.own::<ThreadServer>();
                let server = server.ok_or_else(|| Error::failed("invalid thread handle"))?;
                if let Some(callback) = &context.callback {
                    server.keep_callback(callback);
                }
                server
            }
            None => connection.own_threads.of_pool()?,
        };
        server.ensure_running()?;
        let errand = match server.is_free() {
            true => Some(connection.errands.choose(is_quick, || server.name())?),
            false => None,
        };
        let executes = errand.as_ref().map_or(&server, |errand| &errand.server);
        Ok(Self {
            waiter: executes.waiter.clone(),
            callback: context.callback,
            thread: Some(server),
            errand,
        })
    }

    /// Returns the callback target of the request, for the thread that executes it, which is the
    /// calling one.
    fn callback(&self) -> Option<Callback> {
        let callback = self.callback.clone()?;
        let executes = match &self.errand {
            Some(_) => this_worker(),
            None => self.thread.clone(),
        };
        Some(Callback::new(callback, Cap::Own(executes?)))
    }
}
