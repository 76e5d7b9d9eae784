//! `serve`: answers `Init` requests, of one parent, of everyone who connects, or at the sockets that
//! a service manager passes.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::transport::DataDir;
use bitcoin_ipc::{Address, Error, Ipc, Listener, process};
use eyre::Result;

use crate::args::{self, ADDRESS_VARIABLE, Target};
use crate::context::Context;
use crate::peer::systemd::{self, Passed};
use crate::ui::errors::{Failure, Kind};

/// The message to a service manager that the service ends.
const STOPPING: &str = "STOPPING=1\nSTATUS=closing the connections";

/// The side that serves.
type Server = Arc<Ipc<dyn Init>>;

pub(crate) fn run(context: &Context, args: &args::Serve) -> Result<u8> {
    check_address(context, args)?;
    let init = args.role.init();
    let ipc = Ipc::<dyn Init>::with_limits(args.role.exe_name(), init, context.limits())?;
    let ipc = Arc::new(match data_dir(context, &args.listen)? {
        Some(data_dir) => ipc.data_dir(data_dir),
        None => ipc,
    });
    if let Some(fd) = args.fd {
        let stream = process::inherited_stream(fd).map_err(|error| {
            Failure::from(error).hint("N is a connected socket, inherited from who starts this")
        })?;
        return serve_streams(context, &ipc, vec![stream]);
    }
    if !args.listen.is_empty() {
        return serve_everyone(context, &ipc, listen(context, &ipc, &args.listen)?);
    }
    let sockets = systemd::sockets()?;
    if sockets.is_empty() {
        return Err(Failure::usage(
            "nothing to serve: neither --fd <N>|--listen <ADDRESS> nor sockets of a service manager",
        )
        .hint("usage: bitcoin-ipc serve --listen unix:PATH; or start it by a systemd socket unit")
        .into());
    }
    serve_passed(context, &ipc, sockets)
}

/// Refuses the address of a peer: there is none. One of the environment is for clients.
fn check_address(context: &Context, args: &args::Serve) -> Result<()> {
    let is_own = |target: &Target| match target {
        Target::At(address) => args.listen.contains(address),
        Target::OwnChild => false,
    };
    if let Some(address) = &context.options.peer.address {
        if is_own(address) {
            return Ok(());
        }
        let failure = Failure::usage(format!(
            "--address {address} names a peer, and serve has none"
        ));
        return Err(failure
            .hint("name the place to listen at with --listen")
            .into());
    }
    if let Some(address) = context.given_address()?
        && !is_own(&address)
    {
        context.output.note(&format!(
            "{ADDRESS_VARIABLE} ({address}) is for clients: it is not served there"
        ));
    }
    Ok(())
}

/// Returns the data directory, where one of the addresses is relative to it.
fn data_dir(context: &Context, addresses: &[Address]) -> Result<Option<DataDir>> {
    let is_relative = |address: &&Address| match address {
        Address::Unix(path) => path.as_ref().is_none_or(|path| path.is_relative()),
        _ => false,
    };
    let relative = addresses.iter().find(is_relative);
    let data_dir = relative.map(|address| context.data_dir_for(address));
    Ok(data_dir.transpose()?)
}

/// Serves connected sockets until their peers are gone.
fn serve_streams(
    context: &Context,
    ipc: &Server,
    streams: Vec<std::os::unix::net::UnixStream>,
) -> Result<u8> {
    let serving = ipc.clone();
    context.signals.on_signal(move |_| {
        tell(STOPPING);
        serving.disconnect_incoming();
    });
    tell("READY=1\nSTATUS=serving the peer of a connected socket");
    let mut streams = streams.into_iter();
    let first = streams.next();
    let others = streams.map(|stream| {
        let ipc = ipc.clone();
        let thread = thread::Builder::new().name("serve".into());
        thread.spawn(move || ipc.serve(stream))
    });
    let others: Result<Vec<_>, _> = others.collect();
    let others = others.map_err(|error| Error::io("start a thread", error))?;
    let mut served = first.map_or(Ok(()), |stream| ipc.serve(stream));
    for thread in others {
        let other = thread
            .join()
            .unwrap_or_else(|_| Err(Error::failed("a thread panicked")));
        served = served.and(other);
    }
    served?;
    context.signals.check()?;
    Ok(0)
}

