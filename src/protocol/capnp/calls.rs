//! Calls on an object of the peer: blocking ones, async ones, and the ways that they end without an
//! answer.
//!
//! Knows threads, deadlines and cancellation; nothing of particular methods, nor of how their values
//! are written and read.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::FutureExt;

use super::batch::Answers;
use super::connection::Connection;
use super::ended::Ended;
use super::event_loop::waiter::{Slot, Waited};
use super::info::{Info, Method, Pace, Role, Show, StaticOrShared};
use super::object::Object;
use super::outgoing::Outgoing;
use super::sync::{Mutex, lock};
use super::threads::peer_threads::PeerThread;
use super::threads::slots::CallSlot;
use super::threads::thread_context::{self, Calling, Route};
use crate::call::CallOptions;
use crate::error::{Error, RemoteKind, Result};
use crate::interfaces::{Call, Disconnection, Remote};
use crate::peer::Peer;

/// The number of pending async calls up to which each is sent as soon as it is made.
const FEW: usize = 2;

/// Calls a method of `object` and waits for its result, running callbacks meanwhile.
///
/// # Errors
/// Returns the peer's error; [`Error::Disconnected`], [`Error::Timeout`] or [`Error::Cancelled`];
/// [`Error::Usage`] on a thread that drives the event loop.
pub fn call<R>(object: &Object, outgoing: Outgoing<'_, R>) -> Result<R> {
    let connection = object.connection();
    connection.event_loop.check_not_on_loop()?;
    if connection.closed().is_some() {
        return Err(connection.after_disconnect());
    }
    object.check_usable()?;
    let options = CallOptions::current();
    let method = outgoing.method().clone();
    check_cancelled(&options, &method)?;
    let limits = Limited {
        deadline: options.time_limit().and_then(deadline),
        options,
        method,
    };
    let (batch, read) = outgoing.write(connection, object.import())?;

    let mut calling = connection.begin_call();
    let waiter = calling.waiter.clone();
    // Registered here so that it also ends a wait for a call slot.
    let _registration = limits.options.token().map(|token| {
        let waiter = waiter.clone();
        token.listen(move || waiter.wake())
    });
    let on = match batch.names_thread() {
        true => Some(peer_thread_of(connection, &mut calling, &limits)?),
        false => None,
    };
    let slot = Arc::new(Slot::default());
    waiter.enter(connection.id);
    let (thread, call_slot) = on.unzip();
    let answer = {
        let (slot, waiter, kept) = (slot.clone(), waiter.clone(), object.kept());
        move |answers: Answers| {
            drop(call_slot);
            // Before the caller gets the answer, so that the caller is the last to hold the object.
            drop(kept);
            slot.fill(&waiter, answers);
        }
    };
    batch.send(connection, thread.as_ref(), answer);
    let event_loop = connection.event_loop.as_loop();
    let stopped = || limits.is_cancelled();
    let wait = || waiter.wait(&event_loop, connection.id, &slot, limits.deadline, stopped);
    match thread_context::waiting(wait) {
        Waited::Done(answers) => {
            if let Some(thread) = thread.filter(|thread| thread.failure().is_some()) {
                connection.forget_peer_thread(&thread);
            }
            read.read(connection, answers)
        }
        ended => {
            // The peer's thread is still busy with the call; this thread's next call gets
            // another.
            if let (Some(thread), Route::Thread(_)) = (&thread, &calling.route) {
                connection.forget_peer_thread(thread);
            }
            Err(limits.error(&ended))
        }
    }
}

