//! The façade: the only place that joins processes, transports and a protocol.
//!
//! Bitcoin Core's `interfaces::Ipc`, in Rust.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::interfaces::Remote;
use crate::limits::Limits;
use crate::process::{self, Child, ExitStatus, Program};
use crate::protocol::capnp::rt::Interface;
use crate::protocol::capnp::{self, Capnp};
use crate::protocol::{Listening, Protocol};
use crate::transport::{self, Acceptor, Address, DataDir, Stream, Trust};

/// The time a program that ended its connection without an answer gets to exit, so that the error
/// can tell how it ended.
const EXIT_TIME: Duration = Duration::from_secs(1);

/// This process's side of the IPC: its name, the `Init` it offers, and the protocol it speaks.
///
/// `I` is the trait object type of the processes' bootstrap interface: `dyn Init` for Bitcoin
/// Core's, or one of your own schema's. Clones are the same side: what one listens for or serves, the
/// others can end.
pub struct Ipc<I: ?Sized> {
    protocol: Arc<dyn Protocol<I>>,
    init: Arc<I>,
    data_dir: DataDir,
    trust: Trust,
}

impl<I: ?Sized> Clone for Ipc<I> {
    fn clone(&self) -> Self {
        Self {
            protocol: self.protocol.clone(),
            init: self.init.clone(),
            data_dir: self.data_dir.clone(),
            trust: self.trust.clone(),
        }
    }
}

impl<I: Interface + ?Sized> Ipc<I> {
    /// Creates the side of a process called `exe_name` that serves `init` to its peers, over Cap'n
    /// Proto, with the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn new(exe_name: &str, init: Arc<I>) -> Result<Self> {
        Self::with_limits(exe_name, init, Limits::default())
    }

    /// Creates the side of a process as [`Ipc::new`] does, with the given limits.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn with_limits(exe_name: &str, init: Arc<I>, limits: Limits) -> Result<Self> {
        Ok(Self::with_protocol(
            Box::new(Capnp::new(exe_name, limits)?),
            init,
        ))
    }
}

impl<I: ?Sized> Ipc<I> {
    /// Creates the side of a process that serves `init` over the given protocol.
    pub fn with_protocol(protocol: Box<dyn Protocol<I>>, init: Arc<I>) -> Self {
        Self {
            protocol: protocol.into(),
            init,
            data_dir: DataDir::new("", transport::Chain::Main),
            trust: Trust::new(),
        }
    }

    /// Resolves `unix` addresses in this data directory. Without it they are relative to the
    /// working directory.
    #[must_use]
    pub fn data_dir(mut self, data_dir: DataDir) -> Self {
        self.data_dir = data_dir;
        self
    }

    /// Connects to sockets of these users as well, and not only to those of this process's user and root.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Starts `program` as a child that serves its `Init` over a socketpair, and returns that
    /// `Init`.
    ///
    /// # Errors
    /// [`Error::Spawn`] when it cannot be started, or ends before it answers; [`Error::Timeout`]
    /// when it does not answer, in which case it is killed. No child is left.
    pub fn spawn(&self, program: Program) -> Result<Spawned<I>> {
        let name = program.path().display().to_string();
        let (stream, child) = process::spawn(program)?;
        let init = self.connect_child(&name, stream, &child)?;
        Ok(Spawned { init, child })
    }

    /// Returns the `Init` of a child that [`process::spawn`] started: [`Ipc::spawn`] in two steps,
    /// for callers that need the child before the handshake completes. `program` is its name for
    /// errors.
    ///
    /// # Errors
    /// Returns the errors of [`Ipc::spawn`].
    pub fn connect_child(
        &self,
        program: &str,
        stream: impl Into<Box<dyn Stream>>,
        child: &Child,
    ) -> Result<Arc<I>> {
        self.protocol
            .connect(stream.into())
            .map_err(|error| no_peer(program, child, error))
    }

