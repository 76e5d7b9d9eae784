//! An object of this process that a peer calls.
//!
//! Knows requests, threads and the order of things; nothing of particular methods, whose values
//! the generated [`Interface::dispatch`] reads and writes.

use std::any::Any;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use capnp::any_pointer;
use capnp::capability::FromClientHook;

use super::connection::{Connection, DESTROY_TIME};
use super::convert::{check_size, from_capnp};
use super::current;
use super::event_loop::waiter::{Job, Refused, SharedWaiter, Work};
use super::event_loop::{EventLoop, run_guarded};
use super::lanes::Lane;
use super::log;
use super::rpc::{Cap, Host, Incoming, Results, find};
use super::rt::{Answer, Held, Info, Interface, Method, Read, Role, Untyped};
use super::sync::lock;
use super::threads::{ThreadMapServer, ThreadServer, gone, unimplemented};
use crate::error::{Error, Result};

/// A local object with its interface's type erased.
pub trait Erased: Send + Sync {
    /// The interface.
    fn info(&self) -> Held<Info>;
    /// [`Interface::dispatch`].
    ///
    /// # Errors
    /// As that.
    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()>;
    /// The `Local` itself.
    fn as_any(&self) -> &dyn Any;
}

/// A local object of interface `I`.
pub struct Local<I: Interface + ?Sized>(pub Arc<I>);

