//! The rules that look at all files of a crate at once: which circles of files there are, and
//! whether the inherent impls of a type stand in one file.
//!
//! Knows what is allowed today; not how files and types are found (`graph.rs`, `tree.rs`).

mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::rules::is_test;
use crate::source::Source;
use crate::tree::Tree;

/// A circle of files that is allowed, and why.
pub struct Circle {
    /// Every file of it.
    pub files: &'static [&'static str],
    /// Why it is allowed.
    pub reason: &'static str,
}

/// The circles that are allowed. One that shrinks or goes has to be changed here too.
const KNOWN_CIRCLES: &[Circle] = &[Circle {
    files: &[
        "src/protocol/capnp/served.rs",
        "src/protocol/capnp/server.rs",
        "src/protocol/capnp/values.rs",
    ],
    reason: "A value may be an object that is served here, whose calls have values.",
}];

/// A type whose inherent impls stand in several files today.
pub struct Split {
    /// The type: the file that defines it, and its name.
    pub of: (&'static str, &'static str),
    /// The files with its inherent impls.
    pub files: &'static [&'static str],
}

/// The types of today. The list may become shorter, and no longer.
const SPLIT: &[Split] = &[
    Split {
        of: ("cli/src/calls/session.rs", "Session"),
        files: &[
            "cli/src/calls/session.rs",
            "cli/src/calls/session/connection.rs",
            "cli/src/calls/session/start.rs",
        ],
    },
    Split {
        of: ("src/dynamic/json/write/mod.rs", "Writing"),
        files: &[
            "src/dynamic/json/write/lists.rs",
            "src/dynamic/json/write/mod.rs",
        ],
    },
];

/// The own files of a crate: no tests, and nothing generated.
fn own<'s>(sources: &'s [Source], tree: &Tree) -> Vec<&'s Source> {
    let own = sources.iter().filter(|source| {
        let is_generated = source.name == "src/interfaces/generated.rs";
        source.root == Some(tree.root) && !is_test(&source.name) && !is_generated
    });
    own.collect()
}

/// Files form no circle but the known ones, and the known ones are still there.
fn circles(sources: &[Source], trees: &[Tree], known: &[Circle]) -> Vec<String> {
    let graphs = trees
        .iter()
        .map(|tree| Graph::new(&own(sources, tree), tree));
    let graphs: Vec<_> = graphs.collect();
    let found: Vec<_> = graphs
        .iter()
        .flat_map(|graph| graph.circles().into_iter().map(move |files| (files, graph)))
        .collect();
    let files = |circle: &Circle| -> BTreeSet<&str> { circle.files.iter().copied().collect() };
    let mut wrong = Vec::new();
    for (circle, graph) in &found {
        if known.iter().all(|listed| files(listed) != *circle) {
            let names = circle.iter().copied().collect::<Vec<_>>().join(", ");
            let uses = graph.describe(circle);
            wrong.push(format!("{names} are a circle that is not listed:\n{uses}"));
        }
    }
    for listed in known {
        if found.iter().all(|(circle, _)| *circle != files(listed)) {
            let names = listed.files.join(", ");
            let reason = listed.reason;
            wrong.push(format!(
                "{names} are no circle of their own any more ({reason}): change KNOWN_CIRCLES"
            ));
        }
    }
    wrong
}

/// The inherent impls of a type stand in one file, but for the listed types.
fn impls(sources: &[Source], trees: &[Tree], split: &[Split]) -> Vec<String> {
    let mut found: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    for tree in trees {
        for source in own(sources, tree) {
            for of in source.inherent_types(tree) {
                found.entry(of).or_default().insert(&source.name);
            }
        }
    }
    found.retain(|_, files| files.len() > 1);
    let mut wrong = Vec::new();
    for ((file, name), files) in &found {
        let listed = split.iter().find(|split| split.of == (file, name));
        let listed = listed.map(|split| split.files.iter().copied().collect::<BTreeSet<_>>());
        if listed.as_ref() != Some(files) {
            wrong.push(format!("{name} of {file} has inherent impls in {files:?}"));
        }
    }
    for split in split {
        let (file, name) = split.of;
        if !found.contains_key(&(file.to_owned(), name.to_owned())) {
            wrong.push(format!(
                "{name} of {file} is no longer split: take it off SPLIT"
            ));
        }
    }
    wrong
}
