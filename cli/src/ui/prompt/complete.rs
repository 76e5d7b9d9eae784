//! Completion of a line: methods, their parameters and values, from the schema and the objects that
//! the session holds.
//!
//! Knows schemas and the words of a line; nothing of editors. Except for file names, a line's
//! completions depend on the line and the [`View`] alone.

use std::fs;

use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::json::Meaning;
use bitcoin_ipc::dynamic::schema::model::{Kind, Type};

use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};
use crate::ui::escape::is_unsafe;

/// The parts of a session that lines can name.
pub(crate) struct View {
    pub(crate) schema: Schema,
    /// The objects that are kept: name and interface.
    pub(crate) held: Vec<(String, String)>,
    /// The numbers of the calls in the background.
    pub(crate) jobs: Vec<u32>,
}

/// A candidate: the text shown, and the text that replaces the word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) shown: String,
    pub(super) text: String,
}

impl Candidate {
    fn new(text: impl Into<String>) -> Self {
        Self::after(text, "")
    }

    /// Creates a candidate with text that is always typed after it.
    fn after(shown: impl Into<String>, more: &str) -> Self {
        let shown = shown.into();
        let text = format!("{shown}{more}");
        Self { shown, text }
    }

    fn method(method: &Method) -> Self {
        // An object that is returned can be called on.
        let words = !method.params.is_empty() && method.returns.is_none();
        Self::after(method.name(), if words { " " } else { "" })
    }
}

/// Splits the text before the cursor into the whole words, and the word being typed with its
/// offset. `None` inside quotes.
fn split(line: &str) -> Option<(Vec<String>, &str, usize)> {
    let (mut quote, mut start, mut escaped) = (None, 0, false);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => start = at + c.len_utf8(),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    let word = line.get(start..)?;
    let plain = quote.is_none() && !word.contains(['"', '\'', '\\']);
    let words = shlex::split(line.get(..start)?)?;
    plain.then_some((words, word, start))
}

/// Returns the offset of the word before the cursor, and the candidates for it.
pub(super) fn complete(line: &str, cursor: usize, view: &View) -> Option<(usize, Vec<Candidate>)> {
    let (words, word, start) = split(line.get(..cursor)?)?;
    let words: &[String] = match words.as_slice() {
        [_, equals, call @ ..] if equals == "=" => call,
        words => words,
    };
    let (prefix, mut found) = match words {
        [] => view.paths(word)?,
        [command] if command.starts_with('.') => (0, view.operands(command)),
        [command, ..] if command.starts_with('.') => return None,
        [path, given @ ..] => arguments(view, &view.method(path)?, given, word),
    };
    let typed = word.get(prefix..)?.to_lowercase();
    found.retain(|candidate| candidate.shown.to_lowercase().starts_with(&typed));
    // A name of someone else's schema or folder that a terminal would take for a command.
    found.retain(|candidate| !candidate.shown.contains(is_unsafe));
    Some((start + prefix, found))
}

/// Returns the parameters that a line has not given, for people; `None` where there is nothing to
/// show.
pub(super) fn missing(line: &str, view: &View) -> Option<String> {
    let (words, word, _) = split(line)?;
    let words: &[String] = match words.as_slice() {
        [_, equals, call @ ..] if equals == "=" => call,
        words => words,
    };
    let (path, given) = words.split_first()?;
    if !word.is_empty() || path.starts_with('.') {
        return None;
    }
    let method = view.method(path)?;
    let left = left(&method, given);
    let left: Vec<_> = left.map(Param::usage).collect();
    let left = left.join(" ");
    Some(left).filter(|hint| !hint.is_empty() && !hint.contains(is_unsafe))
}

impl View {
    fn interface_of(&self, held: &str) -> Option<u64> {
        let (_, interface) = self.held.iter().find(|(name, _)| name == held)?;
        Some(self.schema.interface(interface).ok()?.id)
    }

