//! A handle to an object in the peer, and the calls made through it.
//!
//! Knows calls, threads and the connection; nothing of particular methods. Everything here may be
//! held, shared and dropped by any thread.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::FutureExt;

use super::connection::Connection;
use super::current::{self, Calling, Route};
use super::event_loop::is_on_loop;
use super::event_loop::waiter::{Slot, Waited};
use super::exchange::{Answers, Batch};
use super::lanes::{Lane, Turn};
use super::rpc::{AFTER_DISCONNECT, INTERRUPTED, Import};
use super::rt::{Held, Info, Method, Outgoing, Role};
use super::sync::lock;
use super::threads::ThreadServer;
use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::interfaces::{Call, Disconnection, Remote};

/// A handle to an object in another process. Clones are the same object; when the last is dropped
/// the peer is told to destroy it, without waiting.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    import: Arc<Import>,
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
        self.connection.object_gone(self.id);
        if self.connection.closed().is_some() {
            return;
        }
        let destroy = self.destroy.take();
        if let Some(method) = destroy.filter(|_| !self.given_back.load(Ordering::Relaxed)) {
            destroy_object(&self.connection, &self.import, method);
        }
        if self.owns_connection.load(Ordering::Relaxed) {
            self.connection.close();
        }
    }
}

/// Tells the peer to destroy an object. It runs on the thread of the peer that stands for this one, in
/// the order of this thread's calls, as a C++ destructor would.
///
/// No call can reach the object any more: its last handle is gone, and calls keep theirs. A Core node
/// dies of a call on an object after its `destroy`.
fn destroy_object(connection: &Arc<Connection>, import: &Arc<Import>, method: Held<Method>) {
    let outgoing = Outgoing::destroy(method.clone());
    let batch = match Batch::write(connection, import, outgoing) {
        Ok((batch, _)) => batch,
        Err(error) => return warn(&method, &error),
    };
    // A thread that drives the loop does so for others, whose object this may have been.
    let (route, depth) = match is_on_loop() {
        false => current::route_for(connection),
        true => (Route::Thread(None), 0),
    };
    let request = match &route {
        Route::Callback(lane) => Some(lane.destroys()),
        Route::Thread(_) => None,
    };
    connection.destroy_begins();
    let ending = connection.clone();
    let done = move |answer: Result<()>| {
        if let Err(error) = answer
            && !error.is_disconnected()
        {
            warn(&method, &error);
        }
        ending.destroy_ends();
        drop(request);
    };
    let sending = connection.clone();
    match route {
        _ if !batch.names_thread() => batch.send(&sending, None, |answers| done(answers.nothing())),
        Route::Callback(lane) | Route::Thread(Some(lane)) => {
            lane.clone().turn(depth, move |turn| {
                batch.send(&sending, Some(&lane), |answers| {
                    done(answers.nothing());
                    drop(turn);
                });
            });
        }
        // A thread that never made a call, such as an async runtime's, gets none for this alone.
        // Without any the object goes with its last reference, only later.
        Route::Thread(None) => match connection.idle_lane() {
            Ok(borrowed) => {
                let lane = borrowed.lane.clone();
                batch.send(&sending, Some(&lane), |answers| {
                    done(answers.nothing());
                    drop(borrowed);
                });
            }
            Err(_) => done(Ok(())),
        },
    }
}

fn warn(method: &Method, error: &Error) {
    tracing::warn!(target: "ipc", "{}.destroy failed: {error}", method.interface);
}

