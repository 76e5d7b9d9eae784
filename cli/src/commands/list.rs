//! `list`: the interfaces, or an interface's methods.
//!
//! Knows which node the options name, and what to show where none listens there; also for `describe`.

use std::sync::Arc;

use bitcoin_ipc::Address;
use bitcoin_ipc::dynamic::schema::model::Node;
use bitcoin_ipc::transport;
use eyre::Result;
use serde_json::json;

use super::describe::shown::signature;
use crate::args::{self, Target};
use crate::calls::lines::Told;
use crate::calls::session::Session;
use crate::context::Context;
use crate::peer::target::OwnChild;
use crate::schema::choice::{Schema, others};
use crate::schema::ways;
use crate::ui::errors::Failure;

pub(crate) fn run(context: &Context, args: &args::List) -> Result<u8> {
    let mut session = Session::new(context)?;
    let is_known = context.options.core.0.is_some() || session.schema().generation.is_none();
    let asks = args.interface.is_none() || !is_known;
    if asks && reach(context, &mut session)? {
        let done = asked(context, &mut session, args);
        session.end();
        return done;
    }
    let schema = session.schema().clone();
    let mut all = schema.interfaces();
    if context.options.init.is_none() {
        all.extend(others(&schema));
    }
    print(context, &schema, args, &all)
}

/// Returns the schema of the node that the options name, or the one that the options choose where they
/// name none or none listens.
pub(super) fn schema(context: &Context) -> Result<Schema> {
    let mut session = Session::new(context)?;
    if context.options.core.0.is_none()
        && session.schema().generation.is_some()
        && reach(context, &mut session)?
    {
        let learned = session.learn();
        session.end();
        return learned;
    }
    Ok(session.schema().clone())
}

/// Connects to the node that the settings name. Returns whether there is a connection: where nothing
/// listens, the schema tells, and the user hears of that.
fn reach(context: &Context, session: &mut Session) -> Result<bool> {
    if !context.settings()?.names_a_node() {
        return Ok(false);
    }
    // A child of our own is no answer to what a node has.
    let Err(report) = session.open(OwnChild::Never) else {
        return Ok(true);
    };
    let Some(failure) = report
        .downcast_ref::<Failure>()
        .filter(|_| nobody_listens(context))
    else {
        return Err(report);
    };
    let shown = match (session.schema().generation, context.options.core.0) {
        (Some(generation), None) => format!("shown by the schema of Bitcoin {generation}"),
        _ => "shown by the schema".to_owned(),
    };
    context
        .output
        .note(&format!("{shown}: {}", failure.message));
    Ok(false)
}

fn nobody_listens(context: &Context) -> bool {
    let connect = || {
        let settings = context.settings()?;
        let address = match settings.target() {
            Target::At(Address::Off) => return Ok(true),
            Target::At(Address::Auto) => Address::Unix(settings.socket()),
            Target::At(Address::Unix(path)) => Address::Unix(path),
            _ => return Ok(false),
        };
        let data_dir = settings.data_dir_for(&address)?;
        let connected = transport::connect(&address, &data_dir, &context.trust());
        Ok::<_, Failure>(connected.is_err_and(|error| error.is_no_listener()))
    };
    connect().unwrap_or(false)
}

/// Lists the interfaces that the peer has. Asks for each maker, and runs none.
fn asked(context: &Context, session: &mut Session, args: &args::List) -> Result<u8> {
    let schema = session.learn()?;
    if args.interface.is_some() {
        return print(context, &schema, args, &[]);
    }
    let mut missing = Vec::new();
    for method in schema.methods(schema.root.id)? {
        if let Some(interface) = method.returns
            && !session.offers(&method)?
        {
            missing.push(interface);
        }
    }
    context.signals.check()?;
    // Interfaces that only a missing one makes are missing too.
    let mut found = Vec::new();
    for node in schema.interfaces() {
        let way = ways::way(&schema, node.id)?.unwrap_or_default();
        let made_by = way.first().map_or(node.id, |hop| hop.to);
        if !missing.iter().any(|id| *id == node.id || *id == made_by) {
            found.push(node);
        }
    }
    print(context, &schema, args, &found)
}

fn print(
    context: &Context,
    schema: &Schema,
    args: &args::List,
    interfaces: &[Arc<Node>],
) -> Result<u8> {
    let told = told(context, schema, args.interface.as_deref(), interfaces)?;
    match context.output.is_json() {
        true => context.output.json_line(&told.json)?,
        false => context.output.text(&told.text)?,
    }
    Ok(0)
}

/// Lists the interfaces of a schema, or the methods of one.
pub(crate) fn of_schema(context: &Context, schema: &Schema, name: Option<&str>) -> Result<Told> {
    told(context, schema, name, &schema.interfaces())
}

fn told(
    context: &Context,
    schema: &Schema,
    interface: Option<&str>,
    interfaces: &[Arc<Node>],
) -> Result<Told> {
    let mut text = String::new();
    let mut rows = Vec::new();
    match interface {
        Some(name) => {
            let interface = schema.interface(name)?;
            for method in schema.methods(interface.id)? {
                let signature = signature(context, schema, &method)?;
                text.push_str(&format!("{signature}\n"));
                rows.push(json!({
                    "name": method.name(),
                    "ordinal": method.info.ordinal,
                    "signature": signature,
                    "docs": method.info.method.docs,
                }));
            }
        }
        None => {
            let names = interfaces.iter().map(|node| node.name.len());
            let width = names.max().unwrap_or(0);
            for node in interfaces {
                let (name, docs) = (&node.name, &node.docs);
                let line = format!("{name:width$}  {}", first_sentence(docs));
                text.push_str(&format!("{}\n", line.trim_end()));
                rows.push(json!({ "name": name, "docs": docs }));
            }
        }
    }
    let json = serde_json::Value::Array(rows);
    Ok(Told { text, json })
}

/// Returns the first sentence of a comment, which fits beside a name.
fn first_sentence(docs: &str) -> String {
    let paragraph: Vec<&str> = docs.lines().take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph,
    }
}
