//! Values between JSON and the wire, as a schema at run time tells.
//!
//! Knows schemas, JSON and the untyped layer of messages; nothing of connections or calls. What
//! stands for capabilities is the business of the [`Handles`] that the caller gives.
//!
//! # The JSON of a type
//!
//! | type | JSON |
//! |---|---|
//! | `Void` | `null` |
//! | `Bool` | `true`, `false` |
//! | integers, also of 64 bits | a number, written without fraction or exponent |
//! | `Float32`, `Float64` | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `Text` | a string |
//! | `Data` | a string of hex digits, or as [`Options::data`] says |
//! | enums | the value's name; the number of one that the schema does not have |
//! | lists | an array |
//! | structs, groups | an object, fields in the source's order |
//! | unions | the member that is set, by its name, among the struct's other fields |
//! | interfaces | what the [`Handles`] make of it; `null` for none |
//! | `AnyPointer`, unbound type parameters | `null`; a capability as an interface; else `{"anyPointer": "<hex of the canonical message, one segment, no framing>"}` |
//!
//! # What is not so plain
//!
//! - A field that JSON leaves out, or gives as `null` where its type is a pointer, has its default.
//!   A field that the struct does not have is an error that names it.
//! - A null `Text` or list reads as its default, or empty. A null struct and null `Data` read as their
//!   default where the schema declares one, else as `null`. Within a default, null structs are `null`, so
//!   that a default which contains itself ends.
//! - Of a union one member may be given; with none it is the one with the first number. `"$union"`
//!   with a number stands for a member that the schema does not have: reading gives it, so that it
//!   is seen, and writing sets the number and leaves the rest as it is. What such a member holds is
//!   not kept.
//! - An enum's value that the schema does not have is its number, both ways.
//! - Text that is not UTF-8 is `{"$text": "<hex of the bytes>"}`, both ways, so that nothing is lost
//!   and the rest of a message stays readable.
//! - A NaN keeps no payload. Zero keeps its sign.
//! - With [`Options::optionals`], `x` with `hasX :Bool` is one field: `null` when `hasX` is false. Only in
//!   schemas with `/mp/proxy.capnp`, whose C++ has a `std::optional` there.
//! - Fields of the types `Context` and `ThreadMap` of `/mp/proxy.capnp` are the runtime's: neither
//!   shown nor taken.
//! - Values within an `AnyPointer` that hold capabilities are an error.
//!
//! Names in schemas have no `$`, so `$union` and `$text` are no field's.

mod handles;
mod options;
mod read;
mod scalar;
mod shape;
mod template;
crate::opaque::opaque!(Converter<'_>, "Converter");

#[cfg(test)]
mod tests;
mod write;

use capnp::any_pointer;
use serde_json::Value as Json;

pub use self::handles::{Handles, NoHandles};
pub use self::options::{Bounds, DataFormat, Meaning, Options, Owner, Rule};
pub(in crate::dynamic) use self::scalar::{hex, milliseconds, unhex};
pub(super) use self::shape::{has_flags, is_runtimes};
use super::schema::Registry;
use super::schema::model::Type;
use crate::error::{Error, Result};

/// Conversions by one schema in one manner.
#[derive(Clone, Copy)]
pub struct Converter<'a> {
    /// The schema.
    pub registry: &'a Registry,
    /// The manner.
    pub options: &'a Options,
}

impl<'a> Converter<'a> {
    /// Conversions by `registry` as `options` say.
    pub fn new(registry: &'a Registry, options: &'a Options) -> Self {
        Self { registry, options }
    }

    /// Reads what a pointer points to, as a value of type `ty`, which must have no type parameter
    /// left unbound but those that stand for any pointer. `name` begins the paths of errors.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming the field, its type and its value, when the message is
    /// malformed, is beyond a bound, or has a capability that `handles` refuse.
    #[doc(hidden)]
    pub fn read(
        &self,
        pointer: any_pointer::Reader<'_>,
        ty: &Type,
        handles: &mut dyn Handles,
        name: &str,
    ) -> Result<Json> {
        self.reading(handles, name).root(pointer, ty)
    }

    /// Writes a value of type `ty` and points to it.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming the field, its type and its value, when the JSON is not of
    /// the type, is beyond a bound, or stands for a capability that `handles` refuse.
    #[doc(hidden)]
    pub fn write(
        &self,
        json: &Json,
        pointer: any_pointer::Builder<'_>,
        ty: &Type,
        handles: &mut dyn Handles,
        name: &str,
    ) -> Result<()> {
        write::Writing::new(self.registry, self.options, handles, name).root(json, pointer, ty)
    }

    /// The JSON of a constant or of a field's default.
    ///
    /// # Errors
    /// As [`Converter::read`].
    pub fn value(
        &self,
        value: &super::schema::model::Value,
        ty: &Type,
        name: &str,
    ) -> Result<Json> {
        self.reading(&mut NoHandles, name).value(value, ty)
    }

    /// Reads a message of one segment without framing, such as [`Converter::to_bytes`] gives.
    ///
    /// # Errors
    /// As [`Converter::read`].
    pub fn from_bytes(&self, words: &[u8], ty: &Type, name: &str) -> Result<Json> {
        self.reading(&mut NoHandles, name).message(words, ty)
    }

    /// A value as a canonical message of one segment without framing.
    ///
    /// # Errors
    /// As [`Converter::write`].
    pub fn to_bytes(&self, json: &Json, ty: &Type, name: &str) -> Result<Vec<u8>> {
        let mut message = capnp::message::Builder::new_default();
        self.write(json, message.init_root(), ty, &mut NoHandles, name)?;
        let wrong = |e: capnp::Error| Error::conversion(name, e.to_string());
        let pointer: super::raw::Pointer<'_> = message.get_root_as_reader().map_err(wrong)?;
        let words = pointer.words().map_err(wrong)?;
        pointer.canonical(words).map_err(wrong)
    }

    /// The JSON of a value that has only defaults, with the structs in it written out where that
    /// comes to an end: what somebody fills in who does not know the type. Of a union it has the
    /// first member.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the schema is malformed.
    pub fn template(&self, ty: &Type, name: &str) -> Result<Json> {
        let read_default = |ty: &Type, name: &str| {
            let empty = self.to_bytes(&serde_json::json!({}), ty, name)?;
            self.from_bytes(&empty, ty, name)
        };
        template::Template::new(self.registry, self.options, &read_default).expand(ty, name)
    }

    fn reading<'h>(&self, handles: &'h mut dyn Handles, name: &str) -> read::Reading<'a, 'h> {
        read::Reading::new(self.registry, self.options, handles, name)
    }
}