    /// Returns the method that a path ends with.
    fn method(&self, path: &str) -> Option<Method> {
        let held = path.split_once('.').and_then(|(name, rest)| {
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
        methods.iter().map(Candidate::method).collect()
    }

    /// Returns the candidates for the first word, and the offset in it at which they begin.
    fn paths(&self, word: &str) -> Option<(usize, Vec<Candidate>)> {
        if word.starts_with('.') {
            return Some((0, self.commands()));
        }
        if let Some((path, _)) = word.rsplit_once('/') {
            let returned = self.method(path)?.returns?;
            return Some((path.len() + 1, self.methods_of(returned)));
        }
        if let Some((name, _)) = word.rsplit_once('.') {
            let interface = match self.interface_of(name) {
                Some(interface) => interface,
                None => self.schema.interface(name).ok()?.id,
            };
            return Some((name.len() + 1, self.methods_of(interface)));
        }
        let schema = &self.schema;
        let mut interfaces = vec![schema.root.id];
        for method in schema.methods(schema.root.id).ok()? {
            interfaces.extend(method.returns.filter(|id| !interfaces.contains(id)));
        }
        let names = interfaces.iter().map(|id| schema.name_of(*id));
        let held = self.held.iter().map(|(name, _)| name.clone());
        let objects = names.chain(held);
        let mut found: Vec<_> = objects
            .map(|name| Candidate::new(format!("{name}.")))
            .collect();
        let all = interfaces.iter().filter_map(|id| schema.methods(*id).ok());
        let all: Vec<Method> = all.flatten().collect();
        let only = all.iter().filter(|method| {
            let same = all.iter().filter(|other| other.name() == method.name());
            same.count() == 1
        });
        found.extend(only.map(Candidate::method));
        Some((0, found))
    }

    fn commands(&self) -> Vec<Candidate> {
        let alone = [".caps", ".help", ".jobs", ".quit"].map(Candidate::new);
        let more = [".cancel", ".release", ".wait"].map(|name| Candidate::after(name, " "));
        alone.into_iter().chain(more).collect()
    }

    fn operands(&self, command: &str) -> Vec<Candidate> {
        let jobs = || self.jobs.iter().map(|n| Candidate::new(n.to_string()));
        match command {
            ".cancel" | ".wait" => jobs().collect(),
            ".release" => {
                let names = self.held.iter();
                names
                    .map(|(name, _)| Candidate::new(name.as_str()))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the objects of an interface, or of one that inherits it.
    fn objects(&self, interface: u64) -> Vec<Candidate> {
        let registry = &self.schema.registry;
        let inherits = |name: &str| {
            let mut open = vec![self.interface_of(name)?];
            let mut seen = Vec::new();
            while let Some(id) = open.pop() {
                if id == interface {
                    return Some(true);
                }
                if !seen.contains(&id) {
                    seen.push(id);
                    let (_, body) = registry.interface(id).ok()?;
                    open.extend(body.superclasses.iter().map(|(id, _)| *id));
                }
            }
            None
        };
        let held = self
            .held
            .iter()
            .filter(|(name, _)| inherits(name).is_some());
        let held = held.map(|(name, _)| Candidate::new(name.as_str()));
        held.chain([Candidate::new("null")]).collect()
    }

    /// Returns the candidates for a parameter's value, where its type limits them.
    fn values(&self, method: &Method, param: &Param) -> Vec<Candidate> {
        match &param.ty {
            Type::Bool => ["true", "false"].map(Candidate::new).into(),
            Type::Enum(id) => match self.schema.registry.node(*id).map(|node| &node.kind) {
                Some(Kind::Enum(names)) => names
                    .iter()
                    .map(|enumerant| Candidate::new(enumerant.name.as_str()))
                    .collect(),
                _ => Vec::new(),
            },
            Type::Interface(id, _) => self.objects(*id),
            ty => match core::meaning(&method.full_name(), &param.name, ty) {
                Meaning::Milliseconds => vec![Candidate::new("forever")],
                _ => Vec::new(),
            },
        }
    }
}

/// Returns the parameters that the words have not given: by name, or else by place.
fn left<'m>(method: &'m Method, given: &[String]) -> impl Iterator<Item = &'m Param> {
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

/// Returns the candidates for the words after a method, and the offset in the word at which they
/// begin.
fn arguments(
    view: &View,
    method: &Method,
    given: &[String],
    word: &str,
) -> (usize, Vec<Candidate>) {
    let (place, value, param) = match word.split_once('=') {
        Some((name, value)) => {
            let name = name.strip_suffix(':').unwrap_or(name);
            let param = method.params.iter().find(|param| param.name == name);
            (word.len() - value.len(), value, param)
        }
        None => (0, word, left(method, given).next()),
    };
    if let Some(path) = value.strip_prefix('@') {
        return (place, files(path));
    }
    let mut found = param.map_or_else(Vec::new, |param| view.values(method, param));
    if place == 0 {
        let names = left(method, given).map(|param| {
            let json = matches!(
                param.ty,
                Type::Struct(..) | Type::List(_) | Type::AnyPointer | Type::Parameter(..)
            );
            let equals = if json { ":=" } else { "=" };
            Candidate::new(format!("{}{equals}", param.name))
        });
        found.extend(names);
    }
    (place, found)
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
    found.sort_by(|a, b| a.shown.cmp(&b.shown));
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::choice::NEWEST;
    use bitcoin_ipc::dynamic::schema::Registry;

    fn view() -> View {
        let registry = Arc::new(Registry::core(NEWEST).unwrap());
        let held = [("template", "BlockTemplate"), ("Echo#2", "Echo")];
        View {
            schema: Schema {
                root: registry.find_interface("Init").unwrap(),
                generation: Some(NEWEST),
                registry,
            },
            held: held.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            jobs: vec![1, 3],
        }
    }

    /// Returns the completions of a line with the cursor at its end.
    fn completed(line: &str) -> Vec<String> {
        let (start, found) = complete(line, line.len(), &view()).unwrap_or_default();
        let all = found.iter();
        all.map(|candidate| format!("{}{}", &line[..start], candidate.text))
            .collect()
    }

    #[test]
    fn words_are_completed_by_what_they_stand_for() {
        for (line, all) in [
            // Commands, and what they are about.
            (".ca", &[".caps", ".cancel "][..]),
            (".release t", &[".release template"]),
            (".cancel ", &[".cancel 1", ".cancel 3"]),
            (".quit ", &[]),
            // Interfaces, objects and the methods that have their names alone.
            ("ec", &["Echo.", "Echo#2.", "echo "]),
            ("tem", &["template."]),
            ("waitT", &["waitTipChanged "]),
            ("BlockT", &[]),
            ("mining.wait", &["mining.waitTipChanged "]),
            ("Echo#2.", &["Echo#2.echo "]),
            ("template.wait", &["template.waitNext"]),
            ("nosuch.", &[]),
            // A chain's objects, by what returns them.
            (
                "createNewBlock/getBlock",
                &["createNewBlock/getBlockHeader", "createNewBlock/getBlock"],
            ),
            ("template.waitNext/wait", &["template.waitNext/waitNext"]),
            ("getTip/", &[]),
            // An object that is to be kept.
            ("t = template.wait", &["t = template.waitNext"]),
            ("t = createNewBlock cool", &["t = createNewBlock cooldown="]),
            // Parameters that are not given yet, by name or by place.
            (
                "waitTipChanged ",
                &["waitTipChanged currentTip=", "waitTipChanged timeout="],
            ),
            (
                "waitTipChanged timeout=1s ",
                &["waitTipChanged timeout=1s currentTip="],
            ),
            (
                "waitTipChanged 00 ",
                &["waitTipChanged 00 forever", "waitTipChanged 00 timeout="],
            ),
            ("createNewBlock opt", &["createNewBlock options:="]),
            ("nosuch ", &[]),
            // Values.
            (
                "createNewBlock cooldown=",
                &[
                    "createNewBlock cooldown=true",
                    "createNewBlock cooldown=false",
                ],
            ),
            (
                "waitTipChanged timeout=f",
                &["waitTipChanged timeout=forever"],
            ),
            ("echo @Cargo.t", &["echo @Cargo.toml"]),
            ("echo echo=@src/ui/prom", &["echo echo=@src/ui/prompt/"]),
            // Nothing is completed inside quotes.
            ("echo 'wait", &[]),
            ("echo 'a b' ec", &[]),
        ] {
            assert_eq!(completed(line), all, "{line:?}");
        }
        // Only up to the cursor.
        let (start, found) = complete("getTi 00", 5, &view()).unwrap();
        assert_eq!((start, found[0].text.as_str()), (0, "getTip"));
        assert!(complete("é", 1, &view()).is_none());
    }

    #[test]
    fn values_are_completed_by_their_types() {
        let mut registry = Registry::core(NEWEST).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
        registry.add_path(path.as_ref()).unwrap();
        let held = [("foo", "FooInterface"), ("cb", "FooCallback")];
        let view = View {
            schema: Schema {
                root: registry.find_interface("FooInit").unwrap(),
                generation: None,
                registry: Arc::new(registry),
            },
            held: held.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            jobs: Vec::new(),
        };
        let completed = |line: &str| {
            let (_, found) = complete(line, line.len(), &view).unwrap_or_default();
            let texts = found.into_iter().map(|candidate| candidate.text);
            texts.collect::<Vec<_>>().join(" ")
        };
        // Only what fits.
        assert_eq!(completed("foo.callback callback="), "cb null");
        assert_eq!(completed("foo.passEnum "), "red green blue arg=");
        assert_eq!(completed("makeFoo/passEnum arg=g"), "green");
    }

    #[test]
    fn what_is_missing_is_shown_once_a_word_is_over() {
        let missing = |line| missing(line, &view());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(missing("waitTipChanged"), None);
        assert_eq!(
            missing("waitTipChanged "),
            some("currentTip=DATA [timeout=FLOAT64]")
        );
        assert_eq!(
            missing("x = Mining.waitTipChanged timeout=1s "),
            some("currentTip=DATA")
        );
        assert_eq!(missing("waitTipChanged 00 "), some("[timeout=FLOAT64]"));
        assert_eq!(missing("waitTipChanged 00 1s "), None);
        for line in ["", "getTip ", ".release ", "nosuch ", "echo 'a "] {
            assert_eq!(missing(line), None, "{line:?}");
        }
    }
}
