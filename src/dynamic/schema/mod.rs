//! Schemas at run time: their declarations, and the lookup of these by id and by name.
//!
//! Knows compiled requests and the `capnp` tool that makes them of sources; nothing of messages,
//! JSON or calls.

mod complaint;
mod load;
pub mod model;
mod names;
pub(in crate::dynamic) use self::names::did_you_mean;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tool;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::model::{Brand, Interface, Kind, Method, Node, Nodes, PROXY_FILE, Place, Struct, Type};
pub use self::source::{Sources, compile};
use crate::error::{Error, Result};
use crate::generation::Generation;

/// The declarations of schemas. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    nodes: Nodes,
    /// The request that each node came with; names are looked up in the latest first.
    layers: HashMap<u64, usize>,
    layer: usize,
    /// The files that requests were made for.
    files: HashSet<u64>,
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
        self.put(loaded);
        Ok(())
    }

    fn put(&mut self, loaded: load::Loaded) {
        self.nodes
            .retain(|_, node| !loaded.files.contains(&node.file));
        for node in loaded.nodes {
            self.layers.insert(node.id, self.layer);
            self.nodes.insert(node.id, Arc::new(node));
        }
        self.files.extend(loaded.files);
    }

    /// Adds the schemas at a path, as [`Sources::read`] reads them.
    ///
    /// # Errors
    /// Returns the errors of [`Sources::read`] and [`Registry::add`].
    pub fn add_path(&mut self, path: &std::path::Path) -> Result<()> {
        self.add_sources(&Sources::read(path, &[])?)
    }

    /// Adds the schemas of a path, all of which are as late as each other where names are looked up.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::add`].
    pub fn add_sources(&mut self, sources: &Sources) -> Result<()> {
        self.layer += 1;
        for (bytes, name) in &sources.requests {
            self.put(load::load(bytes, name)?);
        }
        Ok(())
    }

    /// Whether requests were made for the file with this id, and not only for others that import it.
    pub fn is_requested(&self, file: u64) -> bool {
        self.files.contains(&file)
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
        model::is_proxy(&self.nodes, ty, name)
    }

    /// Returns the interfaces that the results of methods of `root` hold, directly, in structs and
    /// lists or through others, `root` first.
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
                let (id, brand) = &method.method.results;
                let results = Type::Struct(*id, brand.clone());
                open.extend(self.interfaces_in(&results));
            }
        }
        found
    }

    /// Returns the interfaces that values of a type hold, in the order of the source.
    pub fn interfaces_in(&self, ty: &Type) -> Vec<u64> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![ty.clone()];
        while let Some(ty) = open.pop() {
            let (id, brand) = match ty {
                Type::List(element) => {
                    open.push((*element).clone());
                    continue;
                }
                Type::Interface(id, brand) => {
                    found.push(id);
                    (id, brand)
                }
                Type::Struct(id, brand) => (id, brand),
                _ => continue,
            };
            // What the type is bound to, such as `Box(Wallet)`, stands where its parameters do. A type
            // that is bound to ever more of itself ends with its first.
            if !seen.insert(id) {
                continue;
            }
            let fields = match self.structure(id) {
                Ok((_, body)) => body.fields.as_slice(),
                Err(_) => &[],
            };
            for field in fields.iter().rev() {
                open.push(match &field.place {
                    Place::Slot { ty, .. } => brand.close(ty),
                    Place::Group(id) => Type::Struct(*id, brand.clone()),
                });
            }
        }
        found
    }

    /// Returns a type's name in the schema language, such as `List(Box(Text).Lid)`. A name of very many
    /// parts is cut.
    pub fn type_name(&self, ty: &Type) -> String {
        text::type_name(&self.nodes, ty)
    }

    /// Returns the interface with this name, whatever the case. Of several the one added last is
    /// taken; of several that came together, that of a requested file and the one with exactly this name. `FILE.capnp:Name` is the
    /// one of a file.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name, or when several match.
    pub fn find_interface(&self, name: &str) -> Result<Arc<Node>> {
        self.find(name, "interface", |kind| matches!(kind, Kind::Interface(_)))
    }

    /// Returns the interface, struct, enum, constant or annotation of this name. One that is declared in
    /// another has that one's name before it: `Outer.Inner`.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::find_interface`].
    pub fn find_type(&self, name: &str) -> Result<Arc<Node>> {
        self.find(name, "type", |kind| !matches!(kind, Kind::File))
    }

    fn find(&self, name: &str, what: &str, wanted: impl Fn(&Kind) -> bool) -> Result<Arc<Node>> {
        let (file, plain) = match name.rsplit_once(':') {
            Some((file, plain)) => (Some(file), plain),
            None => (None, name),
        };
        let is_of = |node: &Node| {
            file.is_none_or(|file| {
                let of = self.nodes.get(&node.file);
                of.is_some_and(|of| std::path::Path::new(&of.name).ends_with(file))
            })
        };
        let is_called = |node: &Node| node.name.eq_ignore_ascii_case(plain) && is_of(node);
        let nodes = self.nodes.values();
        let mut found: Vec<&Arc<Node>> = nodes
            .filter(|node| wanted(&node.kind) && is_called(node))
            .collect();
        let layer = |node: &Node| self.layers.get(&node.id).copied();
        let latest = found.iter().map(|node| layer(node)).max().flatten();
        found.retain(|node| layer(node) == latest);
        // A file that is only imported does not hide what the others declare.
        if found.iter().any(|node| self.is_requested(node.file)) {
            found.retain(|node| self.is_requested(node.file));
        }
        if found.len() > 1 && found.iter().any(|node| node.name == plain) {
            found.retain(|node| node.name == plain);
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
        self.structure(method.method.params.0)?;
        self.structure(method.method.results.0)?;
        let declared = (&method.method, method.ordinal);
        let text = text::signature(&self.nodes, declared, &method.brand, default);
        Ok(text.unwrap_or_default())
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