fn listen(context: &Context, ipc: &Server, addresses: &[Address]) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let address = match address {
            // Where bitcoin.conf has an `ipcbind`, clients look for `unix` there.
            Address::Unix(None) => context.settings()?.place_of(address),
            Address::Unix(Some(path)) => {
                check_parent(path)?;
                address.clone()
            }
            Address::Fd(_) => address.clone(),
            _ => {
                return Err(
                    Failure::usage(format!("{address} is no address to listen at"))
                        .hint("listen at unix, unix:PATH or fd:N")
                        .into(),
                );
            }
        };
        let listener = ipc.listen(&address).map_err(cannot_listen)?;
        let place = match listener.path() {
            Some(path) => path.display().to_string(),
            None => address.to_string(),
        };
        listeners.push(listener);
        context.output.note(&format!("listening at {place}"));
    }
    Ok(listeners)
}

/// Refuses a path in a directory that does not exist. The data directory's are made, as they are by
/// Bitcoin Core; one anywhere else is more likely a mistyped path.
fn check_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|_| path.is_absolute());
    match parent {
        Some(parent) if !parent.exists() => {
            let message = format!(
                "cannot listen at {}: the directory {} does not exist",
                path.display(),
                parent.display()
            );
            Err(Failure::new(Kind::Failed, message)
                .hint("make it, with mode 0700 unless others are to reach the socket")
                .into())
        }
        _ => Ok(()),
    }
}

/// Serves the sockets of a service manager: everyone who connects to those that listen, or the
/// peers of those that are connected, as of a unit with `Accept=yes`.
fn serve_passed(context: &Context, ipc: &Server, sockets: Vec<Passed>) -> Result<u8> {
    let (mut listeners, mut streams) = (Vec::new(), Vec::new());
    for Passed { fd, name } in sockets {
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        if let Ok(stream) = process::inherited_stream(fd) {
            context
                .output
                .note(&format!("serving the peer of fd:{fd}{name}"));
            streams.push(stream);
        } else {
            let listener = ipc.listen(&Address::Fd(fd)).map_err(|error| {
                Failure::from(error).hint("give the socket unit a ListenStream= for a unix socket")
            })?;
            context.output.note(&format!("listening at fd:{fd}{name}"));
            listeners.push(listener);
        }
    }
    match (listeners.is_empty(), streams.is_empty()) {
        (true, _) => serve_streams(context, ipc, streams),
        (false, true) => serve_everyone(context, ipc, listeners),
        (false, false) => Err(
            Failure::usage("both listening and connected sockets were passed")
                .hint("use one socket unit with Accept=yes, or any number with Accept=no")
                .into(),
        ),
    }
}

fn serve_everyone(context: &Context, ipc: &Server, listeners: Vec<Listener>) -> Result<u8> {
    let places = listeners.iter().filter_map(Listener::path);
    let places: Vec<_> = places
        .map(|path| path.display().to_string().replace(char::is_control, "?"))
        .collect();
    let places = match places.is_empty() {
        true => "inherited sockets".to_owned(),
        false => places.join(", "),
    };
    tell(&format!("READY=1\nSTATUS=listening at {places}"));
    let failure = context.signals.wait();
    tell(STOPPING);
    // The sockets go first, so that nobody connects to what is about to end.
    drop(listeners);
    ipc.disconnect_incoming();
    Err(failure.into())
}

/// Tells the service manager this process's state. It serves also where nobody hears that.
fn tell(state: &str) {
    if let Err(failure) = systemd::notify(state) {
        tracing::warn!(target: "ipc", "{failure}");
    }
}

fn cannot_listen(error: Error) -> Failure {
    match error {
        Error::Usage(_) => error.into(),
        error => Failure::new(Kind::Failed, error.to_string())
            .hint("name another place with --listen unix:PATH"),
    }
}
