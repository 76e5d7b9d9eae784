//! Many clients on one connection: the relay that `spawn … -- COMMAND` puts between its child and the
//! child's clients.
//!
//! Knows connections and, of interfaces, `proxy.capnp`; nothing of others. Each client gets the peer's
//! bootstrap capability, and calls on it and on everything it leads to are forwarded. All clients share
//! the peer's one connection, so state that the peer keeps per connection, such as the thread map for
//! callbacks outside of any call, is the last client's.
//!
//! Each client has a share of what the peer gives to this process: objects, calls in flight, bytes on
//! their way, and threads. A client that exceeds its share gets an overloaded error, and the others are
//! served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use capnp::traits::HasTypeId;

use super::Capnp;
use super::accounts::{Account, Accounts, Charge};
use super::connection::{Connection, Side, Terms};
use super::rpc::{Cap, Host, Import, Incoming, Passage, Response, forward_through};
use super::sync::{Mutex, lock};
use super::wire::proxy_capnp::thread_map;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::peer::Peer;
use crate::protocol::Listening;
use crate::transport::{Acceptor, Stream};

/// The divisor for one client's share of what the peer gives to this process.
const SHARE: usize = 4;

/// The numbers of `ThreadMap`'s methods (`mp/proxy.capnp`).
const MAKE_THREAD: u16 = 0;
const MAKE_POOL: u16 = 1;

/// A running relay. Dropping it disconnects its clients and releases its peer.
pub struct Relay {
    capnp: Capnp,
    peer: Arc<Connection>,
    /// Receives a message once the peer has given its bootstrap capability.
    ready: Mutex<Receiver<()>>,
    listening: Option<Listening>,
}

impl Relay {
    /// Gives every client of `acceptor` the bootstrap capability of the peer on `stream`.
    ///
    /// # Errors
    /// Fails when one of them cannot be used at all.
    pub fn start(
        capnp: Capnp,
        stream: impl Into<Box<dyn Stream>>,
        acceptor: impl Into<Box<dyn Acceptor>>,
    ) -> Result<Self> {
        let limits = &capnp.terms.limits;
        // Messages to the peer are charged to the clients.
        let unbounded = limits.clone().total_bytes(usize::MAX);
        let account = Accounts::new(&unbounded).of(Peer::Unknown);
        let to_peer = Terms {
            limits: unbounded.queued_bytes(limits.total_bytes),
            ..capnp.terms.clone()
        };
        let (side, none) = (Side::Client, |_: &_| None);
        let peer = capnp.open_with(&to_peer, account, stream.into(), side, none, |_| ())?;
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
        // No blocked thread reads this answer.
        peer.event_loop.expect();
        let event_loop = peer.event_loop.clone();
        let done = move |answer| {
            event_loop.settle();
            done(answer);
        };
        peer.link().bootstrap(Box::new(done), []);
        let of_client = Terms {
            limits: share_of(limits),
            ..capnp.terms.clone()
        };
        let threads = limits.threads_per_connection / SHARE;
        let listening = capnp.accept_with(acceptor.into(), of_client, move |connection| {
            let client = Client {
                account: connection.account.clone(),
                threads: AtomicUsize::new(0),
                most_threads: threads,
            };
            Arc::new(Relayed {
                to: To::Bootstrap(bootstrap.clone()),
                client: Arc::new(client),
                _thread: None,
            })
        });
        let listening = listening.inspect_err(|_| peer.disconnect())?;
        Ok(Self {
            capnp,
            peer,
            ready: Mutex::new(ready),
            listening: Some(listening),
        })
    }

    /// Blocks until the peer has given its bootstrap capability, once for the first caller, or
    /// `timeout` has passed; returns whether the capability is there.
    ///
    /// # Errors
    /// Returns [`Error::Disconnected`] when the peer ended the connection instead.
    pub fn wait_ready(&self, timeout: Duration) -> Result<bool> {
        match lock(&self.ready).recv_timeout(timeout) {
            Ok(()) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Disconnected(
                "the peer ended the connection before it gave its Init".into(),
            )),
        }
    }

    /// Blocks until the peer has ended the connection, or `timeout` has passed; returns whether the
    /// connection has ended.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        self.peer.wait_closed(timeout)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // First, so that no client connects afterwards.
        drop(self.listening.take());
        self.capnp.disconnect_incoming();
        self.peer.close();
    }
}

/// Returns the limits of one client.
fn share_of(limits: &Limits) -> Limits {
    limits
        .clone()
        .objects(limits.objects / SHARE)
        .calls_in_flight(limits.calls_in_flight / SHARE)
}

