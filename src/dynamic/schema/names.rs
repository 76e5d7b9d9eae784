//! Finding interfaces and methods by what people write.
//!
//! Knows names; nothing of what is done with what they name.

use std::sync::Arc;

use super::model::{Brand, Kind, Node};
use super::{MethodInfo, Registry};
use crate::error::{Error, Result};

/// Names that are less alike than this are not suggested.
const ALIKE: f64 = 0.7;

impl Registry {
    /// The interface with this name, whatever the case. Of several the one added last is meant;
    /// of several that came together, the one with exactly this name.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name, or when several are meant.
    pub fn find_interface(&self, name: &str) -> Result<Arc<Node>> {
        self.find(name, "interface", |kind| matches!(kind, Kind::Interface(_)))
    }

    /// What has this name: an interface, struct, enum or constant.
    ///
    /// # Errors
    /// As [`Registry::find_interface`].
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

    /// A method of an interface by its name, also one that the interface inherits.
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

    /// The method that `Interface.method` names, or `method` where one of the interfaces among
    /// `interfaces` alone has it.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, with the nearest name, or when several are meant.
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
}

/// The rest of a sentence about a name that is not there: the one most alike, if any is.
pub(in crate::dynamic) fn did_you_mean<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> String {
    let lower = name.to_lowercase();
    let likeness = |other: &str| strsim::jaro_winkler(&lower, &other.to_lowercase());
    // What belongs to methods, such as `Echo.echo$Params`, nobody means.
    let best = names
        .filter(|other| !other.contains('$'))
        .map(|other| (likeness(other), other))
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)));
    match best {
        Some((likeness, other)) if likeness >= ALIKE => format!("; did you mean {other:?}?"),
        _ => String::new(),
    }
}
