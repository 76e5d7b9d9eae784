//! A handle to an object in the peer, and the calls made through it.
//!
//! Knows calls, threads and the connection; nothing of particular methods. Everything here may be
//! held, shared and dropped by any thread; what touches capnp-rpc is posted to the loop.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use capnp::private::capability::ClientHook;
use futures::channel::oneshot;
use futures::future::{self, Either, FutureExt};

use super::connection::{AFTER_DISCONNECT, Connection, INTERRUPTED, Shared};
use super::current::{self, Route};
use super::event_loop::OffLoop;
use super::exchange::run;
use super::lanes::Lane;
use super::rt::{Held, Info, Method, Outgoing, Role};
use super::waiter::{Slot, Waited};
use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::interfaces::{Call, Disconnection, Remote};

/// A handle to an object in another process. Clones are the same object; when the last is dropped
/// the peer is told to destroy it, without waiting.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    id: u64,
    info: Held<Info>,
    destroy: Option<Held<Method>>,
    /// Set for the peer's `Init`: the connection ends with it.
    owns_connection: AtomicBool,
    /// Set once the peer has been given its own object back: it may go on using it, so it is
    /// freed with its last reference and not destroyed.
    given_back: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.object_gone(self.id);
        if self.shared.closed().is_some() {
            return;
        }
        let id = self.id;
        let destroy = self
            .destroy
            .take()
            .filter(|_| !self.given_back.load(Ordering::Relaxed));
        match destroy {
            // `destroy` runs on the thread of the peer that stands for this one, in the order of
            // this thread's calls, as a C++ destructor would.
            Some(method) => {
                let (route, depth) = current::route_for(&self.shared);
                self.shared
                    .post(move |connection| send_destroy(connection, id, method, route, depth));
            }
            None => self
                .shared
                .post(move |connection| connection.remove_object(id)),
        }
        if self.owns_connection.load(Ordering::Relaxed) {
            self.shared.close();
        }
    }
}

/// Tells the peer to destroy an object, then lets go of it.
fn send_destroy(
    connection: &Rc<Connection>,
    id: u64,
    method: Held<Method>,
    route: Route,
    depth: usize,
) {
    let Some(hook) = connection.object(id) else {
        return;
    };
    // From here on no call can reach the object: a Core node dies of a call on an object after its
    // `destroy`.
    connection.remove_object(id);
    // A thread that never made a call, such as an async runtime's, gets none for this alone.
    let mine = connection.lanes.existing(route);
    let (lane, depth, borrowed) = match (method.threaded, mine) {
        (false, _) => (None, 0, false),
        (true, Some(lane)) => (Some(lane), depth, false),
        (true, None) => match connection.lanes.of_async() {
            Ok(lane) => (Some(lane), 0, true),
            // Without a thread the object goes with its last reference, only later.
            Err(_) => return,
        },
    };
    let turn = lane.as_ref().map(|lane| lane.turn(depth));
    let request = match (route, &lane) {
        (Route::Callback(_), Some(lane)) if !borrowed => Some(lane.destroy_begins()),
        _ => None,
    };
    connection.destroy_begins();
    let this = connection.clone();
    connection.spawn(async move {
        let outgoing = Outgoing::new(
            method.clone(),
            |build, params| {
                use super::generated::wire::echo_capnp::echo::destroy_params;
                let params = params.init_as::<destroy_params::Builder<'_>>();
                build.context(params.init_context());
                Ok(())
            },
            |_, _| Ok(()),
        );
        let outgoing = OffLoop::new(&this.shared.event_loop, outgoing);
        if let Err(error) = run(&this, hook, outgoing, lane.clone(), turn).await
            && !error.is_disconnected()
        {
            tracing::warn!(target: "ipc", "{}.destroy failed: {error}", method.interface);
        }
        if let Some(lane) = lane.filter(|_| borrowed) {
            this.lanes.async_done(lane);
        }
        this.destroy_ends();
        drop(request);
    });
}

impl Object {
    /// A handle to a capability of the peer.
    pub(super) fn new(
        connection: &Connection,
        hook: Box<dyn ClientHook>,
        info: Held<Info>,
    ) -> Self {
        let destroy = info
            .methods
            .iter()
            .find(|method| method.role == Role::Destroy);
        Self(Arc::new(Inner {
            shared: connection.shared.clone(),
            id: connection.add_object(hook),
            destroy: destroy.cloned(),
            info,
            owns_connection: AtomicBool::new(false),
            given_back: AtomicBool::new(false),
        }))
    }

    /// Makes the connection end when this object goes.
    pub(super) fn own_connection(&self) {
        self.0.owns_connection.store(true, Ordering::Relaxed);
    }

    /// Notes that the peer is given its object back.
    pub(super) fn give_back(&self) {
        self.0.given_back.store(true, Ordering::Relaxed);
    }

