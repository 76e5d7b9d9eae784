//! `describe`: the schema's declaration of a name, and of a method a command line that calls it.
//!
//! Knows names and where the schema comes from; the texts are made by the modules below.

mod declared;
mod example;
pub(super) mod shown;

use std::cell::Cell;

use bitcoin_ipc::dynamic::json::{Converter, Meaning};
use bitcoin_ipc::dynamic::schema::model::{Kind, Node, Type, Value};
use eyre::Result;
use serde_json::json;

use self::declared::Declared;
use self::shown::{commented, default, meaning, shown, signature};
use super::list;
use crate::args;
use crate::calls::lines::Told;
use crate::calls::session::manner;
use crate::context::Context;
use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};
use crate::ui::errors::Failure;
use crate::ui::output::Shown;

/// The declaration that a name stands for.
enum Named {
    Type(std::sync::Arc<Node>),
    /// A method, and the interface that it was found in, which may inherit it.
    Method(u64, Method),
}

pub(crate) fn run(context: &Context, args: &args::Describe) -> Result<u8> {
    let schema = list::schema(context)?;
    let name = &args.name;
    if args.template {
        let (_, method) = match find(&schema, name)? {
            Named::Type(_) => schema.named(name)?,
            Named::Method(interface, method) => (interface, method),
        };
        let manner = manner(context);
        let (id, brand) = &method.info.method.params;
        let ty = Type::Struct(*id, brand.within(&method.info.brand));
        let converter = Converter::new(&schema.registry, &manner);
        let template = converter.template(&ty, &method.full_name())?;
        context.output.result(&Shown::Structured(template), false)?;
        return Ok(0);
    }
    let told = of_schema(context, &schema, name)?;
    match context.output.is_json() {
        true => context
            .output
            .result(&Shown::Structured(told.json), false)?,
        false => context.output.text(&told.text)?,
    }
    Ok(0)
}

/// Describes the declaration of a schema that has this name.
pub(crate) fn of_schema(context: &Context, schema: &Schema, name: &str) -> Result<Told> {
    let told = |name: &str, docs: &str, text: String| Told {
        json: json!({ "name": name, "docs": docs, "text": text }),
        text,
    };
    Ok(match find(schema, name)? {
        Named::Type(node) => {
            let text = declaration(context, schema, &node)?;
            told(&node.name, &node.docs, text)
        }
        Named::Method(interface, method) => {
            let text = describe_method(context, schema, interface, &method)?;
            told(&method.full_name(), &method.info.method.docs, text)
        }
    })
}

/// Finds a declaration: `Outer.inner` may be one within another, or a method. A name with exactly these
/// letters wins.
fn find(schema: &Schema, name: &str) -> Result<Named, Failure> {
    let found = schema.registry.find_type(name);
    let is_exact = |node: &Node| name.rsplit(':').next() == Some(node.name.as_str());
    match (found, schema.named(name)) {
        (Ok(node), method) if is_exact(&node) || method.is_err() => Ok(Named::Type(node)),
        (_, Ok((interface, method))) => Ok(Named::Method(interface, method)),
        (Err(error), Err(failure)) => {
            let several = error.to_string();
            Err(match several.starts_with("several") {
                true => Failure::usage(several).hint(format!("name one as FILE.capnp:{name}")),
                false => failure,
            })
        }
        (Ok(node), Err(_)) => Ok(Named::Type(node)),
    }
}

fn declaration(context: &Context, schema: &Schema, node: &Node) -> Result<String> {
    let default = |ty: &Type, value: &Value| default(context, schema, ty, value);
    let declared = Declared {
        registry: &schema.registry,
        default: &default,
        groups: Cell::new(0),
    };
    Ok(match &node.kind {
        Kind::Interface(body) => {
            let mut text = declared.head("interface", node, &body.superclasses);
            for method in schema.methods(node.id)? {
                let signature = signature(context, schema, &method)?;
                text.push_str(&format!("\n{signature}\n"));
                text.push_str(&commented(&method.info.method.docs, "  "));
            }
            text
        }
        Kind::Struct(body) => declared.structure(node, body),
        Kind::Enum(values) => {
            let mut text = declared.head("enum", node, &[]);
            for (number, value) in values.iter().enumerate() {
                text.push_str(&format!("{} @{number}\n", value.name));
                text.push_str(&commented(&value.docs, "  "));
            }
            text
        }
        Kind::Const(ty, value) => {
            let name = schema.registry.type_name(ty);
            let value = shown(context, schema, ty, value).unwrap_or_else(|| "…".into());
            let docs = commented(&node.docs, "  ");
            format!("const {} :{name} = {value}\n{docs}", node.name)
        }
        Kind::Annotation(ty, targets) => {
            let name = schema.registry.type_name(ty);
            let docs = commented(&node.docs, "  ");
            let targets = targets.join(", ");
            format!("annotation {}({targets}) :{name}\n{docs}", node.name)
        }
        Kind::File => commented(&node.docs, ""),
    })
}

fn describe_method(
    context: &Context,
    schema: &Schema,
    interface: u64,
    method: &Method,
) -> Result<String> {
    let mut text = format!(
        "{}.{}\n{}",
        method.info.interface.name,
        signature(context, schema, method)?,
        commented(&method.info.method.docs, "  ")
    );
    if !method.params.is_empty() {
        text.push_str("\nParameters:\n");
    }
    let width = |len: fn(&Param) -> usize| method.params.iter().map(len).max().unwrap_or(0);
    let (names, kinds) = (
        width(|param| param.name.chars().count()),
        width(|param| param.kind.chars().count()),
    );
    for param in &method.params {
        let mut notes = Vec::new();
        match meaning(context, method, param) {
            Meaning::Hash => notes.push("in display order"),
            Meaning::WireHash => notes.push("in the order of the wire"),
            Meaning::Milliseconds => notes.push("a duration such as 5s, 250ms or forever"),
            _ => {}
        }
        if param.optional {
            notes.push("may be left out");
        }
        let line = format!(
            "  {:names$}  {:kinds$}  {}",
            param.name,
            param.kind,
            notes.join("; ")
        );
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    if let Some(command) = example::command(context, schema, interface, method)? {
        text.push_str(&format!("\nTry:\n  {command}\n"));
    }
    Ok(text)
}
