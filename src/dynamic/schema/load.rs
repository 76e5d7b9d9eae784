//! From a compiled request (`CodeGeneratorRequest`) to the nodes of a schema.
//!
//! Knows how a request is laid out; nothing of what is made of the nodes. A request is untrusted:
//! whatever it lacks or contradicts is an error or comes out as what it says, never a panic, and
//! it cannot make more of itself than a few times its size.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use capnp::message::ReaderOptions;
use capnp::schema_capnp::type_::any_pointer::unconstrained;
use capnp::schema_capnp::{brand, code_generator_request, field, node, type_, value};
use capnp::{serialize, text};

use super::model::{
    Binding, Brand, Enumerant, Field, Interface, Kind, Method, Node, Place, Struct, Type, Value,
};
use crate::dynamic::raw::Pointer;
use crate::error::{Error, Result};

/// The largest request, in bytes. Core's have some 20 kB.
pub(super) const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// How far nodes may be nested.
const MAX_NESTING: usize = 64;

/// The nodes of a request.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) nodes: Vec<Node>,
    /// The files that the request was made for: their nodes are all there.
    pub(super) files: HashSet<u64>,
}

/// Reads a request; `name` is for errors.
pub(super) fn load(bytes: &[u8], name: &str) -> Result<Loaded> {
    if bytes.len() > MAX_REQUEST {
        return Err(Error::conversion(
            name,
            format!("a compiled schema of more than {MAX_REQUEST} bytes"),
        ));
    }
    let mut options = ReaderOptions::new();
    // Each part is read a few times at most; pointers that share a target must not multiply it.
    options.traversal_limit_in_words(Some(bytes.len() + 1024));
    let message =
        serialize::read_message(bytes, options).map_err(|error| no_schema(name, &error))?;
    let root: code_generator_request::Reader<'_> = message
        .get_root()
        .map_err(|error| no_schema(name, &error))?;
    let mut loader = Loader::default();
    loader.comments(root).map_err(|e| wrong(name, &e))?;
    let mut nodes = Vec::new();
    for reader in root.get_nodes().map_err(|e| wrong(name, &e))? {
        let place = string(reader.get_display_name()).unwrap_or_else(|_| name.to_owned());
        let node = loader.node(reader).map_err(|e| wrong(&place, &e))?;
        nodes.push(node);
    }
    let files = root.get_requested_files().map_err(|e| wrong(name, &e))?;
    let files: HashSet<u64> = files.iter().map(|file| file.get_id()).collect();
    if files.is_empty() {
        return Err(Error::conversion(
            name,
            "malformed schema: it is of no file",
        ));
    }
    place_in_files(&mut nodes, &loader.owners);
    Ok(Loaded { nodes, files })
}

fn no_schema(name: &str, error: &capnp::Error) -> Error {
    Error::conversion(
        name,
        format!(
            "no compiled schema: {error}. `capnp compile -o- FILE.capnp > FILE.bin` writes one"
        ),
    )
}

fn wrong(place: &str, error: &capnp::Error) -> Error {
    Error::conversion(place, format!("malformed schema: {error}"))
}

/// Finds each node's file.
fn place_in_files(nodes: &mut [Node], owners: &HashMap<u64, u64>) {
    let scopes: HashMap<u64, u64> = nodes.iter().map(|node| (node.id, node.scope)).collect();
    for node in nodes {
        let mut id = node.id;
        for _ in 0..MAX_NESTING {
            let up = match scopes.get(&id) {
                Some(0) => owners.get(&id),
                up => up,
            };
            match up {
                Some(up) => id = *up,
                None => break,
            }
        }
        node.file = id;
    }
}

/// The comments of a node and of its members.
#[derive(Default)]
struct Comments {
    own: String,
    members: Vec<String>,
}

#[derive(Default)]
struct Loader {
    comments: HashMap<u64, Comments>,
    /// Of the unnamed structs of parameters and results: the interface they belong to.
    owners: HashMap<u64, u64>,
}

impl Loader {
    fn comments(&mut self, root: code_generator_request::Reader<'_>) -> capnp::Result<()> {
        for info in root.get_source_info()? {
            let mut comments = Comments {
                own: docs(info.get_doc_comment()?),
                members: Vec::new(),
            };
            for member in info.get_members()? {
                comments.members.push(docs(member.get_doc_comment()?));
            }
            self.comments.insert(info.get_id(), comments);
        }
        Ok(())
    }

