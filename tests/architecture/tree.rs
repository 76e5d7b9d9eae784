//! Where the paths of source files lead: the modules of the crate, what they re-export, and the
//! file that defines an item.
//!
//! Knows modules and `use` declarations. Must not know the rules. It sees names and not types: a
//! method that is called on a value leads nowhere, and a name behind a glob import is taken to be
//! defined in the module that the glob names.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, Written};

/// How many re-exports may lead to one another.
const DEPTH: usize = 8;

/// A path with the re-exports of the crate's root followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Something of this crate, by its path below the root: `process::spawn`.
    Own(String),
    /// Something of another crate: `std::env::var`.
    Foreign(String),
}

/// A path with every re-export followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    /// An item of this crate: the file that defines it, and its name there.
    Item { file: String, name: String },
    /// A module of this crate, by its path below the root.
    Module(String),
    /// Something of another crate: `std::env::var`.
    Foreign(String),
}

/// The modules of a crate, and the names that each binds.
pub struct Tree {
    /// The folder of the crate's sources.
    pub root: &'static str,
    scopes: BTreeMap<Vec<String>, Scope>,
}

struct Scope {
    file: String,
    bound: BTreeMap<String, Written>,
}

impl Tree {
    /// The tree of the files below this folder, of which one is `lib.rs` or `main.rs`.
    ///
    /// # Panics
    /// When none is.
    pub fn new(root: &'static str, sources: &[Source]) -> Self {
        let mut scopes = BTreeMap::new();
        for source in sources {
            if source.root == Some(root) {
                let scope = Scope {
                    file: source.name.clone(),
                    bound: source.bound.clone(),
                };
                scopes.insert(source.module.clone(), scope);
            }
        }
        let top: &[String] = &[];
        assert!(scopes.contains_key(top), "there is a crate in {root}");
        Self { root, scopes }
    }

    fn is_module(&self, module: &[String], name: &str) -> bool {
        self.scopes
            .contains_key(&[module, &[name.to_owned()]].concat())
    }

    /// Where a path begins that is written in `module`, and its segments from there; nothing when
    /// its head is neither a keyword nor a module below this one.
    fn begin<'p>(
        &self,
        module: &[String],
        path: &'p Written,
    ) -> Option<(Vec<String>, &'p [String])> {
        let mut base = module.to_vec();
        let mut rest = &path.segments[1..];
        match path.segments[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            head if self.is_module(&base, head) => rest = &path.segments,
            _ => return None,
        }
        Some((base, rest))
    }

    /// Where a path leads that is written in `module`, which binds these names.
    fn home(
        &self,
        module: &[String],
        bound: &BTreeMap<String, Written>,
        path: &Written,
        depth: usize,
    ) -> Home {
        let foreign = || Home::Foreign(path.segments.join("::"));
        if path.global {
            return foreign();
        }
        match self.begin(module, path) {
            Some((base, rest)) => self.descend(base, rest, depth),
            None => match bound.get(&path.segments[0]) {
                // The depth is for names that bind themselves.
                Some(start) if start != path && depth < DEPTH => {
                    self.home(module, bound, &start.then(&path.segments[1..]), depth + 1)
                }
                _ => foreign(),
            },
        }
    }

    fn descend(&self, mut base: Vec<String>, rest: &[String], depth: usize) -> Home {
        for (at, name) in rest.iter().enumerate() {
            let Some(scope) = self.scopes.get(&base) else {
                break;
            };
            let bound = scope.bound.get(name).filter(|_| depth < DEPTH);
            let is_last = at + 1 == rest.len();
            // A module and a function can have one name, as `process::spawn` has.
            if self.is_module(&base, name) && !(is_last && bound.is_some()) {
                base.push(name.clone());
                continue;
            }
            let own = Written {
                global: false,
                segments: vec![name.clone()],
            };
            return match bound {
                // `pub(crate) use name;` is how a macro becomes a name of its module.
                Some(start) if *start != own => {
                    self.home(&base, &scope.bound, &start.then(&rest[at + 1..]), depth + 1)
                }
                _ => Home::Item {
                    file: scope.file.clone(),
                    name: name.clone(),
                },
            };
        }
        Home::Module(base.join("::"))
    }
}

impl Source {
    /// Where the file's paths lead by the names that they are written with, sorted.
    pub fn targets(&self, tree: &Tree) -> BTreeSet<Target> {
        let written = self.written.iter().chain(self.bound.values());
        written.map(|path| self.target(path, tree, 0)).collect()
    }

    fn target(&self, path: &Written, tree: &Tree, depth: usize) -> Target {
        let segments = &path.segments;
        if path.global {
            return Target::Foreign(segments.join("::"));
        }
        let Some((base, rest)) = tree.begin(&self.module, path) else {
            let start = self.bound.get(&segments[0]).filter(|_| depth < DEPTH);
            return match start {
                Some(start) if start != path => {
                    self.target(&start.then(&segments[1..]), tree, depth + 1)
                }
                _ => Target::Foreign(segments.join("::")),
            };
        };
        let mut whole = [&base, rest].concat();
        let root: &[String] = &[];
        if let Some(first) = whole.first()
            && !tree.is_module(root, first)
            && let Some(exported) = tree.scopes[root].bound.get(first)
        {
            whole = [&exported.segments, &whole[1..]].concat();
        }
        Target::Own(whole.join("::"))
    }

    /// Where everything is defined that the file uses. A re-export that the file does not use
    /// itself is an alias, which leads nowhere.
    pub fn homes(&self, tree: &Tree) -> BTreeSet<Home> {
        let bound = self.bound.iter();
        let used = bound
            .filter(|(name, _)| !self.reexported.contains(*name) || self.heads.contains(*name))
            .map(|(_, path)| path);
        let all = self.written.iter().chain(used);
        all.map(|path| tree.home(&self.module, &self.bound, path, 0))
            .collect()
    }

    /// The types of this crate that have inherent impls in this file: the file that defines each,
    /// and its name.
    pub fn inherent_types(&self, tree: &Tree) -> BTreeSet<(String, String)> {
        let homes = self.inherent.iter().map(|path| {
            match tree.home(&self.module, &self.bound, path, 0) {
                Home::Item { file, name } => (file, name),
                // A name that nothing binds is defined here.
                Home::Foreign(name) | Home::Module(name) => (self.name.clone(), name),
            }
        });
        homes.collect()
    }
}
