//! Conversion from the wire to JSON.
//!
//! The message is a peer's: each defect in it is an error that names the field, and the size of the
//! result is bounded.

use std::sync::Arc;

use capnp::any_pointer;
use capnp::message::{ReaderOptions, SegmentArray};
use capnp::private::layout::{ElementSize, PointerType, PrimitiveElement};
use serde_json::{Map, Value as Json};

use super::handles::Handles;
use super::options::{DataFormat, Meaning, Options, Owner};
use super::scalar;
use super::shape::{ANY_KEY, UNION_KEY, has_flags, is_runtimes, owner};

use crate::dynamic::raw::{Pointer, Struct};
use crate::dynamic::schema::Registry;
use crate::dynamic::schema::model::{Brand, Field, Kind, Place, Type, Value};
use crate::error::{Error, Result};

/// The approximate size of a JSON value in memory, in bytes.
const VALUE_BYTES: usize = 80;

/// The state of reading a message.
pub(super) struct Reading<'a, 'h> {
    registry: &'a Registry,
    options: &'a Options,
    handles: &'h mut dyn Handles,
    path: String,
    depth: u32,
    /// The bytes of memory that may still be taken.
    left: usize,
    in_default: bool,
}

impl<'a, 'h> Reading<'a, 'h> {
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
            left: options.bounds.json_bytes,
            in_default: false,
        }
    }

    pub(super) fn root(mut self, pointer: any_pointer::Reader<'_>, ty: &Type) -> Result<Json> {
        let ty = Brand::default().close_root(ty);
        let pointer = pointer.get_as().map_err(|e| self.wrong(&ty, &e))?;
        self.pointer(pointer, &ty, &Value::Null, Meaning::Plain)
    }

    pub(super) fn message(mut self, words: &[u8], ty: &Type) -> Result<Json> {
        let ty = Brand::default().close_root(ty);
        self.in_message(words, &ty, Meaning::Plain)
    }

    /// Returns the JSON of a constant or default.
    pub(super) fn value(mut self, value: &Value, ty: &Type) -> Result<Json> {
        let ty = Brand::default().close_root(ty);
        self.of_value(value, &ty, Meaning::Plain)
    }

    fn of_value(&mut self, value: &Value, ty: &Type, meaning: Meaning) -> Result<Json> {
        if let Type::Enum(id) = ty {
            return Ok(self.enumerant(*id, value.as_u16()));
        }
        Ok(match value {
            Value::Null => match ty {
                Type::Text => "".into(),
                Type::Data => self.bytes(&[], Meaning::Plain)?,
                Type::List(_) => Json::Array(Vec::new()),
                _ => Json::Null,
            },
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::UInt(value) => (*value).into(),
            Value::Float32(bits) => scalar::show_float32(f32::from_bits(*bits)),
            Value::Float64(bits) => self.float64(f64::from_bits(*bits), meaning),
            Value::Text(bytes) => {
                self.charge(bytes.len() * 2)?;
                scalar::show_text(bytes)
            }
            Value::Data(bytes) => self.bytes(bytes, meaning)?,
            Value::Message(_) if self.in_default => Json::Null,
            Value::Message(words) => {
                self.in_default = true;
                let json = self.in_message(words, ty, meaning);
                self.in_default = false;
                json?
            }
        })
    }

    /// Reads the root of a message of one segment.
    fn in_message(&mut self, words: &[u8], ty: &Type, meaning: Meaning) -> Result<Json> {
        if !words.len().is_multiple_of(8) || words.is_empty() {
            return Err(self.error(ty, "is no message: its size is no number of words"));
        }
        // In memory that is aligned as capnp wants it.
        let mut aligned = capnp::Word::allocate_zeroed_vec(words.len() / 8);
        capnp::Word::words_to_bytes_mut(&mut aligned).copy_from_slice(words);
        let segments = [capnp::Word::words_to_bytes(&aligned)];
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(words.len() + 65536));
        let message = capnp::message::Reader::new(SegmentArray::new(&segments), options);
        let root: Pointer<'_> = message.get_root().map_err(|e| self.wrong(ty, &e))?;
        self.pointer(root, ty, &Value::Null, meaning)
    }

    fn pointer(
        &mut self,
        pointer: Pointer<'_>,
        ty: &Type,
        default: &Value,
        meaning: Meaning,
    ) -> Result<Json> {
        self.charge(VALUE_BYTES)?;
        if pointer.is_null() {
            return match (ty, default) {
                // As it is, since nothing else tells it from data without bytes.
                (Type::Data, Value::Null) => Ok(Json::Null),
                _ => self.of_value(default, ty, meaning),
            };
        }
        match ty {
            Type::Text => {
                let bytes = pointer.text().map_err(|e| self.wrong(ty, &e))?;
                self.charge(bytes.len() * 2)?;
                Ok(scalar::show_text(bytes))
            }
            Type::Data => {
                let bytes = pointer.data().map_err(|e| self.wrong(ty, &e))?;
                self.bytes(bytes, meaning)
            }
            Type::List(element) => self.deeper(ty, |this| this.list(pointer, ty, element, meaning)),
            Type::Struct(id, brand) => {
                let body = pointer.structure().map_err(|e| self.wrong(ty, &e))?;
                self.structure(body, *id, brand)
            }
            Type::Interface(id, brand) => {
                let hook = pointer.capability().map_err(|e| self.wrong(ty, &e))?;
                self.handles.import(hook, Some((*id, brand)), &self.path)
            }
            Type::AnyPointer | Type::Parameter(..) => self.any(pointer),
            _ => Err(self.error(ty, "is not behind a pointer")),
        }
    }

    fn any(&mut self, pointer: Pointer<'_>) -> Result<Json> {
        let ty = Type::AnyPointer;
        let kind = pointer.kind().map_err(|e| self.wrong(&ty, &e))?;
        if matches!(kind, PointerType::Capability) {
            let hook = pointer.capability().map_err(|e| self.wrong(&ty, &e))?;
            return self.handles.import(hook, None, &self.path);
        }
        let words = pointer.words().map_err(|e| self.wrong(&ty, &e))?;
        let bytes = usize::try_from(words)
            .unwrap_or(usize::MAX)
            .saturating_mul(8);
        self.charge(bytes.saturating_mul(3))?;
        let canonical = pointer.canonical(words).map_err(|e| self.wrong(&ty, &e))?;
        let mut object = Map::new();
        object.insert(ANY_KEY.into(), scalar::hex(&canonical).into());
        Ok(Json::Object(object))
    }

    fn structure(&mut self, body: Struct<'_>, id: u64, brand: &Brand) -> Result<Json> {
        let registry = self.registry;
        let (node, layout) = registry.structure(id).map_err(|e| self.lacking(e))?;
        let ty = Type::Struct(id, Brand::default());
        self.deeper(&ty, |this| {
            let mut object = Map::new();
            let which = layout.discriminant.map(|offset| body.number::<u16>(offset));
            let mut known = which.is_none();
            let flags = match this.options.optionals {
                true => has_flags(layout),
                false => Vec::new(),
            };
            for field in &layout.fields {
                if field.discriminant.is_some() && field.discriminant != which {
                    continue;
                }
                known |= field.discriminant.is_some();
                if flags.iter().any(|(flag, _)| *flag == field.name) {
                    continue;
                }
                let flag = flags.iter().find(|(_, name)| *name == field.name);
                let absent = flag
                    .and_then(|(flag, _)| layout.field(flag))
                    .is_some_and(|flag| !this.is_set(body, flag));
                let length = this.path.len();
                this.path.push('.');
                this.path.push_str(&field.name);
                let value = match absent {
                    true => Some(Json::Null),
                    false => this.field(body, field, brand, owner(node))?,
                };
                this.path.truncate(length);
                if let Some(value) = value {
                    this.charge(VALUE_BYTES + field.name.len())?;
                    object.insert(field.name.clone(), value);
                }
            }
            if let Some(which) = which.filter(|_| !known) {
                object.insert(UNION_KEY.into(), which.into());
            }
            Ok(Json::Object(object))
        })
    }

    fn is_set(&self, body: Struct<'_>, flag: &Field) -> bool {
        match &flag.place {
            Place::Slot {
                offset, default, ..
            } => body.bool(*offset) ^ default.as_bool(),
            Place::Group(_) => true,
        }
    }

    /// Returns a field's value; `None` where it is the runtime's own.
    fn field(
        &mut self,
        body: Struct<'_>,
        field: &Field,
        brand: &Brand,
        owner: Owner<'_>,
    ) -> Result<Option<Json>> {
        let (offset, ty, default) = match &field.place {
            Place::Group(id) => return self.structure(body, *id, brand).map(Some),
            Place::Slot {
                offset,
                ty,
                default,
            } => (*offset, brand.close(ty), default),
        };
        if is_runtimes(self.registry, &ty) {
            return Ok(None);
        }
        let meaning = (self.options.meaning)(owner, &field.name, &ty);
        Ok(Some(match &ty {
            Type::Void => Json::Null,
            Type::Bool => (body.bool(offset) ^ default.as_bool()).into(),
            Type::Int8 => (body.number::<u8>(offset) ^ default.as_u8())
                .cast_signed()
                .into(),
            Type::Int16 => (body.number::<u16>(offset) ^ default.as_u16())
                .cast_signed()
                .into(),
            Type::Int32 => (body.number::<u32>(offset) ^ default.as_u32())
                .cast_signed()
                .into(),
            Type::Int64 => (body.number::<u64>(offset) ^ default.as_u64())
                .cast_signed()
                .into(),
            Type::UInt8 => (body.number::<u8>(offset) ^ default.as_u8()).into(),
            Type::UInt16 => (body.number::<u16>(offset) ^ default.as_u16()).into(),
            Type::UInt32 => (body.number::<u32>(offset) ^ default.as_u32()).into(),
            Type::UInt64 => (body.number::<u64>(offset) ^ default.as_u64()).into(),
            Type::Float32 => {
                let bits = body.number::<u32>(offset) ^ default.as_u32();
                scalar::show_float32(f32::from_bits(bits))
            }
            Type::Float64 => {
                let bits = body.number::<u64>(offset) ^ default.as_u64();
                self.float64(f64::from_bits(bits), meaning)
            }
            Type::Enum(id) => self.enumerant(*id, body.number::<u16>(offset) ^ default.as_u16()),
            _ => self.pointer(body.pointer(offset), &ty, default, meaning)?,
        }))
    }

    fn list(
        &mut self,
        pointer: Pointer<'_>,
        ty: &Type,
        element: &Arc<Type>,
        meaning: Meaning,
    ) -> Result<Json> {
        match &**element {
            Type::Void => self.elements(pointer, ty, ElementSize::Void, |(), _| Json::Null),
            Type::Bool => self.elements(pointer, ty, ElementSize::Bit, |v: bool, _| v.into()),
            Type::Int8 => self.elements(pointer, ty, ElementSize::Byte, |v: i8, _| v.into()),
            Type::Int16 => self.elements(pointer, ty, ElementSize::TwoBytes, |v: i16, _| v.into()),
            Type::Int32 => self.elements(pointer, ty, ElementSize::FourBytes, |v: i32, _| v.into()),
            Type::Int64 => {
                self.elements(pointer, ty, ElementSize::EightBytes, |v: i64, _| v.into())
            }
            Type::UInt8 => self.elements(pointer, ty, ElementSize::Byte, |v: u8, _| v.into()),
            Type::UInt16 => self.elements(pointer, ty, ElementSize::TwoBytes, |v: u16, _| v.into()),
            Type::UInt32 => {
                self.elements(pointer, ty, ElementSize::FourBytes, |v: u32, _| v.into())
            }
            Type::UInt64 => {
                self.elements(pointer, ty, ElementSize::EightBytes, |v: u64, _| v.into())
            }
            Type::Float32 => self.elements(pointer, ty, ElementSize::FourBytes, |v: f32, _| {
                scalar::show_float32(v)
            }),
            Type::Float64 => self.elements(pointer, ty, ElementSize::EightBytes, |v: f64, this| {
                this.float64(v, meaning)
            }),
            Type::Enum(id) => self.elements(pointer, ty, ElementSize::TwoBytes, |v: u16, this| {
                this.enumerant(*id, v)
            }),
            Type::Struct(id, brand) => {
                let list = pointer.structs().map_err(|e| self.wrong(ty, &e))?;
                self.check_length(list.len(), ty)?;
                self.each(list.len(), |this, index| {
                    this.structure(list.get(index), *id, brand)
                })
            }
            _ => {
                let list = pointer.pointers().map_err(|e| self.wrong(ty, &e))?;
                self.check_length(list.len(), ty)?;
                self.each(list.len(), |this, index| {
                    let pointer = list.get(index).get_as().map_err(|e| this.wrong(ty, &e))?;
                    this.pointer(pointer, element, &Value::Null, meaning)
                })
            }
        }
    }

    fn elements<T: PrimitiveElement>(
        &mut self,
        pointer: Pointer<'_>,
        ty: &Type,
        size: ElementSize,
        show: impl Fn(T, &Self) -> Json,
    ) -> Result<Json> {
        let list = pointer.list(size).map_err(|e| self.wrong(ty, &e))?;
        self.check_length(list.len(), ty)?;
        let values = (0..list.len()).map(|index| show(list.get(index), self));
        Ok(Json::Array(values.collect()))
    }

    fn each(
        &mut self,
        length: u32,
        mut read: impl FnMut(&mut Self, u32) -> Result<Json>,
    ) -> Result<Json> {
        let mut values = Vec::new();
        let end = self.path.len();
        for index in 0..length {
            self.path.push_str(&format!("[{index}]"));
            values.push(read(self, index)?);
            self.path.truncate(end);
        }
        Ok(Json::Array(values))
    }

    fn check_length(&mut self, length: u32, ty: &Type) -> Result<()> {
        let bound = self.options.bounds.list;
        if length > bound {
            return Err(self.error(ty, &format!("has {length} elements, more than {bound}")));
        }
        self.charge(length as usize * VALUE_BYTES)
    }

    fn bytes(&mut self, bytes: &[u8], meaning: Meaning) -> Result<Json> {
        let reversed: Vec<u8>;
        let bytes = if meaning == Meaning::Hash {
            reversed = bytes.iter().rev().copied().collect();
            &reversed
        } else {
            bytes
        };
        match self.options.data {
            DataFormat::Hex => {
                self.charge(bytes.len().saturating_mul(2))?;
                Ok(scalar::hex(bytes).into())
            }
            DataFormat::Array => {
                self.charge(bytes.len().saturating_mul(VALUE_BYTES))?;
                Ok(Json::Array(
                    bytes.iter().map(|byte| (*byte).into()).collect(),
                ))
            }
        }
    }

    fn float64(&self, value: f64, meaning: Meaning) -> Json {
        match meaning {
            Meaning::Milliseconds => scalar::show_milliseconds(value),
            _ => scalar::show_float64(value),
        }
    }

    fn enumerant(&self, id: u64, value: u16) -> Json {
        let name = match self.registry.node(id).map(|node| &node.kind) {
            Some(Kind::Enum(values)) => values.get(usize::from(value)),
            _ => None,
        };
        name.map_or_else(|| value.into(), |value| value.name.clone().into())
    }

    fn deeper(&mut self, ty: &Type, read: impl FnOnce(&mut Self) -> Result<Json>) -> Result<Json> {
        if self.depth >= self.options.bounds.depth {
            return Err(self.error(ty, "is nested too deeply"));
        }
        self.depth += 1;
        let json = read(self);
        self.depth -= 1;
        json
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::conversion(
                self.path.as_str(),
                format!(
                    "the value is larger than {} bytes as JSON",
                    self.options.bounds.json_bytes
                ),
            )),
        }
    }

    fn wrong(&self, ty: &Type, error: &capnp::Error) -> Error {
        self.error(ty, &format!("is malformed: {error}"))
    }

    fn error(&self, ty: &Type, reason: &str) -> Error {
        let name = self.registry.type_name(ty);
        Error::conversion(self.path.as_str(), format!("{name} {reason}"))
    }

    fn lacking(&self, error: Error) -> Error {
        Error::conversion(self.path.as_str(), error.to_string())
    }
}
