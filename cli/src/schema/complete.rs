//! Completion of a call's words: methods, their parameters and values, and the names that `list`
//! and `describe` take.
//!
//! Knows schemas and words; nothing of shells and editors. Except for file names, the candidates
//! depend on the schema and the kept objects alone.

use std::fs;

use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::json::Meaning;
use bitcoin_ipc::dynamic::schema::model::{Kind, Node, Type};

use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};
use crate::schema::ways;

/// A candidate for a word, or for its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) text: String,
    /// Whether another word must follow it.
    pub(crate) needs_more: bool,
    /// The first line of the schema's comment, or a parameter's type.
    pub(crate) help: String,
}

impl Candidate {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            needs_more: false,
            help: String::new(),
        }
    }

    /// Returns the text that an editor types for it.
    pub(crate) fn typed(&self) -> String {
        let space = if self.needs_more { " " } else { "" };
        format!("{}{space}", self.text)
    }

    pub(crate) fn needs_more(mut self) -> Self {
        self.needs_more = true;
        self
    }

    fn help(mut self, docs: &str) -> Self {
        docs.lines()
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.help);
        self
    }

    fn method(name: String, method: &Method) -> Self {
        Self {
            text: name,
            // An object that is returned can be called on.
            needs_more: !method.params.is_empty() && method.returns.is_none(),
            help: String::new(),
        }
        .help(&method.info.method.docs)
    }
}

/// The candidates for a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The offset in the word at which the candidates begin.
    pub(crate) at: usize,
    pub(crate) all: Vec<Candidate>,
}

impl Found {
    fn new(at: usize, all: Vec<Candidate>) -> Self {
        Self { at, all }
    }

    /// Keeps the candidates that continue the word, whatever its case.
    pub(crate) fn matching(mut self, word: &str) -> Self {
        let typed = word.get(self.at..).unwrap_or_default().to_lowercase();
        let continues = |text: &str| text.to_lowercase().starts_with(&typed);
        self.all.retain(|candidate| continues(&candidate.text));
        self
    }
}

/// Completes words by a schema.
pub(crate) struct Completer<'s> {
    schema: &'s Schema,
    /// The objects that are kept: name and interface.
    held: &'s [(String, String)],
    /// Whether a candidate ends its word, as in a shell: then `Interface.method` stands in place of
    /// `Interface.`.
    whole_words: bool,
}

impl<'s> Completer<'s> {
    /// Completes by a schema, the words of a session that keeps these objects.
    pub(crate) fn in_session(schema: &'s Schema, held: &'s [(String, String)]) -> Self {
        Self {
            schema,
            held,
            whole_words: false,
        }
    }

    /// Completes by a schema, the words of a shell.
    pub(crate) fn in_shell(schema: &'s Schema) -> Self {
        Self {
            schema,
            held: &[],
            whole_words: true,
        }
    }

    fn interface_of(&self, held: &str) -> Option<u64> {
        let (_, interface) = self.held.iter().find(|(name, _)| name == held)?;
        Some(self.schema.interface(interface).ok()?.id)
    }

    /// Returns the method that a path ends with.
    pub(crate) fn method(&self, path: &str) -> Option<Method> {
        let held = split_held(path, |name| self.interface_of(name).is_some());
        let held = held.and_then(|(name, rest)| {
            let interface = self.interface_of(name)?;
            self.schema.resolve(rest, Some((name, interface))).ok()
        });
        let (_, mut methods) = match held {
            Some(found) => found,
            None => self.schema.resolve(path, None).ok()?,
        };
        methods.pop()
    }

    fn methods_of(&self, interface: u64) -> Vec<Candidate> {
        let methods = self.schema.methods(interface).unwrap_or_default();
        let candidates = methods
            .iter()
            .map(|method| Candidate::method(method.name().to_owned(), method));
        candidates.collect()
    }