    fn node(&mut self, reader: node::Reader<'_>) -> capnp::Result<Node> {
        let id = reader.get_id();
        let comments = self.comments.remove(&id).unwrap_or_default();
        let member = |index: usize| comments.members.get(index).cloned().unwrap_or_default();
        let display = string(reader.get_display_name())?;
        let is_file = matches!(reader.which(), Ok(node::File(())));
        let name = match display.rsplit_once(':') {
            Some((_, name)) if !is_file => name.to_owned(),
            _ => display,
        };
        let mut parameters = Vec::new();
        for parameter in reader.get_parameters()? {
            parameters.push(string(parameter.get_name())?);
        }
        let kind = match reader.which()? {
            node::File(()) => Kind::File,
            node::Struct(body) => {
                let has_union = body.get_discriminant_count() > 0;
                let mut fields = Vec::new();
                for (index, field) in body.get_fields()?.iter().enumerate() {
                    fields.push(self::field(field, member(index))?);
                }
                fields.sort_by_key(|field: &Field| field.order);
                Kind::Struct(Struct {
                    data_words: body.get_data_word_count(),
                    pointers: body.get_pointer_count(),
                    is_group: body.get_is_group(),
                    discriminant: has_union.then(|| body.get_discriminant_offset()),
                    fields,
                })
            }
            node::Enum(body) => {
                let mut enumerants = Vec::new();
                for (index, enumerant) in body.get_enumerants()?.iter().enumerate() {
                    enumerants.push(Enumerant {
                        name: string(enumerant.get_name())?,
                        docs: member(index),
                    });
                }
                Kind::Enum(enumerants)
            }
            node::Interface(body) => {
                let mut methods = Vec::new();
                for (index, method) in body.get_methods()?.iter().enumerate() {
                    let (params, results) = (
                        method.get_param_struct_type(),
                        method.get_result_struct_type(),
                    );
                    self.owners.insert(params, id);
                    self.owners.insert(results, id);
                    methods.push(Method {
                        name: string(method.get_name())?,
                        docs: member(index),
                        order: method.get_code_order(),
                        params: (params, brand(method.get_param_brand()?)?),
                        results: (results, brand(method.get_result_brand()?)?),
                    });
                }
                let mut superclasses = Vec::new();
                for superclass in body.get_superclasses()? {
                    superclasses.push((superclass.get_id(), brand(superclass.get_brand()?)?));
                }
                Kind::Interface(Interface {
                    methods,
                    superclasses,
                })
            }
            node::Const(body) => {
                let ty = ty(body.get_type()?)?;
                Kind::Const(ty, value(body.get_value()?)?)
            }
            node::Annotation(body) => Kind::Annotation(ty(body.get_type()?)?, targets(body)),
        };
        Ok(Node {
            id,
            name,
            file: id,
            scope: reader.get_scope_id(),
            parameters,
            docs: comments.own,
            kind,
        })
    }
}

/// Returns what an annotation may stand on.
fn targets(body: node::annotation::Reader<'_>) -> Vec<&'static str> {
    let all = [
        ("file", body.get_targets_file()),
        ("const", body.get_targets_const()),
        ("enum", body.get_targets_enum()),
        ("enumerant", body.get_targets_enumerant()),
        ("struct", body.get_targets_struct()),
        ("field", body.get_targets_field()),
        ("union", body.get_targets_union()),
        ("group", body.get_targets_group()),
        ("interface", body.get_targets_interface()),
        ("method", body.get_targets_method()),
        ("param", body.get_targets_param()),
        ("annotation", body.get_targets_annotation()),
    ];
    let set = all.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name).collect()
}

fn field(reader: field::Reader<'_>, docs: String) -> capnp::Result<Field> {
    let discriminant = Some(reader.get_discriminant_value());
    let place = match reader.which()? {
        field::Group(group) => Place::Group(group.get_type_id()),
        field::Slot(slot) => {
            let ty = ty(slot.get_type()?)?;
            let default = if ty.is_pointer() && !slot.get_had_explicit_default() {
                Value::Null
            } else {
                value(slot.get_default_value()?)?
            };
            Place::Slot {
                offset: slot.get_offset(),
                ty,
                default,
            }
        }
    };
    Ok(Field {
        name: string(reader.get_name())?,
        docs,
        order: reader.get_code_order(),
        discriminant: discriminant.filter(|value| *value != field::NO_DISCRIMINANT),
        place,
    })
}

