//! A schema as plain owned values.
//!
//! Knows the content of a schema; nothing of how it is read from a file or of its uses.

use std::collections::HashMap;
use std::sync::Arc;

/// The file id of `/mp/proxy.capnp`.
pub(super) const PROXY_FILE: u64 = 0xcc31_6e3f_71a0_40fb;

/// Declarations by their ids.
pub(super) type Nodes = HashMap<u64, Arc<Node>>;

/// Whether this is the type `name` of `/mp/proxy.capnp`.
pub(super) fn is_proxy(nodes: &Nodes, ty: &Type, name: &str) -> bool {
    let (Type::Struct(id, _) | Type::Interface(id, _)) = ty else {
        return false;
    };
    nodes
        .get(id)
        .is_some_and(|node| node.scope == PROXY_FILE && node.name == name)
}

/// A declaration of a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id on the wire.
    pub id: u64,
    /// Its name, preceded by those of the nodes that it is declared in, such as `FooNumbers.Kind`;
    /// of a file, its path.
    pub name: String,
    /// The file that declares it.
    pub file: u64,
    /// The node that it is declared in: the file, another node, or 0 for a method's unnamed struct.
    pub scope: u64,
    /// The names of its type parameters.
    pub parameters: Vec<String>,
    /// Its comment.
    pub docs: String,
    /// Its kind, with the content.
    pub kind: Kind,
}

/// The kind of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A file.
    File,
    /// A struct, a group, or a method's parameters or results.
    Struct(Struct),
    /// An enum: its values' names by number.
    Enum(Vec<Enumerant>),
    /// An interface.
    Interface(Interface),
    /// A constant.
    Const(Type, Value),
    /// An annotation's declaration: its type, and what it stands on, such as `field`.
    Annotation(Type, Vec<&'static str>),
}

/// A struct's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    /// The number of words in its data section.
    pub data_words: u16,
    /// The number of its pointers.
    pub pointers: u16,
    /// Whether it is a group: part of the struct it is in.
    pub is_group: bool,
    /// The offset of its union's discriminant, in units of 16 bits, if it has a union.
    pub discriminant: Option<u32>,
    /// The fields, in the order of the source.
    pub fields: Vec<Field>,
}

impl Struct {
    /// Returns the field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub docs: String,
    /// Its place in the source.
    pub order: u16,
    /// Its number in the struct's union, if it is in it.
    pub discriminant: Option<u16>,
    /// Its place.
    pub place: Place,
}

/// The place of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// A place in the struct itself.
    Slot {
        /// The offset in units of its size in the data section, or the number of the pointer.
        offset: u32,
        /// Its type.
        ty: Type,
        /// Its default: [`Value::Null`] for a pointer without one.
        default: Value,
    },
    /// A group, by its node.
    Group(u64),
}

/// A value of an enum.
#[derive(Debug, Clone, PartialEq)]
pub struct Enumerant {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub docs: String,
}

/// An interface's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Its own methods, by ordinal.
    pub methods: Vec<Method>,
    /// The interfaces that it extends.
    pub superclasses: Vec<(u64, Brand)>,
}

/// A method.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub docs: String,
    /// Its place in the source.
    pub order: u16,
    /// The struct of its parameters.
    pub params: (u64, Brand),
    /// The struct of its results.
    pub results: (u64, Brand),
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the schema language's own names")]
pub enum Type {
    Void,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    Text,
    Data,
    List(Arc<Type>),
    Enum(u64),
    Struct(u64, Brand),
    Interface(u64, Brand),
    AnyPointer,
    /// Any struct. Values are as of `AnyPointer`.
    AnyStruct,
    /// Any list. Values are as of `AnyPointer`.
    AnyList,
    /// Any interface. Values are as of `AnyPointer`.
    Capability,
    /// A type parameter of the node with this id: of a generic type, or of a method's parameters or
    /// results.
    Parameter(u64, u16),
}

impl Type {
    /// Whether values are behind a pointer.
    pub fn is_pointer(&self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Data
                | Self::List(_)
                | Self::Struct(..)
                | Self::Interface(..)
                | Self::AnyPointer
                | Self::AnyStruct
                | Self::AnyList
                | Self::Capability
                | Self::Parameter(..)
        )
    }
}

/// The bindings of the type parameters of a node and of those it is declared in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Brand(pub Arc<Vec<(u64, Binding)>>);

/// The bindings of the type parameters of one node.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// These types; `None` stands for any pointer.
    Types(Vec<Option<Arc<Type>>>),
    /// The bindings at the place where the type is used.
    Inherit,
}

impl Brand {
    /// Returns the brand with nothing left to inherit, for types used in the scope of `outer`,
    /// which has nothing left to inherit.
    pub fn within(&self, outer: &Self) -> Self {
        if self.0.is_empty() {
            return Self::default();
        }
        let scopes = self.0.iter().filter_map(|(scope, binding)| {
            let types = match binding {
                Binding::Inherit => outer.of(*scope)?.to_vec(),
                Binding::Types(types) => {
                    let bound = types.iter();
                    let bound = bound.map(|ty| ty.as_ref().map(|ty| Arc::new(outer.close(ty))));
                    bound.collect()
                }
            };
            Some((*scope, Binding::Types(types)))
        });
        Self(Arc::new(scopes.collect()))
    }

