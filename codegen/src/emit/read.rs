//! Reading values from messages: every failure names the field it is about.

use super::code::Code;
use super::types::{Scope, is_optional};
use crate::model::{Field, Named, Struct, Type};
use crate::names;

/// Emits the function that reads a struct.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, s: &Struct) {
    let path = scope.path(&s.named);
    code.blank();
    code.docs([format!("Reads a [`{0}`]({path}).", s.named.name)]);
    let from = if s.fields.is_empty() { "_from" } else { "from" };
    code.add(format!(
        "pub fn {}(\n{}{from}: {}::Reader<'_>,\n) -> rt::Result<{path}> {{",
        function(&s.named),
        peer(scope, s.named.id, "read: &rt::Read<'_>,\n"),
        scope.wire_of(&s.named)
    ));
    code.add(format!("Ok({path} {{"));
    for field in &s.fields {
        let value = read_field(scope, field, "from", &field.schema);
        code.add(format!("{}: {value},", field.name));
    }
    code.add("})\n}");
}

fn function(named: &Named) -> String {
    format!("read_{}", names::snake(&named.name))
}

/// Returns `text` where the struct contains interfaces, and nothing elsewhere.
fn peer<'t>(scope: &Scope<'_>, id: u64, text: &'t str) -> &'t str {
    if scope.model.carriers.contains(&id) {
        text
    } else {
        ""
    }
}

/// An expression: its text, and whether it is a `Result`.
struct Expression {
    text: String,
    fallible: bool,
}

impl Expression {
    fn fallible(text: String) -> Self {
        Self {
            text,
            fallible: true,
        }
    }

    fn sure(text: String) -> Self {
        Self {
            text,
            fallible: false,
        }
    }

    /// Returns an expression of the value, which propagates a failure with `?`.
    fn value(self) -> String {
        if self.fallible {
            self.text + "?"
        } else {
            self.text
        }
    }

    /// Returns an expression of a `Result` of the value.
    fn result(self) -> String {
        if self.fallible {
            self.text
        } else {
            format!("Ok({})", self.text)
        }
    }
}

/// Returns an expression of the value of a field of the reader `from`.
pub(super) fn read_field(scope: &Scope<'_>, field: &Field, from: &str, path: &str) -> String {
    expression(scope, field, from, path).value()
}

/// Returns an expression of a method's parameter as [`read_field`] does, except that text and data
/// stay in place in the message.
pub(super) fn read_param(scope: &Scope<'_>, field: &Field, from: &str, path: &str) -> String {
    let in_place = match field.ty {
        Type::Text => "rt::text_in(",
        Type::Data => "rt::data_in(",
        _ => return read_field(scope, field, from, path),
    };
    let owned = match field.ty {
        Type::Text => "rt::text(",
        _ => "rt::data(",
    };
    read_field(scope, field, from, path).replacen(owned, in_place, 1)
}

/// Returns an expression of a `Result` of a field of the reader `from`.
pub(super) fn read_result(scope: &Scope<'_>, field: &Field, from: &str, path: &str) -> String {
    expression(scope, field, from, path).result()
}

/// Returns an expression of a `Result` of the struct read from the reader `from`.
pub(super) fn read_struct(scope: &Scope<'_>, named: &Named, from: &str, path: &str) -> String {
    let read = scope.proxy_item(named, &function(named));
    let peer = peer(scope, named.id, "read, ");
    format!("{read}({peer}{from})\n.map_err(|e| e.within({path:?}))")
}

fn expression(scope: &Scope<'_>, field: &Field, from: &str, path: &str) -> Expression {
    let get = format!("{from}.get_{}()", field.wire);
    let present = match (&field.ty, &field.has) {
        (Type::Interface(_), Some(has)) => {
            format!("{from}.get_{has}() && {from}.has_{}()", field.wire)
        }
        _ => format!("{from}.has_{}()", field.wire),
    };
    let value = read_type(scope, &field.ty, &get, &present, path, 1);
    match &field.has {
        None if is_optional(field) => Expression::sure(format!(
            "if {present} {{\nSome({})\n}} else {{\nNone\n}}",
            value.value()
        )),
        Some(has) if is_optional(field) => Expression::sure(format!(
            "if {from}.get_{has}() {{\nSome({})\n}} else {{\nNone\n}}",
            value.value()
        )),
        _ => value,
    }
}

/// Returns an expression of the value that the expression `get` reads through the wire modules: a
/// `Result` of a reader, or a number.
fn read_type(
    scope: &Scope<'_>,
    ty: &Type,
    get: &str,
    present: &str,
    path: &str,
    depth: usize,
) -> Expression {
    match ty {
        Type::Void | Type::Bool | Type::Number(_) => Expression::sure(get.to_owned()),
        Type::Text => Expression::fallible(format!("rt::text({get}, {path:?})")),
        Type::Data => Expression::fallible(format!("rt::data({get}, {path:?})")),
        Type::Value { path: ty, of } => match **of {
            Type::Data => Expression::fallible(format!("rt::data_value::<{ty}>({get}, {path:?})")),
            _ => Expression::sure(format!("<{ty} as rt::NumberValue>::of_wire({get})")),
        },
        Type::Enum(named) => Expression::sure(format!(
            "{}::from({get}.map_or_else(|unknown| unknown.0, u16::from))",
            scope.path(named)
        )),
        Type::Struct(named) => {
            let from = format!("{get}.map_err(rt::malformed({path:?}))?");
            Expression::fallible(read_struct(scope, named, &from, path))
        }
        Type::Interface(named) => Expression::fallible(format!(
            "read.import::<dyn {}, _>({present}, {get}, {path:?})",
            scope.path(named)
        )),
        Type::List(element) => {
            let list = format!("{get}\n.map_err(rt::malformed({path:?}))?\n.iter()");
            read_list(scope, element, &list, path, depth)
        }
    }
}

fn read_list(
    scope: &Scope<'_>,
    element: &Type,
    list: &str,
    path: &str,
    depth: usize,
) -> Expression {
    let item = if depth == 1 {
        "item".to_owned()
    } else {
        format!("item{depth}")
    };
    let read = match element {
        Type::Void | Type::Bool | Type::Number(_) => {
            return Expression::sure(format!("{list}\n.collect::<Vec<_>>()"));
        }
        // The elements of a list of structs are there, whatever they hold.
        Type::Struct(named) => Expression::fallible(read_struct(scope, named, &item, path)),
        // A null element is an error to capnp, and no object to `import`.
        _ => read_type(scope, element, &item, "true", path, depth + 1),
    };
    if read.fallible {
        Expression::fallible(format!(
            "{list}\n.map(|{item}| {})\n.collect::<rt::Result<Vec<_>>>()",
            block(&read.text)
        ))
    } else if read.text.contains('?') {
        Expression::fallible(format!(
            "{list}\n.map(|{item}| {})\n.collect::<rt::Result<Vec<_>>>()",
            block(&read.result())
        ))
    } else {
        Expression::sure(format!(
            "{list}\n.map(|{item}| {})\n.collect::<Vec<_>>()",
            read.text
        ))
    }
}

/// Puts an expression of several lines in braces.
fn block(text: &str) -> String {
    if text.contains('\n') {
        format!("{{\n{text}\n}}")
    } else {
        text.to_owned()
    }
}