fn ty(reader: type_::Reader<'_>) -> capnp::Result<Type> {
    Ok(match reader.which()? {
        type_::Void(()) => Type::Void,
        type_::Bool(()) => Type::Bool,
        type_::Int8(()) => Type::Int8,
        type_::Int16(()) => Type::Int16,
        type_::Int32(()) => Type::Int32,
        type_::Int64(()) => Type::Int64,
        type_::Uint8(()) => Type::UInt8,
        type_::Uint16(()) => Type::UInt16,
        type_::Uint32(()) => Type::UInt32,
        type_::Uint64(()) => Type::UInt64,
        type_::Float32(()) => Type::Float32,
        type_::Float64(()) => Type::Float64,
        type_::Text(()) => Type::Text,
        type_::Data(()) => Type::Data,
        type_::List(list) => Type::List(Arc::new(ty(list.get_element_type()?)?)),
        type_::Enum(e) => Type::Enum(e.get_type_id()),
        type_::Struct(s) => Type::Struct(s.get_type_id(), brand(s.get_brand()?)?),
        type_::Interface(i) => Type::Interface(i.get_type_id(), brand(i.get_brand()?)?),
        type_::AnyPointer(any) => match any.which()? {
            type_::any_pointer::Parameter(parameter) => {
                Type::Parameter(parameter.get_scope_id(), parameter.get_parameter_index())
            }
            type_::any_pointer::Unconstrained(kind) => match kind.which()? {
                unconstrained::AnyKind(()) => Type::AnyPointer,
                unconstrained::Struct(()) => Type::AnyStruct,
                unconstrained::List(()) => Type::AnyList,
                unconstrained::Capability(()) => Type::Capability,
            },
            type_::any_pointer::ImplicitMethodParameter(_) => Type::AnyPointer,
        },
    })
}

fn brand(reader: brand::Reader<'_>) -> capnp::Result<Brand> {
    let mut scopes = Vec::new();
    for scope in reader.get_scopes()? {
        let binding = match scope.which()? {
            brand::scope::Inherit(()) => Binding::Inherit,
            brand::scope::Bind(bindings) => {
                let mut types = Vec::new();
                for binding in bindings? {
                    types.push(match binding.which()? {
                        brand::binding::Unbound(()) => None,
                        brand::binding::Type(bound) => Some(Arc::new(ty(bound?)?)),
                    });
                }
                Binding::Types(types)
            }
        };
        scopes.push((scope.get_scope_id(), binding));
    }
    Ok(Brand(Arc::new(scopes)))
}

fn value(reader: value::Reader<'_>) -> capnp::Result<Value> {
    Ok(match reader.which()? {
        value::Void(()) | value::Interface(()) => Value::Null,
        value::Bool(value) => Value::Bool(value),
        value::Int8(value) => Value::Int(value.into()),
        value::Int16(value) => Value::Int(value.into()),
        value::Int32(value) => Value::Int(value.into()),
        value::Int64(value) => Value::Int(value),
        value::Uint8(value) => Value::UInt(value.into()),
        value::Uint16(value) => Value::UInt(value.into()),
        value::Uint32(value) => Value::UInt(value.into()),
        value::Uint64(value) => Value::UInt(value),
        value::Enum(value) => Value::UInt(value.into()),
        value::Float32(value) => Value::Float32(value.to_bits()),
        value::Float64(value) => Value::Float64(value.to_bits()),
        value::Text(text) => Value::Text(text?.as_bytes().into()),
        value::Data(data) => Value::Data(data?.into()),
        value::List(any) | value::Struct(any) | value::AnyPointer(any) => {
            let pointer: Pointer<'_> = any.get_as()?;
            if pointer.is_null() {
                return Ok(Value::Null);
            }
            let words = pointer.words()?;
            if words * 8 > MAX_REQUEST as u64 {
                return Err(capnp::Error::failed("a default beyond all bounds".into()));
            }
            Value::Message(pointer.canonical(words)?.into())
        }
    })
}

fn string(text: capnp::Result<text::Reader<'_>>) -> capnp::Result<String> {
    Ok(text?.to_str()?.to_owned())
}

fn docs(text: text::Reader<'_>) -> String {
    String::from_utf8_lossy(text.as_bytes())
        .trim_end()
        .to_owned()
}
