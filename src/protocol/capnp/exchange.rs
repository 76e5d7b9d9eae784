//! A call on the loop: its request, those that follow on its answer, and the answers.
//!
//! Knows messages and the order in which they may be sent; nothing of who waits for the answer.

use std::rc::Rc;

use capnp::any_pointer;
use capnp::capability::Client;
use capnp::private::capability::ClientHook;

use super::connection::Connection;
use super::convert::{check_size, from_capnp};
use super::event_loop::OffLoop;
use super::lanes::{CallThreads, Lane, Turn};
use super::log;
use super::rt::{Build, Fill, Held, Method, Outgoing, Pipelined, Read, ReadResults};
use crate::error::{Error, Result};

/// The life of one call on the loop, from its turn to its result.
pub async fn run<R: 'static>(
    connection: &Rc<Connection>,
    hook: Box<dyn ClientHook>,
    outgoing: OffLoop<Outgoing<R>>,
    lane: Option<Rc<Lane>>,
    turn: Option<impl Future<Output = Turn>>,
) -> Result<R> {
    let threads = match &lane {
        Some(lane) => Some(lane.threads().await?),
        None => None,
    };
    // Held until the answer has come.
    let _turn = match turn {
        Some(turn) => Some(turn.await),
        None => None,
    };
    let threads = threads.as_ref();
    let event_loop = &connection.shared.event_loop;
    let Outgoing {
        method,
        fill,
        read,
        pipelined,
        ..
    } = outgoing.into_inner();
    // What is still to run may hold what is the application's.
    let (read, pipelined) = (
        OffLoop::new(event_loop, read),
        OffLoop::new(event_loop, pipelined),
    );
    let sent = send(connection, hook, &method, fill, threads)?;
    // All in one go: once an answer is there, capnp-rpc panics at what is sent on a call that
    // failed. Whatever has been sent is waited for, also when the rest cannot be.
    let (pipelined, unsent) = send_on(connection, &sent, pipelined.into_inner(), threads);
    let mut result = receive(connection, &method, sent.promise, read).await;
    for (next, promise) in pipelined {
        let answer = receive(connection, &next.0, promise, next.1).await;
        if let Err(error) = answer
            && result.is_ok()
        {
            result = Err(error);
        }
    }
    match unsent {
        Some(error) if result.is_ok() => Err(error),
        _ => result,
    }
}

type Sent = capnp::capability::RemotePromise<any_pointer::Owned>;
type Response =
    capnp::capability::Promise<capnp::capability::Response<any_pointer::Owned>, capnp::Error>;

/// Writes a request and sends it.
fn send(
    connection: &Rc<Connection>,
    hook: Box<dyn ClientHook>,
    method: &Method,
    fill: Fill,
    threads: Option<&CallThreads>,
) -> Result<Sent> {
    let mut request = Client::new(hook).new_call::<any_pointer::Owned, any_pointer::Owned>(
        method.interface_id,
        method.ordinal,
        None,
    );
    let mut build = Build {
        connection,
        threads,
    };
    fill(&mut build, request.get())?;
    let limits = &connection.shared.limits;
    check_size(limits, request.get().into_reader(), || {
        format!("{}.{}", method.interface, method.name)
    })?;
    log::client_sends(method, || request.get().into_reader());
    Ok(request.send())
}

/// How a pipelined call's answer is read.
type Reading = (Held<Method>, OffLoop<ReadResults<()>>);

/// Sends each call on what the one before it will answer; gives those that were sent, and why the
/// next was not.
fn send_on(
    connection: &Rc<Connection>,
    first: &Sent,
    calls: Vec<Pipelined>,
    threads: Option<&CallThreads>,
) -> (Vec<(Reading, Response)>, Option<Error>) {
    let mut sent = Vec::new();
    let mut pipeline = first.pipeline.noop();
    let event_loop = &connection.shared.event_loop;
    for next in calls {
        let hook = pipeline.get_pointer_field(next.pointer).as_cap();
        match send(connection, hook, &next.method, next.fill, threads) {
            Ok(promise) => {
                pipeline = promise.pipeline;
                let read = OffLoop::new(event_loop, next.read);
                sent.push(((next.method, read), promise.promise));
            }
            Err(error) => return (sent, Some(error)),
        }
    }
    (sent, None)
}

/// Waits for an answer and reads it.
async fn receive<R: 'static>(
    connection: &Rc<Connection>,
    method: &Method,
    promise: Response,
    read: OffLoop<ReadResults<R>>,
) -> Result<R> {
    let response = match promise.await {
        Ok(response) => response,
        Err(error) => {
            let error = connection.call_error(error);
            log::client_fails(method, &error);
            return Err(error);
        }
    };
    let results = response.get().map_err(from_capnp)?;
    log::client_receives(method, results);
    read.into_inner()(&Read { connection }, results)
}
