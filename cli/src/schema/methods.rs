//! Methods that can be called, by the names that users write, as a schema at run time has them.
//!
//! Knows schemas, names and parameters; nothing of where objects are or how results are printed.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bitcoin_ipc::Generation;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::json::{Meaning, Owner, Rule};
use bitcoin_ipc::dynamic::schema::model::{Brand, Field, Node, Place, Type};
use bitcoin_ipc::dynamic::schema::{MethodInfo, Registry};

use crate::schema::choice::Schema;
use crate::ui::errors::Failure;

/// A method as users call it: `context` and `threadMap` are not among its parameters.
#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) info: MethodInfo,
    pub(crate) params: Vec<Param>,
    /// The interface of the object that it returns, if that is all it returns.
    pub(crate) returns: Option<u64>,
    /// Whether it has results at all.
    pub(crate) has_result: bool,
}

/// A parameter.
#[derive(Clone)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// Its type's name in the schema.
    pub(crate) kind: String,
    /// Whether it may be left out.
    pub(crate) optional: bool,
}

/// The object that a call starts from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// The bootstrap interface.
    Root,
    /// An object of this interface, which the bootstrap interface's method of this name makes.
    Made(String, u64),
    /// An object that the user holds.
    Held(String),
}

impl Method {
    pub(crate) fn of(schema: &Schema, info: MethodInfo) -> Result<Self, Failure> {
        let registry = &schema.registry;
        let full_name = info.full_name();
        let is_core = core::is_core(info.interface.file);
        let newest = core::newest_defaults(schema.generation, &info);
        let (_, layout) = registry.structure(info.method.params.0)?;
        let brand = info.method.params.1.within(&info.brand);
        let mut params = Vec::new();
        for field in visible(registry, &layout.fields) {
            let (ty, kind, default) = match &field.place {
                Place::Slot { ty, default, .. } => {
                    let kind = registry.type_name(&info.brand.bind(ty));
                    (brand.close(ty), kind, !default.is_zero())
                }
                Place::Group(id) => (Type::Struct(*id, brand.clone()), "group".to_owned(), true),
            };
            // Of a union's members one is given at most.
            let optional = default
                || field.discriminant.is_some()
                || matches!(ty, Type::Struct(..) | Type::Void)
                || newest.contains(&field.name)
                || is_core && core::OPTIONAL.contains(&(full_name.as_str(), field.name.as_str()));
            params.push(Param {
                name: field.name.clone(),
                kind,
                ty,
                optional,
            });
        }
        let (_, layout) = registry.structure(info.method.results.0)?;
        let brand = info.method.results.1.within(&info.brand);
        let results = visible(registry, &layout.fields);
        let returns = match results.as_slice() {
            [field] => match &field.place {
                Place::Slot { ty, .. } => match brand.close(ty) {
                    Type::Interface(id, _) => Some(id),
                    _ => None,
                },
                Place::Group(_) => None,
            },
            _ => None,
        };
        let has_result = !results.is_empty();
        Ok(Self {
            params,
            returns,
            has_result,
            info,
        })
    }

    pub(crate) fn full_name(&self) -> String {
        self.info.full_name()
    }

    /// Returns the meaning of a parameter by a rule.
    pub(crate) fn meaning(&self, param: &Param, rule: Rule) -> Meaning {
        let name = self.full_name();
        rule(
            Owner::new(&name, self.info.interface.file),
            &param.name,
            &param.ty,
        )
    }

    pub(crate) fn name(&self) -> &str {
        &self.info.method.name
    }

    /// Returns a line that shows how the method is called.
    pub(crate) fn usage(&self) -> String {
        let params = self
            .params
            .iter()
            .map(|param| format!(" {}", param.usage()));
        format!(
            "usage: call {}{}",
            self.full_name(),
            params.collect::<String>()
        )
    }
}

impl Param {
    /// Returns the form in which the parameter is given.
    pub(crate) fn usage(&self) -> String {
        let (open, close) = if self.optional { ("[", "]") } else { ("", "") };
        format!("{open}{}={}{close}", self.name, self.kind.to_uppercase())
    }
}

