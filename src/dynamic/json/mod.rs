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
//! - A null `Text`, `Data` or list reads as its default, or empty. A null struct reads as its
//!   default where the schema declares one, else as `null`. Within a default, null structs are
//!   `null`, so that a default which contains itself ends.
//! - Of a union one member may be given; with none it is the one with the first number. `"$union"`
//!   with a number stands for a member that the schema does not have: reading gives it, so that it
//!   is seen, and writing sets the number and leaves the rest as it is. What such a member holds is
//!   not kept.
//! - An enum's value that the schema does not have is its number, both ways.
//! - Text that is not UTF-8 is `{"$text": "<hex of the bytes>"}`, both ways, so that nothing is lost
//!   and the rest of a message stays readable.
//! - A NaN keeps no payload. Zero keeps its sign.
//! - With [`Options::optionals`], `x` with `hasX :Bool` is one field: `null` when `hasX` is false.
//! - Fields of the types `Context` and `ThreadMap` of `/mp/proxy.capnp` are the runtime's: neither
//!   shown nor taken.
//! - Values within an `AnyPointer` that hold capabilities are an error.
//!
//! Names in schemas have no `$`, so `$union` and `$text` are no field's.

mod options;
mod read;
mod scalar;
mod template;
#[cfg(test)]
mod tests;
mod write;

use capnp::any_pointer;
use capnp::private::capability::ClientHook;
use serde_json::Value as Json;

pub use self::options::{Bounds, DataFormat, Meaning, Options, Rule, core_meaning};
use super::schema::Registry;
use super::schema::model::{Brand, Place, Struct, Type};
use crate::error::{Error, Result};

/// The key of the object that stands for what any pointer points to.
const ANY_KEY: &str = "anyPointer";

/// The key of a union's member that the schema does not have.
const UNION_KEY: &str = "$union";

/// What stands in JSON for capabilities.
pub trait Handles {
    /// The JSON for a capability that was read. `interface` is its id and what its type parameters
    /// are bound to, where the schema tells.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming `field`, when nothing can stand for it.
    fn import(
        &mut self,
        hook: Box<dyn ClientHook>,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json>;

    /// The capability that JSON stands for; `None` for none.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming `field`, when the JSON stands for no such capability.
    fn export(
        &mut self,
        handle: &Json,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>>;
}

/// For values without capabilities: any is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandles;

impl Handles for NoHandles {
    fn import(
        &mut self,
        _hook: Box<dyn ClientHook>,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json> {
        Err(Error::conversion(field, "an object cannot be shown here"))
    }

    fn export(
        &mut self,
        _handle: &Json,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        Err(Error::conversion(field, "an object cannot be given here"))
    }
}

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
    pub fn read(
        &self,
        pointer: any_pointer::Reader<'_>,
        ty: &Type,
        handles: &mut dyn Handles,
        name: &str,
    ) -> Result<Json> {
        read::Reading::new(*self, handles, name).root(pointer, ty)
    }

    /// Writes a value of type `ty` and points to it.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming the field, its type and its value, when the JSON is not of
    /// the type, is beyond a bound, or stands for a capability that `handles` refuse.
    pub fn write(
        &self,
        json: &Json,
        pointer: any_pointer::Builder<'_>,
        ty: &Type,
        handles: &mut dyn Handles,
        name: &str,
    ) -> Result<()> {
        write::Writing::new(*self, handles, name).root(json, pointer, ty)
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
        read::Reading::new(*self, &mut NoHandles, name).value(value, ty)
    }

    /// Reads a message of one segment without framing, such as [`Converter::to_bytes`] gives.
    ///
    /// # Errors
    /// As [`Converter::read`].
    pub fn from_bytes(&self, words: &[u8], ty: &Type, name: &str) -> Result<Json> {
        read::Reading::new(*self, &mut NoHandles, name).message(words, ty)
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
}

/// The names of a struct's flags `hasX` and of the `x` they belong to.
pub(super) fn has_flags(layout: &Struct) -> Vec<(&str, &str)> {
    let is_bool = |place: &Place| matches!(place, Place::Slot { ty: Type::Bool, .. });
    let flags = layout.fields.iter().filter_map(|flag| {
        let base = flag
            .name
            .strip_prefix("has")
            .filter(|_| is_bool(&flag.place))?;
        let initial = base.chars().next().filter(char::is_ascii_uppercase)?;
        let field = layout.fields.iter().find(|field| {
            let rest = field.name.strip_prefix(initial.to_ascii_lowercase());
            rest == Some(&base[1..]) && field.discriminant.is_none()
        })?;
        Some((flag.name.as_str(), field.name.as_str()))
    });
    flags.collect()
}

/// The name of a struct as people know it: a method's unnamed one has the method's.
fn owner_name(name: &str) -> &str {
    let method = name.strip_suffix("$Params");
    method.or(name.strip_suffix("$Results")).unwrap_or(name)
}

/// Whether values of this type are the runtime's own.
pub(super) fn is_runtimes(registry: &Registry, ty: &Type) -> bool {
    registry.is_proxy(ty, "Context") || registry.is_proxy(ty, "ThreadMap")
}