    /// The object's connection and number in it.
    pub(super) fn place(&self) -> (&Arc<Shared>, u64) {
        (&self.0.shared, self.0.id)
    }

    /// What a call keeps until it is answered, also when its caller no longer waits: an object is
    /// not destroyed while one of its methods runs. Only `Init` has no `destroy`; its connection
    /// ends when its handles are gone, whatever runs.
    fn kept(&self) -> Option<Self> {
        self.0.destroy.as_ref().map(|_| self.clone())
    }

    /// Makes a call and waits for its result, running callbacks meanwhile.
    ///
    /// # Errors
    /// What the peer answered; [`Error::Disconnected`], [`Error::Timeout`],
    /// [`Error::Cancelled`]; [`Error::Usage`] on the event loop's thread.
    pub fn call<R: Send + 'static>(&self, outgoing: Outgoing<R>) -> Result<R> {
        let shared = &self.0.shared;
        shared.event_loop.check_not_on_loop()?;
        if shared.closed().is_some() {
            return Err(Error::Disconnected(AFTER_DISCONNECT.into()));
        }
        let options = CallOptions::current();
        let method = outgoing.method.clone();
        check_cancelled(&options, &method)?;
        let outgoing = OffLoop::new(&shared.event_loop, outgoing);

        /// Ends the thread's call, also when a callback panics through.
        struct Ends;
        impl Drop for Ends {
            fn drop(&mut self) {
                current::end_call();
            }
        }
        let (calling, _stranger) = current::begin_call(shared);
        let _ends = Ends;
        let waiter = calling.waiter.clone();
        let slot = Arc::new(Slot::default());
        let answer = Answer {
            deliver: Some({
                let (slot, waiter) = (slot.clone(), waiter.clone());
                let event_loop = shared.event_loop.clone();
                Box::new(move |result| slot.fill(&waiter, OffLoop::new(&event_loop, result)))
            }),
        };
        let id = self.0.id;
        let kept = self.kept();
        let route = calling.route;
        let threads = (calling.waiter, calling.depth, calling.name);
        let names_thread = outgoing.needs_thread();
        shared.post(move |connection| {
            let lane = if names_thread {
                let (waiter, depth, name) = threads;
                match connection.lanes.of_route(route, &waiter, &name) {
                    Ok(lane) => {
                        let turn = lane.turn(depth);
                        Some((lane, turn))
                    }
                    Err(error) => return answer.give(Err(error)),
                }
            } else {
                None
            };
            start(connection, id, outgoing, lane, answer, kept);
        });

        let registration = options.token().map(|token| {
            let waiter = waiter.clone();
            token.listen(move || waiter.wake())
        });
        let deadline = options.time_limit().and_then(deadline);
        let stopped = || options.token().is_some_and(|token| token.is_cancelled());
        let waited = waiter.wait(shared.id, &slot, deadline, stopped);
        drop(registration);
        let error = match waited {
            Waited::Done(result) => return result.into_inner(),
            Waited::TimedOut => timed_out(&method, options.time_limit().unwrap_or_default()),
            Waited::Stopped => cancelled(&method),
        };
        // The peer's thread is still busy with the call; this thread's next call gets another.
        if names_thread && let Route::Thread(key) = route {
            shared.post(move |connection| connection.lanes.thread_ended(key));
        }
        Err(error)
    }

    /// Makes a call; the future gives its result, in any async runtime. Callbacks run on a thread
    /// of their own.
    pub fn call_async<R: Send + 'static>(&self, outgoing: Outgoing<R>) -> Call<R> {
        let shared = &self.0.shared;
        if shared.closed().is_some() {
            return crate::interfaces::ready(Err(Error::Disconnected(AFTER_DISCONNECT.into())));
        }
        let options = CallOptions::current();
        let method = outgoing.method.clone();
        if let Err(error) = check_cancelled(&options, &method) {
            return crate::interfaces::ready(Err(error));
        }
        let outgoing = OffLoop::new(&shared.event_loop, outgoing);
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        let event_loop = shared.event_loop.clone();
        let deliver = move |result| {
            let result = OffLoop::new(&event_loop, result);
            if let Some(sender) = super::sync::lock(&sender).take() {
                drop(sender.send(result));
            }
        };
        let registration = options.token().map(|token| {
            let (deliver, method) = (deliver.clone(), method.clone());
            token.listen(move || deliver(Err(cancelled(&method))))
        });
        let late = deliver.clone();
        let answer = Answer {
            deliver: Some(Box::new(deliver)),
        };
        let id = self.0.id;
        let limit = options.time_limit();
        let kept = self.kept();
        shared.post(move |connection| {
            let lane = if outgoing.needs_thread() {
                match connection.lanes.of_async() {
                    Ok(lane) => Some(lane),
                    Err(error) => return answer.give(Err(error)),
                }
            } else {
                None
            };
            let turn = lane.as_ref().map(|lane| lane.turn(0));
            let this = connection.clone();
            connection.spawn(async move {
                let call = async {
                    match this.object(id) {
                        Some(hook) => run(&this, hook, outgoing, lane.clone(), turn).await,
                        None => Err(Error::Disconnected(AFTER_DISCONNECT.into())),
                    }
                };
                // The caller waits no longer than its limit, and the timer no longer than the call:
                // it would keep the loop.
                let result = match limit {
                    None => call.await,
                    Some(limit) => {
                        let timer = Box::pin(super::runtime::sleep(limit));
                        match future::select(Box::pin(call), timer).await {
                            Either::Left((result, _)) => result,
                            Either::Right(((), call)) => {
                                late(Err(timed_out(&method, limit)));
                                call.await
                            }
                        }
                    }
                };
                if let Some(lane) = lane {
                    this.lanes.async_done(lane);
                }
                drop(kept);
                answer.give(result);
            });
        });
        receiver
            .map(move |result| {
                drop(registration);
                result.map_or_else(
                    |_| Err(Error::Disconnected(INTERRUPTED.into())),
                    OffLoop::into_inner,
                )
            })
            .boxed()
    }
}