/// Returns the fields that users see: all but the runtime's.
fn visible<'f>(registry: &Registry, fields: &'f [Field]) -> Vec<&'f Field> {
    let own = fields.iter().filter(|field| match &field.place {
        Place::Slot { ty, .. } => {
            !registry.is_proxy(ty, "Context") && !registry.is_proxy(ty, "ThreadMap")
        }
        Place::Group(_) => true,
    });
    own.collect()
}

impl Schema {
    pub(crate) fn new(registry: Registry, root: Arc<Node>, generation: Option<Generation>) -> Self {
        Self {
            registry: Arc::new(registry),
            root,
            generation,
            candidates: Vec::new(),
        }
    }

    /// Returns the schema of a release.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub(crate) fn of_core(generation: Generation) -> Self {
        let registry = Registry::core(generation).unwrap();
        let root = registry
            .find_interface(crate::schema::choice::INIT)
            .unwrap();
        Self::new(registry, root, Some(generation))
    }

    /// Fails where nothing tells which interface a peer serves first.
    pub(crate) fn check_root(&self) -> Result<(), Failure> {
        match self.candidates.as_slice() {
            [] => Ok(()),
            names => Err(Failure::usage(format!(
                "the schema has several interfaces that a program may serve first: {}",
                names.join(", ")
            ))
            .hint("name the one that the peer serves with --init")),
        }
    }

    /// Returns the methods of an interface that users may call: those that the runtime calls are
    /// not.
    pub(crate) fn methods(&self, interface: u64) -> Result<Vec<Method>, Failure> {
        let mut methods = Vec::new();
        for info in self.registry.methods(interface, &Brand::default())? {
            let (_, layout) = self.registry.structure(info.method.params.0)?;
            let swaps = layout.fields.iter().any(|field| match &field.place {
                Place::Slot { ty, .. } => self.registry.is_proxy(ty, "ThreadMap"),
                Place::Group(_) => false,
            });
            if !swaps && info.method.name != "destroy" {
                methods.push(Method::of(self, info)?);
            }
        }
        Ok(methods)
    }

    /// Returns the interfaces that can be reached, the bootstrap one first.
    pub(crate) fn interfaces(&self) -> Vec<Arc<Node>> {
        self.registry.reachable(self.root.id)
    }

    /// Returns the method of the bootstrap interface that makes an object of this interface.
    pub(crate) fn maker(&self, interface: u64) -> Result<Option<Method>, Failure> {
        let mut methods = self.methods(self.root.id)?.into_iter();
        Ok(methods.find(|method| method.returns == Some(interface)))
    }

    /// Returns the interfaces whose methods can be named alone: the bootstrap one and those that it
    /// makes.
    pub(crate) fn named_alone(&self) -> Result<Vec<u64>, Failure> {
        let mut found = vec![self.root.id];
        for method in self.methods(self.root.id)? {
            if let Some(id) = method.returns.filter(|id| !found.contains(id)) {
                found.push(id);
            }
        }
        Ok(found)
    }

    pub(crate) fn name_of(&self, interface: u64) -> String {
        let node = self.registry.node(interface);
        node.map_or_else(|| "?".to_owned(), |node| node.name.clone())
    }

    /// Returns the path of method names that leads from the bootstrap interface to one of its
    /// objects' interfaces: `Mining.createNewBlock` for `BlockTemplate`; empty where the name of
    /// the interface is enough.
    pub(crate) fn route(&self, interface: u64) -> Result<Option<String>, Failure> {
        if interface == self.root.id || self.maker(interface)?.is_some() {
            return Ok(Some(String::new()));
        }
        let mut open: VecDeque<(u64, String)> = VecDeque::new();
        let mut seen = HashSet::new();
        for id in self.named_alone()? {
            open.push_back((id, self.name_of(id)));
        }
        while let Some((id, path)) = open.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            for method in self.methods(id)? {
                let joint = if path.contains('.') { '/' } else { '.' };
                let next = format!("{path}{joint}{}", method.name());
                match method.returns {
                    Some(found) if found == interface => return Ok(Some(next)),
                    Some(other) => open.push_back((other, next)),
                    None => {}
                }
            }
        }
        Ok(None)
    }

    /// Returns the methods that `A.b/c/d` names, each on the object that the one before it returns,
    /// and the object that they start from. `on` is an object that is held and its interface;
    /// without one the path starts in `A`, or in the only interface that has the method.
    pub(crate) fn resolve(
        &self,
        path: &str,
        on: Option<(&str, u64)>,
    ) -> Result<(Start, Vec<Method>), Failure> {
        let mut names = path.split('/');
        let first = names.next().unwrap_or_default();
        let (start, mut method) = match on {
            Some((handle, interface)) => {
                (Start::Held(handle.to_owned()), self.find(interface, first)?)
            }
            None => {
                let (interface, method) = self.named(first)?;
                (self.start(interface, &method, path)?, method)
            }
        };
        let mut steps = Vec::new();
        for name in names {
            let interface = method.returns.ok_or_else(|| {
                Failure::usage(format!(
                    "{} returns no object to call {name:?} on",
                    method.full_name()
                ))
                .hint("in A.b/c, b returns the object whose method c is")
            })?;
            let next = self.find(interface, name)?;
            steps.push(std::mem::replace(&mut method, next));
        }
        steps.push(method);
        Ok((start, steps))
    }

    /// Returns the method that `A.b`, or `b` alone, names, and the interface it was found in.
    pub(crate) fn named(&self, name: &str) -> Result<(u64, Method), Failure> {
        match name.rsplit_once('.') {
            Some((interface, method)) => {
                let id = self.interface(interface)?.id;
                Ok((id, self.find(id, method)?))
            }
            None => self.only(name),
        }
    }

    fn start(&self, interface: u64, method: &Method, path: &str) -> Result<Start, Failure> {
        if interface == self.root.id {
            return Ok(Start::Root);
        }
        let name = self.name_of(interface);
        let root = &self.root.name;
        match self.maker(interface)? {
            Some(maker) if maker.params.iter().all(|param| param.optional) => {
                Ok(Start::Made(maker.name().to_owned(), interface))
            }
            Some(maker) => Err(Failure::usage(format!(
                "{} needs parameters, so {name} is not made for you",
                maker.full_name()
            ))
            .hint(in_a_session(&maker, method.name()))),
            None => {
                let failure = Failure::usage(format!("{root} makes no {name}"));
                let rest = path.split_once('/').map(|(_, rest)| format!("/{rest}"));
                Err(match self.route(interface)? {
                    Some(route) => failure.hint(format!(
                        "call it on what makes one: {route}/{}{}",
                        method.name(),
                        rest.unwrap_or_default()
                    )),
                    None => failure.hint(format!(
                        "`describe {name}.{}` shows how such an object is had",
                        method.name()
                    )),
                })
            }
        }
    }

    /// Returns the interface with this name, whatever its case.
    pub(crate) fn interface(&self, name: &str) -> Result<Arc<Node>, Failure> {
        self.registry.find_interface(name).map_err(|error| {
            let interfaces = self.interfaces();
            let names: Vec<_> = interfaces.iter().map(|node| node.name.as_str()).collect();
            match error.to_string() {
                several if several.starts_with("several") => {
                    Failure::usage(several).hint("give the schema of one of them")
                }
                _ => Failure::usage(format!("unknown interface {name:?}"))
                    .hint(suggest(name, &names)),
            }
        })
    }

    pub(crate) fn find(&self, interface: u64, name: &str) -> Result<Method, Failure> {
        let methods = self.methods(interface)?;
        let found = methods.iter().find(|method| method.name() == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<_> = methods.iter().map(Method::name).collect();
            let of = self.name_of(interface);
            Failure::usage(format!("{of} has no method {name:?}")).hint(suggest(name, &names))
        })
    }

    fn only(&self, name: &str) -> Result<(u64, Method), Failure> {
        let mut all = Vec::new();
        for interface in self.named_alone()? {
            let methods = self.methods(interface)?.into_iter();
            all.extend(methods.map(|method| (interface, method)));
        }
        let mut found: Vec<_> = all
            .iter()
            .filter(|(_, method)| method.name() == name)
            .collect();
        if found.is_empty() {
            // A method of an object that another one makes: the hint tells how to get it.
            for node in self.interfaces() {
                if let Ok(method) = self.find(node.id, name) {
                    return Ok((node.id, method));
                }
            }
        }
        match (found.pop(), found.as_slice()) {
            (Some(method), []) => Ok(method.clone()),
            (None, _) => {
                let names: Vec<_> = all.iter().map(|(_, method)| method.name()).collect();
                Err(Failure::usage(format!("unknown method {name:?}")).hint(suggest(name, &names)))
            }
            (Some(last), _) => {
                let names = found.into_iter().chain([last]);
                let names: Vec<_> = names
                    .map(|(id, method)| format!("{}.{}", self.name_of(*id), method.name()))
                    .collect();
                Err(
                    Failure::usage(format!("several interfaces have a method {name:?}"))
                        .hint(format!("name one: {}", names.join(", "))),
                )
            }
        }
    }
}

