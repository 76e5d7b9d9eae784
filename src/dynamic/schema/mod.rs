//! Schemas at run time: their declarations, and the lookup of these by id and by name.
//!
//! Knows compiled requests and the `capnp` tool that makes them of sources; nothing of messages,
//! JSON or calls.

mod load;
pub mod model;
mod names;
pub(in crate::dynamic) use self::names::did_you_mean;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::model::{Brand, Interface, Kind, Method, Node, Place, Struct, Type};
pub use self::source::compile;
use crate::error::{Error, Result};
use crate::generation::Generation;

/// The file id of `/mp/proxy.capnp`.
const PROXY_FILE: u64 = 0xcc31_6e3f_71a0_40fb;

/// The declarations of schemas. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    nodes: HashMap<u64, Arc<Node>>,
    /// The request that each node came with; names are looked up in the latest first.
    layers: HashMap<u64, usize>,
    layer: usize,
}

/// A method with what is needed to call it.
#[derive(Debug, Clone)]
pub struct MethodInfo {
    /// The interface that declares it.
    pub interface: Arc<Node>,
    /// Its ordinal on the wire.
    pub ordinal: u16,
    /// Its declaration.
    pub method: Method,
    /// The bindings of its interface's type parameters.
    pub brand: Brand,
}

impl MethodInfo {
    /// Returns its name with its interface's, such as `Mining.getTip`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.interface.name, self.method.name)
    }
}