impl Object {
    /// A call that no peer runs, but answers in one way or another; see [`implemented`].
    fn asking(&self, method: &str) -> Result<Outgoing<()>> {
        let found = self.0.info.methods.iter().find(|m| m.name == method);
        let Some(method) = found.filter(|method| method.threaded) else {
            let interface = &self.0.info.name;
            return Err(Error::Usage(format!(
                "{interface} has no method {method} that names a thread"
            )));
        };
        Ok(Outgoing::without_thread(method.clone()))
    }
}

/// What the answer to a call that names no thread tells of the method.
fn implemented(answer: Result<()>) -> Result<bool> {
    match answer {
        Ok(()) | Err(Error::Remote { .. }) => Ok(true),
        Err(Error::Unimplemented(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Remote for Object {
    fn implements(&self, method: &str) -> Result<bool> {
        implemented(self.call(self.asking(method)?))
    }

    fn implements_async(&self, method: &str) -> Call<bool> {
        match self.asking(method) {
            Ok(outgoing) => self.call_async(outgoing).map(implemented).boxed(),
            Err(error) => crate::interfaces::ready(Err(error)),
        }
    }

    fn is_connected(&self) -> bool {
        self.0.shared.closed().is_none()
    }

    fn disconnection(&self) -> Disconnection {
        let shared = self.0.shared.clone();
        Disconnection::new(move |timeout| shared.wait_closed(timeout))
    }

    fn disconnect(&self) {
        self.0.shared.disconnect();
    }

    fn on_cleanup(&self, f: Box<dyn FnOnce() + Send>) {
        self.0.shared.on_cleanup(self.0.id, f);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where a call's result goes, exactly once: if the call is dropped with its connection, the
/// caller learns that.
struct Answer<R> {
    #[allow(clippy::type_complexity, reason = "named by its field")]
    deliver: Option<Box<dyn FnOnce(Result<R>) + Send>>,
}

impl<R> Answer<R> {
    fn give(mut self, result: Result<R>) {
        if let Some(deliver) = self.deliver.take() {
            deliver(result);
        }
    }
}

impl<R> Drop for Answer<R> {
    fn drop(&mut self) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Err(Error::Disconnected(INTERRUPTED.into())));
        }
    }
}

type Turning = (
    Rc<Lane>,
    futures::future::LocalBoxFuture<'static, super::lanes::Turn>,
);

fn start<R: Send + 'static>(
    connection: &Rc<Connection>,
    id: u64,
    outgoing: OffLoop<Outgoing<R>>,
    lane: Option<(Rc<Lane>, impl Future<Output = super::lanes::Turn> + 'static)>,
    answer: Answer<R>,
    kept: Option<Object>,
) {
    let this = connection.clone();
    let lane: Option<Turning> = lane.map(|(lane, turn)| (lane, turn.boxed_local()));
    connection.spawn(async move {
        let result = match this.object(id) {
            Some(hook) => {
                let (lane, turn) = lane.unzip();
                run(&this, hook, outgoing, lane, turn).await
            }
            None => Err(Error::Disconnected(AFTER_DISCONNECT.into())),
        };
        // First, so that the caller, who has the answer then, is the last to hold the object.
        drop(kept);
        answer.give(result);
    });
}

/// When a limit that begins now has passed; never, for one that no clock can tell.
fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

fn check_cancelled(options: &CallOptions, method: &Method) -> Result<()> {
    if options.token().is_some_and(|token| token.is_cancelled()) {
        return Err(cancelled(method));
    }
    Ok(())
}

fn cancelled(method: &Method) -> Error {
    Error::Cancelled(format!("{}.{}", method.interface, method.name))
}

fn timed_out(method: &Method, after: Duration) -> Error {
    Error::Timeout {
        what: format!("{}.{}", method.interface, method.name),
        after,
    }
}
