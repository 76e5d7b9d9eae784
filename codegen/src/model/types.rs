//! Names and types of a schema as those of the model.
//!
//! Decides the names of nodes in Rust, which crate generates them, and which types are supported.
//! Knows no fields or methods.

use capnp::schema_capnp::{brand, node, type_};

use super::resolve::Resolver;
use super::{Named, Origin, Type};
use crate::error::{Error, Result};
use crate::layout::{PROXY_FILE, core_module};
use crate::names;
use crate::request::file_names;

/// Names that generated modules use in their own right.
const TAKEN: &[&str] = &[
    "Arc",
    "Box",
    "Call",
    "Clone",
    "Debug",
    "Default",
    "Err",
    "Fn",
    "From",
    "Into",
    "None",
    "Offload",
    "Offloaded",
    "Ok",
    "Option",
    "PartialEq",
    "Remote",
    "Result",
    "Self",
    "Send",
    "Some",
    "String",
    "Sync",
    "Vec",
];

impl<'a> Resolver<'a> {
    /// Returns the names of a struct, enum or interface.
    pub(super) fn named(&self, id: u64, place: &str) -> Result<Named> {
        let (origin, module, path) = self.path(id, place)?;
        let schema = path.join(".");
        let name = path.concat();
        if TAKEN.contains(&name.as_str()) {
            return Err(Error::schema(
                place,
                format!("`{name}` is a name that the generated code uses itself"),
            ));
        }
        let wire = self.wire_path(id, &module, &path, place)?;
        Ok(Named {
            id,
            origin,
            module: names::escape(module),
            name,
            schema,
            wire,
        })
    }

    /// Returns the origin of a node, its file's module, and its names from the outermost in.
    pub(super) fn path(&self, id: u64, place: &str) -> Result<(Origin, String, Vec<&'a str>)> {
        let mut lineage = self.index.lineage(id, place)?;
        let file = lineage
            .pop()
            .filter(|node| matches!(node.which(), Ok(node::File(()))))
            .ok_or_else(|| Error::malformed(place, "refers to what is in no file"))?;
        let (origin, module) = self.file(file, place)?;
        let mut path = Vec::new();
        for node in lineage.into_iter().rev() {
            if node.get_is_generic() || node.has_parameters() && !is_empty(node) {
                return Err(Error::schema(
                    place,
                    "generic types are not supported by the typed generator",
                ));
            }
            path.push(self.index.local_name(node, place)?);
        }
        Ok((origin, module, path))
    }

    /// Returns the origin of a file, and its module.
    fn file(&self, file: node::Reader<'a>, place: &str) -> Result<(Origin, String)> {
        let id = file.get_id();
        if let Some(requested) = self.index.requested.iter().find(|f| f.id == id) {
            return Ok((Origin::Own, requested.module.clone()));
        }
        if let Some(module) = core_module(id).filter(|_| !self.layout.is_newest) {
            return Ok((Origin::Core, module.to_owned()));
        }
        let path = crate::request::string(file.get_display_name(), place)?;
        let (name, _) = file_names(path);
        Err(Error::schema(
            place,
            format!("uses a type of {name}, which was not compiled with it: compile both together"),
        ))
    }

    /// Returns the path of a node among the wire modules.
    fn wire_path(&self, id: u64, module: &str, path: &[&str], place: &str) -> Result<String> {
        let is_enum = matches!(self.index.node(id, place)?.which(), Ok(node::Enum(_)));
        let mut wire = format!("{module}_capnp");
        for (i, name) in path.iter().enumerate() {
            wire += "::";
            if is_enum && i + 1 == path.len() {
                wire += name;
            } else {
                wire += &names::wire_module(name);
            }
        }
        Ok(wire)
    }

    /// Returns the name of a type of `/mp/proxy.capnp`, where the node is one.
    pub(super) fn proxy_type(&self, id: u64, place: &str) -> Result<Option<&'a str>> {
        let node = self.index.node(id, place)?;
        if node.get_scope_id() == PROXY_FILE {
            self.index.local_name(node, place).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns a type, and notes structs and enums for generation.
    pub(super) fn ty(&mut self, ty: type_::Reader<'a>, place: &str) -> Result<Type> {
        let wrong = |e: capnp::Error| Error::malformed(place, e);
        Ok(match ty.which().map_err(|e| wrong(e.into()))? {
            type_::Void(()) => Type::Void,
            type_::Bool(()) => Type::Bool,
            type_::Int8(()) => Type::Number("i8"),
            type_::Int16(()) => Type::Number("i16"),
            type_::Int32(()) => Type::Number("i32"),
            type_::Int64(()) => Type::Number("i64"),
            type_::Uint8(()) => Type::Number("u8"),
            type_::Uint16(()) => Type::Number("u16"),
            type_::Uint32(()) => Type::Number("u32"),
            type_::Uint64(()) => Type::Number("u64"),
            type_::Float32(()) => Type::Number("f32"),
            type_::Float64(()) => Type::Number("f64"),
            type_::Text(()) => Type::Text,
            type_::Data(()) => Type::Data,
            type_::List(list) => {
                let element = list.get_element_type().map_err(wrong)?;
                Type::List(Box::new(self.ty(element, place)?))
            }
            type_::Enum(e) => {
                self.no_proxy_type(e.get_type_id(), place)?;
                let named = self.named(e.get_type_id(), place)?;
                self.note_enum(&named)?;
                Type::Enum(named)
            }
            type_::Struct(s) => {
                self.no_proxy_type(s.get_type_id(), place)?;
                unbranded(s.get_brand().map_err(wrong)?, place)?;
                let named = self.named(s.get_type_id(), place)?;
                self.note_struct(&named)?;
                Type::Struct(named)
            }
            type_::Interface(i) => {
                self.no_proxy_type(i.get_type_id(), place)?;
                unbranded(i.get_brand().map_err(wrong)?, place)?;
                Type::Interface(self.named(i.get_type_id(), place)?)
            }
            type_::AnyPointer(_) => {
                return Err(Error::schema(
                    place,
                    "AnyPointer and type parameters are not supported by the typed generator",
                ));
            }
        })
    }

    fn no_proxy_type(&self, id: u64, place: &str) -> Result<()> {
        match self.proxy_type(id, place)? {
            None => Ok(()),
            Some(name) => Err(Error::schema(
                place,
                format!(
                    "Proxy.{name} cannot stand here: the runtime handles `Proxy.Context` as a \
                     parameter, `Proxy.ThreadMap` as a parameter and result of one method"
                ),
            )),
        }
    }
}

fn is_empty(node: node::Reader<'_>) -> bool {
    node.get_parameters().is_ok_and(|p| p.is_empty())
}

/// Rejects a use of a type that binds type parameters.
fn unbranded(brand: brand::Reader<'_>, place: &str) -> Result<()> {
    match brand.get_scopes() {
        Ok(scopes) if scopes.is_empty() => Ok(()),
        Ok(_) => Err(Error::schema(
            place,
            "generic types are not supported by the typed generator",
        )),
        Err(e) => Err(Error::malformed(place, e)),
    }
}
