//! The first calls on a connection: the client asks for the server's `Init`, and both swap thread maps.
//!
//! Knows `Init.construct`, and that every `Init` with a method in that role has the same one; nothing
//! of other methods, nor of what an `Init` is used for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use capnp::capability::FromClientHook;

use super::connection::{Connection, Tell};
use super::convert::from_capnp;
use super::event_loop::waiter::Waited;
use super::info::{Info, Method, Role};
use super::log;
use super::rpc::{Ask, Cap, INTERRUPTED, Import, Incoming, Param, Request, Response, Target, find};
use super::sync::{Mutex, lock};
use super::threads::own_threads::ThreadMapServer;
use super::wire::init_capnp::init::{construct_params, construct_results};
use crate::error::{Error, Result};

/// Asks for the peer's `Init`, and swaps thread maps with the peer: the first calls on every
/// connection.
///
/// # Errors
/// Returns [`Error::Disconnected`], [`Error::Timeout`] after `handshake_time`, or the peer's error.
pub fn ask(connection: &Arc<Connection>, info: &Info) -> Result<Arc<Import>> {
    let limit = connection.limits.handshake_time;
    let deadline = Instant::now().checked_add(limit);
    let construct = info.methods.iter().find(|m| m.role == Role::Construct);
    let request = construct.map(|method| {
        Request::new(method.interface_id, method.ordinal, |caps, params| {
            let map = caps.add(Param::Cap(ThreadMapServer::of(&connection.own_threads)));
            let mut params = params.init_as::<construct_params::Builder<'_>>();
            params.set_thread_map(FromClientHook::new(map));
            Ok(())
        })
    });
    let request = request.transpose()?;
    let constructs = request.is_some();
    let waited = connection.wait_for(
        deadline,
        || false,
        |tell| {
            let both = Arc::new(Mutex::new((None, None, Some(tell))));
            let told = both.clone();
            let complete = move |both: &Mutex<Handshake>| {
                let mut state = lock(both);
                if state.0.is_none() || (constructs && state.1.is_none()) {
                    return;
                }
                if let (Some(init), constructed, Some(tell)) =
                    (state.0.take(), state.1.take(), state.2.take())
                {
                    drop(state);
                    tell.tell((init, constructed));
                }
            };
            let bootstrapped = move |answer| {
                lock(&told).0 = Some(answer);
                complete(&told);
            };
            let ask = request.map(|request| Ask {
                target: Target::Previous(None),
                request,
                done: Box::new(move |answer| {
                    lock(&both).1 = Some(answer);
                    complete(&both);
                }),
            });
            connection.link().bootstrap(Box::new(bootstrapped), ask);
        },
    )?;
    let name = &info.name;
    let (init, constructed) = match waited {
        Waited::Done(both) => both,
        Waited::TimedOut | Waited::Stopped => {
            return Err(Error::Timeout {
                what: format!("the peer's answer to {name}.construct"),
                after: limit,
            });
        }
    };
    let ended = |error| match error {
        Error::Disconnected(text) => {
            // Only the reason matters here.
            let why = text.strip_prefix(INTERRUPTED).unwrap_or(&text);
            Error::Disconnected(format!(
                "the connection ended before {name}.construct was answered{why}"
            ))
        }
        error => error,
    };
    if let Some(constructed) = constructed {
        let map = thread_map_of(&constructed.map_err(ended)?)?;
        *lock(&connection.thread_map) = map;
    }
    let init = init.map_err(ended)?;
    match init.caps().first() {
        Some(Some(Cap::Import(import))) => Ok(import.clone()),
        _ => Err(Error::failed("the peer offers no object")),
    }
}

/// The state of a handshake: the peer's object, the answer to its `construct`, and the waiting thread.
type Handshake = (
    Option<Result<Response>>,
    Option<Result<Response>>,
    Option<Tell<(Result<Response>, Option<Result<Response>>)>>,
);

/// Reads the peer's thread map from its answer to `construct`.
fn thread_map_of(answer: &Response) -> Result<Option<Cap>> {
    let map = answer.read(|results| {
        let results = results.get_as::<construct_results::Reader<'_>>()?;
        match results.has_thread_map() {
            true => {
                let map = results.get_thread_map()?;
                Ok(find(answer.caps(), map.as_client_hook()).cloned())
            }
            false => Ok(None),
        }
    });
    map.and_then(|map| map).map_err(from_capnp)
}

/// Answers the peer's `construct`: swaps thread maps with the peer.
pub fn answer(connection: &Arc<Connection>, method: &Method, number: u64, call: Incoming) {
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
        let map = caps.add(ThreadMapServer::of(&connection.own_threads));
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