impl Object {
    /// A handle to an object of the peer.
    pub(super) fn new(connection: &Arc<Connection>, import: Arc<Import>, info: Held<Info>) -> Self {
        let mut methods = info.methods.iter();
        let destroy = methods.find(|method| method.role == Role::Destroy);
        Self(Arc::new(Inner {
            connection: connection.clone(),
            import,
            id: connection.next_object(),
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

    /// The object's connection.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0.connection
    }

    /// The peer's object itself.
    pub(super) fn import(&self) -> &Arc<Import> {
        &self.0.import
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
    /// [`Error::Cancelled`]; [`Error::Usage`] on a thread that drives the event loop.
    pub fn call<R>(&self, outgoing: Outgoing<'_, R>) -> Result<R> {
        let connection = &self.0.connection;
        connection.event_loop.check_not_on_loop()?;
        if connection.closed().is_some() {
            return Err(Error::Disconnected(AFTER_DISCONNECT.into()));
        }
        let options = CallOptions::current();
        let method = outgoing.method.clone();
        check_cancelled(&options, &method)?;
        let limits = Limited {
            deadline: options.time_limit().and_then(deadline),
            options,
            method,
        };
        let (batch, read) = Batch::write(connection, &self.0.import, outgoing)?;

        let mut calling = current::begin_call(connection);
        let waiter = calling.waiter.clone();
        // Listened to from here on, so that a wait for the thread's turn ends as well.
        let _registration = limits.options.token().map(|token| {
            let waiter = waiter.clone();
            token.listen(move || waiter.wake())
        });
        let on = match batch.names_thread() {
            true => Some(lane_of(connection, &mut calling, &limits)?),
            false => None,
        };
        let slot = Arc::new(Slot::default());
        waiter.enter(connection.id);
        let (lane, turn) = on.unzip();
        let answer = {
            let (slot, waiter, kept) = (slot.clone(), waiter.clone(), self.kept());
            move |answers: Answers| {
                drop(turn);
                // First, so that the caller, who has the answer then, is the last to hold the object.
                drop(kept);
                slot.fill(&waiter, answers);
            }
        };
        batch.send(connection, lane.as_ref(), answer);
        let event_loop = connection.event_loop.as_loop();
        let stopped = || limits.is_cancelled();
        let wait = || waiter.wait(&event_loop, connection.id, &slot, limits.deadline, stopped);
        match current::waiting(wait) {
            Waited::Done(answers) => {
                if let Some(lane) = lane.filter(|lane| lane.failure().is_some()) {
                    current::forget_lane(connection, &lane);
                }
                answers.read(connection, read)
            }
            ended => {
                // The peer's thread is still busy with the call; this thread's next call gets
                // another.
                if let (Some(lane), Route::Thread(_)) = (&lane, &calling.route) {
                    current::forget_lane(connection, lane);
                }
                Err(limits.error(&ended))
            }
        }
    }

    /// Makes a call; the future gives its result, in any async runtime. Callbacks run on a thread
    /// of their own.
    pub fn call_async<R: Send + 'static>(&self, outgoing: Outgoing<'_, R>) -> Call<R> {
        let connection = &self.0.connection;
        let options = CallOptions::current();
        let method = outgoing.method.clone();
        let batch = match connection.closed() {
            Some(_) => Err(Error::Disconnected(AFTER_DISCONNECT.into())),
            None => check_cancelled(&options, &method)
                .and_then(|()| Batch::write(connection, &self.0.import, outgoing)),
        };
        let (batch, read) = match batch {
            Ok(batch) => batch,
            Err(error) => return crate::interfaces::ready(Err(error)),
        };
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let deliver = move |answers: Result<Answers>| {
            let sender = lock(&sender).take();
            if let Some(sender) = sender {
                drop(sender.send(answers));
            }
        };
        let registration = options.token().map(|token| {
            let (deliver, method) = (deliver.clone(), method.clone());
            token.listen(move || deliver(Err(cancelled(&method))))
        });
        // The caller waits no longer than its limit.
        let timer = options.time_limit().map(|limit| {
            let (deliver, method) = (deliver.clone(), method.clone());
            let late = move || deliver(Err(timed_out(&method, limit)));
            connection.event_loop.after(limit, late)
        });
        connection.event_loop.expect();
        let answer = {
            let (connection, kept) = (connection.clone(), self.kept());
            move |answers: Result<Answers>| {
                connection.event_loop.settle();
                drop((kept, timer));
                deliver(answers);
            }
        };
        if batch.names_thread() {
            match connection.idle_lane() {
                Ok(borrowed) => {
                    let lane = borrowed.lane.clone();
                    batch.send(connection, Some(&lane), move |answers| {
                        drop(borrowed);
                        answer(Ok(answers));
                    });
                }
                Err(error) => answer(Err(error)),
            }
        } else {
            batch.send(connection, None, move |answers| answer(Ok(answers)));
        }
        let connection = connection.clone();
        receiver
            .map(move |answers| {
                drop(registration);
                let answers = answers.map_err(|_| Error::Disconnected(INTERRUPTED.into()))??;
                answers.read(&connection, read)
            })
            .boxed()
    }
}

/// What ends a blocking call besides its answer.
struct Limited {
    deadline: Option<Instant>,
    options: CallOptions,
    method: Held<Method>,
}

impl Limited {
    fn is_cancelled(&self) -> bool {
        self.options
            .token()
            .is_some_and(|token| token.is_cancelled())
    }

    fn error<T>(&self, ended: &Waited<T>) -> Error {
        match ended {
            Waited::Stopped => cancelled(&self.method),
            _ => timed_out(&self.method, self.options.time_limit().unwrap_or_default()),
        }
    }
}

/// The thread of the peer that a call of this thread runs on, and this call's turn there.
fn lane_of(
    connection: &Arc<Connection>,
    calling: &mut Calling,
    limits: &Limited,
) -> Result<(Arc<Lane>, Turn)> {
    let lane = match &calling.route {
        Route::Callback(lane) | Route::Thread(Some(lane)) => lane.clone(),
        Route::Thread(None) => {
            let name = current::name(connection);
            let server = ThreadServer::application(calling.waiter.clone(), &name);
            let lane = connection.new_lane(&name, server)?;
            calling.keep_lane(connection, &lane);
            lane
        }
    };
    if let Some(turn) = lane.try_turn(calling.depth) {
        return Ok((lane, turn));
    }
    let stopped = || limits.is_cancelled();
    let waited = connection.wait_for(limits.deadline, stopped, |tell| {
        lane.turn(calling.depth, move |turn| tell.tell(turn));
    })?;
    match waited {
        Waited::Done(turn) => Ok((lane, turn)),
        ended => Err(limits.error(&ended)),
    }
}

impl Object {
    /// A call that no peer runs, but answers in one way or another; see [`implemented`].
    fn asking(&self, method: &str) -> Result<Outgoing<'static, ()>> {
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
        self.0.connection.closed().is_none()
    }

    fn disconnection(&self) -> Disconnection {
        let connection = self.0.connection.clone();
        Disconnection::new(move |timeout| connection.wait_closed(timeout))
    }

    fn disconnect(&self) {
        self.0.connection.disconnect();
    }

    fn on_cleanup(&self, f: Box<dyn FnOnce() + Send>) {
        self.0.connection.on_cleanup(self.0.id, f);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
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
    Error::Cancelled(method.full_name())
}

fn timed_out(method: &Method, after: Duration) -> Error {
    Error::Timeout {
        what: method.full_name(),
        after,
    }
}
