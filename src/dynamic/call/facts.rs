//! Facts that the runtime needs about interfaces and methods, from a schema at run time.
//!
//! Knows schemas and the runtime's facts; nothing of values.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use capnp::any_pointer;
use capnp::private::capability::ClientHook;

use crate::dynamic::core;
use crate::dynamic::json::{Converter, Handles, is_runtimes};
use crate::dynamic::schema::model::{Brand, Field, Place, Struct, Type};
use crate::dynamic::schema::{MethodInfo, Registry};
use crate::error::{Error, Result};
use crate::protocol::capnp::rt::{self, Role, StaticOrShared};

/// The interface name of a capability of which nothing is known.
const UNKNOWN: &str = "Capability";

/// An interface: the schema's facts and the runtime's.
pub(super) struct Facts {
    /// Its id; 0 where it is not known.
    pub(super) id: u64,
    /// The ids of the other interfaces, of an object that has several.
    others: Vec<u64>,
    /// Its name.
    pub(super) name: String,
    /// The bindings of its type parameters.
    pub(super) brand: Brand,
    /// Its methods and those it inherits.
    pub(super) methods: Vec<MethodFacts>,
    /// The runtime's facts about the same methods, in the same order.
    pub(super) info: StaticOrShared<rt::Info>,
}

/// A method: the schema's facts and the runtime's.
#[derive(Clone)]
pub(super) struct MethodFacts {
    /// The schema's facts.
    pub(super) schema: MethodInfo,
    /// The runtime's.
    pub(super) method: StaticOrShared<rt::Method>,
    /// The number of the parameters' pointer that is the context.
    pub(super) context: Option<u32>,
}

/// A result that can be called on.
pub(super) struct Next {
    /// Its name.
    pub(super) field: String,
    /// The number of its pointer.
    pub(super) pointer: u16,
    /// Its interface's id.
    pub(super) id: u64,
    /// The bindings of that interface's type parameters.
    pub(super) brand: Brand,
}

impl Facts {
    /// Returns the facts about an interface.
    pub(super) fn of(registry: &Arc<Registry>, id: u64, brand: &Brand) -> Result<Self> {
        let (node, _) = registry.interface(id)?;
        let mut methods = Vec::new();
        for method in registry.methods(id, brand)? {
            methods.push(MethodFacts::of(registry, method)?);
        }
        Ok(Self::new(id, node.name.clone(), brand.clone(), methods))
    }

    /// Returns the facts of a capability of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::new(0, UNKNOWN.to_owned(), Brand::default(), Vec::new())
    }

    /// Returns the facts of an object that has the interface of `first` and those of `others`.
    pub(super) fn several(first: &Self, others: &[Arc<Self>]) -> Self {
        let mut methods = first.methods.clone();
        methods.extend(
            others
                .iter()
                .flat_map(|other| other.methods.iter().cloned()),
        );
        Self {
            others: others.iter().map(|other| other.id).collect(),
            ..Self::new(first.id, first.name.clone(), first.brand.clone(), methods)
        }
    }

    fn new(id: u64, name: String, brand: Brand, methods: Vec<MethodFacts>) -> Self {
        let all: Vec<StaticOrShared<rt::Method>> =
            methods.iter().map(|m| m.method.clone()).collect();
        let info = rt::Info {
            name: Cow::Owned(name.clone()),
            id,
            methods: Cow::Owned(all),
        };
        Self {
            id,
            others: Vec::new(),
            name,
            brand,
            methods,
            info: StaticOrShared::Shared(Arc::new(info)),
        }
    }

    /// Whether an object with these facts is of the interface with this id.
    pub(super) fn is_a(&self, registry: &Registry, id: u64) -> bool {
        let mut seen = std::collections::HashSet::new();
        let mut open = self.others.clone();
        open.push(self.id);
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            if seen.insert(next)
                && let Ok((_, body)) = registry.interface(next)
            {
                open.extend(body.superclasses.iter().map(|(id, _)| *id));
            }
        }
        false
    }

    /// Returns the method with this name, where users may call it.
    pub(super) fn method(&self, registry: &Registry, name: &str) -> Result<&MethodFacts> {
        if self.id == 0 {
            return Err(Error::Usage(format!(
                "the interface of this object is not known, so it has no method {name:?} to call"
            )));
        }
        let found = self.methods.iter().find(|m| m.schema.method.name == name);
        let Some(found) = found else {
            // Called for its error, which suggests a name.
            registry.method_of(self.id, &self.brand, name)?;
            return Err(Error::Usage(format!(
                "{} has no method {name:?}",
                self.name
            )));
        };
        match found.method.role {
            Role::Plain => Ok(found),
            Role::Construct => Err(Error::Usage(format!(
                "{} is called when the connection is made, and only then",
                found.schema.full_name()
            ))),
            Role::Destroy => Err(Error::Usage(format!(
                "{} is called when the object's handle is released",
                found.schema.full_name()
            ))),
        }
    }
}

