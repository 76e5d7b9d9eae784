//! From JSON to the wire.
//!
//! The JSON is a user's, or a program's that was given it by others: whatever is wrong with it is
//! an error that names the field, its type and the value, and what it can make of little is
//! bounded.

mod lists;

use capnp::any_pointer;
use capnp::message::{ReaderOptions, SegmentArray};
use capnp::private::layout::StructSize;
use serde_json::{Map, Value as Json};

use super::handles::Handles;
use super::options::{Meaning, Options, Owner};
use super::scalar::{self, Refused};
use super::shape::{ANY_KEY, UNION_KEY, has_flags, is_runtimes, owner, owner_name};

use crate::dynamic::raw::{PointerMut, StructMut};
use crate::dynamic::schema::model::{Brand, Field, Kind, Place, Struct, Type};
use crate::dynamic::schema::{Registry, did_you_mean};
use crate::error::{Error, Result};

/// How many words more than it has what is behind an `AnyPointer` may seem to have.
const SLACK_WORDS: usize = 65536;
/// The number of an enum's values that an error lists.
const LISTED: usize = 12;
/// The size of a hash, in bytes.
const HASH: usize = 32;

/// A writing under way.
pub(super) struct Writing<'a, 'h> {
    registry: &'a Registry,
    options: &'a Options,
    handles: &'h mut dyn Handles,
    path: String,
    depth: u32,
    /// Bytes of the message that may still be taken.
    left: usize,
}

impl<'a, 'h> Writing<'a, 'h> {
    pub(super) fn new(
        registry: &'a Registry,
        options: &'a Options,
        handles: &'h mut dyn Handles,
        name: &str,
    ) -> Self {
        Self {
            registry,
            options,
            handles,
            path: name.to_owned(),
            depth: 0,
            left: options.bounds.wire_bytes,
        }
    }

    pub(super) fn root(
        mut self,
        json: &Json,
        pointer: any_pointer::Builder<'_>,
        ty: &Type,
    ) -> Result<()> {
        let ty = Brand::default().close_root(ty);
        self.charge(8, &ty)?;
        self.pointer(json, pointer.init_as(), &ty, Meaning::Plain)
    }

    fn pointer(
        &mut self,
        json: &Json,
        pointer: PointerMut<'_>,
        ty: &Type,
        meaning: Meaning,
    ) -> Result<()> {
        if json.is_null() {
            return Ok(());
        }
        match ty {
            Type::Text => {
                let text = scalar::text(json).map_err(|r| self.refuse(ty, json, &r))?;
                self.charge_list(text.len(), 8, ty)?;
                pointer.set_text(&text);
            }
            Type::Data => {
                let mut data = scalar::data(json).map_err(|r| self.refuse(ty, json, &r))?;
                self.charge_list(data.len(), 8, ty)?;
                let is_hash = matches!(meaning, Meaning::Hash | Meaning::WireHash);
                if is_hash && data.len() != HASH {
                    let length = data.len();
                    let reason =
                        format!("has a length of {length} instead of the {HASH} bytes of a hash");
                    return Err(self.refuse(ty, json, &reason));
                }
                if meaning == Meaning::Hash {
                    data.reverse();
                }
                pointer.set_data(&data);
            }
            Type::List(element) => {
                let Json::Array(values) = json else {
                    return Err(self.refuse(ty, json, "is no array"));
                };
                self.deeper(ty)?;
                self.list(values, pointer, ty, element, meaning)?;
                self.depth -= 1;
            }
            Type::Struct(id, brand) => {
                let object = self.object(json, ty)?;
                let (_, layout) = self.registry.structure(*id)?;
                let size = size_of(layout);
                self.charge(8 * size.total() as usize, ty)?;
                self.structure(object, &mut pointer.init_struct(size), *id, brand)?;
            }
            Type::Interface(id, brand) => {
                let interface = Some((*id, brand));
                if let Some(hook) = self.handles.export(json, interface, &self.path)? {
                    pointer.set_capability(hook);
                }
            }
            Type::AnyPointer | Type::Parameter(..) => self.any(json, pointer)?,
            _ => return Err(self.refuse(ty, json, "cannot stand behind a pointer")),
        }
        Ok(())
    }

