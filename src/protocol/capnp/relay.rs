//! Many clients on one connection: what `spawn … -- COMMAND` puts between its child and those who
//! call it.
//!
//! Knows connections; no interface at all. The peer's bootstrap capability is handed to each
//! client as it is, and capnp-rpc forwards the calls on it and on everything it leads to. All
//! clients share the peer's one connection, so what the peer keeps per connection, such as the
//! thread map for callbacks outside of any call, is the last one's.

use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::FromClientHook;

use super::connection::{Connection, Shared, Side};
use super::server::AnyClient;
use super::sync::lock;
use super::{Capnp, watched};
use crate::error::{Error, Result};
use crate::protocol::Listening;

/// A relay at work. When it is dropped its clients are disconnected and its peer is let go of.
pub struct Relay {
    capnp: Capnp,
    peer: Arc<Shared>,
    /// Gets something once the peer has given its bootstrap capability.
    ready: Mutex<Receiver<()>>,
    _listening: Listening,
}

impl Relay {
    /// Gives every client of `listener` the bootstrap capability of the peer on `stream`.
    ///
    /// # Errors
    /// When one of the sockets cannot be used at all.
    pub fn start(capnp: Capnp, stream: UnixStream, listener: UnixListener) -> Result<Self> {
        let peer = Shared::new(capnp.event_loop.clone(), capnp.limits.clone());
        let opened = peer.clone();
        let id = peer.id;
        let (given, ready) = mpsc::channel();
        capnp.event_loop.sync(move |state| {
            let stream = watched(stream)?;
            let (connection, bootstrap) =
                Connection::open(state, opened, stream, Side::Client, |_| None, || ());
            let answered = answers(&bootstrap);
            connection.spawn(async move {
                if answered.await {
                    let _ = given.send(());
                }
            });
            connection.keep_bootstrap(bootstrap);
            Ok(())
        })??;
        let listening = capnp.accept_with(listener, move |client: &Rc<Connection>| {
            client.bootstrap_of(id)
        })?;
        Ok(Self {
            capnp,
            peer,
            ready: Mutex::new(ready),
            _listening: listening,
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

/// Whether a peer answers: every one answers a call of a method that no interface has.
fn answers(bootstrap: &AnyClient) -> impl Future<Output = bool> + use<> {
    let answer = capnp::capability::Client::new(bootstrap.as_client_hook().add_ref())
        .new_call::<any_pointer::Owned, any_pointer::Owned>(0, 0, None)
        .send()
        .promise;
    async move {
        let failed = answer.await.err();
        !failed.is_some_and(|error| error.kind == capnp::ErrorKind::Disconnected)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.capnp.incoming.disconnect();
        self.peer.close();
    }
}

impl Connection {
    /// Keeps the peer's bootstrap capability for [`Connection::bootstrap_of`].
    fn keep_bootstrap(&self, bootstrap: AnyClient) {
        self.bootstrap.replace(Some(bootstrap));
    }

    /// The bootstrap capability of another connection of this loop; an error for every call once
    /// that has ended.
    fn bootstrap_of(&self, id: super::waiter::ConnectionId) -> AnyClient {
        self.state()
            .and_then(|state| {
                let connections = state.connections.borrow();
                let peer = connections.get(&id)?;
                peer.bootstrap.borrow().clone()
            })
            .unwrap_or_else(|| {
                let error = capnp::Error::disconnected("the relayed process has ended".into());
                AnyClient::new(capnp_rpc::new_broken_cap(error).hook)
            })
    }
}
