//! The choice of the schema for a peer: a built-in one of Bitcoin Core, those that the user gives,
//! or both.
//!
//! Knows schemas and where they come from; nothing of connections or calls.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin_ipc::Generation;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::{Kind, Node, Place};

use crate::args::Options;
use crate::ui::errors::Failure;

/// The newest generation, whose schema is used until the peer's generation is known.
pub(crate) const NEWEST: Generation = Generation::NEWEST;

/// The interface that a Core process serves first.
pub(crate) const INIT: &str = "Init";

/// The schemas of the interfaces that the program knows.
pub(crate) struct Schemas {
    paths: Vec<PathBuf>,
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
    /// The generation of Bitcoin Core; `None` for a program with an `Init` of its own.
    pub(crate) generation: Option<Generation>,
}

#[cfg(test)]
impl Schema {
    /// Returns the schema of a release.
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub(crate) fn of_core(generation: Generation) -> Self {
        let registry = core(generation).unwrap();
        Self {
            root: init_of(&registry).unwrap(),
            registry: Arc::new(registry),
            generation: Some(generation),
        }
    }
}

impl Schemas {
    pub(crate) fn load(options: &Options) -> Result<Self, Failure> {
        let mut this = Self {
            paths: options.schema.clone(),
            own: None,
            loaded: Mutex::default(),
            fixed: options.core.0,
        };
        if this.paths.is_empty() {
            return match &options.init {
                None => Ok(this),
                Some(_) => Err(Failure::usage("--init is for a schema of --schema")
                    .hint("a Core process serves Init first")),
            };
        }
        let mut registry = Registry::new();
        this.add_paths(&mut registry)?;
        let cores = init_of(&core(NEWEST)?)?.id;
        let mut roots: Vec<_> = registry
            .nodes()
            .filter(|node| is_bootstrap(&registry, node))
            .cloned()
            .collect();
        roots.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(name) = &options.init {
            let names = names_of(&roots);
            roots.retain(|node| node.name.eq_ignore_ascii_case(name));
            if roots.is_empty() {
                let failure =
                    Failure::usage(format!("the schema has no bootstrap interface {name:?}"));
                return Err(failure.hint(format!("it is one of {names}")));
            }
        }
        // An interface that another one leads to is not a process's bootstrap interface.
        let all = roots.clone();
        roots.retain(|node| {
            let leads = |other: &Arc<Node>| {
                let others = registry.reachable(other.id);
                other.id != node.id && others.iter().any(|found| found.id == node.id)
            };
            !all.iter().any(leads)
        });
        let root = match roots.as_slice() {
            [] => return Ok(this),
            [root] => root,
            several => {
                let named = several.iter().find(|node| node.name == INIT);
                named.ok_or_else(|| {
                    Failure::usage(format!(
                        "the schema has several bootstrap interfaces: {}",
                        names_of(several)
                    ))
                    .hint("name the one that the peer serves with --init")
                })?
            }
        };
        if root.id != cores {
            this.own = Some(Schema {
                root: root.clone(),
                registry: Arc::new(registry),
                generation: None,
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
        self.add_paths(&mut registry)?;
        let schema = Schema {
            root: init_of(&registry)?,
            registry: Arc::new(registry),
            generation: Some(generation),
        };
        loaded.insert(generation, schema.clone());
        Ok(schema)
    }

    /// Returns the schema to read words by while the peer's generation is not known.
    pub(crate) fn assumed(&self) -> Result<Schema, Failure> {
        self.of(self.fixed.unwrap_or(NEWEST))
    }

    fn add_paths(&self, registry: &mut Registry) -> Result<(), Failure> {
        for path in &self.paths {
            registry.add_path(path).map_err(|error| {
                Failure::usage(format!("--schema {}: {error}", path.display())).hint(
                    "it takes a compiled file (capnp compile -o-), a .capnp file, or a folder",
                )
            })?;
        }
        Ok(())
    }
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
fn is_bootstrap(registry: &Registry, node: &Node) -> bool {
    let Kind::Interface(body) = &node.kind else {
        return false;
    };
    let swaps = |id: u64| {
        registry.structure(id).is_ok_and(|(_, params)| {
            params.fields.iter().any(|field| match &field.place {
                Place::Slot { ty, .. } => registry.is_proxy(ty, "ThreadMap"),
                Place::Group(_) => false,
            })
        })
    };
    body.methods.iter().any(|method| swaps(method.params.0))
}
