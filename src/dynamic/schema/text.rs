//! Types and methods as the schema language writes them.
//!
//! Knows schemas; nothing of values but that somebody shows defaults.

use std::fmt::Write as _;

use super::model::{Brand, Kind, Method, Node, Nodes, Place, Struct, Type, Value, is_proxy};

/// The struct that the results of a streaming method are.
const STREAM_RESULT: u64 = 0x995f_9a33_77c0_b16e;

/// The maximum number of names in one type: bindings are shared, and may double with each level.
const NAMES: usize = 32;

/// How deep groups may be nested. The tool nests them no deeper than it parses.
const GROUPS: usize = 64;

/// Shows a field's default.
pub(super) type ShowDefault<'a> = &'a dyn Fn(&Type, &Value) -> Option<String>;

pub(super) fn type_name(nodes: &Nodes, ty: &Type) -> String {
    let mut text = String::new();
    write_type(nodes, ty, &mut text, &mut 0);
    text
}

fn write_type(nodes: &Nodes, ty: &Type, text: &mut String, names: &mut usize) {
    *names += 1;
    if *names > NAMES {
        text.push('…');
        return;
    }
    match ty {
        Type::List(element) => {
            text.push_str("List(");
            write_type(nodes, element, text, names);
            text.push(')');
        }
        Type::Enum(id) => write_node(nodes, *id, &Brand::default(), text, names),
        Type::Struct(id, brand) | Type::Interface(id, brand) => {
            write_node(nodes, *id, brand, text, names);
        }
        Type::Parameter(id, index) => {
            let node = nodes.get(id);
            let name = node.and_then(|node| node.parameters.get(usize::from(*index)));
            text.push_str(name.map_or("AnyPointer", String::as_str));
        }
        simple => {
            let _ = write!(text, "{simple:?}");
        }
    }
}

/// Writes the name of a node, with the types behind each part of it that are bound to its parameters.
fn write_node(nodes: &Nodes, id: u64, brand: &Brand, text: &mut String, names: &mut usize) {
    let Some(node) = nodes.get(&id) else {
        let _ = write!(text, "@{id:#x}");
        return;
    };
    let parts: Vec<&str> = node.name.split('.').collect();
    // The nodes that it is declared in, from within.
    let mut scopes = vec![id];
    while scopes.len() < parts.len()
        && let Some(last) = scopes.last().and_then(|last| nodes.get(last))
    {
        scopes.push(last.scope);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        text.push_str(part);
        let scope = scopes.get(parts.len() - 1 - index).copied();
        let arguments = scope.map_or(&[][..], |scope| brand.arguments(scope));
        for (index, argument) in arguments.iter().enumerate() {
            text.push_str(if index == 0 { "(" } else { ", " });
            let argument = argument.as_deref().unwrap_or(&Type::AnyPointer);
            write_type(nodes, argument, text, names);
        }
        if !arguments.is_empty() {
            text.push(')');
        }
    }
}

/// Returns a method of an interface with these bindings, or `None` where its parameters or results are no
/// structs.
pub(super) fn signature(
    nodes: &Nodes,
    (method, ordinal): (&Method, u16),
    bindings: &Brand,
    default: ShowDefault<'_>,
) -> Option<String> {
    let node = nodes.get(&method.params.0)?;
    let (params, results) = (
        structure(nodes, method.params.0)?,
        structure(nodes, method.results.0)?,
    );
    let parameters = match is_unnamed(node) && !node.parameters.is_empty() {
        true => format!("[{}] ", node.parameters.join(", ")),
        false => String::new(),
    };
    let fields = |layout, brand: &Brand| {
        let brand = bindings.bind_all(brand);
        let fields = Fields {
            nodes,
            default,
            brand: &brand,
        };
        fields.all(layout, 0)
    };
    let results = match method.results.0 {
        STREAM_RESULT => "stream".to_owned(),
        _ => format!("({})", fields(results, &method.results.1)),
    };
    Some(format!(
        "{} @{ordinal} {parameters}({}) -> {results}",
        method.name,
        fields(params, &method.params.1)
    ))
}

fn structure(nodes: &Nodes, id: u64) -> Option<&Struct> {
    match &nodes.get(&id)?.kind {
        Kind::Struct(body) => Some(body),
        _ => None,
    }
}

/// Whether a struct is the parameters or results of one method alone.
fn is_unnamed(node: &Node) -> bool {
    node.scope == 0 && matches!(node.kind, Kind::Struct(_))
}

/// Writes fields in one line.
struct Fields<'a> {
    nodes: &'a Nodes,
    default: ShowDefault<'a>,
    brand: &'a Brand,
}

impl Fields<'_> {
    fn all(&self, layout: &Struct, depth: usize) -> String {
        let fields = layout.fields.iter().filter_map(|field| {
            let shown = match &field.place {
                Place::Slot { ty, .. } if is_proxy(self.nodes, ty, "Context") => return None,
                Place::Slot {
                    ty, default: value, ..
                } => {
                    let ty = self.brand.bind(ty);
                    let value = (self.default)(&ty, value).map(|value| format!(" = {value}"));
                    let value = value.unwrap_or_default();
                    format!("{} :{}{value}", field.name, type_name(self.nodes, &ty))
                }
                Place::Group(id) => match structure(self.nodes, *id) {
                    Some(body) if depth < GROUPS => {
                        format!("{} :group {{{}}}", field.name, self.all(body, depth + 1))
                    }
                    _ => format!("{} :group", field.name),
                },
            };
            Some((field.discriminant.is_some(), shown))
        });
        let (members, mut shown): (Vec<_>, Vec<_>) = fields.partition(|(is_member, _)| *is_member);
        let members: Vec<String> = members.into_iter().map(|(_, text)| text).collect();
        if !members.is_empty() {
            shown.push((false, format!("union {{{}}}", members.join(", "))));
        }
        let shown: Vec<String> = shown.into_iter().map(|(_, text)| text).collect();
        shown.join(", ")
    }
}
