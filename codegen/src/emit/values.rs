//! The value types: structs with the schema's defaults, enums that keep unknown values.

use super::code::Code;
use super::types::{Scope, is_optional};
use crate::model::{Default, Enum, Field, Struct, Type};

/// Emits a struct and its `Default`.
pub(super) fn emit_struct(code: &mut Code, scope: &Scope<'_>, s: &Struct) {
    let name = &s.named.name;
    let carries = scope.model.carriers.contains(&s.named.id);
    let has_defaults = s
        .fields
        .iter()
        .any(|f| f.default.is_some() && !is_optional(f));
    code.blank();
    if s.docs.is_empty() {
        code.docs([format!("Struct `{}` of `{}`.", s.named.schema, scope.file)]);
    } else {
        code.docs(&s.docs);
    }
    let mut derives = if carries {
        vec!["Clone"]
    } else {
        vec!["Debug", "Clone", "PartialEq"]
    };
    if !has_defaults {
        derives.push("Default");
    }
    code.add(format!("#[derive({})]", derives.join(", ")));
    // A release of Core may add a field; the owner of another schema knows when it does.
    if scope.is_library() {
        code.add("#[non_exhaustive]");
    }
    code.add(format!("pub struct {name} {{"));
    for field in &s.fields {
        if field.docs.is_empty() {
            code.docs([format!("Field `{}`.", field.schema)]);
        } else {
            code.docs(&field.docs);
        }
        code.add(format!("pub {}: {},", field.name, scope.field(field)));
    }
    code.add("}");
    if has_defaults {
        code.blank();
        code.docs(["The defaults of the schema."]);
        code.add(format!(
            "impl Default for {name} {{\nfn default() -> Self {{\nSelf {{"
        ));
        for field in &s.fields {
            code.add(format!("{}: {},", field.name, default_value(scope, field)));
        }
        code.add("}\n}\n}");
    }
    emit_setters(code, scope, s);
}

/// Emits a setter for each field.
fn emit_setters(code: &mut Code, scope: &Scope<'_>, s: &Struct) {
    let fields: Vec<&Field> = s.fields.iter().filter(|field| is_settable(field)).collect();
    if fields.is_empty() {
        return;
    }
    code.blank();
    code.add(format!("impl {} {{", s.named.name));
    for field in fields {
        let name = &field.name;
        let (ty, into) = match &field.ty {
            _ if is_optional(field) => (format!("impl Into<{}>", scope.field(field)), ".into()"),
            Type::Text | Type::Data => (format!("impl Into<{}>", scope.field(field)), ".into()"),
            _ => (scope.field(field), ""),
        };
        code.blank();
        code.docs([format!("Sets the field `{}`.", field.schema)]);
        code.add("#[must_use]");
        code.add(format!("pub fn {name}(mut self, {name}: {ty}) -> Self {{"));
        code.add(format!("self.{name} = {name}{into};\nself\n}}"));
    }
    code.add("}");
}

/// Whether a setter of a field's name hides no method of the traits that values have.
fn is_settable(field: &Field) -> bool {
    let taken = [
        "clone", "eq", "ne", "fmt", "default", "into", "from", "to_owned",
    ];
    !taken.contains(&field.name.as_str())
}

/// A field's default as Rust writes it.
pub(super) fn default_value(scope: &Scope<'_>, field: &Field) -> String {
    if is_optional(field) {
        return "None".to_owned();
    }
    if let (Type::Value { path, of }, Some(Default::Float64(x))) = (&field.ty, &field.default) {
        let Type::Number(number) = &**of else {
            return format!("{path}::default()");
        };
        let number = float(*x, format!("{x:?}"), number, *x == f64::MAX);
        return format!("<{path} as {}>::of_wire({number})", scope.number_value());
    }
    match &field.default {
        None => match &field.ty {
            Type::Void => "()".to_owned(),
            Type::Bool => "false".to_owned(),
            Type::Number("f32" | "f64") => "0.0".to_owned(),
            Type::Number(_) => "0".to_owned(),
            Type::Text => "String::new()".to_owned(),
            Type::Data | Type::List(_) => "Vec::new()".to_owned(),
            Type::Interface(_) => "None".to_owned(),
            Type::Enum(named) | Type::Struct(named) => format!("{}::default()", scope.path(named)),
            Type::Value { path, .. } => format!("{path}::default()"),
        },
        Some(Default::True) => "true".to_owned(),
        Some(Default::Integer(n)) => n.to_string(),
        Some(Default::Float32(x)) => float(f64::from(*x), format!("{x:?}"), "f32", *x == f32::MAX),
        Some(Default::Float64(x)) => float(*x, format!("{x:?}"), "f64", *x == f64::MAX),
        Some(Default::Text(text)) => format!("String::from({text:?})"),
        Some(Default::Data(data)) => format!("b\"{}\".to_vec()", data.escape_ascii()),
        Some(Default::Enum(n)) => format!("{}::from({n})", scope.owned(&field.ty)),
    }
}

fn float(x: f64, literal: String, ty: &str, is_max: bool) -> String {
    if x.is_nan() {
        format!("{ty}::NAN")
    } else if x == f64::INFINITY {
        format!("{ty}::INFINITY")
    } else if x == f64::NEG_INFINITY {
        format!("{ty}::NEG_INFINITY")
    } else if is_max {
        format!("{ty}::MAX")
    } else {
        literal
    }
}

/// Emits an enum and its conversions from and to its numbers.
pub(super) fn emit_enum(code: &mut Code, e: &Enum) {
    let name = &e.named.name;
    code.blank();
    if e.docs.is_empty() {
        code.docs([format!("Enum `{}`.", e.named.schema)]);
    } else {
        code.docs(&e.docs);
    }
    code.add("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]");
    code.add(format!("pub enum {name} {{"));
    for (i, enumerant) in e.enumerants.iter().enumerate() {
        if enumerant.docs.is_empty() {
            code.docs([format!("Value `{}`.", enumerant.schema)]);
        } else {
            code.docs(&enumerant.docs);
        }
        if i == 0 {
            code.add("#[default]");
        }
        if enumerant.name.ends_with('_') {
            code.add("#[allow(non_camel_case_types)]");
        }
        code.add(format!("{},", enumerant.name));
    }
    code.docs(["A value that the schema does not name, by its number."]);
    code.add("Unknown(u16),\n}");

    code.blank();
    code.add(format!(
        "impl From<u16> for {name} {{\nfn from(number: u16) -> Self {{\nmatch number {{"
    ));
    for (i, enumerant) in e.enumerants.iter().enumerate() {
        code.add(format!("{i} => Self::{},", enumerant.name));
    }
    code.add("_ => Self::Unknown(number),\n}\n}\n}");

    code.blank();
    code.add(format!(
        "impl From<{name}> for u16 {{\nfn from(value: {name}) -> Self {{\nmatch value {{"
    ));
    for (i, enumerant) in e.enumerants.iter().enumerate() {
        code.add(format!("{name}::{} => {i},", enumerant.name));
    }
    code.add(format!("{name}::Unknown(number) => number,\n}}\n}}\n}}"));
}
