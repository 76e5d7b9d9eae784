//! A source file as the rules see it: the paths it names, the macros it calls, its words.
//!
//! Reads tokens, so comments and texts do not count, and neither do items under `#[cfg(test)]`.
//! Knows Rust's paths and modules; nothing of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A path as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
struct Written {
    /// It begins with `::`.
    global: bool,
    segments: Vec<String>,
}

/// One source file.
pub struct Source {
    /// Its name below the repository, such as `src/process/mod.rs`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The macros it calls: `println` for `println!`.
    pub macros: BTreeSet<String>,
    /// Every word of code, with how often it stands there.
    pub words: BTreeMap<String, usize>,
    /// Its module's path below the crate's root.
    module: Vec<String>,
    written: Vec<Written>,
    /// What its `use` declarations bind.
    bound: BTreeMap<String, Written>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Something of this crate, by its path below the root: `process::spawn`.
    Own(String),
    /// Something of another crate: `std::env::var`.
    Foreign(String),
}

/// The modules of the crate, and what its root re-exports.
pub struct Tree {
    modules: BTreeSet<Vec<String>>,
    root: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// The tree of these files, of which one is `src/lib.rs`.
    pub fn new(sources: &[Source]) -> Self {
        let library = sources
            .iter()
            .filter(|source| source.name.starts_with("src/"));
        let modules = library.map(|source| source.module.clone()).collect();
        let lib = sources.iter().find(|source| source.name == "src/lib.rs");
        let root = lib.expect("there is a src/lib.rs").bound.iter();
        Self {
            modules,
            root: root
                .map(|(name, path)| (name.clone(), path.segments.clone()))
                .collect(),
        }
    }

    fn is_module(&self, module: &[String], name: &str) -> bool {
        self.modules
            .contains(&[module, &[name.to_owned()]].concat())
    }
}

