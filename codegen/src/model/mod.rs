//! The model of the code to generate, in plain Rust: every rule is decided when it is built.
//!
//! Knows no Cap'n Proto reader and no output text; emitters need nothing else.

pub(crate) mod adapt;
mod fields;
mod methods;
mod resolve;
mod types;

use std::collections::BTreeSet;

pub(crate) use resolve::build;

/// Everything that is generated from one request.
#[derive(Debug)]
pub(crate) struct Model {
    /// The requested files, those without interfaces and values left out.
    pub(crate) files: Vec<File>,
    /// The structs, by id, that contain interfaces at any depth.
    pub(crate) carriers: BTreeSet<u64>,
    /// Whether any value is an enum.
    pub(crate) has_enums: bool,
    /// The fields of which the layout says what they mean, such as `BlockRef.hash`.
    pub(crate) meant: BTreeSet<String>,
}

/// One schema file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name, such as `echo.capnp`.
    pub(crate) name: String,
    /// Its module, such as `echo`.
    pub(crate) module: String,
    /// Its comment.
    pub(crate) docs: Vec<String>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
}

/// The crate that generates the code of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The one this run generates for.
    Own,
    /// The runtime library, from Bitcoin Core's own schemas.
    Core,
}

/// A struct, enum or interface by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    /// The module of its file, such as `mining`.
    pub(crate) module: String,
    /// Its name in Rust, such as `BlockRef`; a nested one has its parents' names before its own.
    pub(crate) name: String,
    /// Its name in the schema, such as `BlockRef` or `Outer.Inner`.
    pub(crate) schema: String,
    /// Its path below the module of the wire modules, such as `mining_capnp::block_ref`.
    pub(crate) wire: String,
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) named: Named,
    pub(crate) docs: Vec<String>,
    /// The interfaces that it extends.
    pub(crate) parents: Vec<Named>,
    /// Its parents and all of theirs, each once, with their methods.
    pub(crate) ancestors: Vec<Ancestor>,
    pub(crate) methods: Vec<Method>,
    /// Methods that only older generations have, which its trait keeps.
    pub(crate) kept: Vec<Method>,
    /// Whether a closure can implement it.
    pub(crate) is_closure: bool,
}

impl Interface {
    /// Returns the methods of its trait, but for those that it inherits.
    pub(crate) fn of_trait(&self) -> impl Iterator<Item = &Method> {
        self.methods
            .iter()
            .filter(|m| m.is_plain())
            .chain(&self.kept)
    }
}

/// An interface that another one extends.
#[derive(Debug, Clone)]
pub(crate) struct Ancestor {
    pub(crate) named: Named,
    /// Whether it extends none itself, and so declares `remote`.
    pub(crate) is_root: bool,
    pub(crate) methods: Vec<Method>,
}

/// The role of a method for the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Destroy,
    Construct,
}

#[derive(Debug, Clone)]
pub(crate) struct Method {
    /// The name in the schema.
    pub(crate) schema: String,
    /// The name in Rust.
    pub(crate) name: String,
    pub(crate) ordinal: u16,
    pub(crate) docs: Vec<String>,
    pub(crate) role: Role,
    /// The accessor name of its `context` parameter.
    pub(crate) context: Option<String>,
    /// Its parameters but for `context`.
    pub(crate) params: Vec<Field>,
    pub(crate) params_wire: Wire,
    pub(crate) results: Results,
    /// The result that holds its declared exception.
    pub(crate) exception: Option<Field>,
    pub(crate) results_wire: Wire,
}

/// A module of capnpc's: of which crate, and its path there.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) origin: Origin,
    pub(crate) path: String,
}

/// The results of a method that does not fail.
#[derive(Debug, Clone)]
pub(crate) enum Results {
    None,
    One(Field),
    /// Several, as a struct.
    Many(Named),
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) named: Named,
    pub(crate) docs: Vec<String>,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The name in the schema.
    pub(crate) schema: String,
    /// The name in Rust.
    pub(crate) name: String,
    /// The name in accessors of the wire modules.
    pub(crate) wire: String,
    pub(crate) docs: Vec<String>,
    pub(crate) ty: Type,
    /// The accessor name of the `hasX` that tells whether it is present.
    pub(crate) has: Option<String>,
    /// Whether it is absent where its pointer is null.
    pub(crate) is_nullable: bool,
    /// The default in the schema, where it is not zero or empty.
    pub(crate) default: Option<Default>,
}

#[derive(Debug, Clone)]
pub(crate) enum Type {
    Void,
    Bool,
    /// A number, by its Rust name.
    Number(&'static str),
    Text,
    Data,
    Enum(Named),
    Struct(Named),
    Interface(Named),
    List(Box<Type>),
    /// A type of the library or the user, which is copied, by its path.
    Value {
        path: String,
        /// `Data` or a number.
        of: Box<Type>,
    },
}

/// A default that is not zero or empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Default {
    True,
    Integer(i128),
    Float32(f32),
    Float64(f64),
    Text(String),
    Data(Vec<u8>),
    Enum(u16),
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) named: Named,
    pub(crate) docs: Vec<String>,
    pub(crate) enumerants: Vec<Enumerant>,
}

#[derive(Debug)]
pub(crate) struct Enumerant {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
}

impl Model {
    /// Whether values of the type can only be read or written with a connection.
    pub(crate) fn needs_peer(&self, ty: &Type) -> bool {
        match ty {
            Type::Interface(_) => true,
            Type::Struct(named) => self.carriers.contains(&named.id),
            Type::List(element) => self.needs_peer(element),
            _ => false,
        }
    }

    /// Whether any of the fields can only be read or written with a connection.
    pub(crate) fn any_needs_peer(&self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.needs_peer(&field.ty))
    }
}

impl Method {
    /// Whether users call and implement it.
    pub(crate) fn is_plain(&self) -> bool {
        self.role == Role::Plain
    }
}
