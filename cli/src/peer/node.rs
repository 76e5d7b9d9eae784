//! Nodes that are followed across their restarts.
//!
//! Knows the library's clients, and how the user names a node; nothing of what is followed.

use bitcoin_ipc::client::{Client, ClientBuilder, Event, Reconnecting};
use bitcoin_ipc::{Address, Generation};
use eyre::Result;

use super::target;
use crate::args::Target;
use crate::context::Context;
use crate::ui::errors::Failure;

/// Keeps a connection to the node that the options name. Without `--wait`, there must be one now.
pub(crate) fn following(context: &Context) -> Result<Reconnecting> {
    let builder = builder(context)?;
    if context.options.wait.is_none() {
        drop(connect(context, builder.clone())?);
    }
    Ok(Reconnecting::new(builder))
}

/// Connects to the node that the options name, and retries with `--wait`.
pub(crate) fn client(context: &Context) -> Result<Client> {
    connect(context, builder(context)?)
}

/// Names the node of the settings, which must be one that can be connected to again.
fn builder(context: &Context) -> Result<ClientBuilder, Failure> {
    let address = address(context)?;
    let data_dir = context.data_dir_for(&address)?;
    let builder = Client::builder()
        .address(address)
        .data_dir(&data_dir.base)
        .chain(data_dir.chain)
        .limits(context.limits());
    let uids = context.options.peer_uid.iter();
    Ok(uids.fold(builder, |builder, uid| builder.trust_uid(*uid)))
}

fn address(context: &Context) -> Result<Address, Failure> {
    let settings = context.settings()?;
    match settings.target() {
        Target::At(Address::Auto) => Ok(Address::Unix(settings.socket())),
        Target::At(Address::Unix(path)) => Ok(Address::Unix(path)),
        other => Err(
            Failure::usage(format!("{other} cannot be connected to again"))
                .hint("name the node's socket, with --address unix:PATH or --chain"),
        ),
    }
}

fn connect(context: &Context, builder: ClientBuilder) -> Result<Client> {
    let place = address(context)?;
    target::retrying(context, &place, move || builder.connect())
}

/// Waits until the node of the settings, of this generation, may be asked for its `Mining`.
pub(crate) fn let_start(context: &Context, generation: Generation) -> Result<(), Failure> {
    let address = address(context)?;
    target::let_start(context, &address, generation)
}

/// The connection's story, as far as users want to hear it.
#[derive(Default)]
pub(crate) struct Story {
    /// Whether an outage was told of that has not ended.
    out: bool,
}

impl Story {
    /// Tells of an event.
    pub(crate) fn tell(&mut self, context: &Context, event: &Event) {
        match event {
            Event::Connected(generation) => self.connected(context, &generation.to_string()),
            Event::Disconnected(reason) => self.out(context, reason),
            Event::Failed { error, .. } => self.out(context, error),
            _ => {}
        }
    }

    /// Tells of an outage, once.
    pub(crate) fn out(&mut self, context: &Context, reason: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.out, true) {
            context
                .output
                .note(&format!("{reason}; waiting for the node"));
        }
    }

    /// Tells that an outage is over.
    pub(crate) fn connected(&mut self, context: &Context, to: &str) {
        if std::mem::take(&mut self.out) {
            context.output.note(&format!("connected to {to}"));
        }
    }
}
