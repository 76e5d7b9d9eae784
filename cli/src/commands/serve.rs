//! `serve`: answers `Init` requests, of one parent or of everyone who connects.

use std::sync::Arc;

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Address, Ipc, process};
use eyre::Result;

use crate::args;
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};

pub(crate) fn run(context: &Context, args: &args::Serve) -> Result<u8> {
    let init = args.role.init();
    let relative = args.listen.iter().find(|address| is_relative(address));
    let data_dir = relative
        .map(|address| context.data_dir_for(address))
        .transpose()?;
    let ipc = Ipc::<dyn Init>::with_limits(args.role.exe_name(), init, context.limits())?;
    let ipc = Arc::new(match data_dir {
        Some(data_dir) => ipc.data_dir(data_dir),
        None => ipc,
    });
    match args.fd {
        Some(fd) => serve_parent(context, &ipc, fd),
        None => serve_everyone(context, &ipc, args),
    }
}

fn serve_parent(context: &Context, ipc: &Arc<Ipc<dyn Init>>, fd: i32) -> Result<u8> {
    let stream = process::inherited_stream(fd).map_err(|error| {
        Failure::from(error).hint("N is a connected socket, inherited from who starts this")
    })?;
    let serving = ipc.clone();
    context
        .signals
        .on_signal(move |_| serving.disconnect_incoming());
    ipc.serve(stream)?;
    context.signals.check()?;
    Ok(0)
}

fn serve_everyone(context: &Context, ipc: &Arc<Ipc<dyn Init>>, args: &args::Serve) -> Result<u8> {
    let settings = context.settings()?;
    let mut listeners = Vec::new();
    for address in &args.listen {
        let address = &settings.place_of(address);
        if !matches!(address, Address::Unix(_) | Address::Fd(_)) {
            return Err(
                Failure::usage(format!("{address} is no address to listen at"))
                    .hint("listen at unix, unix:PATH or fd:N")
                    .into(),
            );
        }
        let listener = ipc.listen(address).map_err(cannot_listen)?;
        let place = match listener.path() {
            Some(path) => path.display().to_string(),
            None => address.to_string(),
        };
        listeners.push(listener);
        context.output.note(&format!("listening at {place}"));
    }
    let failure = context.signals.wait();
    // The sockets go first, so that nobody connects to what is about to end.
    drop(listeners);
    ipc.disconnect_incoming();
    Err(failure.into())
}

/// Whether an address is relative to the data directory.
fn is_relative(address: &Address) -> bool {
    matches!(address, Address::Unix(path) if path.as_ref().is_none_or(|path| path.is_relative()))
}

fn cannot_listen(error: bitcoin_ipc::Error) -> Failure {
    match error {
        bitcoin_ipc::Error::Usage(_) => error.into(),
        error => Failure::new(Kind::Failed, error.to_string())
            .hint("name another place with --listen unix:PATH"),
    }
}
