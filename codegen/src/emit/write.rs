//! Writing values into messages: lengths are checked against the wire's before they are written.

use super::code::Code;
use super::types::{Scope, is_optional};
use crate::layout::Layout;
use crate::model::{Field, Named, Struct, Type};
use crate::names;

/// An expression of a value, or of a reference to one.
pub(super) struct Value {
    text: String,
    is_reference: bool,
    /// Whether texts, data, lists and structs are borrowed instead of owned.
    is_borrowed: bool,
}

impl Value {
    /// A variable or field that owns its value.
    pub(super) fn place(text: String) -> Self {
        Self {
            text,
            is_reference: false,
            is_borrowed: false,
        }
    }

    /// A variable that refers to a value.
    pub(super) fn reference(text: String) -> Self {
        Self {
            is_reference: true,
            ..Self::place(text)
        }
    }

    /// A method's parameter.
    pub(super) fn param(text: String) -> Self {
        Self {
            is_borrowed: true,
            ..Self::place(text)
        }
    }

    /// Returns the expression of the value inside an `Option`, which generated code binds as
    /// `value`.
    fn present(&self) -> Self {
        Self {
            is_borrowed: self.is_borrowed,
            ..Self::reference("value".to_owned())
        }
    }

    fn copied(&self) -> String {
        if self.is_reference {
            format!("*{}", self.text)
        } else {
            self.text.clone()
        }
    }

    fn borrowed(&self) -> String {
        if self.is_reference {
            self.text.clone()
        } else {
            format!("&{}", self.text)
        }
    }

    /// A text as `&str`.
    fn str(&self) -> String {
        match self.is_borrowed {
            true => self.copied(),
            false => format!("{}.as_str()", self.text),
        }
    }

    /// Returns data, or a struct, as an expression that coerces to a reference to it.
    fn lent(&self) -> String {
        match self.is_borrowed {
            true => self.text.clone(),
            false => self.borrowed(),
        }
    }
}

/// Emits the function that writes a struct.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, s: &Struct) {
    let path = scope.path(&s.named);
    let carries = scope.model.carriers.contains(&s.named.id);
    let (value, to) = if s.fields.is_empty() {
        ("_value", "_to")
    } else {
        ("value", "mut to")
    };
    code.blank();
    code.docs([format!("Writes a [`{0}`]({path}).", s.named.name)]);
    code.add(format!(
        "pub fn {}(\n{}{value}: &{path},\n{to}: {}::Builder<'_>,\n) -> rt::Result<()> {{",
        function(&s.named),
        if carries {
            "build: &mut rt::Build<'_>,\n"
        } else {
            ""
        },
        scope.wire_of(&s.named)
    ));
    for field in &s.fields {
        let value = Value::place(format!("value.{}", field.name));
        write_field(code, scope, field, &value, "to", &field.schema);
    }
    code.add("Ok(())\n}");
}

fn function(named: &Named) -> String {
    format!("write_{}", names::snake(&named.name))
}

/// A `Result` of writing a struct into the builder `to`.
pub(super) fn write_struct(
    scope: &Scope<'_>,
    named: &Named,
    value: &Value,
    to: &str,
    path: &str,
) -> String {
    let write = scope.proxy_item(named, &function(named));
    let build = if scope.model.carriers.contains(&named.id) {
        "build, "
    } else {
        ""
    };
    format!(
        "{write}({build}{}, {to})\n.map_err(|e| e.within({path:?}))",
        value.lent()
    )
}

/// Writes a field into the builder `to`.
pub(super) fn write_field(
    code: &mut Code,
    scope: &Scope<'_>,
    field: &Field,
    value: &Value,
    to: &str,
    path: &str,
) {
    if let Some(has) = &field.has {
        code.add(format!("{to}.set_{has}({}.is_some());", value.text));
    }
    if is_optional(field) {
        code.add(format!("if let Some(value) = {} {{", value.borrowed()));
        write_present(code, scope, field, &value.present(), to, path);
        code.add("}");
    } else {
        write_present(code, scope, field, value, to, path);
    }
}

/// Writes a field that is present.
fn write_present(
    code: &mut Code,
    scope: &Scope<'_>,
    field: &Field,
    value: &Value,
    to: &str,
    path: &str,
) {
    let name = &field.wire;
    let text = &value.text;
    match &field.ty {
        Type::Void | Type::Bool | Type::Number(_) => {
            code.add(format!("{to}.set_{name}({});", value.copied()));
        }
        Type::Text => {
            code.add(format!("rt::length({text}.len(), {path:?})?;"));
            code.add(format!("{to}.set_{name}({});", value.str()));
        }
        Type::Data => {
            code.add(format!("rt::length({text}.len(), {path:?})?;"));
            code.add(format!("{to}.set_{name}({});", value.lent()));
        }
        Type::Value { path: ty, of } => code.add(match **of {
            Type::Data => format!(
                "{to}.set_{name}(rt::DataValue::to_wire({}));",
                value.borrowed()
            ),
            _ => format!(
                "{to}.set_{name}(<{ty} as rt::NumberValue>::to_wire({}));",
                value.copied()
            ),
        }),
        Type::Enum(_) => {
            code.add(format!(
                "super::enums_by_number::set_field({to}.reborrow(), {:?}, {}.into())\n\
                 .map_err(rt::malformed({path:?}))?;",
                field.schema,
                parenthesised(&value.copied())
            ));
        }
        Type::Struct(named) => {
            let to = format!("{to}.reborrow().init_{name}()");
            code.add(format!(
                "{}?;",
                write_struct(scope, named, value, &to, path)
            ));
        }
        Type::Interface(_) => {
            code.add(format!(
                "if let Some(hook) = build.export({})? {{",
                value.borrowed()
            ));
            code.add(format!(
                "{to}.set_{name}(rt::capnp::capability::FromClientHook::new(hook));\n}}"
            ));
        }
        Type::List(element) => {
            let init = |length: &str| format!("{to}.reborrow().init_{name}({length})");
            code.add("{");
            write_list(code, scope, element, text, &init, path, 1);
            code.add("}");
        }
    }
}

