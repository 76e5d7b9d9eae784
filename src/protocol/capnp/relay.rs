//! Many clients on one connection: what `spawn … -- COMMAND` puts between its child and those who
//! call it.
//!
//! Knows connections; no interface at all. The peer's bootstrap capability is handed to each
//! client as it is, and calls on it and on everything it leads to are handed on. All clients share the
//! peer's one connection, so what the peer keeps per connection, such as the thread map for callbacks
//! outside of any call, is the last one's.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Capnp;
use super::connection::{Connection, Side};
use super::rpc::{Cap, Host, Incoming, Response, hand_on};
use super::sync::lock;
use crate::error::{Error, Result};
use crate::protocol::Listening;

/// A relay at work. When it is dropped its clients are disconnected and its peer is let go of.
pub struct Relay {
    capnp: Capnp,
    peer: Arc<Connection>,
    /// Gets something once the peer has given its bootstrap capability.
    ready: Mutex<Receiver<()>>,
    listening: Option<Listening>,
}

impl Relay {
    /// Gives every client of `listener` the bootstrap capability of the peer on `stream`.
    ///
    /// # Errors
    /// When one of the sockets cannot be used at all.
    pub fn start(capnp: Capnp, stream: UnixStream, listener: UnixListener) -> Result<Self> {
        let peer = capnp.open(stream, Side::Client, |_| None, |_| ())?;
        let (given, ready) = mpsc::channel();
        let bootstrap = Arc::new(Bootstrap::default());
        let asking = bootstrap.clone();
        let done = move |answer: Result<Response>| {
            let found = answer.map(|answer| answer.caps().iter().flatten().next().cloned());
            let found = found.and_then(|found| {
                found.ok_or_else(|| Error::failed("the relayed process gave no object"))
            });
            let is_there = found.is_ok();
            asking.found(found);
            if is_there {
                let _ = given.send(());
            }
        };
        // Nobody waits for it who would read it.
        peer.event_loop.expect();
        let event_loop = peer.event_loop.clone();
        let done = move |answer| {
            event_loop.settle();
            done(answer);
        };
        peer.link().bootstrap(Box::new(done), []);
        let listening = capnp.accept_with(listener, move |_| bootstrap.clone());
        let listening = listening.inspect_err(|_| peer.disconnect())?;
        Ok(Self {
            capnp,
            peer,
            ready: Mutex::new(ready),
            listening: Some(listening),
        })
    }

    /// Blocks until the peer has given its bootstrap capability, for the first caller, or
    /// `timeout` has passed; tells whether it has.
    ///
    /// # Errors
    /// [`Error::Disconnected`] where it ended the connection instead.
    pub fn wait_ready(&self, timeout: Duration) -> Result<bool> {
        match lock(&self.ready).recv_timeout(timeout) {
            Ok(()) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Disconnected(
                "the peer ended the connection before it gave its Init".into(),
            )),
        }
    }

    /// Blocks until the peer has ended the connection, or `timeout` has passed; tells whether it
    /// has.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        self.peer.wait_closed(timeout)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // First, so that nobody comes afterwards.
        drop(self.listening.take());
        self.capnp.disconnect_incoming();
        self.peer.close();
    }
}

/// What clients get: the peer's bootstrap capability, which may not be there yet.
#[derive(Default)]
struct Bootstrap(Mutex<State>);

#[derive(Default)]
struct State {
    found: Option<Result<Cap>>,
    waiting: Vec<Incoming>,
}

impl Bootstrap {
    fn found(&self, found: Result<Cap>) {
        let mut state = lock(&self.0);
        state.found = Some(found.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for call in waiting {
            deliver(&found, call);
        }
    }
}

impl Host for Bootstrap {
    fn call(self: Arc<Self>, call: Incoming) {
        let mut state = lock(&self.0);
        match state.found.clone() {
            None => state.waiting.push(call),
            Some(found) => {
                drop(state);
                deliver(&found, call);
            }
        }
    }
}

fn deliver(found: &Result<Cap>, call: Incoming) {
    match found {
        Ok(Cap::Import(import)) => hand_on(import, call),
        Ok(Cap::Own(host)) => host.clone().call(call),
        Err(error) => call.fail(error.clone()),
    }
}
