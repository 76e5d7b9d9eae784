//! From an address to a peer's `Init`: connecting, waiting for a listener, starting a child.
//!
//! Knows addresses, children and the façade; nothing of what is called.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bitcoin_ipc::client::warm_up;
use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::interfaces::Disconnection;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::transport::{self, Chain, DataDir, Stream};
use bitcoin_ipc::{Address, Error, Generation, Ipc, ipc};
use eyre::Result;

use crate::args::Target;
use crate::args::settings::Settings;
use crate::context::Context;
use crate::peer::absence;
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
    /// The path at which it listens, where it does.
    pub(crate) socket: Option<PathBuf>,
    /// Whether it listens where the node of the chain does.
    pub(crate) is_chains_own: bool,
    /// The protocol of a program with an `Init` of its own.
    _capnp: Option<Arc<Capnp>>,
}

/// The time that the end of a connection may take, in which the last objects are destroyed.
const END: std::time::Duration = std::time::Duration::from_secs(3);

impl Link {
    /// Waits until the node, of this generation, may be asked for its `Mining`: one of Core 30 that has
    /// just begun to listen may not.
    pub(crate) fn let_start(
        &self,
        context: &Context,
        generation: Generation,
    ) -> Result<(), Failure> {
        rest_young(context, self.socket.as_deref(), generation)
    }

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

/// Creates this process's side as a client, which offers nothing, for a child.
pub(crate) fn client(context: &Context) -> Result<Arc<Ipc<dyn Init>>> {
    client_in(context, DataDir::new("", Chain::default()))
}

/// Creates this process's side as a client, for addresses that are relative to `data_dir`.
fn client_in(context: &Context, data_dir: DataDir) -> Result<Arc<Ipc<dyn Init>>> {
    let ipc = Ipc::with_limits("bitcoin-ipc", Role::Node.init(), context.limits())?;
    Ok(Arc::new(ipc.data_dir(data_dir).trust(context.trust())))
}

/// Whether a node child of our own may take the place of a node that does not listen at `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnChild {
    Allowed,
    Never,
}

/// Returns the `Init` of the peer that the settings name. An error names the variable or the file
/// that its address comes from.
pub(crate) fn open(context: &Context, own_child: OwnChild) -> Result<Link> {
    let settings = context.settings()?;
    naming_source(settings, open_at(context, settings, own_child))
}

/// Adds to a failure to reach the peer where its address comes from.
fn naming_source<T>(settings: &Settings, done: Result<T>) -> Result<T> {
    done.map_err(|report| {
        let failure = Failure::of(&report);
        match (failure.kind, settings.address_source()) {
            (Kind::NoConnection | Kind::Timeout | Kind::NotFound | Kind::CannotStart, Some(of)) => {
                let message = format!("{} (address from {of})", failure.message);
                Failure { message, ..failure }.into()
            }
            _ => report,
        }
    })
}

fn open_at(context: &Context, settings: &Settings, own_child: OwnChild) -> Result<Link> {
    let address = match settings.target() {
        Target::OwnChild => return start_own(context),
        Target::At(Address::Exec(program)) => {
            return adopt(context, &client(context)?, &What::Program(program));
        }
        Target::At(Address::Off) => {
            return Err(Failure::new(Kind::NoConnection, "the address is off")
                .hint("name a peer with --address; `self` is a node child of our own")
                .into());
        }
        // Nobody there is no error then.
        Target::At(Address::Auto)
            if own_child == OwnChild::Allowed
                && !settings.names_a_node()
                && context.options.wait.is_none() =>
        {
            Address::Auto
        }
        Target::At(Address::Auto) => Address::Unix(settings.socket()),
        Target::At(address) => address,
    };
    let ipc = client_in(context, settings.data_dir_for(&address)?)?;
    let to = address.clone();
    if let Some(init) = retrying(context, &address, move || ipc.connect(&to))? {
        return Ok(Link {
            init: Some(init),
            child: None,
            own_role: false,
            name: describe(context, &address),
            socket: socket(context, &address),
            is_chains_own: matches!(address, Address::Auto | Address::Unix(None)),
            _capnp: None,
        });
    }
    let link = start_own(context)?;
    context.output.note(&format!(
        "no node of chain {} listens; started {} in its place",
        settings.chain(),
        link.name
    ));
    Ok(link)
}

/// Starts a node child of our own.
fn start_own(context: &Context) -> Result<Link> {
    adopt(context, &client(context)?, &What::Role(Role::Node))
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
            socket: None,
            is_chains_own: false,
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
    objects: &Objects,
    interface: &str,
) -> Result<(Link, String)> {
    let settings = context.settings()?;
    naming_source(
        settings,
        open_other_at(context, settings, objects, interface),
    )
}