/// Returns the hint on how to call a method of an object whose maker needs parameters.
pub(crate) fn in_a_session(maker: &Method, path: &str) -> String {
    let method = path.rsplit('/').next().unwrap_or_default();
    let maker = maker.full_name();
    format!("make it in a session: x = {maker} …, then x.{method} …")
}

/// Suggests the nearest of the names, or lists all of them.
pub(crate) fn suggest(name: &str, names: &[&str]) -> String {
    let distance =
        |other: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    match names.iter().min_by_key(distance) {
        Some(near) if distance(&near) <= 1 + near.len() / 3 => format!("did you mean {near}?"),
        Some(_) => format!("it is one of {}", names.join(", ")),
        None => "it has no methods to call".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::schema::choice::NEWEST;

    fn steps(path: &str) -> Result<Vec<String>, Failure> {
        let (_, steps) = Schema::of_core(NEWEST).resolve(path, None)?;
        Ok(steps.iter().map(Method::full_name).collect())
    }

    #[test]
    fn paths_are_resolved() {
        assert_eq!(steps("echo").unwrap(), ["Echo.echo"]);
        assert_eq!(steps("eCHO.echo").unwrap(), ["Echo.echo"]);
        assert_eq!(
            steps("Init.makeEcho/echo").unwrap(),
            ["Init.makeEcho", "Echo.echo"]
        );
        assert_eq!(
            steps("mining.createNewBlock/waitNext/getBlock").unwrap(),
            [
                "Mining.createNewBlock",
                "BlockTemplate.waitNext",
                "BlockTemplate.getBlock"
            ]
        );
    }

    #[test]
    fn unknown_names_come_with_the_nearest() {
        for (path, message, hint) in [
            (
                "Ecko.echo",
                "unknown interface \"Ecko\"",
                "did you mean Echo?",
            ),
            (
                "Echo.ecco",
                "Echo has no method \"ecco\"",
                "did you mean echo?",
            ),
            (
                "makeEhco",
                "unknown method \"makeEhco\"",
                "did you mean makeEcho?",
            ),
            (
                "getBlock",
                "Init makes no BlockTemplate",
                "call it on what makes one: Mining.createNewBlock/getBlock",
            ),
        ] {
            let failure = steps(path).unwrap_err();
            assert_eq!(
                (failure.message.as_str(), failure.hint.as_deref()),
                (message, Some(hint))
            );
        }
        assert!(steps("Echo.echo/echo").is_err());
        assert!(steps("Echo.destroy").is_err());
        assert!(steps("Init.construct").is_err());
        assert!(steps("").is_err());
    }

    #[test]
    fn generations_have_their_ordinals() {
        let ordinal = |generation, name| {
            let schema = Schema::of_core(generation);
            let method = schema.named(name).map(|(_, method)| method.info.ordinal);
            method.ok()
        };
        assert_eq!(ordinal(Generation::Core30, "makeMining"), Some(2));
        assert_eq!(ordinal(Generation::Core31, "makeMining"), Some(3));
        assert_eq!(ordinal(Generation::Core30, "submitBlock"), None);
        let submit = "BlockTemplate.submitSolution";
        assert_eq!(ordinal(Generation::Core30, submit), Some(9));
        assert_eq!(ordinal(Generation::Core31, submit), Some(7));
        assert_eq!(ordinal(Generation::Core32, submit), Some(10));
    }
}
