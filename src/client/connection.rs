//! One connection to a node.
//!
//! Knows addresses and the node's `Init`; nothing of what is done over the connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use futures_channel::oneshot;

use crate::error::{Error, Result};
use crate::generation::Generation;
use crate::interfaces::echo::Echo;
use crate::interfaces::init::Init;
use crate::interfaces::mining::Mining;
use crate::interfaces::rpc::Rpc;
use crate::interfaces::{Call, Disconnection, Offload, Remote, ready};
use crate::ipc::connect_stream;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::transport::{self, Address, Chain, DataDir, Stream, Trust};

/// A connection to a node. Clones are of the same connection, which ends with the last of them and of
/// the objects made from it.
///
/// ```no_run
/// # fn main() -> bitcoin_ipc::Result<()> {
/// use bitcoin_ipc::client::Client;
///
/// let client = Client::builder().data_dir("/var/lib/bitcoin").connect()?;
/// let tip = client.mining()?.get_tip()?;
/// # let _ = tip; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    init: Arc<dyn Init>,
}

impl Client {
    /// Begins to connect: to the node of the main chain in the working directory, unless more is said.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Connects to the process that listens at `address`. Relative addresses are relative to the
    /// working directory.
    ///
    /// # Errors
    /// Returns the errors of [`ClientBuilder::connect`].
    pub fn connect(address: &Address) -> Result<Self> {
        Self::builder().address(address.clone()).connect()
    }

    /// Wraps the `Init` of a peer, such as a child's, or a local object, whose async forms run on threads
    /// of their own then, as [`Offload`] has it.
    #[must_use]
    pub fn of(init: Arc<dyn Init>) -> Self {
        Self {
            init: init.offload(),
        }
    }

    /// Returns the node's `Init`.
    #[must_use]
    pub fn init(&self) -> &Arc<dyn Init> {
        &self.init
    }

    /// Returns the generation of the node's interfaces. The node runs nothing for it.
    ///
    /// # Errors
    /// Fails when the connection fails.
    pub fn generation(&self) -> Result<Generation> {
        Generation::of(&*self.init)
    }

    /// Makes the node's `Mining`.
    ///
    /// # Errors
    /// Returns [`Error::Unimplemented`] when the process has none to offer, and the errors of the call.
    pub fn mining(&self) -> Result<Arc<dyn Mining>> {
        offered("Mining", self.init.make_mining())
    }

    /// The async form of [`mining`](Self::mining).
    pub fn mining_async(&self) -> Call<Arc<dyn Mining>> {
        later("Mining", self.init.make_mining_async())
    }

    /// Makes the node's `Rpc`, which Core has from 32 on.
    ///
    /// # Errors
    /// Returns [`Error::Unimplemented`] when the process has none to offer, and the errors of the call.
    pub fn rpc(&self) -> Result<Arc<dyn Rpc>> {
        offered("Rpc", self.init.make_rpc())
    }

    /// The async form of [`rpc`](Self::rpc).
    pub fn rpc_async(&self) -> Call<Arc<dyn Rpc>> {
        later("Rpc", self.init.make_rpc_async())
    }

    /// Makes the node's `Echo`.
    ///
    /// # Errors
    /// Returns [`Error::Unimplemented`] when the process has none to offer, and the errors of the call.
    pub fn echo(&self) -> Result<Arc<dyn Echo>> {
        offered("Echo", self.init.make_echo())
    }

    /// The async form of [`echo`](Self::echo).
    pub fn echo_async(&self) -> Call<Arc<dyn Echo>> {
        later("Echo", self.init.make_echo_async())
    }

    /// Returns whether calls can still reach the node.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.init.remote().is_none_or(Remote::is_connected)
    }

    /// Returns the process that serves the node, as the kernel tells it. [`Peer::Unknown`] for a local
    /// `Init`.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.init.remote().map_or(Peer::Unknown, Remote::peer)
    }

    /// Returns the end of the connection, as something to wait for, blocking or as a future, that tells
    /// who ended it and why. `None` for a local `Init`, which has no connection.
    #[must_use]
    pub fn disconnected(&self) -> Option<Disconnection> {
        self.init.remote().map(Remote::disconnection)
    }

    /// Ends the connection. Calls under way, on any of its objects, fail as disconnected. Only the
    /// destruction of dropped objects in the node is waited for, two seconds at most.
    pub fn disconnect(&self) {
        if let Some(remote) = self.init.remote() {
            remote.disconnect();
        }
    }

    /// Returns whether both are of one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.init, &other.init)
    }
}