fn open_other_at(
    context: &Context,
    settings: &Settings,
    objects: &Objects,
    interface: &str,
) -> Result<(Link, String)> {
    let address = match settings.target() {
        Target::At(Address::Auto) => Address::Unix(settings.socket()),
        Target::At(address) => address,
        Target::OwnChild => {
            return Err(
                Failure::usage("a node child of our own serves Core's Init alone")
                    .hint("name the program's socket with --address unix:PATH, or exec:PROGRAM")
                    .into(),
            );
        }
    };
    let capnp = Arc::new(Capnp::new("bitcoin-ipc", context.limits())?);
    let shake = |stream: Box<dyn Stream>| {
        let (objects, capnp) = (objects.clone(), capnp.clone());
        let interface = interface.to_owned();
        context
            .signals
            .interruptible(None, move || objects.connect(&capnp, stream, &interface))?
            .ok_or_else(|| eyre::eyre!("a wait without a limit has ended"))
    };
    let (handle, child, name) = if let Address::Exec(program) = &address {
        let what = What::Program(program.clone());
        let (stream, guard) = children::start(context, &what)?;
        let handle = shake(stream.into())?.map_err(|error| {
            Failure::connecting(ipc::no_peer(&what.full_name(), guard.child(), error))
        })?;
        let name = format!("{} (pid {})", what.name(), guard.pid());
        (handle, Some(guard), name)
    } else {
        let place = describe(context, &address);
        let data_dir = settings.data_dir_for(&address)?;
        let (trust, to) = (context.trust(), address.clone());
        let connected = retrying(context, &address, move || {
            transport::connect(&to, &data_dir, &trust)
        })?;
        let stream = connected.ok_or_else(|| {
            Failure::new(Kind::NoConnection, format!("no peer at {place}"))
                .hint("name the program's socket with --address unix:PATH, or exec:PROGRAM")
        })?;
        (shake(stream)?.map_err(Failure::connecting)?, None, place)
    };
    let link = Link {
        init: None,
        child,
        own_role: false,
        name,
        socket: None,
        is_chains_own: false,
        _capnp: Some(capnp),
    };
    Ok((link, handle))
}

/// Connects by `connect` to the peer at `address`, and retries with `--wait`.
pub(crate) fn retrying<T: Send + 'static>(
    context: &Context,
    address: &Address,
    connect: impl Fn() -> Result<T, Error> + Clone + Send + 'static,
) -> Result<T> {
    let place = describe(context, address);
    let _spinner = context.output.spin(&format!("connecting to {place}"));
    let started = Instant::now();
    loop {
        let attempt = connect.clone();
        let result = context
            .signals
            .interruptible(context.timeout(), attempt)?
            .unwrap_or_else(|| {
                Err(Error::Timeout {
                    what: format!("connect to {place}"),
                    after: context.timeout().unwrap_or_default(),
                })
            });
        let error = match result {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        let may_come = error.is_no_listener();
        let failure = explain(context, address, error);
        if !may_come {
            return Err(failure.into());
        }
        rest(context, started, failure)?;
    }
}

/// Returns the failure of a connection to `address`, with what is there instead.
fn explain(context: &Context, address: &Address, error: Error) -> Failure {
    let by_chain = matches!(address, Address::Auto | Address::Unix(None));
    let data_dir = context.data_dir_for(address).ok().filter(|_| by_chain);
    absence::explain(error, data_dir.as_ref())
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
    let path = socket(context, address);
    path.map_or_else(|| address.to_string(), |path| path.display().to_string())
}

/// Waits as [`Link::let_start`] does, for the node at an address.
pub(crate) fn let_start(
    context: &Context,
    address: &Address,
    generation: Generation,
) -> Result<(), Failure> {
    rest_young(context, socket(context, address).as_deref(), generation)
}

fn rest_young(
    context: &Context,
    socket: Option<&Path>,
    generation: Generation,
) -> Result<(), Failure> {
    let rest = socket.map(|socket| warm_up(generation, socket));
    context.signals.sleep(rest.unwrap_or_default())
}

/// Returns the path of the socket that an address names, if it names one.
fn socket(context: &Context, address: &Address) -> Option<PathBuf> {
    let path = match address {
        Address::Auto => None,
        Address::Unix(path) => path.as_deref(),
        _ => return None,
    };
    let data_dir = context.data_dir_for(address).ok()?;
    data_dir.socket(path).ok()
}
