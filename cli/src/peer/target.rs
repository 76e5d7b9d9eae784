//! From an address to a peer's `Init`: connecting, waiting for a listener, starting a child.
//!
//! Knows addresses, children and the façade; nothing of what is called.

use std::sync::Arc;
use std::time::Instant;

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::interfaces::Disconnection;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::transport::{self, Stream};
use bitcoin_ipc::{Address, Error, Ipc, ipc};
use eyre::Result;

use crate::context::Context;
use crate::peer::children::{self, Guard, What};
use crate::ui::errors::{Failure, Kind};

/// The pause between two attempts to connect.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// A connection to a peer. The fields are dropped in this order: first `Init`, then the child.
pub(crate) struct Link {
    /// Core's `Init`; `None` for a program with an `Init` of its own.
    pub(crate) init: Option<Arc<dyn Init>>,
    pub(crate) child: Option<Guard>,
    /// Whether the peer is a role of this executable.
    pub(crate) own_role: bool,
    /// The peer's name, for people.
    pub(crate) name: String,
    /// The protocol of a program with an `Init` of its own.
    _capnp: Option<Arc<Capnp>>,
}

/// The time that the end of a connection may take, in which the last objects are destroyed.
const END: std::time::Duration = std::time::Duration::from_secs(3);

impl Link {
    /// Drops `Init` and waits for the connection to end, so that this process does not exit before
    /// the peer was told what to destroy. Ends the child after that. `disconnection` is the end of
    /// the connection, where that is known.
    pub(crate) fn end(self, disconnection: Option<Disconnection>) {
        let Self { init, child, .. } = self;
        let of_init = || Some(init.as_ref()?.remote()?.disconnection());
        let disconnection = disconnection.or_else(of_init);
        drop(init);
        if let Some(disconnection) = disconnection {
            disconnection.wait(Some(END));
        }
        drop(child);
    }
}

/// Creates this process's side as a client, which offers nothing.
pub(crate) fn client(context: &Context) -> Result<Arc<Ipc<dyn Init>>> {
    let ipc = Ipc::with_limits("bitcoin-ipc", Role::Node.init(), context.limits())?;
    let ipc = ipc.data_dir(context.data_dir()).trust(context.trust());
    Ok(Arc::new(ipc))
}

/// Returns the `Init` of the peer at `address`.
pub(crate) fn open(context: &Context, address: &Address) -> Result<Link> {
    let ipc = client(context)?;
    match address {
        Address::Off => Err(Failure::new(Kind::NoConnection, "the address is off")
            .hint("name a peer with --address; `auto` starts one of its own where none listens")
            .into()),
        Address::Exec(program) => adopt(context, &ipc, &What::Program(program.clone())),
        address => match connect(context, &ipc, address)? {
            Some(init) => Ok(Link {
                init: Some(init),
                child: None,
                own_role: false,
                name: describe(context, address),
                _capnp: None,
            }),
            None => {
                let link = adopt(context, &ipc, &What::Role(Role::Node))?;
                let pid = link.child.as_ref().map_or(0, Guard::pid);
                context.output.note(&format!(
                    "no node of chain {} listens; started bitcoin-node (pid {pid}) in its place",
                    context.options.chain
                ));
                Ok(link)
            }
        },
    }
}

/// Starts a child and returns its `Init`. No child is left when that fails.
pub(crate) fn adopt(context: &Context, ipc: &Arc<Ipc<dyn Init>>, what: &What) -> Result<Link> {
    let _spinner = context.output.spin(&format!("starting {}", what.name()));
    let (stream, guard) = children::start(context, what)?;
    let (ipc, child, name) = (ipc.clone(), guard.child().clone(), what.full_name());
    // The handshake has a limit of its own.
    let connected = context
        .signals
        .interruptible(None, move || ipc.connect_child(&name, stream, &child));
    match connected {
        Ok(Some(Ok(init))) => Ok(Link {
            init: Some(init),
            name: format!("{} (pid {})", what.name(), guard.pid()),
            child: Some(guard),
            own_role: matches!(what, What::Role(_)),
            _capnp: None,
        }),
        Ok(Some(Err(error))) => Err(Failure::connecting(error).into()),
        Ok(None) => Err(eyre::eyre!("a wait without a limit has ended")),
        Err(error) => {
            // The abandoned thread still holds the stream, so the child sees no end of it yet.
            let _ = guard.child().kill(bitcoin_ipc::process::Signal::TERM);
            Err(error)
        }
    }
}