impl Registry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the schemas of a generation of Bitcoin Core.
    ///
    /// # Errors
    /// None in practice: the schemas are part of the program, and tests load them.
    pub fn core(generation: Generation) -> Result<Self> {
        let mut registry = Self::new();
        registry.add(generation.compiled(), &generation.to_string())?;
        Ok(registry)
    }

    /// Adds a compiled request, such as `capnp compile -o-` writes it. Existing nodes with the same
    /// id are replaced, and so is the whole of each file that it was made for. `name` is for
    /// errors.
    ///
    /// # Errors
    /// [`Error::Conversion`] when it is no compiled request or contradicts itself.
    pub fn add(&mut self, bytes: &[u8], name: &str) -> Result<()> {
        let loaded = load::load(bytes, name)?;
        self.layer += 1;
        self.nodes
            .retain(|_, node| !loaded.files.contains(&node.file));
        for node in loaded.nodes {
            self.layers.insert(node.id, self.layer);
            self.nodes.insert(node.id, Arc::new(node));
        }
        Ok(())
    }

    /// Adds the schemas at a path: a compiled request, a `.capnp` file, or a folder of these, whose
    /// sources are compiled with the `capnp` tool.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Conversion`] when it is malformed;
    /// [`Error::Usage`] when the `capnp` tool is needed and missing, or refuses the sources.
    pub fn add_path(&mut self, path: &std::path::Path) -> Result<()> {
        for (bytes, name) in source::requests(path)? {
            self.add(&bytes, &name)?;
        }
        Ok(())
    }

    /// Returns the node with this id.
    pub fn node(&self, id: u64) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// Returns all nodes, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// Returns the struct with this id.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the schema has no such struct.
    pub fn structure(&self, id: u64) -> Result<(&Node, &Struct)> {
        match self.nodes.get(&id).map(|node| (&**node, &node.kind)) {
            Some((node, Kind::Struct(body))) => Ok((node, body)),
            other => Err(lacks(id, "struct", other.is_some())),
        }
    }

    /// Returns the interface with this id.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the schema has no such interface.
    pub fn interface(&self, id: u64) -> Result<(&Arc<Node>, &Interface)> {
        match self.nodes.get(&id).map(|node| (node, &node.kind)) {
            Some((node, Kind::Interface(body))) => Ok((node, body)),
            other => Err(lacks(id, "interface", other.is_some())),
        }
    }

    /// Returns an interface's own methods, then those it inherits, each once.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the schema lacks one that it extends.
    pub fn methods(&self, id: u64, brand: &Brand) -> Result<Vec<MethodInfo>> {
        let mut methods = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![(id, brand.clone())];
        while let Some((id, brand)) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let (node, body) = self.interface(id)?;
            for (ordinal, method) in (0..=u16::MAX).zip(&body.methods) {
                methods.push(MethodInfo {
                    interface: node.clone(),
                    ordinal,
                    method: method.clone(),
                    brand: brand.clone(),
                });
            }
            let supers = body.superclasses.iter().rev();
            open.extend(supers.map(|(id, bound)| (*id, bound.within(&brand))));
        }
        Ok(methods)
    }

    /// Whether this is the type `name` of `/mp/proxy.capnp`, which the runtime handles.
    pub fn is_proxy(&self, ty: &Type, name: &str) -> bool {
        let (Type::Struct(id, _) | Type::Interface(id, _)) = ty else {
            return false;
        };
        self.nodes
            .get(id)
            .is_some_and(|node| node.scope == PROXY_FILE && node.name == name)
    }

    /// Returns the interfaces that methods of `root` return, directly or through others, `root`
    /// first.
    pub fn reachable(&self, root: u64) -> Vec<Arc<Node>> {
        let mut found: Vec<Arc<Node>> = Vec::new();
        let mut open = std::collections::VecDeque::from([root]);
        let mut seen = HashSet::new();
        while let Some(id) = open.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            let Ok((node, _)) = self.interface(id) else {
                continue;
            };
            if node.scope == PROXY_FILE {
                continue;
            }
            found.push(node.clone());
            let methods = self.methods(id, &Brand::default()).unwrap_or_default();
            for method in methods {
                let results = self.structure(method.method.results.0);
                for field in results.iter().flat_map(|(_, body)| &body.fields) {
                    match &field.place {
                        Place::Slot {
                            ty: Type::Interface(id, _),
                            ..
                        } => open.push_back(*id),
                        Place::Slot {
                            ty: Type::List(element),
                            ..
                        } => {
                            if let Type::Interface(id, _) = **element {
                                open.push_back(id);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        found
    }

    /// Returns a type's name in the schema language, without the bindings of its parameters.
    pub fn type_name(&self, ty: &Type) -> String {
        let named = |id: &u64| match self.nodes.get(id) {
            Some(node) => node.name.clone(),
            None => format!("@{id:#x}"),
        };
        match ty {
            Type::List(element) => format!("List({})", self.type_name(element)),
            Type::Enum(id) | Type::Struct(id, _) | Type::Interface(id, _) => named(id),
            Type::Parameter(id, index) => {
                let node = self.nodes.get(id);
                let name = node.and_then(|node| node.parameters.get(usize::from(*index)));
                name.map_or_else(|| "AnyPointer".to_owned(), Clone::clone)
            }
            simple => format!("{simple:?}"),
        }
    }

    /// Returns the interface with this name, whatever the case. Of several the one added last is
    /// taken; of several that came together, the one with exactly this name.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name, or when several match.
    pub fn find_interface(&self, name: &str) -> Result<Arc<Node>> {
        self.find(name, "interface", |kind| matches!(kind, Kind::Interface(_)))
    }

    /// Returns the interface, struct, enum or constant of this name.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::find_interface`].
    pub fn find_type(&self, name: &str) -> Result<Arc<Node>> {
        self.find(name, "type", |kind| {
            !matches!(kind, Kind::File | Kind::Annotation)
        })
    }

    fn find(&self, name: &str, what: &str, wanted: impl Fn(&Kind) -> bool) -> Result<Arc<Node>> {
        let mut found: Vec<&Arc<Node>> = self
            .nodes
            .values()
            .filter(|node| wanted(&node.kind) && node.name.eq_ignore_ascii_case(name))
            .collect();
        let layer = |node: &Node| self.layers.get(&node.id).copied();
        let latest = found.iter().map(|node| layer(node)).max().flatten();
        found.retain(|node| layer(node) == latest);
        if found.len() > 1 && found.iter().any(|node| node.name == name) {
            found.retain(|node| node.name == name);
        }
        match *found {
            [node] => Ok(node.clone()),
            [] => {
                let names = self.nodes.values().filter(|node| wanted(&node.kind));
                let names = names.map(|node| node.name.as_str());
                Err(Error::Usage(format!(
                    "no {what} is called {name:?}{}",
                    did_you_mean(name, names)
                )))
            }
            _ => {
                let mut files: Vec<&str> = found
                    .iter()
                    .filter_map(|node| Some(self.nodes.get(&node.file)?.name.as_str()))
                    .collect();
                files.sort_unstable();
                Err(Error::Usage(format!(
                    "several are called {name:?}, in {}",
                    files.join(" and ")
                )))
            }
        }
    }

    /// Returns a method of an interface by its name, also one that the interface inherits.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name.
    pub fn method_of(&self, interface: u64, brand: &Brand, name: &str) -> Result<MethodInfo> {
        let (node, _) = self.interface(interface)?;
        let methods = self.methods(interface, brand)?;
        let exact = methods.iter().find(|method| method.method.name == name);
        if let Some(method) = exact {
            return Ok(method.clone());
        }
        let names = methods.iter().map(|method| method.method.name.as_str());
        Err(Error::Usage(format!(
            "{} has no method {name:?}{}",
            node.name,
            did_you_mean(name, names)
        )))
    }

    /// Returns the method that `Interface.method` names, or `method` where only one of `interfaces`
    /// has it.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name, or when several match.
    pub fn find_method(&self, path: &str, interfaces: &[Arc<Node>]) -> Result<MethodInfo> {
        if let Some((interface, method)) = path.rsplit_once('.') {
            let node = self.find_interface(interface)?;
            return self.method_of(node.id, &Brand::default(), method);
        }
        let mut all = Vec::new();
        for node in interfaces {
            all.extend(self.methods(node.id, &Brand::default())?);
        }
        // An inherited method is found with each interface that inherits it.
        all.sort_by_key(|method| (method.interface.id, method.ordinal));
        all.dedup_by_key(|method| (method.interface.id, method.ordinal));
        let mut found = all.iter().filter(|method| method.method.name == path);
        match (found.next(), found.next()) {
            (Some(method), None) => Ok(method.clone()),
            (None, _) => {
                let names = all.iter().map(|method| method.method.name.as_str());
                Err(Error::Usage(format!(
                    "no method is called {path:?}{}",
                    did_you_mean(path, names)
                )))
            }
            (Some(_), Some(_)) => {
                let mut names: Vec<String> = all
                    .iter()
                    .filter(|method| method.method.name == path)
                    .map(MethodInfo::full_name)
                    .collect();
                names.sort();
                Err(Error::Usage(format!(
                    "several methods are called {path:?}: {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Returns a method as the schema language has it, without the parameters that the runtime
    /// fills in, such as `echo @1 (echo :Text) -> (result :Text)`. `default` shows a field's
    /// default, where it has one: it gets the field's type and default.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the schema lacks its parameters.
    pub fn signature(
        &self,
        method: &MethodInfo,
        default: &dyn Fn(&Type, &model::Value) -> Option<String>,
    ) -> Result<String> {
        let (_, params) = self.structure(method.method.params.0)?;
        let (_, results) = self.structure(method.method.results.0)?;
        Ok(format!(
            "{} @{} ({}) -> ({})",
            method.method.name,
            method.ordinal,
            self.fields(params, default),
            self.fields(results, default)
        ))
    }

    fn fields(
        &self,
        layout: &Struct,
        default: &dyn Fn(&Type, &model::Value) -> Option<String>,
    ) -> String {
        let fields = layout.fields.iter().filter_map(|field| match &field.place {
            Place::Slot { ty, .. } if self.is_proxy(ty, "Context") => None,
            Place::Slot {
                ty, default: value, ..
            } => {
                let value = default(ty, value).map(|value| format!(" = {value}"));
                let value = value.unwrap_or_default();
                Some(format!("{} :{}{value}", field.name, self.type_name(ty)))
            }
            Place::Group(_) => Some(format!("{} :group", field.name)),
        });
        fields.collect::<Vec<_>>().join(", ")
    }
}

fn lacks(id: u64, what: &str, other: bool) -> Error {
    let reason = if other {
        format!("is no {what}")
    } else {
        format!("is missing: the schema refers to this {what} and does not contain it")
    };
    Error::conversion(format!("@{id:#018x}"), reason)
}
