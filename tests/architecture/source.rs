//! A source file as the rules see it: the paths it names, the macros it calls, its words, the
//! types that it gives methods.
//!
//! Reads tokens, so comments and texts do not count, and neither do items under `#[cfg(test)]`.
//! Knows Rust's items and paths; nothing of the rules, nor of where a path leads (`tree.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The folders of sources that are a crate each: the library, and the executable.
pub const CRATES: [&str; 2] = ["src", "cli/src"];

/// A path as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// It begins with `::`.
    pub global: bool,
    pub segments: Vec<String>,
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
    /// The folder of its crate, if that is one of [`CRATES`].
    pub root: Option<&'static str>,
    /// Its module's path below the crate's root.
    pub module: Vec<String>,
    /// The paths of more than one segment, and those of glob imports.
    pub written: Vec<Written>,
    /// The names that its `use` declarations bind.
    pub bound: BTreeMap<String, Written>,
    /// The names of `bound` that others may take from here (`pub use`).
    pub reexported: BTreeSet<String>,
    /// The first segment of every path outside `use` declarations.
    pub heads: BTreeSet<String>,
    /// The type of each inherent impl.
    pub inherent: Vec<Written>,
}

impl Source {
    /// Reads a file's text.
    ///
    /// # Panics
    /// Panics when the text is not Rust.
    pub fn new(name: &str, text: &str) -> Self {
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut source = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            macros: BTreeSet::new(),
            words: BTreeMap::new(),
            root: root_of(name),
            module: module_of(name),
            written: Vec::new(),
            bound: BTreeMap::new(),
            reexported: BTreeSet::new(),
            heads: BTreeSet::new(),
            inherent: Vec::new(),
        };
        source.walk(&tokens.into_iter().collect::<Vec<_>>(), 0);
        source
    }

    /// Reads tokens that are in `depth` modules within the file.
    fn walk(&mut self, tokens: &[TokenTree], depth: usize) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == '#' && is_test_attribute(tokens.get(at + 1)) =>
                {
                    at = end_of_item(tokens, at + 2);
                }
                TokenTree::Group(group) => {
                    let deeper = usize::from(at >= 2 && word_at(tokens, at - 2, "mod"));
                    self.walk(&inside(group), depth + deeper);
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    *self.words.entry(word.clone()).or_default() += 1;
                    // `use<>` is something else.
                    if word == "use" && !punct_at(tokens, at + 1, '<') {
                        let end = end_of_item(tokens, at + 1);
                        let public = is_public(&tokens[..at]);
                        self.declaration(&tokens[at + 1..end], &Written::default(), depth, public);
                        at = end;
                    } else {
                        if word == "impl" && begins_item(&tokens[..at]) {
                            let path = inherent_type(&tokens[at + 1..]);
                            self.inherent.extend(path.map(|path| path.leaving(depth)));
                        }
                        at += self.expression(tokens, at, depth);
                    }
                }
                _ => at += 1,
            }
        }
    }

    /// Reads the path of a type, a value or a macro that begins at `at`. Returns its length in
    /// tokens.
    fn expression(&mut self, tokens: &[TokenTree], at: usize, depth: usize) -> usize {
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
        let is_rest = at >= 2 && colons_at(tokens, at - 2);
        let is_label = path.segments.len() == 1 && punct_at(tokens, at + length, ':');
        if !is_field && !is_rest && !is_label {
            self.heads.extend(path.segments.first().cloned());
        }
        if path.segments.len() > 1 && !is_field {
            self.written.push(path.leaving(depth));
        }
        // `as` is none.
        length.max(1)
    }

    /// Reads the tree of a `use` declaration below `start`. Returns its length in tokens.
    fn declaration(
        &mut self,
        tokens: &[TokenTree],
        start: &Written,
        depth: usize,
        public: bool,
    ) -> usize {
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
                    rest = &rest[self.declaration(rest, &path, depth, public)..];
                }
                name = None;
                at += 1;
            }
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                path.segments.push("*".to_owned());
                self.written.push(path.clone().leaving(depth));
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
            if public {
                self.reexported.insert(name.clone());
            }
            // Names that differ only in kind, and `_`: each counts.
            let replaced = self.bound.insert(name, path.leaving(depth));
            self.written.extend(replaced);
        }
        // The comma or semicolon behind it.
        (at + 1).min(tokens.len())
    }
}