/// One client's account, and its share of the peer's threads.
struct Client {
    account: Arc<Account>,
    threads: AtomicUsize,
    most_threads: usize,
}

/// A slot in the client's thread count for a thread that the peer made; freed on drop.
struct CountedThread(Arc<Client>);

impl CountedThread {
    fn new(client: &Arc<Client>) -> Result<Self> {
        let counted = Self(client.clone());
        if client.threads.fetch_add(1, Ordering::SeqCst) < client.most_threads {
            return Ok(counted);
        }
        Err(Error::overloaded(format!(
            "too many threads for one client of a relay (limit {})",
            client.most_threads
        )))
    }
}

impl Drop for CountedThread {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The peer's object as exported to one client.
struct Relayed {
    to: To,
    client: Arc<Client>,
    _thread: Option<CountedThread>,
}

/// The capability behind an object exported to a client.
enum To {
    Import(Arc<Import>),
    Bootstrap(Arc<Bootstrap>),
}

impl Host for Relayed {
    fn call(self: Arc<Self>, call: Incoming) {
        match &self.to {
            To::Import(import) => forward(&self.client, import, call),
            To::Bootstrap(bootstrap) => bootstrap.call(&self.client, call),
        }
    }
}

/// A client's call that the peer has not answered.
struct Forwarding {
    client: Arc<Client>,
    /// The id of the connection to the peer.
    peer: usize,
    /// The slot of the thread that the call makes, if it makes one.
    thread: Mutex<Option<CountedThread>>,
    /// The charge for the call's bytes while they are on their way to the peer.
    _charge: Charge,
}

impl Passage for Forwarding {
    fn inward(&self, cap: Cap) -> Cap {
        match cap.own::<Relayed>() {
            Some(relayed) => match &relayed.to {
                To::Import(import) => Cap::Import(import.clone()),
                To::Bootstrap(_) => cap,
            },
            None => cap,
        }
    }

    fn outward(&self, cap: Cap) -> Cap {
        match cap {
            Cap::Import(import) if import.owner().id() == self.peer => {
                Cap::Own(Arc::new(Relayed {
                    to: To::Import(import),
                    client: self.client.clone(),
                    _thread: lock(&self.thread).take(),
                }))
            }
            // A client's object, which the peer gives back.
            other => other,
        }
    }
}

/// Forwards a client's call, within the client's share.
fn forward(client: &Arc<Client>, import: &Arc<Import>, call: Incoming) {
    let makes = (call.interface() == thread_map::Client::TYPE_ID).then(|| call.method());
    let thread = match makes {
        Some(MAKE_THREAD) => CountedThread::new(client).map(Some),
        // All clients would share it.
        Some(MAKE_POOL) => Err(Error::failed("a relay makes no pool of threads")),
        _ => Ok(None),
    };
    let charge = client.account.bytes(call.bytes());
    let charge = charge.map_err(|exceeded| Error::overloaded(exceeded.to_string()));
    match thread.and_then(|thread| Ok((thread, charge?))) {
        Ok((thread, charge)) => {
            let passage = Forwarding {
                client: client.clone(),
                peer: import.owner().id(),
                thread: Mutex::new(thread),
                _charge: charge,
            };
            forward_through(import, call, passage);
        }
        Err(error) => call.fail(error),
    }
}

/// The peer's bootstrap capability, and the calls that wait for it.
#[derive(Default)]
struct Bootstrap(Mutex<State>);

#[derive(Default)]
struct State {
    found: Option<Result<Cap>>,
    waiting: Vec<(Arc<Client>, Incoming)>,
}

impl Bootstrap {
    fn found(&self, found: Result<Cap>) {
        let mut state = lock(&self.0);
        state.found = Some(found.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (client, call) in waiting {
            deliver(&found, &client, call);
        }
    }

    fn call(&self, client: &Arc<Client>, call: Incoming) {
        let mut state = lock(&self.0);
        match state.found.clone() {
            None => state.waiting.push((client.clone(), call)),
            Some(found) => {
                drop(state);
                deliver(&found, client, call);
            }
        }
    }
}

fn deliver(found: &Result<Cap>, client: &Arc<Client>, call: Incoming) {
    match found {
        Ok(Cap::Import(import)) => forward(client, import, call),
        Ok(Cap::Own(host)) => host.clone().call(call),
        Err(error) => call.fail(error.clone()),
    }
}

crate::opaque::opaque!(Relay, "Relay");
