//! The choice of the schema for a peer: a built-in one of Bitcoin Core, those that the user gives,
//! or both.
//!
//! Knows schemas and where they come from; nothing of connections or calls.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin_ipc::dynamic::core::is_core;
use bitcoin_ipc::dynamic::schema::model::{Brand, Kind, Node, Place, Type};
use bitcoin_ipc::dynamic::schema::{Registry, Sources};
use bitcoin_ipc::{Error, Generation};

use crate::args::Options;
use crate::ui::errors::Failure;

/// The newest generation, whose schema is used until the peer's generation is known.
pub(crate) const NEWEST: Generation = Generation::NEWEST;

/// The interface that a Core process serves first.
pub(crate) const INIT: &str = "Init";

/// The schemas of the interfaces that the program knows.
pub(crate) struct Schemas {
    /// The schemas of `--schema`, each with its path. Read once: it may be a pipe.
    given: Vec<(PathBuf, Sources)>,
    /// The user's schema, where it has a bootstrap interface of its own.
    own: Option<Schema>,
    loaded: Mutex<HashMap<Generation, Schema>>,
    /// The generation that `--core` sets.
    pub(crate) fixed: Option<Generation>,
}

/// A schema and its bootstrap interface.
#[derive(Clone)]
pub(crate) struct Schema {
    pub(crate) registry: Arc<Registry>,
    pub(crate) root: Arc<Node>,
    /// The generation of Bitcoin Core; `None` for a program with a bootstrap interface of its own.
    pub(crate) generation: Option<Generation>,
    /// The interfaces of which `root` is only the first, where nothing tells which of them a peer
    /// serves first.
    pub(crate) candidates: Vec<String>,
}

impl Schemas {
    pub(crate) fn load(options: &Options) -> Result<Self, Failure> {
        let mut this = Self {
            given: Vec::new(),
            own: None,
            loaded: Mutex::default(),
            fixed: options.core.0,
        };
        if options.schema.is_empty() {
            return match (&options.init, options.import_path.as_slice()) {
                (Some(_), _) => Err(Failure::usage("--init is for a schema of --schema")
                    .hint("a Core process serves Init first")),
                (None, [_, ..]) => Err(Failure::usage("--import-path is for a schema of --schema")
                    .hint("name the schema whose imports are searched there with --schema PATH")),
                (None, []) => Ok(this),
            };
        }
        for path in &options.schema {
            let sources = Sources::read(path, &options.import_path);
            let sources = sources.map_err(|error| refused(path, &error))?;
            this.given.push((path.clone(), sources));
        }
        let mut registry = Registry::new();
        this.add_given(&mut registry)?;
        let Some(root) = root_of(&registry, options.init.as_deref())? else {
            return Ok(this);
        };
        if options.init.is_some() || root.node.id != init_of(&core(NEWEST)?)?.id {
            this.own = Some(Schema {
                candidates: root.candidates,
                ..Schema::new(registry, root.node, None)
            });
        }
        Ok(this)
    }