    /// When this process's arguments say that it was spawned (exactly `<program> -ipcfd <N>`),
    /// serves `init` to the parent until the parent releases it, and returns the exit status for
    /// this process. Otherwise returns `None` at once: the process was started in another way.
    ///
    /// A Ctrl-C in a terminal reaches parent and child alike; the parent decides what ends, so the
    /// child ignores it, and calls `on_interrupt` when the first one comes.
    ///
    /// # Errors
    /// [`Error::Usage`] when `N` is no integer, [`Error::Io`] when it is no connected socket.
    pub fn start_spawned(
        &self,
        args: &[OsString],
        on_interrupt: impl FnOnce() + Send + 'static,
    ) -> Result<Option<u8>> {
        let Some(fd) = process::check_spawned(args)? else {
            return Ok(None);
        };
        process::ignore_sigint(on_interrupt)?;
        self.serve(process::inherited_stream(fd)?)?;
        Ok(Some(0))
    }

    /// Serves `init` to the peer of a connected stream until it is gone. Blocks. The stream may be a
    /// `UnixStream`, or one of your own.
    ///
    /// # Errors
    /// Fails when the stream cannot be used at all.
    pub fn serve(&self, stream: impl Into<Box<dyn Stream>>) -> Result<()> {
        self.protocol.serve(stream.into(), self.init.clone())
    }

    /// Connects to a process that listens at `address`, and returns its `Init`. The connection ends
    /// when the last handle to that, and to every object made from it, is dropped. Returns `None` where the address is `auto` and
    /// nothing listens there, or where it is off.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Io`], and the errors of the handshake.
    pub fn connect(&self, address: &Address) -> Result<Option<Arc<I>>> {
        transport::connect(address, &self.data_dir, &self.trust)?
            .map(|stream| self.protocol.connect(stream))
            .transpose()
    }

    /// Makes a connected stream a client connection and returns the peer's `Init`. The stream may be a
    /// `UnixStream`, or one of your own. Whether its peer can be trusted is not checked here.
    ///
    /// # Errors
    /// Returns the errors of the handshake.
    pub fn connect_stream(&self, stream: impl Into<Box<dyn Stream>>) -> Result<Arc<I>> {
        self.protocol.connect(stream.into())
    }

    /// Listens at `address` and serves `init` to everyone who connects, until the result is
    /// dropped, which removes the socket file.
    ///
    /// # Errors
    /// [`Error::Address`] and [`Error::Io`].
    pub fn listen(&self, address: &Address) -> Result<Listener> {
        let acceptor = transport::bind(address, &self.data_dir)?;
        let path = acceptor.path().map(Path::to_owned);
        let listener = self.listen_on(acceptor)?;
        Ok(Listener { path, ..listener })
    }

    /// Serves `init` to everyone who connects to an acceptor of your own, or to a `UnixListener`, until
    /// the result is dropped, which drops the acceptor. Whoever it accepts can call all that `init`
    /// offers.
    ///
    /// # Errors
    /// Fails when the acceptor cannot be used at all.
    pub fn listen_on(&self, acceptor: impl Into<Box<dyn Acceptor>>) -> Result<Listener> {
        let init = self.init.clone();
        Ok(Listener {
            _listening: self.protocol.listen(acceptor.into(), init)?,
            path: None,
        })
    }

    /// Ends the connections of all peers that connected to this process.
    pub fn disconnect_incoming(&self) {
        self.protocol.disconnect_incoming();
    }

    /// Returns the number of peers that this process serves.
    pub fn incoming(&self) -> usize {
        self.protocol.incoming()
    }
}

/// Makes a connected stream a connection of a client called `exe_name`, which serves nothing, and
/// returns the peer's `Init`.
///
/// # Errors
/// Returns the errors of the handshake.
pub(crate) fn connect_stream<I: Interface + ?Sized>(
    exe_name: &str,
    limits: Limits,
    stream: Box<dyn Stream>,
) -> Result<Arc<I>> {
    Capnp::new(exe_name, limits)?.connect(stream)
}

/// Runs `f` once when the remote object is gone: when its last handle is dropped or its connection
/// ends, whichever is first. For a local object `f` is never run, and false is returned.
///
/// `remote` is the result of the trait's `remote()`.
pub fn add_cleanup(remote: Option<&dyn Remote>, f: impl FnOnce() + Send + 'static) -> bool {
    match remote {
        Some(remote) => {
            remote.on_cleanup(Box::new(f));
            true
        }
        None => false,
    }
}

