//! An object of this process that a peer calls.
//!
//! Knows requests, threads and the order of things; nothing of particular methods, whose values
//! the generated [`Interface::dispatch`] reads and writes.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use capnp::any_pointer;
use capnp::capability::{
    DispatchCallResult, FromClientHook, FromServer, Params, Promise, Results, Server,
    get_resolved_cap,
};
use capnp::private::capability::ClientHook;
use futures::channel::oneshot;

use super::connection::Connection;
use super::convert::{check_size, from_capnp, to_capnp};
use super::current;
use super::event_loop::{OffLoop, run_guarded};
use super::generated::wire::proxy_capnp::thread;
use super::lanes::RequestLane;
use super::log;
use super::rt::{Build, Fill, Held, Info, Interface, Job, Method, Read, Role, Untyped};
use super::threads::{ThreadMapServer, ThreadServer};
use super::waiter::{Job as ThreadJob, Refused, SharedWaiter};
use crate::error::{Error, Result};

/// A local object with its interface's type erased.
pub trait Erased: Send {
    /// The interface.
    fn info(&self) -> Held<Info>;
    /// [`Interface::dispatch`].
    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
    ) -> Result<Job>;
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
    ) -> Result<Job> {
        I::dispatch(self.0.clone(), method, read, params)
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
    ) -> Result<Job> {
        self.0.clone().dispatch(method, read, params)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The server of one object for one peer.
pub struct ObjectServer {
    connection: Weak<Connection>,
    info: Held<Info>,
    object: RefCell<Option<Box<dyn Erased>>>,
    event_loop: Arc<super::event_loop::EventLoop>,
}

impl ObjectServer {
    /// Serves `object` to the peer of `connection`.
    pub fn new(connection: &Rc<Connection>, object: Box<dyn Erased>) -> Self {
        Self {
            connection: Rc::downgrade(connection),
            info: object.info(),
            object: RefCell::new(Some(object)),
            event_loop: connection.shared.event_loop.clone(),
        }
    }

    /// The object, if it is of interface `I` and has not been destroyed.
    pub fn object<I: Interface + ?Sized>(&self) -> Option<Arc<I>> {
        let object = self.object.borrow();
        let local = object.as_ref()?.as_any().downcast_ref::<Local<I>>()?;
        Some(local.0.clone())
    }

    /// The object, if its interface is one of a schema at run time and it has not been destroyed.
    pub fn untyped(&self) -> Option<Arc<dyn Untyped>> {
        let object = self.object.borrow();
        let local = object.as_ref()?.as_any().downcast_ref::<LocalUntyped>()?;
        Some(local.0.clone())
    }

    fn method(&self, interface_id: u64, ordinal: u16) -> Option<(usize, Held<Method>)> {
        self.info
            .methods
            .iter()
            .position(|method| method.interface_id == interface_id && method.ordinal == ordinal)
            .map(|index| (index, self.info.methods[index].clone()))
    }

    /// What is to run for a request, or the answer when nothing is.
    fn job(
        &self,
        connection: &Rc<Connection>,
        index: usize,
        method: &Method,
        params: any_pointer::Reader<'_>,
    ) -> Result<Job> {
        if method.role == Role::Destroy {
            let object = self.object.borrow_mut().take();
            let nothing: Fill = Box::new(|_, _| Ok(()));
            return match object {
                // The object dies on the thread that asked for it, before the answer.
                Some(object) => Ok(Box::new(move || {
                    drop(object);
                    Ok(nothing)
                })),
                None => Err(destroyed(&self.info)),
            };
        }
        let object = self.object.borrow();
        let object = object.as_ref().ok_or_else(|| destroyed(&self.info))?;
        object.dispatch(index, &Read { connection }, params)
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.event_loop.clean_up(move || drop(object));
        }
    }
}

fn destroyed(info: &Info) -> Error {
    Error::failed(format!("{} was called after its destroy", info.name))
}

/// A capability of any interface.
#[derive(Clone)]
pub struct AnyClient(Box<dyn ClientHook>);

impl FromClientHook for AnyClient {
    fn new(hook: Box<dyn ClientHook>) -> Self {
        Self(hook)
    }