    /// Returns the candidates for a call's first word.
    pub(crate) fn paths(&self, word: &str) -> Found {
        if let Some((path, _)) = word.rsplit_once('/') {
            let returned = self.method(path).and_then(|method| method.returns);
            let methods = returned.map(|id| self.methods_of(id));
            return Found::new(path.len() + 1, methods.unwrap_or_default());
        }
        if let Some((name, _)) = word.rsplit_once('.').filter(|_| !self.whole_words) {
            let named = || Some(self.schema.interface(name).ok()?.id);
            let interface = self.interface_of(name).or_else(named);
            let methods = interface.map(|id| self.methods_of(id));
            return Found::new(name.len() + 1, methods.unwrap_or_default());
        }
        let named = self.schema.named_alone().unwrap_or_default();
        let mut all = Vec::new();
        if !self.whole_words {
            let names = named.iter().map(|id| self.schema.name_of(*id));
            let names = names.chain(self.held.iter().map(|(name, _)| name.clone()));
            all.extend(names.map(|name| Candidate::new(format!("{name}."))));
        }
        all.extend(self.methods_by_name(&named));
        Found::new(0, all)
    }

    /// Returns the methods of these interfaces, as the method alone where only one has that name, and
    /// for a shell as `Interface.method` too.
    fn methods_by_name(&self, interfaces: &[u64]) -> Vec<Candidate> {
        let methods = interfaces
            .iter()
            .filter_map(|id| self.schema.methods(*id).ok());
        let methods: Vec<Method> = methods.flatten().collect();
        let mut all = Vec::new();
        for method in &methods {
            if self.whole_words {
                all.push(Candidate::method(method.full_name(), method));
            }
            let same = methods.iter().filter(|other| other.name() == method.name());
            if same.count() == 1 {
                all.push(Candidate::method(method.name().to_owned(), method));
            }
        }
        all
    }

    /// Returns the parameters that are not given yet, or the values of the one that is being typed,
    /// for a word after a method and the words already given.
    pub(crate) fn arguments(&self, method: &Method, given: &[String], word: &str) -> Found {
        let (at, value, param) = match word.split_once('=') {
            Some((name, value)) => {
                let name = name.strip_suffix(':').unwrap_or(name);
                let param = method.params.iter().find(|param| param.name == name);
                (word.len() - value.len(), value, param)
            }
            None => (0, word, left(method, given).next()),
        };
        if let Some(path) = value.strip_prefix('@') {
            return Found::new(at, files(path));
        }
        let is_hosted = |param: &Param| matches!(param.ty, Type::Interface(..));
        if at > 1 && word[..at].ends_with(":=") && param.is_some_and(is_hosted) {
            return Found::new(at, vec![Candidate::new("print")]);
        }
        let mut all = param.map_or_else(Vec::new, |param| self.values(method, param));
        if at == 0 {
            for param in left(method, given) {
                let name = Candidate::new(format!("{}=", param.name));
                all.push(name.help(&param.kind));
                if is_hosted(param) {
                    let print = Candidate::new(format!("{}:=print", param.name));
                    all.push(print.help(&param.kind));
                }
            }
        }
        Found::new(at, all)
    }

    /// Returns the objects of an interface, or of one that inherits it.
    fn objects(&self, interface: u64) -> Vec<Candidate> {
        let inherits = |name: &str| {
            let of = self.interface_of(name)?;
            ways::is_a(self.schema, of, interface).then_some(())
        };
        let names = self.held.iter().map(|(name, _)| name.as_str());
        let held = names.filter(|name| inherits(name).is_some());
        held.chain(["null"]).map(Candidate::new).collect()
    }

    /// Returns the candidates for a parameter's value, where its type limits them.
    fn values(&self, method: &Method, param: &Param) -> Vec<Candidate> {
        match &param.ty {
            Type::Bool => ["true", "false"].map(Candidate::new).into(),
            Type::Enum(id) => match self.schema.registry.node(*id).map(|node| &node.kind) {
                Some(Kind::Enum(values)) => {
                    let values = values.iter();
                    values
                        .map(|value| Candidate::new(value.name.as_str()).help(&value.docs))
                        .collect()
                }
                _ => Vec::new(),
            },
            Type::Interface(id, _) => self.objects(*id),
            _ => match method.meaning(param, core::meaning) {
                Meaning::Milliseconds => ["1s", "forever"].map(Candidate::new).into(),
                _ => Vec::new(),
            },
        }
    }