/// Returns the object that an `Init` made; fails if it made none.
fn offered<T: ?Sized>(name: &str, made: Result<Option<Arc<T>>>) -> Result<Arc<T>> {
    made?.ok_or_else(|| Error::Unimplemented(format!("the process at the other end has no {name}")))
}

fn later<T: ?Sized + Send + Sync + 'static>(
    name: &'static str,
    made: Call<Option<Arc<T>>>,
) -> Call<Arc<T>> {
    Box::pin(async move { offered(name, made.await) })
}

/// Says where a node is, and connects to it.
#[derive(Debug, Clone)]
#[must_use = "it only connects when told to"]
pub struct ClientBuilder {
    name: String,
    address: Address,
    data_dir: DataDir,
    trust: Trust,
    limits: Limits,
}

impl ClientBuilder {
    fn new() -> Self {
        Self {
            name: "bitcoin-ipc".into(),
            address: Address::Unix(None),
            data_dir: DataDir::new("", Chain::Main),
            trust: Trust::new(),
            limits: Limits::default(),
        }
    }

    /// Sets the name of this process, which the node has in its log. The default is `bitcoin-ipc`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the address. The default is `unix`: the node's own socket in the data directory.
    pub fn address(mut self, address: Address) -> Self {
        self.address = address;
        self
    }

    /// Sets the node's data directory, as its `-datadir`.
    pub fn data_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.data_dir.base = path.as_ref().to_owned();
        self
    }

    /// Sets the chain, whose socket is in a directory of its own. The default is the main chain.
    pub fn chain(mut self, chain: Chain) -> Self {
        self.data_dir.chain = chain;
        self
    }

    /// Connects to a node of this user as well, and not only of this process's user and root.
    pub fn trust_uid(mut self, uid: u32) -> Self {
        self.trust = self.trust.uid(uid);
        self
    }

    /// Sets the limits on the node.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the path of the node's socket, if the address is one.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        match &self.address {
            Address::Unix(given) => self.data_dir.socket(given.as_deref()).ok(),
            Address::Auto => self.data_dir.socket(None).ok(),
            Address::Off | Address::Fd(_) | Address::Exec(_) => None,
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Returns [`Error::NoListener`] when no node listens there, [`Error::Address`], [`Error::Io`],
    /// [`Error::Usage`] for the address `0`, and the errors of the handshake.
    pub fn connect(&self) -> Result<Client> {
        let stream = match transport::connect(&self.address, &self.data_dir, &self.trust)? {
            Some(stream) => stream,
            None if self.address == Address::Off => {
                return Err(Error::Usage("the address is 0: no connection".into()));
            }
            None => {
                return Err(Error::NoListener {
                    path: self.data_dir.socket(None)?,
                    source: Arc::new(std::io::ErrorKind::NotFound.into()),
                });
            }
        };
        self.connect_stream(stream)
    }

    /// Makes a connected stream a connection, whatever its channel: a unix socket, or one of your own. The
    /// address, the data directory and the trusted users do not matter then.
    ///
    /// # Errors
    /// Returns the errors of the handshake.
    pub fn connect_stream(&self, stream: impl Into<Box<dyn Stream>>) -> Result<Client> {
        connect_stream(&self.name, self.limits.clone(), stream.into()).map(Client::of)
    }

    /// The async form of [`connect`](Self::connect): connects on a thread of its own. When the future
    /// is dropped, a connection that is made all the same ends at once.
    pub fn connect_async(&self) -> Call<Client> {
        let (sender, receiver) = oneshot::channel();
        let this = self.clone();
        let connect = move || drop(sender.send(this.connect()));
        if let Err(error) = thread::Builder::new()
            .name("ipc-connect".into())
            .spawn(connect)
        {
            return ready(Err(Error::io("start a thread to connect", error)));
        }
        Box::pin(async move {
            let lost = |_| Err(Error::failed("the thread that connects has panicked"));
            receiver.await.unwrap_or_else(lost)
        })
    }
}

crate::opaque::opaque!(Client, "Client");