/// Calls a method of `object`. The future returns its result, in any async runtime; callbacks run on a
/// thread of their own.
pub fn call_async<R: Send + 'static>(object: &Object, outgoing: Outgoing<'_, R>) -> Call<R> {
    let connection = object.connection();
    let options = CallOptions::current();
    let method = outgoing.method().clone();
    let batch = match connection.closed() {
        Some(_) => Err(connection.after_disconnect()),
        None => check_cancelled(&options, &method)
            .and_then(|()| object.check_usable())
            .and_then(|()| outgoing.write(connection, object.import())),
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
    // The caller waits no longer than its time limit.
    let timer = options.time_limit().map(|limit| {
        let (deliver, method) = (deliver.clone(), method.clone());
        let late = move || deliver(Err(timed_out(&method, limit)));
        connection.event_loop.after(limit, late)
    });
    let under_way = connection.event_loop.expect();
    let answer = {
        let (connection, kept) = (connection.clone(), object.kept());
        move |answers: Result<Answers>| {
            connection.event_loop.settle();
            drop((kept, timer));
            deliver(answers);
        }
    };
    let send = || {
        if !batch.names_thread() {
            return batch.send(connection, None, move |answers| answer(Ok(answers)));
        }
        match connection.borrow_peer_thread() {
            Ok(borrowed) => {
                let thread = borrowed.thread.clone();
                batch.send(connection, Some(&thread), move |answers| {
                    drop(borrowed);
                    answer(Ok(answers));
                });
            }
            Err(error) => answer(Err(error)),
        }
    };
    // When many are pending, calls made in a row are flushed together.
    match under_way > FEW {
        true => connection.event_loop.gather(send),
        false => send(),
    }
    // Keeps the connection for as long as somebody waits.
    let object = object.clone();
    receiver
        .map(move |answers| {
            drop(registration);
            let connection = object.connection();
            let answers = answers.map_err(|_| connection.interrupted())??;
            read.read(connection, answers)
        })
        .boxed()
}

/// The limits of a blocking call.
struct Limited {
    deadline: Option<Instant>,
    options: CallOptions,
    method: StaticOrShared<Method>,
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

/// Returns the peer's thread that a call of this thread runs on, and the call's slot there.
fn peer_thread_of(
    connection: &Arc<Connection>,
    calling: &mut Calling,
    limits: &Limited,
) -> Result<(Arc<PeerThread>, CallSlot)> {
    let thread = match &calling.route {
        Route::Callback(thread) | Route::Thread(Some(thread)) => thread.clone(),
        Route::Thread(None) => connection.stand_for_this(calling)?,
    };
    if let Some(slot) = thread.try_take_slot(calling.depth) {
        return Ok((thread, slot));
    }
    let stopped = || limits.is_cancelled();
    let waited = connection.wait_for(limits.deadline, stopped, |tell| {
        thread.take_slot(calling.depth, move |slot| tell.tell(slot));
    })?;
    match waited {
        Waited::Done(slot) => Ok((thread, slot)),
        ended => Err(limits.error(&ended)),
    }
}

/// Tells whether the peer has a method of an object, without running it. It is asked once for each
/// object.
///
/// # Errors
/// Returns the errors of [`call`].
pub fn implements(object: &Object, method: &StaticOrShared<Method>) -> Result<bool> {
    if let Some(known) = object.known(method) {
        return Ok(known);
    }
    let has = implemented(call(object, Outgoing::never_run(asking(method))))?;
    object.learn(method, has);
    Ok(has)
}

/// The async form of [`implements`].
fn implements_later(object: &Object, method: &StaticOrShared<Method>) -> Call<bool> {
    if let Some(known) = object.known(method) {
        return crate::interfaces::ready(Ok(known));
    }
    let (asked, method) = (object.clone(), asking(method));
    let outgoing = Outgoing::never_run(method.clone());
    let learn = move |answer| {
        let has = implemented(answer)?;
        asked.learn(&method, has);
        Ok(has)
    };
    call_async(object, outgoing).map(learn).boxed()
}

/// Returns the facts of a call that asks for this method, which is none of it.
fn asking(method: &Method) -> StaticOrShared<Method> {
    let cow = |text: &Cow<'static, str>| text.clone();
    asking_at(
        cow(&method.interface),
        cow(&method.name),
        method.interface_id,
        method.ordinal,
    )
}

fn asking_at(
    interface: Cow<'static, str>,
    name: Cow<'static, str>,
    interface_id: u64,
    ordinal: u16,
) -> StaticOrShared<Method> {
    fn nothing(
        _: capnp::any_pointer::Reader<'_>,
        writer: &mut dyn std::fmt::Write,
    ) -> std::fmt::Result {
        writer.write_str("(asks whether there is such a method)")
    }
    let show: &'static Show = &nothing;
    StaticOrShared::Shared(Arc::new(Method {
        interface,
        name,
        interface_id,
        ordinal,
        role: Role::Plain,
        threaded: false,
        show_params: show.into(),
        show_results: show.into(),
        pace: Pace::new(),
    }))
}

/// Returns the method at an ordinal of an interface, whatever its schema has there, to be asked for.
pub fn at(interface: &Info, ordinal: u16) -> StaticOrShared<Method> {
    let name = format!("@{ordinal}");
    asking_at(interface.name.clone(), name.into(), interface.id, ordinal)
}

/// Returns the method with this name of the object's interface.
fn method_of<'a>(object: &'a Object, name: &str) -> Result<&'a StaticOrShared<Method>> {
    let info = object.info();
    let found = info.methods.iter().find(|method| method.name == name);
    found.ok_or_else(|| Error::Usage(format!("{} has no method {name}", info.name)))
}

/// Returns whether the peer has the method, by its answer to a call that it cannot run.
fn implemented(answer: Result<()>) -> Result<bool> {
    match answer {
        Ok(())
        | Err(Error::Remote {
            kind: RemoteKind::Failed,
            ..
        }) => Ok(true),
        Err(Error::Unimplemented(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Remote for Object {
    fn implements(&self, method: &str) -> Result<bool> {
        implements(self, method_of(self, method)?)
    }

    fn implements_async(&self, method: &str) -> Call<bool> {
        match method_of(self, method) {
            Ok(method) => implements_later(self, method),
            Err(error) => crate::interfaces::ready(Err(error)),
        }
    }

    fn first_implemented(&self, ordinals: &'static [u16]) -> Result<Option<usize>> {
        for (place, ordinal) in ordinals.iter().enumerate() {
            if implements(self, &at(self.info(), *ordinal))? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn first_implemented_async(&self, ordinals: &'static [u16]) -> Call<Option<usize>> {
        let object = self.clone();
        Box::pin(async move {
            for (place, ordinal) in ordinals.iter().enumerate() {
                if implements_later(&object, &at(object.info(), *ordinal)).await? {
                    return Ok(Some(place));
                }
            }
            Ok(None)
        })
    }

    fn peer(&self) -> Peer {
        self.connection().account.peer().clone()
    }

    fn is_connected(&self) -> bool {
        self.connection().closed().is_none()
    }

    fn disconnection(&self) -> Disconnection {
        Disconnection::new(Ended::of(self.connection()))
    }

    fn disconnect(&self) {
        self.connection().disconnect();
    }

    fn on_cleanup(&self, f: Box<dyn FnOnce() + Send>) {
        Self::on_cleanup(self, f);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Returns the time at which a limit that begins now expires; `None` if the clock cannot represent it.
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