impl Written {
    /// Reads segments until something else comes. Returns the number of tokens.
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

    /// Returns the path as the file's module would write it, for one that is `depth` modules
    /// deeper.
    fn leaving(mut self, depth: usize) -> Self {
        let supers = self.segments.iter().take_while(|s| *s == "super").count();
        if supers > 0 && depth > 0 {
            self.segments.drain(..supers.min(depth));
            if supers <= depth {
                self.segments.insert(0, "self".to_owned());
            }
        }
        self
    }

    /// Returns the path with more segments appended.
    pub fn then(&self, rest: &[String]) -> Self {
        let mut whole = self.clone();
        whole.segments.extend_from_slice(rest);
        whole
    }
}

/// Whether the tokens before an item end with `pub` or `pub(…)`.
fn is_public(before: &[TokenTree]) -> bool {
    let last = before.len().wrapping_sub(1);
    match before.last() {
        Some(TokenTree::Group(_)) => word_at(before, last.wrapping_sub(1), "pub"),
        _ => word_at(before, last, "pub"),
    }
}

/// Whether an item can begin after these tokens, so that `impl` there is no type.
fn begins_item(before: &[TokenTree]) -> bool {
    match before.last() {
        None => true,
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Parenthesis,
        Some(TokenTree::Punct(punct)) => punct.as_char() == ';',
        Some(TokenTree::Ident(word)) => *word == "unsafe",
        Some(TokenTree::Literal(_)) => false,
    }
}

/// Returns the type of an impl, given the tokens after `impl`; `None` when it implements a trait.
fn inherent_type(tokens: &[TokenTree]) -> Option<Written> {
    let mut start = match punct_at(tokens, 0, '<') {
        true => end_of_generics(tokens, 0),
        false => 0,
    };
    let mut at = start;
    loop {
        match tokens.get(at)? {
            TokenTree::Punct(punct) if punct.as_char() == '<' => {
                at = end_of_generics(tokens, at);
                continue;
            }
            TokenTree::Ident(word) if *word == "for" => return None,
            TokenTree::Ident(word) if *word == "where" => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            _ => {}
        }
        at += 1;
    }
    let mut path = Written::default();
    if word_at(tokens, start, "dyn") {
        start += 1;
    }
    if colons_at(tokens, start) {
        path.global = true;
        start += 2;
    }
    path.extend(&tokens[start..]);
    // A macro's `$type` has none.
    (!path.segments.is_empty()).then_some(path)
}

/// Returns the index after the `>` that closes the `<` at `at`.
fn end_of_generics(tokens: &[TokenTree], mut at: usize) -> usize {
    let mut open = 0_usize;
    while at < tokens.len() {
        let is_arrow = at > 0 && punct_at(tokens, at - 1, '-');
        if punct_at(tokens, at, '<') {
            open += 1;
        } else if punct_at(tokens, at, '>') && !is_arrow {
            open -= 1;
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    at
}

fn inside(group: &proc_macro2::Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// Returns the folder of a file's crate.
fn root_of(name: &str) -> Option<&'static str> {
    let mut roots = CRATES.into_iter();
    roots.find(|root| Path::new(name).starts_with(root))
}

/// Returns the module path of a file: `src/process/mod.rs` is `process`.
fn module_of(name: &str) -> Vec<String> {
    let path = Path::new(name).with_extension("");
    let above = root_of(name).map_or(1, |root| Path::new(root).components().count());
    let mut module: Vec<String> = path
        .components()
        .skip(above)
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

fn word_at(tokens: &[TokenTree], at: usize, expected: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(word)) if *word == expected)
}

fn punct_at(tokens: &[TokenTree], at: usize, char: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

fn colons_at(tokens: &[TokenTree], at: usize) -> bool {
    let joint = matches!(tokens.get(at), Some(TokenTree::Punct(punct))
        if punct.as_char() == ':' && punct.spacing() == Spacing::Joint);
    joint && punct_at(tokens, at + 1, ':')
}

/// Whether an attribute is `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else {
        return false;
    };
    let text = group.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Returns the index after the item that begins here, which ends with its block or semicolon.
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
