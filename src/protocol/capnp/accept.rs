//! The connections that are served, and the listeners that accept them.
//!
//! Knows streams, accounts and connections; nothing of what is served over them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::accounts::{Account, Charge, Resource};
use super::connection::{Connection, Side, Terms};
use super::event_loop::waiter::ConnectionId;
use super::event_loop::{EventLoop, OffLoop, Ready, Source, Timer, Token};
use super::rpc::{Host, refuse};
use super::sync::{Mutex, lock};
use crate::transport::{Acceptor, Stream};

/// The pause of a listener after the system refused it a connection, for example for lack of
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections that are served.
#[derive(Default)]
pub struct Serving(Mutex<HashMap<ConnectionId, Arc<Connection>>>);

impl Serving {
    /// Ends all of them.
    pub fn disconnect(&self) {
        // Not under the lock: a connection that ends takes it.
        let connections: Vec<_> = lock(&self.0).values().cloned().collect();
        for connection in connections {
            connection.disconnect();
        }
    }

    /// Returns the number of connections.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// Opens a connection, and keeps it until it has ended. `over` runs then.
    ///
    /// # Errors
    /// Returns the errors of [`Connection::open`].
    pub fn open(
        self: &Arc<Self>,
        event_loop: &Arc<EventLoop>,
        terms: &Terms,
        account: Arc<Account>,
        stream: Box<dyn Stream>,
        bootstrap: impl FnOnce(&Arc<Connection>) -> Arc<dyn Host>,
        over: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Connection>> {
        let this = self.clone();
        let connection = Connection::open(
            event_loop,
            terms,
            account,
            stream,
            Side::Server,
            |connection| Some(bootstrap(connection)),
            move |connection| {
                this.forget(connection);
                over();
            },
        )?;
        lock(&self.0).insert(connection.id, connection.clone());
        // The connection may have ended before it was inserted.
        if connection.closed().is_some() {
            self.forget(&connection);
        }
        Ok(connection)
    }

    fn forget(&self, connection: &Connection) {
        let ended = lock(&self.0).remove(&connection.id);
        drop(ended);
    }
}

/// Makes the object that a client gets when it asks for this process's `Init`.
pub type Bootstrap = Box<dyn Fn(&Arc<Connection>) -> Arc<dyn Host> + Send + Sync>;

/// A listener that accepts connections, up to a limit at a time: further clients wait in the kernel's
/// queue, as with libmultiprocess.
pub struct Accepting {
    token: Token,
    /// `None` once it is stopped. Locked while it accepts, so that it is dropped when
    /// [`Accepting::stop`] returns.
    acceptor: Mutex<Option<Arc<dyn Acceptor>>>,
    event_loop: Arc<EventLoop>,
    terms: Terms,
    serving: Arc<Serving>,
    bootstrap: OffLoop<Bootstrap>,
    /// The number of connections of this listener.
    active: Mutex<usize>,
    /// The timer that ends the pause after a failed accept.
    pause: Mutex<Option<Timer>>,
    stopped: AtomicBool,
}

impl Accepting {
    /// Accepts connections on `acceptor` until [`Accepting::stop`].
    ///
    /// # Errors
    /// Returns the errors of the acceptor.
    pub fn start(
        event_loop: &Arc<EventLoop>,
        terms: Terms,
        serving: &Arc<Serving>,
        acceptor: Box<dyn Acceptor>,
        bootstrap: Bootstrap,
    ) -> io::Result<Arc<Self>> {
        acceptor.set_nonblocking(true)?;
        let acceptor: Arc<dyn Acceptor> = acceptor.into();
        let this = Arc::new(Self {
            token: event_loop.token(),
            acceptor: Mutex::new(Some(acceptor.clone())),
            event_loop: event_loop.clone(),
            terms,
            serving: serving.clone(),
            bootstrap: OffLoop::new(event_loop, bootstrap),
            active: Mutex::new(0),
            pause: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        event_loop.add(this.token, acceptor.as_fd(), this.clone())?;
        event_loop.attend();
        Ok(this)
    }

    /// Stops accepting, and drops the acceptor. Accepted connections go on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let acceptor = lock(&self.acceptor).take();
        if let Some(acceptor) = acceptor {
            self.event_loop.remove(self.token, acceptor.as_fd());
        }
    }

    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &*lock(&self.acceptor) {
            Some(acceptor) => acceptor.accept(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Counts a connection, unless the limit is reached; returns whether it did.
    fn begin(&self) -> bool {
        let mut active = lock(&self.active);
        let free = *active < self.terms.limits.connections;
        *active += usize::from(free);
        free
    }

    /// Charges a connection to its process. Refuses the connection of a process that has used its share
    /// of connections, so that others are served.
    fn admit(&self, account: &Arc<Account>, stream: &dyn Stream) -> Option<Charge> {
        let exceeded = match account.charge(Resource::Connections, 1) {
            Ok(charge) => return Some(charge),
            Err(exceeded) => exceeded,
        };
        refuse(stream, &exceeded.to_string());
        account.warn(
            &self.event_loop,
            format_args!("IPC server: a connection was refused: {exceeded}"),
        );
        None
    }

    fn end(&self) {
        *lock(&self.active) -= 1;
        if !self.stopped.load(Ordering::SeqCst) {
            self.event_loop.nudge(self.token);
        }
    }

    fn rest(self: &Arc<Self>, error: &io::Error) {
        tracing::warn!(target: "ipc", "IPC server: accept failed: {error}");
        let weak = Arc::downgrade(self);
        let timer = self.event_loop.after(ACCEPT_PAUSE, move || {
            if let Some(this) = Weak::upgrade(&weak) {
                this.event_loop.nudge(this.token);
            }
        });
        let before = std::mem::replace(&mut *lock(&self.pause), timer);
        drop(before);
    }
}

impl Source for Accepting {
    fn ready(self: Arc<Self>, _: Ready, _: &mut Vec<u8>) -> bool {
        while !self.stopped.load(Ordering::SeqCst) && self.begin() {
            let stream = match self.accept() {
                Ok(stream) => stream,
                Err(error) => {
                    *lock(&self.active) -= 1;
                    match error.kind() {
                        io::ErrorKind::WouldBlock => {}
                        io::ErrorKind::Interrupted => continue,
                        _ => self.rest(&error),
                    }
                    return false;
                }
            };
            let account = self.terms.account(&*stream);
            let Some(charge) = self.admit(&account, &*stream) else {
                *lock(&self.active) -= 1;
                continue;
            };
            let (weak, bootstrap) = (Arc::downgrade(&self), self.bootstrap.get());
            let over = move || {
                drop(charge);
                if let Some(this) = weak.upgrade() {
                    this.end();
                }
            };
            let (event_loop, terms) = (&self.event_loop, &self.terms);
            let opened = self
                .serving
                .open(event_loop, terms, account, stream, bootstrap, over);
            match opened {
                // It was accepted while the listener was being stopped.
                Ok(connection) if self.stopped.load(Ordering::SeqCst) => connection.disconnect(),
                Ok(_) => {}
                Err(error) => tracing::warn!(target: "ipc", "IPC server: a connection: {error}"),
            }
        }
        false
    }

    fn flush(&self) {}

    fn failed(&self) {}
}