impl Source {
    /// Reads a file's text.
    ///
    /// # Panics
    /// When the text is not Rust.
    pub fn new(name: &str, text: &str) -> Self {
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut source = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            macros: BTreeSet::new(),
            words: BTreeMap::new(),
            module: module_of(name),
            written: Vec::new(),
            bound: BTreeMap::new(),
        };
        source.walk(&tokens.into_iter().collect::<Vec<_>>());
        source
    }

    /// Where the file's paths lead, sorted.
    pub fn targets(&self, tree: &Tree) -> BTreeSet<Target> {
        let written = self.written.iter().chain(self.bound.values());
        written.map(|path| self.resolve(path, tree, 0)).collect()
    }

    fn resolve(&self, path: &Written, tree: &Tree, depth: usize) -> Target {
        let segments = &path.segments;
        if path.global {
            return Target::Foreign(segments.join("::"));
        }
        let head = segments[0].as_str();
        let mut base = self.module.clone();
        let mut rest = &segments[1..];
        match head {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            _ if tree.is_module(&base, head) => rest = segments,
            _ => {
                // A name that a `use` bound; the depth is for those that bind themselves.
                return match self.bound.get(head).filter(|_| depth < 4) {
                    Some(bound) if bound != path => {
                        let mut whole = bound.clone();
                        whole.segments.extend_from_slice(rest);
                        self.resolve(&whole, tree, depth + 1)
                    }
                    _ => Target::Foreign(segments.join("::")),
                };
            }
        }
        let mut whole = [&base, rest].concat();
        if let Some(first) = whole.first()
            && !tree.is_module(&[], first)
            && let Some(exported) = tree.root.get(first)
        {
            whole = [exported, &whole[1..]].concat();
        }
        Target::Own(whole.join("::"))
    }

    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == '#' && is_test_attribute(tokens.get(at + 1)) =>
                {
                    at = end_of_item(tokens, at + 2);
                }
                TokenTree::Group(group) => {
                    self.walk(&inside(group));
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    *self.words.entry(word.clone()).or_default() += 1;
                    // `use<>` is something else.
                    if word == "use" && !punct_at(tokens, at + 1, '<') {
                        let end = end_of_item(tokens, at + 1);
                        self.declaration(&tokens[at + 1..end], &Written::default());
                        at = end;
                    } else {
                        at += self.expression(tokens, at);
                    }
                }
                _ => at += 1,
            }
        }
    }

    /// Reads the path of a type, a value or a macro that begins at `at`; gives its length.
    fn expression(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let mut path = Written {
            // `<T as Trait>::x` is of another kind.
            global: at >= 2
                && colons_at(tokens, at - 2)
                && !(at >= 3 && punct_at(tokens, at - 3, '>')),
            segments: Vec::new(),
        };
        let length = path.extend(&tokens[at..]);
        if punct_at(tokens, at + length, '!') && !punct_at(tokens, at + length + 1, '=') {
            self.macros.extend(path.segments.last().cloned());
        }
        let is_field = at > 0 && punct_at(tokens, at - 1, '.');
        if path.segments.len() > 1 && !is_field {
            self.written.push(path);
        }
        // `as` is none.
        length.max(1)
    }

    /// Reads the tree of a `use` declaration below `start`; gives its length.
    fn declaration(&mut self, tokens: &[TokenTree], start: &Written) -> usize {
        let mut path = start.clone();
        let mut at = 0;
        if colons_at(tokens, 0) {
            path.global = true;
            at = 2;
        }
        at += path.extend(&tokens[at..]);
        let mut name = path.segments.last().cloned();
        match tokens.get(at) {
            Some(TokenTree::Group(group)) => {
                let inner = inside(group);
                let mut rest = inner.as_slice();
                while !rest.is_empty() {
                    rest = &rest[self.declaration(rest, &path)..];
                }
                name = None;
                at += 1;
            }
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                path.segments.push("*".to_owned());
                self.written.push(path.clone());
                name = None;
                at += 1;
            }
            Some(TokenTree::Ident(word)) if *word == "as" => {
                name = tokens.get(at + 1).map(ToString::to_string);
                at += 2;
            }
            _ => {}
        }
        if let Some(mut name) = name {
            if path.segments.len() > 1 && path.segments.ends_with(&["self".to_owned()]) {
                path.segments.pop();
                if name == "self" {
                    name = path.segments.last().cloned().unwrap_or_default();
                }
            }
            // Names that differ only in kind, and `_`: each counts.
            self.written.extend(self.bound.insert(name, path));
        }
        // The comma or semicolon behind it.
        (at + 1).min(tokens.len())
    }
}

impl Written {
    /// Reads segments until something else comes; gives the number of tokens.
    fn extend(&mut self, tokens: &[TokenTree]) -> usize {
        let mut at = 0;
        while let Some(TokenTree::Ident(word)) = tokens.get(at) {
            if *word == "as" {
                break;
            }
            self.segments.push(word.to_string());
            at += 1;
            if !colons_at(tokens, at) {
                break;
            }
            at += 2;
        }
        at
    }
}

fn inside(group: &proc_macro2::Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// `src/process/mod.rs` as `process`.
fn module_of(name: &str) -> Vec<String> {
    let path = Path::new(name).with_extension("");
    let mut module: Vec<String> = path
        .components()
        .skip(1)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    module
}

fn punct_at(tokens: &[TokenTree], at: usize, char: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

fn colons_at(tokens: &[TokenTree], at: usize) -> bool {
    let joint = matches!(tokens.get(at), Some(TokenTree::Punct(punct))
        if punct.as_char() == ':' && punct.spacing() == Spacing::Joint);
    joint && punct_at(tokens, at + 1, ':')
}

/// `#[cfg(test)]`.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group))
        if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Behind the item that begins here: its block or semicolon.
fn end_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                // The tree of a `use` is followed by its semicolon.
                return at + usize::from(punct_at(tokens, at, ';'));
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return at,
            _ => {}
        }
    }
    at
}