/// Connects to a program with a bootstrap interface of its own, called `interface`. Returns the
/// connection, and the interface's handle among `objects`.
pub(crate) fn open_other(
    context: &Context,
    address: &Address,
    objects: &Objects,
    interface: &str,
) -> Result<(Link, String)> {
    let capnp = Arc::new(Capnp::new("bitcoin-ipc", context.limits())?);
    let shake = |stream: Box<dyn Stream>| {
        let (objects, capnp) = (objects.clone(), capnp.clone());
        let interface = interface.to_owned();
        context
            .signals
            .interruptible(None, move || objects.connect(&capnp, stream, &interface))?
            .ok_or_else(|| eyre::eyre!("a wait without a limit has ended"))
    };
    let (handle, child, name) = if let Address::Exec(program) = address {
        let what = What::Program(program.clone());
        let (stream, guard) = children::start(context, &what)?;
        let handle = shake(stream.into())?.map_err(|error| {
            Failure::connecting(ipc::no_peer(&what.full_name(), guard.child(), error))
        })?;
        let name = format!("{} (pid {})", what.name(), guard.pid());
        (handle, Some(guard), name)
    } else {
        let started = Instant::now();
        let data_dir = context.data_dir();
        let place = describe(context, address);
        let _spinner = context.output.spin(&format!("connecting to {place}"));
        let stream = loop {
            let failure = match transport::connect(address, &data_dir, &context.trust()) {
                Ok(Some(stream)) => break stream,
                Ok(None) => Failure::new(Kind::NoConnection, format!("no peer at {place}"))
                    .hint("name the program's socket with --address unix:PATH, or exec:PROGRAM"),
                Err(error) if error.is_no_listener() => Failure::connecting(error),
                Err(error) => return Err(Failure::connecting(error).into()),
            };
            rest(context, started, failure)?;
        };
        (shake(stream)?.map_err(Failure::connecting)?, None, place)
    };
    let link = Link {
        init: None,
        child,
        own_role: false,
        name,
        _capnp: Some(capnp),
    };
    Ok((link, handle))
}

/// Connects, and retries with `--wait`. Returns `None` where no node listens at `auto`.
fn connect(
    context: &Context,
    ipc: &Arc<Ipc<dyn Init>>,
    address: &Address,
) -> Result<Option<Arc<dyn Init>>> {
    let place = describe(context, address);
    let _spinner = context.output.spin(&format!("connecting to {place}"));
    let started = Instant::now();
    loop {
        let (attempt, target) = (ipc.clone(), address.clone());
        let result = context
            .signals
            .interruptible(context.timeout(), move || attempt.connect(&target))?
            .unwrap_or_else(|| {
                Err(Error::Timeout {
                    what: format!("connect to {place}"),
                    after: context.timeout().unwrap_or_default(),
                })
            });
        let error = match result {
            Ok(Some(init)) => return Ok(Some(init)),
            Ok(None) if context.options.wait.is_none() => return Ok(None),
            Ok(None) => Failure::new(Kind::NoConnection, format!("no node listens at {place}"))
                .hint("start a node with -ipcbind=unix, or leave --wait out to start one here"),
            Err(error) if error.is_no_listener() => Failure::connecting(error),
            Err(error) => return Err(Failure::connecting(error).into()),
        };
        rest(context, started, error)?;
    }
}

/// Pauses before the next attempt to connect, as `--wait` allows; otherwise fails with the
/// attempt's failure.
fn rest(context: &Context, started: Instant, failure: Failure) -> Result<()> {
    let wait = context.options.wait;
    if wait.is_some_and(|wait| wait.0.is_none_or(|limit| started.elapsed() < limit)) {
        return Ok(context.signals.sleep(RETRY)?);
    }
    Err(failure.into())
}

/// Returns the place of an address, for people.
pub(crate) fn describe(context: &Context, address: &Address) -> String {
    let path = match address {
        Address::Auto => context.data_dir().socket(None),
        Address::Unix(path) => context.data_dir().socket(path.as_deref()),
        address => return address.to_string(),
    };
    path.map_or_else(|_| address.to_string(), |path| path.display().to_string())
}