/// An address or acceptor that peers can connect to.
#[must_use = "dropping it stops listening"]
pub struct Listener {
    _listening: Listening,
    path: Option<PathBuf>,
}

impl Listener {
    /// Returns where it listens, when that is a file that [`Ipc::listen`] made.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// A child that any number of clients reach through one socket, each with its `Init`. Knows no
/// interface: capabilities are forwarded untouched. Dropping it disconnects the clients, removes
/// the socket's file, and releases the child.
#[must_use = "dropping it ends it"]
pub struct Relay(capnp::Relay);

impl Relay {
    /// Listens at `address`, an absolute path, for clients of the peer on `stream`.
    ///
    /// # Errors
    /// [`Error::Address`] and [`Error::Io`].
    pub fn start(
        stream: impl Into<Box<dyn Stream>>,
        address: &Address,
        limits: Limits,
    ) -> Result<Self> {
        let data_dir = DataDir::new("", transport::Chain::Main);
        Self::start_on(stream, transport::bind(address, &data_dir)?, limits)
    }

    /// Accepts clients of the peer on `stream` from an acceptor of your own, or from a `UnixListener`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start_on(
        stream: impl Into<Box<dyn Stream>>,
        acceptor: impl Into<Box<dyn Acceptor>>,
        limits: Limits,
    ) -> Result<Self> {
        capnp::Relay::start(Capnp::new("relay", limits)?, stream, acceptor).map(Self)
    }

    /// Blocks until the peer has answered with its `Init`, or `timeout` has passed. Returns whether
    /// it has.
    ///
    /// # Errors
    /// [`Error::Disconnected`] where the peer ended the connection instead.
    pub fn wait_ready(&self, timeout: Duration) -> Result<bool> {
        self.0.wait_ready(timeout)
    }

    /// Blocks until the peer has ended the connection, or `timeout` has passed. Returns whether it
    /// has.
    pub fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        self.0.wait_closed(timeout)
    }
}

/// A child process and its `Init`.
pub struct Spawned<I: ?Sized> {
    /// The child's `Init`. When the last handle to it, and to every object made from it, is dropped, the
    /// child ends.
    pub init: Arc<I>,
    /// The child.
    pub child: Child,
}

impl<I: ?Sized> Spawned<I> {
    /// Drops `Init` and waits for the child to end. If there are other handles to `Init` or to objects
    /// made from it, the child ends only when they are dropped, too.
    ///
    /// # Errors
    /// [`Error::Io`] when the child cannot be waited for.
    pub fn finish(self) -> Result<ExitStatus> {
        drop(self.init);
        self.child.wait()
    }
}

/// Returns the error of a program that did not become a peer, and makes sure that it is gone.
/// `error` is that of its handshake.
pub fn no_peer(program: &str, child: &Child, error: Error) -> Error {
    let exited = child.wait_timeout(EXIT_TIME);
    if let (Error::Disconnected(_), Ok(Some(status))) = (&error, &exited) {
        child.finish_stderr(EXIT_TIME);
        return Error::Spawn {
            program: program.to_owned(),
            reason: match (status.code(), status.signal()) {
                (Some(code), _) => format!("exited with status {code} before answering"),
                _ => format!("was ended by {status} before answering"),
            },
            source: None,
        };
    }
    if !matches!(exited, Ok(Some(_))) {
        let _ = child.kill(process::Signal::KILL);
        let _ = child.wait();
    }
    match error {
        Error::Disconnected(reason) => Error::Spawn {
            program: program.to_owned(),
            reason,
            source: None,
        },
        Error::Timeout { what, after } => Error::Timeout {
            what: format!("{program}: {what}"),
            after,
        },
        error => error,
    }
}

crate::opaque::opaque!(in [I: ?Sized] Ipc<I>, "Ipc");
crate::opaque::opaque!(Listener, "Listener");
crate::opaque::opaque!(Relay, "Relay");
crate::opaque::opaque!(in [I: ?Sized] Spawned<I>, "Spawned");
