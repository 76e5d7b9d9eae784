//! Fields of a struct, be it a value, parameters or results: optional ones, defaults, names.

use std::collections::{BTreeMap, BTreeSet};

use capnp::schema_capnp::{field, node, value};

use super::resolve::Resolver;
use super::{Default, Field, Type};
use crate::docs;
use crate::error::{Error, Result};
use crate::names;
use crate::request::string;

/// The annotations of capnpc's `rust.capnp` that would rename or retype what its modules have.
const CAPNPC_ANNOTATIONS: &[u64] = &[
    0xc2fe_4c6d_1001_66d0,
    0xabee_386c_d145_0364,
    0xabfe_f22c_4ee1_964e,
];

/// A field as the schema has it.
pub(super) struct RawField<'a> {
    pub(super) name: &'a str,
    pub(super) place: String,
    /// The name of its struct or method and its own, such as `Mining.getTip.result`.
    key: String,
    /// The index among the struct's fields.
    position: u32,
    slot: field::slot::Reader<'a>,
    reader: field::Reader<'a>,
}

impl<'a> RawField<'a> {
    /// The id of the struct or interface that is its type.
    pub(super) fn type_id(&self) -> Option<u64> {
        use capnp::schema_capnp::type_::{Interface, Struct};
        match self.slot.get_type().ok()?.which().ok()? {
            Struct(s) => Some(s.get_type_id()),
            Interface(i) => Some(i.get_type_id()),
            _ => None,
        }
    }

    fn is_bool(&self) -> bool {
        self.slot
            .get_type()
            .is_ok_and(|ty| matches!(ty.which(), Ok(capnp::schema_capnp::type_::Bool(()))))
    }
}

/// The word for the fields of a struct in errors: `parameter`, `result` or `field`.
pub(super) type Kind = &'static str;

impl<'a> Resolver<'a> {
    /// Returns the fields of a struct node in their order, or an error for unions and groups.
    pub(super) fn raw_fields(&self, id: u64, kind: Kind, place: &str) -> Result<Vec<RawField<'a>>> {
        let node = self.index.node(id, place)?;
        let Ok(node::Struct(body)) = node.which() else {
            return Err(Error::malformed(place, "refers to a struct that is none"));
        };
        let unsupported = |place: &str, what: &str| {
            Err(Error::schema(
                place,
                format!("{what} are not supported by the typed generator"),
            ))
        };
        if body.get_discriminant_count() > 0 {
            return unsupported(place, "unions");
        }
        let mut fields = Vec::new();
        let owner = place.split_once(": ").map_or(place, |(_, owner)| owner);
        for (position, reader) in (0..).zip(body.get_fields().map_err(|e| wrong(place, e))?) {
            let name = string(reader.get_name(), place)?;
            let place = format!("{place}: {kind} {name}");
            let slot = match reader.which() {
                Ok(field::Slot(slot)) => slot,
                Ok(field::Group(_)) => return unsupported(&place, "groups and named unions"),
                Err(e) => return Err(wrong(&place, e.into())),
            };
            for annotation in reader.get_annotations().map_err(|e| wrong(&place, e))? {
                if CAPNPC_ANNOTATIONS.contains(&annotation.get_id()) {
                    return unsupported(&place, "annotations of rust.capnp");
                }
            }
            fields.push(RawField {
                name,
                place,
                key: format!("{owner}.{name}"),
                position,
                slot,
                reader,
            });
        }
        Ok(fields)
    }

    /// Whether a field has the annotation `exception`.
    pub(super) fn is_exception(&self, field: &RawField<'a>) -> Result<bool> {
        self.index.has_annotation(
            field.reader.get_annotations(),
            crate::layout::PROXY_FILE,
            "exception",
            &field.place,
        )
    }

    /// Returns the fields of the struct `id`, with each `hasX` joined to its `X`.
    pub(super) fn fields(&mut self, id: u64, raw: &[RawField<'a>]) -> Result<Vec<Field>> {
        let flags: BTreeMap<String, &RawField<'a>> = raw
            .iter()
            .filter(|flag| flag.is_bool())
            .map(|flag| (flag.name.to_owned(), flag))
            .collect();
        let flag_of = |name: &str| flags.get(&format!("has{}", names::capital(name))).copied();
        let used: BTreeSet<&str> = raw
            .iter()
            .filter_map(|f| flag_of(f.name))
            .map(|f| f.name)
            .collect();

        let mut fields: Vec<Field> = Vec::new();
        for field in raw {
            if used.contains(field.name) && flag_of(field.name).is_none() {
                continue;
            }
            let flag = flag_of(field.name);
            if let Some(flag) = flag.filter(|flag| flag.slot.get_had_explicit_default()) {
                return Err(Error::schema(
                    &flag.place,
                    format!(
                        "it tells whether `{}` is there and can have no default",
                        field.name
                    ),
                ));
            }
            let ty = self.ty(
                field.slot.get_type().map_err(|e| wrong(&field.place, e))?,
                &field.place,
            )?;
            let ty = self.valued(ty, field)?;
            let is_nullable = self.is_nullable(&ty, field)?;
            if self.layout.meanings().any(|key| *key == field.key) {
                self.meant.insert(field.key.clone());
            }
            let name = names::value(field.name);
            if let Some(other) = fields.iter().find(|other| other.name == name) {
                return Err(Error::schema(
                    &field.place,
                    format!("becomes `{name}` in Rust, as {} does", other.schema),
                ));
            }
            fields.push(Field {
                schema: field.name.to_owned(),
                name,
                wire: names::wire_field(field.name),
                docs: docs::lines(self.index.member_comment(id, field.position)),
                default: default(field, &ty)?,
                ty,
                is_nullable,
                has: flag.map(|flag| names::wire_field(flag.name)),
            });
        }
        Ok(fields)
    }
}