/// Writes a list that `init` makes, given its length.
fn write_list(
    code: &mut Code,
    scope: &Scope<'_>,
    element: &Type,
    items: &str,
    init: &dyn Fn(&str) -> String,
    path: &str,
    depth: usize,
) {
    let suffix = if depth == 1 {
        String::new()
    } else {
        depth.to_string()
    };
    let (list, item, index) = (
        format!("list{suffix}"),
        format!("item{suffix}"),
        format!("index{suffix}"),
    );
    code.add(format!(
        "let length = rt::length({items}.len(), {path:?})?;"
    ));
    let made = init("length");
    if let Type::Enum(_) = element {
        code.add(format!(
            "let numbers = {items}.iter().map(|{item}| u16::from(*{item}));"
        ));
        code.add(format!(
            "super::enums_by_number::set_list({made}, numbers)\n\
             .map_err(rt::malformed({path:?}))?;"
        ));
        return;
    }
    code.add(format!("let mut {list} = {made};"));
    code.add(format!(
        "for ({index}, {item}) in (0..).zip({items}.iter()) {{"
    ));
    let value = Value::reference(item.clone());
    match element {
        Type::Void | Type::Bool | Type::Number(_) => {
            code.add(format!("{list}.set({index}, {});", value.copied()));
        }
        Type::Text => {
            code.add(format!("rt::length({item}.len(), {path:?})?;"));
            code.add(format!("{list}.set({index}, {item}.as_str());"));
        }
        Type::Data => {
            code.add(format!("rt::length({item}.len(), {path:?})?;"));
            code.add(format!("{list}.set({index}, {item});"));
        }
        Type::Value { path: ty, of } => code.add(match **of {
            Type::Data => format!("{list}.set({index}, rt::DataValue::to_wire({item}));"),
            _ => format!("{list}.set({index}, <{ty} as rt::NumberValue>::to_wire(*{item}));"),
        }),
        Type::Struct(named) => {
            let to = format!("{list}.reborrow().get({index})");
            code.add(format!(
                "{}?;",
                write_struct(scope, named, &value, &to, path)
            ));
        }
        Type::Interface(_) => {
            code.add(format!(
                "if let Some(hook) = build.export({item})? {{\n{list}.set({index}, hook);\n}}"
            ));
        }
        Type::List(inner) => {
            let init = |length: &str| format!("{list}.reborrow().init({index}, {length})");
            write_list(code, scope, inner, &item, &init, path, depth + 1);
        }
        Type::Enum(_) => {}
    }
    code.add("}");
}

fn parenthesised(text: &str) -> String {
    if text.starts_with('*') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

/// Emits the module that writes enums by number: capnpc's own setters take no value that it does
/// not name.
pub(super) fn emit_enum_support(code: &mut Code, layout: &Layout) {
    code.blank();
    code.docs(["Writes enums by number, so that values without a name cross too."]);
    code.add("#[allow(dead_code)]\nmod enums_by_number {");
    code.add(format!(
        "use {}::rt::capnp::introspect::TypeVariant;",
        layout.runtime
    ));
    code.add(format!(
        "use {}::rt::capnp::{{Error, Result, dynamic_list, dynamic_struct, dynamic_value}};",
        layout.runtime
    ));
    code.blank();
    code.add(
        "pub(super) fn set_field<'a>(
            to: impl Into<dynamic_value::Builder<'a>>,
            name: &str,
            number: u16,
        ) -> Result<()> {
            let mut to: dynamic_struct::Builder<'_> = to.into().downcast();
            let field = to.get_schema().get_field_by_name(name)?;
            let TypeVariant::Enum(schema) = field.get_type().which() else {
                return Err(Error::failed(format!(\"{name} is no enum\")));
            };
            to.set(field, dynamic_value::Enum::new(number, schema.into()).into())
        }",
    );
    code.blank();
    code.add(
        "pub(super) fn set_list<'a>(
            to: impl Into<dynamic_value::Builder<'a>>,
            numbers: impl Iterator<Item = u16>,
        ) -> Result<()> {
            let mut to: dynamic_list::Builder<'_> = to.into().downcast();
            let TypeVariant::Enum(schema) = to.element_type().which() else {
                return Err(Error::failed(\"a list of no enums\".to_owned()));
            };
            for (index, number) in (0..).zip(numbers) {
                to.set(index, dynamic_value::Enum::new(number, schema.into()).into())?;
            }
            Ok(())
        }",
    );
    code.add("}");
}