    fn of(&self, scope: u64) -> Option<&[Option<Arc<Type>>]> {
        self.0.iter().find_map(|(id, binding)| match binding {
            Binding::Types(types) if *id == scope => Some(types.as_slice()),
            _ => None,
        })
    }

    /// Returns the type as it stands by itself: type parameters that nothing binds are any pointer.
    pub(in crate::dynamic) fn close_root(&self, ty: &Type) -> Type {
        match ty {
            // The bindings of these are complete already.
            Type::Struct(..) | Type::Interface(..) => ty.clone(),
            other => self.close(other),
        }
    }

    /// Returns the type with its parameters bound, where nothing is left to inherit. Bindings are
    /// shared, not copied, so that types which double with each level cost nothing.
    pub fn close(&self, ty: &Type) -> Type {
        match ty {
            Type::Parameter(scope, index) => {
                let bound = self
                    .of(*scope)
                    .and_then(|types| types.get(usize::from(*index)));
                match bound {
                    Some(Some(ty)) => (**ty).clone(),
                    _ => Type::AnyPointer,
                }
            }
            Type::List(element) => Type::List(Arc::new(self.close(element))),
            Type::Struct(id, brand) => Type::Struct(*id, brand.within(self)),
            Type::Interface(id, brand) => Type::Interface(*id, brand.within(self)),
            Type::AnyStruct | Type::AnyList | Type::Capability => Type::AnyPointer,
            simple => simple.clone(),
        }
    }

    /// Returns the type with the parameters bound that this brand binds, for people: others stay as
    /// they are.
    pub fn bind(&self, ty: &Type) -> Type {
        match ty {
            _ if self.0.is_empty() => ty.clone(),
            Type::Parameter(scope, index) => {
                let bound = self.of(*scope).map(|types| types.get(usize::from(*index)));
                match bound {
                    Some(Some(Some(bound))) => (**bound).clone(),
                    Some(_) => Type::AnyPointer,
                    None => ty.clone(),
                }
            }
            Type::List(element) => Type::List(Arc::new(self.bind(element))),
            Type::Struct(id, brand) => Type::Struct(*id, self.bind_all(brand)),
            Type::Interface(id, brand) => Type::Interface(*id, self.bind_all(brand)),
            simple => simple.clone(),
        }
    }

    /// Returns a brand with the parameters bound that this one binds, for people.
    pub fn bind_all(&self, inner: &Self) -> Self {
        if self.0.is_empty() {
            return inner.clone();
        }
        let scopes = inner.0.iter().map(|(scope, binding)| {
            let bound = match (binding, self.of(*scope)) {
                (Binding::Inherit, Some(types)) => Binding::Types(types.to_vec()),
                (Binding::Inherit, None) => Binding::Inherit,
                (Binding::Types(types), _) => {
                    let bound = types.iter();
                    let bound = bound.map(|ty| ty.as_ref().map(|ty| Arc::new(self.bind(ty))));
                    Binding::Types(bound.collect())
                }
            };
            (*scope, bound)
        });
        Self(Arc::new(scopes.collect()))
    }

    /// Returns the types that the parameters of a node are bound to, if any are.
    pub(super) fn arguments(&self, node: u64) -> &[Option<Arc<Type>>] {
        self.of(node).unwrap_or_default()
    }
}

/// A value in a schema: a default or a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, or a null pointer.
    Null,
    /// A `Bool`.
    Bool(bool),
    /// A signed number of any size.
    Int(i64),
    /// An unsigned number of any size, or an enum's.
    UInt(u64),
    /// A `Float32`, by its bits.
    Float32(u32),
    /// A `Float64`, by its bits.
    Float64(u64),
    /// A `Text`'s bytes.
    Text(Arc<[u8]>),
    /// A `Data`'s bytes.
    Data(Arc<[u8]>),
    /// A struct, list or other pointer: a canonical message of one segment, without the framing.
    Message(Arc<[u8]>),
}

impl Value {
    /// Whether it is the value of a field without any bits set, which need not be shown.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Text(_) | Self::Data(_) | Self::Message(_) => false,
            number => number.as_u64() == 0,
        }
    }

    /// Returns the value of a `Bool`; of anything else, false.
    pub(in crate::dynamic) fn as_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Returns the bits of a number of any type; of anything else, 0.
    pub(in crate::dynamic) fn as_u64(&self) -> u64 {
        match self {
            Self::Int(value) => value.cast_unsigned(),
            Self::UInt(value) | Self::Float64(value) => *value,
            Self::Float32(bits) => u64::from(*bits),
            _ => 0,
        }
    }

    /// Returns the lower 32 bits of a number.
    #[allow(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    pub(in crate::dynamic) fn as_u32(&self) -> u32 {
        self.as_u64() as u32
    }

    /// Returns the lower 16 bits of a number.
    #[allow(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    pub(in crate::dynamic) fn as_u16(&self) -> u16 {
        self.as_u64() as u16
    }

    /// Returns the lower 8 bits of a number.
    #[allow(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    pub(in crate::dynamic) fn as_u8(&self) -> u8 {
        self.as_u64() as u8
    }
}