impl Resolver<'_> {
    /// Returns the type of a field with the value that was said to stand for its data or number.
    fn valued(&self, ty: Type, field: &RawField<'_>) -> Result<Type> {
        let said = self.layout.values.iter().find(|(key, _)| *key == field.key);
        let Some((_, path)) = said else {
            return Ok(ty);
        };
        match ty {
            Type::List(element) => Ok(Type::List(Box::new(self.valued(*element, field)?))),
            Type::Data | Type::Number("f64") => Ok(Type::Value {
                path: path.clone(),
                of: Box::new(ty),
            }),
            _ => Err(Error::schema(
                &field.place,
                format!("{path} is to stand for it, which is neither Data nor Float64"),
            )),
        }
    }

    /// Whether a field was said to be absent where its pointer is null.
    fn is_nullable(&self, ty: &Type, field: &RawField<'_>) -> Result<bool> {
        match self.layout.nullable.contains(&field.key) {
            true if matches!(ty, Type::Struct(_)) => Ok(true),
            true => Err(Error::schema(
                &field.place,
                "it is to be absent where it is null, and is no struct",
            )),
            false => Ok(false),
        }
    }
}

/// Returns the default of a field, where it is not zero or empty.
fn default(field: &RawField<'_>, ty: &Type) -> Result<Option<Default>> {
    let place = &field.place;
    if !field.slot.get_had_explicit_default() {
        return Ok(None);
    }
    let value = field
        .slot
        .get_default_value()
        .map_err(|e| wrong(place, e))?
        .which()
        .map_err(|e| wrong(place, e.into()))?;
    let integer = |n: i128| (n != 0).then_some(Default::Integer(n));
    Ok(match value {
        value::Void(()) => None,
        value::Bool(b) => b.then_some(Default::True),
        value::Int8(n) => integer(n.into()),
        value::Int16(n) => integer(n.into()),
        value::Int32(n) => integer(n.into()),
        value::Int64(n) => integer(n.into()),
        value::Uint8(n) => integer(n.into()),
        value::Uint16(n) => integer(n.into()),
        value::Uint32(n) => integer(n.into()),
        value::Uint64(n) => integer(n.into()),
        value::Float32(x) => (x.to_bits() != 0).then_some(Default::Float32(x)),
        value::Float64(x) => (x.to_bits() != 0).then_some(Default::Float64(x)),
        value::Enum(n) => (n != 0).then_some(Default::Enum(n)),
        value::Text(text) => {
            let text = string(text, place)?;
            (!text.is_empty()).then(|| Default::Text(text.to_owned()))
        }
        value::Data(data) => {
            let data = data.map_err(|e| wrong(place, e))?;
            (!data.is_empty()).then(|| Default::Data(data.to_owned()))
        }
        value::Struct(_) | value::List(_) => {
            let what = if matches!(ty, Type::List(_)) {
                "lists"
            } else {
                "structs"
            };
            return Err(Error::schema(
                place,
                format!("defaults of {what} are not supported by the typed generator"),
            ));
        }
        value::Interface(()) | value::AnyPointer(_) => None,
    })
}

fn wrong(place: &str, e: capnp::Error) -> Error {
    Error::malformed(place, e)
}
