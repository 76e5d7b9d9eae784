//! Declarations of types as the schema language has them, each field with its comment.
//!
//! Knows schemas; nothing of calls, and of values only that somebody shows defaults.

use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::{Brand, Field, Node, Place, Struct, Type, Value};

use super::shown::commented;

/// How deep groups are shown. A schema that is malformed may nest them without end.
const GROUPS: usize = 64;

/// Writes declarations.
pub(super) struct Declared<'a> {
    pub(super) registry: &'a Registry,
    pub(super) default: &'a dyn Fn(&Type, &Value) -> Option<String>,
}

impl Declared<'_> {
    /// Returns the first lines of a declaration: its name with its type parameters, what it extends, and
    /// its comment.
    pub(super) fn head(&self, what: &str, node: &Node, extends: &[(u64, Brand)]) -> String {
        let parameters = match node.parameters.is_empty() {
            true => String::new(),
            false => format!("({})", node.parameters.join(", ")),
        };
        let supers = extends.iter().map(|(id, brand)| {
            let ty = Type::Interface(*id, brand.clone());
            self.registry.type_name(&ty)
        });
        let supers: Vec<String> = supers.collect();
        let extends = match supers.is_empty() {
            true => String::new(),
            false => format!(" extends({})", supers.join(", ")),
        };
        let docs = commented(&node.docs, "  ");
        format!("{what} {}{parameters}{extends}\n{docs}", node.name)
    }

    pub(super) fn structure(&self, node: &Node, body: &Struct) -> String {
        let what = if body.is_group { "group" } else { "struct" };
        let mut text = self.head(what, node, &[]);
        text.push('\n');
        self.fields(body, 0, &mut text);
        text
    }

    /// Writes the fields, those of the union last and together.
    fn fields(&self, body: &Struct, depth: usize, text: &mut String) {
        let is_member = |field: &&Field| field.discriminant.is_some();
        for field in body.fields.iter().filter(|field| !is_member(field)) {
            self.field(field, depth, text);
        }
        if body.fields.iter().any(|field| is_member(&field)) {
            let indent = "  ".repeat(depth);
            text.push_str(&format!("{indent}union {{\n"));
            for field in body.fields.iter().filter(is_member) {
                self.field(field, depth + 1, text);
            }
            text.push_str(&format!("{indent}}}\n"));
        }
    }

    fn field(&self, field: &Field, depth: usize, text: &mut String) {
        let indent = "  ".repeat(depth);
        let docs = commented(&field.docs, &format!("{indent}  "));
        match &field.place {
            Place::Slot {
                ty, default: value, ..
            } => {
                let value = (self.default)(ty, value).map(|value| format!(" = {value}"));
                let value = value.unwrap_or_default();
                let kind = self.registry.type_name(ty);
                text.push_str(&format!("{indent}{} :{kind}{value}\n{docs}", field.name));
            }
            Place::Group(id) => {
                text.push_str(&format!("{indent}{} :group {{\n{docs}", field.name));
                if let Ok((_, body)) = self.registry.structure(*id)
                    && depth < GROUPS
                {
                    self.fields(body, depth + 1, text);
                }
                text.push_str(&format!("{indent}}}\n"));
            }
        }
    }
}