    /// Returns the schema of a peer of this generation.
    pub(crate) fn of(&self, generation: Generation) -> Result<Schema, Failure> {
        if let Some(own) = &self.own {
            return Ok(own.clone());
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = loaded.get(&generation) {
            return Ok(schema.clone());
        }
        let mut registry = core(generation)?;
        self.add_given(&mut registry)?;
        let root = init_of(&registry)?;
        let schema = Schema::new(registry, root, Some(generation));
        loaded.insert(generation, schema.clone());
        Ok(schema)
    }

    /// Returns the schema to read words by while the peer's generation is not known.
    pub(crate) fn assumed(&self) -> Result<Schema, Failure> {
        self.of(self.fixed.unwrap_or(NEWEST))
    }

    fn add_given(&self, registry: &mut Registry) -> Result<(), Failure> {
        for (path, sources) in &self.given {
            let added = registry.add_sources(sources);
            added.map_err(|error| refused(path, &error))?;
        }
        Ok(())
    }
}

/// Returns the interfaces that the user's schemas declare and that nothing returns, by name.
pub(crate) fn others(schema: &Schema) -> Vec<Arc<Node>> {
    let reachable: HashSet<u64> = schema.interfaces().iter().map(|node| node.id).collect();
    let mut others = declared(&schema.registry);
    others.retain(|node| {
        let is_theirs = schema.generation.is_none() || !is_core(node.file);
        is_theirs && !reachable.contains(&node.id)
    });
    others
}

/// Returns the failure of a schema that cannot be used.
fn refused(path: &Path, error: &Error) -> Failure {
    let text = error.to_string();
    let hint = match () {
        () if text.contains("Import failed: /") => {
            "-I DIR names a folder in which imports that begin with / are searched"
        }
        () if text.contains("Import failed: ") => {
            "a relative import is searched beside the file that has it"
        }
        () if text.contains("capnp compile: ") => {
            "it takes what `capnp compile` takes, with -I DIR for imports that begin with /"
        }
        () => "it takes a .capnp file, a compiled one (capnp compile -o-), or a folder of them",
    };
    // The compiler's error names the file, which may be another one.
    let message = match text.strip_prefix("capnp compile: ") {
        Some(text) => format!("--schema: {text}"),
        None => format!("--schema {}: {text}", path.display()),
    };
    Failure::usage(message).hint(hint)
}

/// An interface that a peer serves first, and the others that it may serve in its place.
struct Root {
    node: Arc<Node>,
    candidates: Vec<String>,
}

impl Root {
    fn certain(node: &Arc<Node>) -> Self {
        Self {
            node: node.clone(),
            candidates: Vec::new(),
        }
    }
}

/// Returns the interface that a peer of the user's schema serves first: the one called `name`, or the one
/// that swaps thread maps, or in a schema without any the one to which no other leads, with all of these
/// where there are several. `None` for a schema that adds to Core's.
fn root_of(registry: &Registry, name: Option<&str>) -> Result<Option<Root>, Failure> {
    let interfaces = declared(registry);
    if let Some(name) = name {
        let root = registry.find_interface(name).map_err(|error| {
            Failure::usage(format!("--init {name}: {error}"))
                .hint(format!("it is one of {}", names_of(&interfaces)))
        })?;
        return Ok(Some(Root::certain(&root)));
    }
    let swap = interfaces.iter().filter(|node| swaps(registry, node));
    let swap = leading(registry, swap.cloned().collect());
    match swap.as_slice() {
        [] => {}
        [root] => return Ok(Some(Root::certain(root))),
        several => {
            let named = several.iter().find(|node| node.name == INIT);
            let root = named.ok_or_else(|| {
                Failure::usage(format!(
                    "the schema has several bootstrap interfaces: {}",
                    names_of(several)
                ))
                .hint("name the one that the peer serves with --init")
            })?;
            return Ok(Some(Root::certain(root)));
        }
    }
    let is_plain = |node: &Arc<Node>| {
        let methods = registry.methods(node.id, &Brand::default());
        let is_threaded = |id: u64| has_param(registry, id, "Context");
        !is_core(node.file)
            && methods.is_ok_and(|all| !all.iter().any(|info| is_threaded(info.method.params.0)))
    };
    if !interfaces.iter().all(is_plain) {
        return Ok(None);
    }
    let first = leading(registry, interfaces);
    let names = first.iter().map(|node| node.name.clone()).collect();
    Ok(match first.as_slice() {
        [] => None,
        [root] => Some(Root::certain(root)),
        [root, ..] => Some(Root {
            node: root.clone(),
            candidates: names,
        }),
    })
}

/// Returns those of the interfaces that none of the others leads to, or all where each is led to.
fn leading(registry: &Registry, interfaces: Vec<Arc<Node>>) -> Vec<Arc<Node>> {
    let mut led = HashSet::new();
    for node in &interfaces {
        let others = registry.reachable(node.id).into_iter();
        led.extend(others.map(|other| other.id).filter(|id| *id != node.id));
    }
    let free = interfaces.iter().filter(|node| !led.contains(&node.id));
    let free: Vec<_> = free.cloned().collect();
    if free.is_empty() { interfaces } else { free }
}

/// Returns the interfaces of the files that the schema was made for, by name; none of the runtime's.
fn declared(registry: &Registry) -> Vec<Arc<Node>> {
    let is_runtimes = |node: &Node| {
        let ty = Type::Interface(node.id, Brand::default());
        ["Thread", "ThreadMap"]
            .iter()
            .any(|name| registry.is_proxy(&ty, name))
    };
    let nodes = registry.nodes().filter(|node| {
        matches!(node.kind, Kind::Interface(_))
            && registry.is_requested(node.file)
            && !is_runtimes(node)
    });
    let mut nodes: Vec<_> = nodes.cloned().collect();
    nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    nodes
}

fn core(generation: Generation) -> Result<Registry, Failure> {
    Ok(Registry::core(generation)?)
}

fn init_of(registry: &Registry) -> Result<Arc<Node>, Failure> {
    Ok(registry.find_interface(INIT)?)
}

fn names_of(nodes: &[Arc<Node>]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.join(", ")
}

/// Whether an interface swaps thread maps, as a process's bootstrap interface does.
fn swaps(registry: &Registry, node: &Node) -> bool {
    let Kind::Interface(body) = &node.kind else {
        return false;
    };
    let mut methods = body.methods.iter();
    methods.any(|method| has_param(registry, method.params.0, "ThreadMap"))
}

/// Whether one of a method's parameters is this type of the runtime's.
fn has_param(registry: &Registry, params: u64, name: &str) -> bool {
    registry.structure(params).is_ok_and(|(_, params)| {
        params.fields.iter().any(|field| match &field.place {
            Place::Slot { ty, .. } => registry.is_proxy(ty, name),
            Place::Group(_) => false,
        })
    })
}
