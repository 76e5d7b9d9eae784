//! Which file uses what other files define, and the circles of files in that.
//!
//! Knows files and names; nothing of which circles are allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::source::Source;
use crate::tree::{Home, Tree};

/// For each file and each file that it uses, the names that it uses.
pub struct Graph<'a>(BTreeMap<&'a str, BTreeMap<String, BTreeSet<String>>>);

impl<'a> Graph<'a> {
    /// The graph of these files. Declaring a module (`mod x;`) is no use of it.
    pub fn new(sources: &[&'a Source], tree: &Tree) -> Self {
        let mut files = BTreeMap::new();
        for source in sources {
            let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for home in source.homes(tree) {
                if let Home::Item { file, name } = home
                    && file != source.name
                {
                    used.entry(file).or_default().insert(name);
                }
            }
            files.insert(source.name.as_str(), used);
        }
        Self(files)
    }

    /// Every file that is used by `from`, directly or by what it uses.
    fn reachable(&self, from: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for next in self.0.get(file).into_iter().flat_map(BTreeMap::keys) {
                if found.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        found
    }

    /// The circles: the largest sets of files of which each uses all the others, directly or not.
    pub fn circles(&self) -> BTreeSet<BTreeSet<&str>> {
        let reachable: BTreeMap<&str, _> = self.0.keys().map(|f| (*f, self.reachable(f))).collect();
        let uses = |from: &str, to: &str| reachable.get(from).is_some_and(|r| r.contains(to));
        let circles = reachable
            .keys()
            .filter(|file| uses(file, file))
            .map(|file| {
                let others = reachable.keys().copied();
                others
                    .filter(|other| uses(file, other) && uses(other, file))
                    .collect()
            });
        circles.collect()
    }

    /// The uses within a set of files, a line each.
    pub fn describe(&self, files: &BTreeSet<&str>) -> String {
        let mut text = String::new();
        for from in files {
            for (to, names) in self.0.get(from).into_iter().flatten() {
                if files.contains(to.as_str()) {
                    let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
                    let _ = writeln!(text, "    {from} uses {names} of {to}");
                }
            }
        }
        text
    }
}