    fn into_client_hook(self) -> Box<dyn ClientHook> {
        self.0
    }

    fn as_client_hook(&self) -> &dyn ClientHook {
        &*self.0
    }
}

impl FromServer<ObjectServer> for AnyClient {
    type Dispatch = Dispatch;

    fn from_server(server: Rc<ObjectServer>) -> Dispatch {
        Dispatch(server)
    }
}

/// An [`ObjectServer`] as capnp-rpc calls it.
#[derive(Clone)]
pub struct Dispatch(Rc<ObjectServer>);

impl Deref for Dispatch {
    type Target = ObjectServer;

    fn deref(&self) -> &ObjectServer {
        &self.0
    }
}

impl Server for Dispatch {
    fn dispatch_call(
        self,
        interface_id: u64,
        method_id: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        let promise = match self.begin(interface_id, method_id, params, results) {
            Ok(promise) => promise,
            Err(error) => Promise::err(to_capnp(&error)),
        };
        DispatchCallResult::new(promise, false)
    }

    fn as_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }
}

impl Dispatch {
    /// Takes a request as far as the thread that executes it.
    fn begin(
        self,
        interface_id: u64,
        method_id: u16,
        params: Params<any_pointer::Owned>,
        mut results: Results<any_pointer::Owned>,
    ) -> Result<Promise<(), capnp::Error>> {
        let connection = self.connection.upgrade().ok_or_else(|| {
            Error::Disconnected("the connection that this object was served on is gone".into())
        })?;
        let Some((index, method)) = self.method(interface_id, method_id) else {
            // Core's words, which tell a client which generation it talks to.
            return Err(Error::Unimplemented("Method not implemented.".into()));
        };
        let request = connection.next_request();
        let reader = params.get().map_err(from_capnp)?;
        log::server_receives(request, &method, reader);
        if method.role == Role::Construct {
            construct(&connection, reader, &mut results)?;
            log::server_sends(request, &method, || results.get().into_reader());
            return Ok(Promise::ok(()));
        }
        let context = match method.threaded {
            true => Some(Context::read(reader)?),
            false => None,
        };
        let job = self.job(&connection, index, &method, reader)?;
        let job = OffLoop::new(&connection.shared.event_loop, job);
        drop(params);
        Ok(Promise::from_future(async move {
            // Keeps the object while its method runs, also when the peer lets go of it.
            let _object = self;
            let outcome = execute(&connection, request, &method, context, job, &mut results).await;
            match outcome {
                Ok(()) => {
                    log::server_sends(request, &method, || results.get().into_reader());
                    Ok(())
                }
                Err(error) => {
                    log::server_fails(request, &method, &error);
                    Err(to_capnp(&error))
                }
            }
        }))
    }
}

/// Runs a request's job on its thread and writes the results.
async fn execute(
    connection: &Rc<Connection>,
    request: u64,
    method: &Held<Method>,
    context: Option<Context>,
    job: OffLoop<Job>,
    results: &mut Results<any_pointer::Owned>,
) -> Result<()> {
    let Executor {
        waiter,
        thread: _thread,
        callback: lane,
    } = executor(connection, context).await?;
    let callback = lane.as_ref().map(|lane| lane.id);
    let (sender, receiver) = oneshot::channel();
    let id = connection.shared.id;
    let event_loop = connection.shared.event_loop.clone();
    let job = job.into_inner();
    let named = method.clone();
    let run = move || {
        let method = named;
        tracing::debug!(target: "ipc", "IPC server executing request #{request}");
        let what = || format!("{}.{}", method.interface, method.name);
        let result = run_guarded(&what(), || current::execute(id, callback, job))
            .unwrap_or_else(|| Err(Error::failed(format!("{} panicked", what()))));
        // Behind what the method itself had the loop do, such as destroying what it let go of: a
        // peer's thread that waits for this answer is there for that only until it has it.
        let result = OffLoop::new(&event_loop, result);
        event_loop.post(move |_| drop(sender.send(result)));
    };
    let posted = waiter.post(ThreadJob {
        connection: id,
        run: Box::new(run),
    });
    if let Err((refused, job)) = posted {
        let event_loop = &connection.shared.event_loop;
        if method.role == Role::Destroy {
            // The thread has gone on; the object goes all the same, in order with others.
            event_loop.clean_up(job.run);
            let _ = receiver.await;
            return Ok(());
        }
        event_loop.clean_up(move || drop(job));
        return Err(match refused {
            Refused::NotWaiting => {
                Error::failed("the thread is not waiting for a call on this connection")
            }
            Refused::TooDeep => Error::overloaded("calls back and forth are nested too deeply"),
        });
    }
    let result = receiver
        .await
        .map_err(|_| Error::failed("the thread ended before the request was executed"))?;
    // Destructors are part of the method: once the caller has its answer, its thread is no longer
    // there for them.
    if let Some(lane) = &lane {
        lane.destroyed().await;
    }
    let fill = result.into_inner()?;
    let mut build = Build {
        connection,
        threads: None,
    };
    fill(&mut build, results.get())?;
    check_size(
        &connection.shared.limits,
        results.get().into_reader(),
        || format!("{}.{}", method.interface, method.name),
    )
}