impl MethodFacts {
    fn of(registry: &Arc<Registry>, schema: MethodInfo) -> Result<Self> {
        let name = schema.full_name();
        let (_, params) = registry.structure(schema.method.params.0)?;
        let (_, results) = registry.structure(schema.method.results.0)?;
        let context = params.fields.iter().find_map(|field| match &field.place {
            Place::Slot { offset, ty, .. } if registry.is_proxy(ty, "Context") => Some(*offset),
            _ => None,
        });
        if context.is_some_and(|offset| offset != 0) {
            return Err(Error::conversion(
                name,
                "the context is not the first of the parameters",
            ));
        }
        let swaps = params.fields.iter().any(|field| match &field.place {
            Place::Slot { ty, .. } => registry.is_proxy(ty, "ThreadMap"),
            Place::Group(_) => false,
        });
        let role = if swaps {
            Role::Construct
        } else if schema.method.name == "destroy"
            && context.is_some()
            && visible(registry, params, false).is_empty()
            && results.fields.is_empty()
        {
            Role::Destroy
        } else {
            Role::Plain
        };
        let method = rt::Method {
            interface: Cow::Owned(schema.interface.name.clone()),
            name: Cow::Owned(schema.method.name.clone()),
            interface_id: schema.interface.id,
            ordinal: schema.ordinal,
            role,
            threaded: context.is_some(),
            show_params: show(registry, params_type(&schema)),
            show_results: show(registry, results_type(&schema)),
            pace: rt::Pace::new(),
        };
        Ok(Self {
            schema,
            method: StaticOrShared::Shared(Arc::new(method)),
            context,
        })
    }

    /// Returns the type of its parameters.
    pub(super) fn params(&self) -> Type {
        params_type(&self.schema)
    }

    /// Returns the type of its results.
    pub(super) fn results(&self) -> Type {
        results_type(&self.schema)
    }

    /// Returns the capability that can be called before the answer is there: the one result that is
    /// an interface.
    pub(super) fn capability(&self, registry: &Registry) -> Result<Next> {
        let (_, results) = registry.structure(self.schema.method.results.0)?;
        let Type::Struct(_, outer) = self.results() else {
            return Err(Error::Usage("results are no struct".into()));
        };
        let mut found = results
            .fields
            .iter()
            .filter_map(|field| match &field.place {
                Place::Slot { offset, ty, .. } => match outer.close(ty) {
                    Type::Interface(id, brand) => Some(Next {
                        field: field.name.clone(),
                        pointer: u16::try_from(*offset).ok()?,
                        id,
                        brand,
                    }),
                    _ => None,
                },
                Place::Group(_) => None,
            });
        match (found.next(), found.next()) {
            (Some(capability), None) => Ok(capability),
            _ => Err(Error::Usage(format!(
                "{} does not answer one object, on which could be called",
                self.schema.full_name()
            ))),
        }
    }
}

/// Returns the fields of parameters or results that users see.
pub(super) fn visible<'s>(
    registry: &Registry,
    layout: &'s Struct,
    optionals: bool,
) -> Vec<&'s Field> {
    let flags = match optionals {
        true => crate::dynamic::json::has_flags(registry, layout),
        false => Vec::new(),
    };
    let fields = layout.fields.iter().filter(|field| match &field.place {
        Place::Slot { ty, .. } => !is_runtimes(registry, ty),
        Place::Group(_) => true,
    });
    let fields = fields.filter(|field| flags.iter().all(|(flag, _)| *flag != field.name));
    fields.collect()
}

fn params_type(schema: &MethodInfo) -> Type {
    let (id, brand) = &schema.method.params;
    Type::Struct(*id, brand.within(&schema.brand))
}

fn results_type(schema: &MethodInfo) -> Type {
    let (id, brand) = &schema.method.results;
    Type::Struct(*id, brand.within(&schema.brand))
}

/// Returns a function that writes a message of type `ty` as JSON, for logs.
fn show(registry: &Arc<Registry>, ty: Type) -> StaticOrShared<rt::Show> {
    let registry = registry.clone();
    let show = move |message: any_pointer::Reader<'_>, writer: &mut dyn fmt::Write| {
        let options = core::options();
        let converter = Converter::new(&registry, &options);
        match converter.read(message, &ty, &mut Unnamed, "message") {
            Ok(json) => write!(writer, "{json}"),
            Err(error) => write!(writer, "(cannot be shown: {error})"),
        }
    };
    StaticOrShared::Shared(Arc::new(show))
}

/// Handles that write capabilities to a log as the typed interfaces do.
struct Unnamed;

impl Handles for Unnamed {
    fn import(
        &mut self,
        _hook: Box<dyn ClientHook>,
        _interface: Option<(u64, &Brand)>,
        _field: &str,
    ) -> Result<serde_json::Value> {
        Ok("<external capability>".into())
    }

    fn export(
        &mut self,
        _handle: &serde_json::Value,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        Err(Error::conversion(field, "an object cannot be given here"))
    }
}