impl<I: Interface + ?Sized> Erased for Local<I> {
    fn info(&self) -> Held<Info> {
        I::INFO.into()
    }

    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        I::dispatch(&*self.0, method, read, params, answer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A local object of an interface that a schema tells at run time.
pub struct LocalUntyped(pub Arc<dyn Untyped>);

impl Erased for LocalUntyped {
    fn info(&self) -> Held<Info> {
        self.0.info()
    }

    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        self.0.dispatch(method, read, params, answer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The server of one object for one peer.
pub struct ObjectServer {
    connection: Weak<Connection>,
    event_loop: Arc<EventLoop>,
    info: Held<Info>,
    object: Mutex<Option<Arc<dyn Erased>>>,
}

impl ObjectServer {
    /// Serves `object` to the peer of `connection`.
    pub fn new(connection: &Arc<Connection>, object: Arc<dyn Erased>) -> Arc<Self> {
        Arc::new(Self {
            connection: Arc::downgrade(connection),
            event_loop: connection.event_loop.clone(),
            info: object.info(),
            object: Mutex::new(Some(object)),
        })
    }

    fn erased(&self) -> Option<Arc<dyn Erased>> {
        lock(&self.object).clone()
    }

    /// The object, if it is of interface `I` and has not been destroyed.
    pub fn object<I: Interface + ?Sized>(&self) -> Option<Arc<I>> {
        let object = self.erased()?;
        let local = object.as_any().downcast_ref::<Local<I>>()?;
        Some(local.0.clone())
    }

    /// The object, if its interface is one of a schema at run time and it has not been destroyed.
    pub fn untyped(&self) -> Option<Arc<dyn Untyped>> {
        let object = self.erased()?;
        let local = object.as_any().downcast_ref::<LocalUntyped>()?;
        Some(local.0.clone())
    }

    fn method(&self, call: &Incoming) -> Option<(usize, Held<Method>)> {
        let is = |method: &&Held<Method>| {
            method.interface_id == call.interface() && method.ordinal == call.method()
        };
        let mut methods = self.info.methods.iter().enumerate();
        let (index, method) = methods.find(|(_, method)| is(method))?;
        Some((index, method.clone()))
    }
}

impl Host for ObjectServer {
    /// Takes a request as far as the thread that executes it.
    fn call(self: Arc<Self>, call: Incoming) {
        let Some(connection) = self.connection.upgrade() else {
            return call.fail(gone());
        };
        let Some((index, method)) = self.method(&call) else {
            return call.fail(unimplemented());
        };
        let number = connection.event_loop.next_request();
        log::server_receives(number, &method, &call);
        if method.role == Role::Construct {
            return construct(&connection, &method, number, call);
        }
        let context = match method.threaded {
            true => Context::read(&call).map(Some),
            false => Ok(None),
        };
        let executor = context.and_then(|context| Executor::of(&connection, context));
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
            work: Box::new(Request {
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
        let object = object.unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(object) = object.take() {
            self.event_loop.clean_up(move || drop(object));
        }
    }
}

/// A request on its way to the thread that executes it.
struct Request {
    number: u64,
    connection: Arc<Connection>,
    object: Arc<ObjectServer>,
    index: usize,
    method: Held<Method>,
    call: Incoming,
    executor: Executor,
}

impl Work for Request {
    fn run(self: Box<Self>) {
        let number = self.number;
        tracing::debug!(target: "ipc", "IPC server executing request #{number}");
        let (begun, waited) = (Instant::now(), current::waited());
        let callback = self.executor.callback.clone();
        let outcome = run_guarded(&*self.method, || {
            current::execute(self.connection.id, callback, || self.execute())
        });
        let outcome = outcome.unwrap_or_else(|| {
            Err(Error::failed(format!(
                "{} panicked",
                self.method.full_name()
            )))
        });
        self.wait_destroyed();
        // While it waits it reads what comes, as every thread that waits does.
        let waited = current::waited().saturating_sub(waited);
        self.method
            .pace
            .note(begun.elapsed().saturating_sub(waited));
        let Self { call, method, .. } = *self;
        match outcome {
            Ok(results) => {
                log::server_sends(number, &method, &results);
                call.answer(results);
            }
            Err(error) => {
                log::server_fails(number, &method, &error);
                call.fail(error);
            }
        }
    }

    fn refuse(self: Box<Self>, refused: Refused) {
        if self.method.role == Role::Destroy {
            // The thread has gone on; the object goes all the same, in order with others.
            let event_loop = self.connection.event_loop.clone();
            return event_loop.clean_up(move || self.run());
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

impl Request {
    /// Runs the method.
    fn execute(&self) -> Result<Results> {
        if self.method.role == Role::Destroy {
            let object = lock(&self.object.object).take();
            // The object dies on the thread that asked for it, before the answer.
            drop(object.ok_or_else(|| self.destroyed())?);
            return self.call.results(|_, _| Ok(()));
        }
        let object = self.object.erased().ok_or_else(|| self.destroyed())?;
        let read = Read {
            connection: &self.connection,
            caps: self.call.caps(),
        };
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

    /// Destructors are part of the method: once the caller has its answer, its thread is no longer
    /// there for them.
    fn wait_destroyed(&self) {
        let Some(lane) = &self.executor.callback else {
            return;
        };
        let Some(then) = lane.destroyed(|| ()) else {
            let deadline = Instant::now().checked_add(DESTROY_TIME);
            let _ = self.connection.wait_for(
                deadline,
                || false,
                |tell| {
                    if let Some(then) = lane.destroyed(move || tell.tell(())) {
                        then();
                    }
                },
            );
            return;
        };
        then();
    }
}

/// Swaps thread maps with the peer.
fn construct(connection: &Arc<Connection>, method: &Method, number: u64, call: Incoming) {
    use super::generated::wire::init_capnp::init::{construct_params, construct_results};
    let map = call.params(|params| {
        let params = params.get_as::<construct_params::Reader<'_>>()?;
        match params.has_thread_map() {
            true => {
                let map = params.get_thread_map()?;
                Ok(find(call.caps(), map.as_client_hook()).cloned())
            }
            false => Ok(None),
        }
    });
    match map.and_then(|map| map) {
        Ok(Some(map)) => {
            let before = lock(&connection.thread_map).replace(map);
            drop(before);
        }
        Ok(None) => {}
        Err(error) => return call.fail(from_capnp(error)),
    }
    let results = call.results(|caps, results| {
        let map = caps.add(ThreadMapServer::of(connection));
        let mut results = results.init_as::<construct_results::Builder<'_>>();
        results.set_thread_map(FromClientHook::new(map));
        Ok::<_, Infallible>(())
    });
    match results {
        Ok(results) => {
            log::server_sends(number, method, &results);
            call.answer(results);
        }
        Err(never) => match never {},
    }
}

/// The threads that a request names.
struct Context {
    thread: Option<Cap>,
    callback: Option<Cap>,
}

impl Context {
    /// Reads the context of any method: it is the first parameter of each that has one, so each
    /// one's parameters read as `Echo.destroy`'s.
    fn read(call: &Incoming) -> Result<Self> {
        use super::generated::wire::echo_capnp::echo::destroy_params;
        let read = call.params(|params| {
            let params = params.get_as::<destroy_params::Reader<'_>>()?;
            let context = params.get_context()?;
            let cap = |has: bool, client: capnp::Result<_>| -> capnp::Result<Option<Cap>> {
                let client: super::generated::wire::proxy_capnp::thread::Client = match has {
                    true => client?,
                    false => return Ok(None),
                };
                Ok(find(call.caps(), client.as_client_hook()).cloned())
            };
            Ok(Self {
                thread: cap(context.has_thread(), context.get_thread())?,
                callback: cap(context.has_callback_thread(), context.get_callback_thread())?,
            })
        });
        read.and_then(|read| read).map_err(from_capnp)
    }
}

/// The thread that executes a request, and where its callbacks go.
struct Executor {
    waiter: SharedWaiter,
    /// Keeps the thread for the request, also when the peer lets go of its handle meanwhile.
    _thread: Option<Arc<ThreadServer>>,
    callback: Option<Arc<Lane>>,
}

impl Executor {
    fn of(connection: &Arc<Connection>, context: Option<Context>) -> Result<Self> {
        let Some(context) = context else {
            return Ok(Self {
                waiter: connection.unthreaded.waiter(connection)?,
                _thread: None,
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
            None => {
                let pool = lock(&connection.pool);
                let least = pool.iter().min_by_key(|server| server.waiter.busy());
                let none = || Error::failed("no thread specified and no pool configured");
                least.cloned().ok_or_else(none)?
            }
        };
        server.ensure_running()?;
        let executes = Cap::Own(server.clone());
        Ok(Self {
            waiter: server.waiter.clone(),
            callback: context
                .callback
                .map(|callback| Lane::new(callback, executes)),
            _thread: Some(server),
        })
    }
}