/// Swaps thread maps with the peer.
fn construct(
    connection: &Rc<Connection>,
    params: any_pointer::Reader<'_>,
    results: &mut Results<any_pointer::Owned>,
) -> Result<()> {
    use super::generated::wire::init_capnp::init::{construct_params, construct_results};
    let params = params
        .get_as::<construct_params::Reader<'_>>()
        .map_err(from_capnp)?;
    if params.has_thread_map() {
        let map = params.get_thread_map().map_err(from_capnp)?;
        connection.thread_map.replace(Some(map));
    }
    results
        .get()
        .init_as::<construct_results::Builder<'_>>()
        .set_thread_map(ThreadMapServer::client(connection));
    Ok(())
}

/// The threads that a request names.
struct Context {
    thread: Option<thread::Client>,
    callback: Option<thread::Client>,
}

impl Context {
    /// Reads the context of any method: it is the first parameter of each that has one, so each
    /// one's parameters read as `Echo.destroy`'s.
    fn read(params: any_pointer::Reader<'_>) -> Result<Self> {
        use super::generated::wire::echo_capnp::echo::destroy_params;
        let context = params
            .get_as::<destroy_params::Reader<'_>>()
            .and_then(|params| params.get_context())
            .map_err(from_capnp)?;
        Ok(Self {
            thread: match context.has_thread() {
                true => Some(context.get_thread().map_err(from_capnp)?),
                false => None,
            },
            callback: match context.has_callback_thread() {
                true => Some(context.get_callback_thread().map_err(from_capnp)?),
                false => None,
            },
        })
    }
}

/// The thread that executes a request, and where its callbacks go.
struct Executor {
    waiter: SharedWaiter,
    /// Keeps the thread for the request, also when the peer lets go of its handle meanwhile.
    thread: Option<Rc<ThreadServer>>,
    callback: Option<RequestLane>,
}

async fn executor(connection: &Rc<Connection>, context: Option<Context>) -> Result<Executor> {
    let Some(context) = context else {
        return Ok(Executor {
            waiter: connection.unthreaded.waiter(connection)?,
            thread: None,
            callback: None,
        });
    };
    let (server, client) = match context.thread {
        Some(client) => {
            let client = get_resolved_cap(client).await;
            let server = connection
                .threads
                .borrow()
                .get_local_server_of_resolved(&client)
                .ok_or_else(|| Error::failed("invalid thread handle"))?;
            if let Some(callback) = &context.callback {
                server.keep_callback(callback);
            }
            (server, client)
        }
        None => {
            let pool = connection.pool.borrow();
            let (server, client) = pool
                .iter()
                .min_by_key(|(server, _)| server.waiter.busy())
                .ok_or_else(|| Error::failed("no thread specified and no pool configured"))?;
            (server.clone(), client.clone())
        }
    };
    server.ensure_running()?;
    Ok(Executor {
        waiter: server.waiter.clone(),
        thread: Some(server),
        callback: context
            .callback
            .map(|callback| connection.lanes.of_request(callback, client)),
    })
}