    /// Returns the interfaces, which `list` takes.
    pub(crate) fn interfaces(&self) -> Found {
        let all = self.schema.interfaces();
        let all = all.iter().map(|node| named(node));
        Found::new(0, all.collect())
    }

    /// Returns all that `describe` takes.
    pub(crate) fn describable(&self) -> Found {
        let interfaces = self.schema.interfaces();
        let methods = interfaces
            .iter()
            .filter_map(|node| self.schema.methods(node.id).ok());
        let methods = methods.flatten();
        let methods = methods.map(|method| Candidate::method(method.full_name(), &method));
        let mut all: Vec<Candidate> = methods.collect();
        all.extend(self.methods_by_name(&self.schema.named_alone().unwrap_or_default()));
        let has_name = |node: &&std::sync::Arc<Node>| {
            let kind = &node.kind;
            !matches!(kind, Kind::File) && !node.name.contains('$')
        };
        let nodes = self.schema.registry.nodes().filter(has_name);
        all.extend(nodes.map(|node| named(node)));
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all.dedup_by(|a, b| a.text == b.text);
        Found::new(0, all)
    }
}

/// Returns the longest part of a path, up to a dot, that names an object that is held, and the rest.
pub(crate) fn split_held(path: &str, is_held: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let first = path.split('/').next().unwrap_or(path);
    let mut dots = first.rmatch_indices('.');
    let at = dots.find_map(|(at, _)| is_held(&path[..at]).then_some(at))?;
    Some((&path[..at], &path[at + 1..]))
}

fn named(node: &Node) -> Candidate {
    Candidate::new(node.name.as_str()).help(&node.docs)
}

/// Returns the parameters that the words have not given: by name, or else by place.
pub(crate) fn left<'m>(method: &'m Method, given: &[String]) -> impl Iterator<Item = &'m Param> {
    let by_name = |word: &String| {
        let (name, _) = word.split_once('=')?;
        let name = name.strip_suffix(':').unwrap_or(name);
        method.params.iter().position(|param| param.name == name)
    };
    let named: Vec<usize> = given.iter().filter_map(by_name).collect();
    let places = given.len() - named.len();
    let params = method.params.iter().enumerate();
    params
        .filter(move |(index, _)| *index >= places && !named.contains(index))
        .map(|(_, param)| param)
}

/// Returns the files whose paths begin with `path`, each with the `@`, except those whose names
/// need quotes.
fn files(path: &str) -> Vec<Candidate> {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (format!("{folder}/"), name),
        None => (String::new(), path),
    };
    let read = fs::read_dir(if folder.is_empty() { "." } else { &folder });
    let mut found = Vec::new();
    for entry in read.into_iter().flatten().flatten() {
        let Ok(file) = entry.file_name().into_string() else {
            continue;
        };
        let hidden = file.starts_with('.') && !name.starts_with('.');
        let quoted = shlex::try_quote(&file).is_ok_and(|quoted| quoted != file);
        if file.starts_with(name) && !hidden && !quoted {
            let end = if entry.path().is_dir() { "/" } else { "" };
            found.push(Candidate::new(format!("@{folder}{file}{end}")));
        }
    }
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_the_longest_name_that_is_held() {
        let held = ["ws", "ws.0", "Outer.Inner#1"];
        let split = |path| split_held(path, |name| held.contains(&name));
        assert_eq!(split("ws.getName"), Some(("ws", "getName")));
        assert_eq!(split("ws.0.getName/a.b"), Some(("ws.0", "getName/a.b")));
        assert_eq!(split("Outer.Inner#1.call"), Some(("Outer.Inner#1", "call")));
        assert_eq!(split("Echo.echo"), None);
        assert_eq!(split("x/ws.0"), None);
    }
}
