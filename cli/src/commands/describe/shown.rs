//! Signatures, defaults and comments as descriptions show them.
//!
//! Knows schemas and how the options have values shown; nothing of what is described.

use bitcoin_ipc::dynamic::json::{Converter, Meaning};
use bitcoin_ipc::dynamic::schema::model::{Type, Value};
use eyre::Result;

use crate::calls::session::manner;
use crate::context::Context;
use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};

/// A method as the schema language has it, with its defaults.
pub(in crate::commands) fn signature(
    context: &Context,
    schema: &Schema,
    method: &Method,
) -> Result<String> {
    let default = |ty: &Type, value: &Value| default(context, schema, ty, value);
    Ok(schema.registry.signature(&method.info, &default)?)
}

pub(super) fn default(
    context: &Context,
    schema: &Schema,
    ty: &Type,
    value: &Value,
) -> Option<String> {
    if value.is_zero() {
        return None;
    }
    if let Value::Float64(bits) = value
        && f64::from_bits(*bits) == f64::MAX
    {
        return Some("forever".into());
    }
    shown(context, schema, ty, value)
}

/// Returns a value as JSON.
pub(super) fn shown(
    context: &Context,
    schema: &Schema,
    ty: &Type,
    value: &Value,
) -> Option<String> {
    let manner = manner(context);
    let converter = Converter::new(&schema.registry, &manner);
    Some(converter.value(value, ty, "default").ok()?.to_string())
}

pub(super) fn commented(docs: &str, indent: &str) -> String {
    let lines = docs.lines().map(|line| format!("{indent}{line}\n"));
    lines.collect()
}

pub(super) fn meaning(context: &Context, method: &Method, param: &Param) -> Meaning {
    method.meaning(param, manner(context).meaning)
}