    fn any(&mut self, json: &Json, pointer: PointerMut<'_>) -> Result<()> {
        let ty = Type::AnyPointer;
        let Json::Object(object) = json else {
            if let Some(hook) = self.handles.export(json, None, &self.path)? {
                pointer.set_capability(hook);
            }
            return Ok(());
        };
        let digits = match (object.len(), object.get(ANY_KEY)) {
            (1, Some(Json::String(digits))) => digits,
            _ => {
                let reason = "is no {\"anyPointer\": hex of a message of one segment}";
                return Err(self.refuse(&ty, json, reason));
            }
        };
        let words = scalar::unhex(digits).map_err(|r| self.refuse(&ty, json, &r))?;
        if words.is_empty() || !words.len().is_multiple_of(8) {
            return Err(self.refuse(&ty, json, "is no message: its size is no number of words"));
        }
        let wrong = |e: capnp::Error| {
            let reason = format!("is no message: {e}");
            Error::conversion(
                self.path.as_str(),
                format!("AnyPointer {reason}: {}", scalar::shown(json)),
            )
        };
        let mut aligned = capnp::Word::allocate_zeroed_vec(words.len() / 8);
        capnp::Word::words_to_bytes_mut(&mut aligned).copy_from_slice(&words);
        let segments = [capnp::Word::words_to_bytes(&aligned)];
        let mut options = ReaderOptions::new();
        // Read twice. What pointers share is copied for each, so little more than it has is let
        // through: what reading lets through, which is for lists of what has no size.
        options.traversal_limit_in_words(Some(words.len() / 8 * 2 + SLACK_WORDS));
        let message = capnp::message::Reader::new(SegmentArray::new(&segments), options);
        let root: any_pointer::Reader<'_> = message.get_root().map_err(wrong)?;
        let size = root.target_size().map_err(wrong)?.word_count;
        let copied = pointer.any().set_as::<any_pointer::Owned>(root);
        copied.map_err(wrong)?;
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        self.charge(bytes.saturating_mul(8), &ty)
    }

    fn structure(
        &mut self,
        object: &Map<String, Json>,
        body: &mut StructMut<'_>,
        id: u64,
        brand: &Brand,
    ) -> Result<()> {
        let (node, layout) = self.registry.structure(id)?;
        self.deeper(&Type::Struct(id, Brand::default()))?;
        let flags = match self.options.optionals {
            true => has_flags(layout),
            false => Vec::new(),
        };
        let mut member: Option<&str> = None;
        for (name, json) in object {
            let end = self.path.len();
            if name == UNION_KEY {
                self.unknown_member(json, body, layout)?;
                self.only_member(&mut member, name)?;
                continue;
            }
            let field = layout.field(name).filter(|field| self.is_given(field));
            let Some(field) = field else {
                let names = layout.fields.iter().filter(|field| self.is_given(field));
                let names = names.map(|field| field.name.as_str());
                return Err(Error::conversion(
                    format!("{}.{name}", self.path),
                    format!(
                        "{} has no field {name:?}{}",
                        owner_name(&node.name),
                        did_you_mean(name, names)
                    ),
                ));
            };
            if let Some(number) = field.discriminant {
                self.only_member(&mut member, &field.name)?;
                if let Some(offset) = layout.discriminant {
                    let set = body.set_number(offset, number);
                    set.map_err(|e| self.outside(&e))?;
                }
            }
            self.path.push('.');
            self.path.push_str(name);
            let flag = flags.iter().find(|(_, base)| base == name);
            if let Some((flag, _)) = flag
                && !object.contains_key(*flag)
                && let Some(flag) = layout.field(flag)
            {
                let given = Json::Bool(!json.is_null());
                self.field(&given, body, flag, brand, owner(node))?;
            }
            if flag.is_none() || !json.is_null() {
                self.field(json, body, field, brand, owner(node))?;
            }
            self.path.truncate(end);
        }
        self.depth -= 1;
        Ok(())
    }

    /// Whether users give this field, and not the runtime.
    fn is_given(&self, field: &Field) -> bool {
        match &field.place {
            Place::Slot { ty, .. } => !is_runtimes(self.registry, ty),
            Place::Group(_) => true,
        }
    }

