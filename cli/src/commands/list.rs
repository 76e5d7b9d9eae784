//! `list`: the interfaces, or an interface's methods.

use eyre::Result;
use serde_json::json;

use super::describe;
use crate::args;
use crate::calls::lines::Told;
use crate::calls::session::Session;
use crate::context::Context;
use crate::schema::choice::Schema;

pub(crate) fn run(context: &Context, args: &args::List) -> Result<u8> {
    let mut session = Session::new(context)?;
    if !context.options.address_given {
        let names = |schema: &Schema| {
            let all = schema.interfaces();
            all.iter().map(|node| node.name.clone()).collect()
        };
        let schema = session.schema().clone();
        return print(context, &schema, args, names(&schema));
    }
    session.open(&context.options.address)?;
    let done = asked(context, &mut session, args);
    session.end();
    done
}

/// Lists the interfaces that the peer has. Asks for each maker, and runs none.
fn asked(context: &Context, session: &mut Session, args: &args::List) -> Result<u8> {
    let schema = session.learn()?;
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
    let mut names = Vec::new();
    for node in schema.interfaces() {
        let route = schema.route(node.id)?.unwrap_or_default();
        let made_by = route.split('.').next().unwrap_or_default();
        let lacks = |id: &u64| *id == node.id || schema.name_of(*id) == made_by;
        if !missing.iter().any(lacks) {
            names.push(node.name.clone());
        }
    }
    print(context, &schema, args, names)
}

fn print(context: &Context, schema: &Schema, args: &args::List, names: Vec<String>) -> Result<u8> {
    let told = told(context, schema, args.interface.as_deref(), names)?;
    match context.output.is_json() {
        true => context.output.json_line(&told.json)?,
        false => context.output.text(&told.text)?,
    }
    Ok(0)
}

/// Lists the interfaces of a schema, or the methods of one.
pub(crate) fn of_schema(context: &Context, schema: &Schema, name: Option<&str>) -> Result<Told> {
    let all = schema.interfaces();
    let names = all.iter().map(|node| node.name.clone());
    told(context, schema, name, names.collect())
}

fn told(
    context: &Context,
    schema: &Schema,
    interface: Option<&str>,
    names: Vec<String>,
) -> Result<Told> {
    let mut text = String::new();
    let mut rows = Vec::new();
    match interface {
        Some(name) => {
            let interface = schema.interface(name)?;
            for method in schema.methods(interface.id)? {
                let signature = describe::signature(context, schema, &method)?;
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
            let width = names.iter().map(String::len).max().unwrap_or(0);
            for name in names {
                let node = schema.interface(&name)?;
                let line = format!("{name:width$}  {}", first_sentence(&node.docs));
                text.push_str(&format!("{}\n", line.trim_end()));
                rows.push(json!({ "name": name, "docs": node.docs }));
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