    /// Notes which member of a union is given.
    fn only_member<'n>(&self, member: &mut Option<&'n str>, name: &'n str) -> Result<()> {
        match member.replace(name) {
            None => Ok(()),
            Some(other) => Err(Error::conversion(
                self.path.as_str(),
                format!("{other:?} and {name:?} are members of one union: give one of them"),
            )),
        }
    }

    fn unknown_member(&self, json: &Json, body: &mut StructMut<'_>, layout: &Struct) -> Result<()> {
        let ty = Type::UInt16;
        let number: u16 = scalar::integer(json).map_err(|r| self.refuse(&ty, json, &r))?;
        let known = layout
            .fields
            .iter()
            .find(|f| f.discriminant == Some(number));
        match (layout.discriminant, known) {
            (Some(offset), None) => body
                .set_number(offset, number)
                .map_err(|e| self.outside(&e)),
            (None, _) => Err(self.refuse(&ty, json, "is given for a union that is not there")),
            (_, Some(field)) => {
                let reason = format!("is the member {:?}: give it by its name", field.name);
                Err(self.refuse(&ty, json, &reason))
            }
        }
    }

    fn field(
        &mut self,
        json: &Json,
        body: &mut StructMut<'_>,
        field: &Field,
        brand: &Brand,
        owner: Owner<'_>,
    ) -> Result<()> {
        let (offset, ty, default) = match &field.place {
            Place::Group(id) => {
                let ty = Type::Struct(*id, Brand::default());
                let object = self.object(json, &ty)?;
                return self.structure(object, body, *id, brand);
            }
            Place::Slot {
                offset,
                ty,
                default,
            } => (*offset, brand.close(ty), default),
        };
        let meaning = (self.options.meaning)(owner, &field.name, &ty);
        if ty.is_pointer() {
            let pointer = body.pointer(offset).map_err(|e| self.outside(&e))?;
            return self.pointer(json, pointer, &ty, meaning);
        }
        let refused = |refused: Refused| self.refuse(&ty, json, &refused);
        let set = match &ty {
            Type::Void if json.is_null() => Ok(()),
            Type::Void => return Err(refused("is not null".into())),
            Type::Bool => match json.as_bool() {
                Some(value) => body.set_bool(offset, value ^ default.as_bool()),
                None => return Err(refused("is not true or false".into())),
            },
            Type::Int8 => {
                let value = scalar::integer::<i8>(json)
                    .map_err(refused)?
                    .cast_unsigned();
                body.set_number(offset, value ^ default.as_u8())
            }
            Type::Int16 => {
                let value = scalar::integer::<i16>(json)
                    .map_err(refused)?
                    .cast_unsigned();
                body.set_number(offset, value ^ default.as_u16())
            }
            Type::Int32 => {
                let value = scalar::integer::<i32>(json)
                    .map_err(refused)?
                    .cast_unsigned();
                body.set_number(offset, value ^ default.as_u32())
            }
            Type::Int64 => {
                let value = scalar::integer::<i64>(json)
                    .map_err(refused)?
                    .cast_unsigned();
                body.set_number(offset, value ^ default.as_u64())
            }
            Type::UInt8 => {
                let value = scalar::integer::<u8>(json).map_err(refused)?;
                body.set_number(offset, value ^ default.as_u8())
            }
            Type::UInt16 => {
                let value = scalar::integer::<u16>(json).map_err(refused)?;
                body.set_number(offset, value ^ default.as_u16())
            }
            Type::UInt32 => {
                let value = scalar::integer::<u32>(json).map_err(refused)?;
                body.set_number(offset, value ^ default.as_u32())
            }
            Type::UInt64 => {
                let value = scalar::integer::<u64>(json).map_err(refused)?;
                body.set_number(offset, value ^ default.as_u64())
            }
            Type::Float32 => {
                let value = scalar::float32(json).map_err(refused)?.to_bits();
                body.set_number(offset, value ^ default.as_u32())
            }
            Type::Float64 => {
                let value = float64(json, meaning).map_err(refused)?.to_bits();
                body.set_number(offset, value ^ default.as_u64())
            }
            Type::Enum(id) => {
                let value = self.enumerant(*id, json).map_err(refused)?;
                body.set_number(offset, value ^ default.as_u16())
            }
            _ => Ok(()),
        };
        set.map_err(|e| self.outside(&e))
    }

    fn enumerant(&self, id: u64, json: &Json) -> Result<u16, Refused> {
        let values = match self.registry.node(id).map(|node| &node.kind) {
            Some(Kind::Enum(values)) => values.as_slice(),
            _ => &[],
        };
        match json {
            Json::String(name) => {
                let found = (0..).zip(values).find(|(_, value)| value.name == *name);
                found.map(|(number, _)| number).ok_or_else(|| {
                    let names = || values.iter().map(|value| value.name.as_str());
                    let meant = did_you_mean(name, names());
                    let listed: Vec<_> = names().take(LISTED).collect();
                    let more = if values.len() > LISTED { ", …" } else { "" };
                    format!(
                        "is no value of it{meant} (one of {}{more})",
                        listed.join(", ")
                    )
                })
            }
            Json::Number(_) => scalar::integer(json),
            _ => Err("is no name or number of a value".into()),
        }
    }

    fn object<'j>(&self, json: &'j Json, ty: &Type) -> Result<&'j Map<String, Json>> {
        json.as_object()
            .ok_or_else(|| self.refuse(ty, json, "is no object"))
    }

    fn deeper(&mut self, ty: &Type) -> Result<()> {
        if self.depth >= self.options.bounds.depth {
            let name = self.registry.type_name(ty);
            return Err(Error::conversion(
                self.path.as_str(),
                format!("{name} is nested too deeply"),
            ));
        }
        self.depth += 1;
        Ok(())
    }

    fn charge(&mut self, bytes: usize, ty: &Type) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.too_large(ty)),
        }
    }

    fn too_large(&self, ty: &Type) -> Error {
        Error::conversion(
            self.path.as_str(),
            format!(
                "{}: the value is larger than {} bytes on the wire",
                self.registry.type_name(ty),
                self.options.bounds.wire_bytes
            ),
        )
    }

    fn outside(&self, error: &capnp::Error) -> Error {
        Error::conversion(self.path.as_str(), error.to_string())
    }

    fn refuse(&self, ty: &Type, json: &Json, reason: &str) -> Error {
        let name = self.registry.type_name(ty);
        Error::conversion(
            self.path.as_str(),
            format!("{name}: {} {reason}", scalar::shown(json)),
        )
    }
}

fn float64(json: &Json, meaning: Meaning) -> Result<f64, Refused> {
    match meaning {
        Meaning::Milliseconds => scalar::milliseconds(json),
        _ => scalar::float64(json),
    }
}

fn size_of(layout: &Struct) -> StructSize {
    StructSize {
        data: layout.data_words,
        pointers: layout.pointers,
    }
}
