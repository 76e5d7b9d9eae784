//! From the words of a call to its parameters, as JSON.
//!
//! Knows parameters' names and types, and the forms of a word: a value, `name=value`, `name:=JSON`,
//! one `{JSON}` for all, and `@FILE` or `-` in place of a value. Must not know which object is
//! called.

mod content;
mod fields;
mod hex;
#[cfg(test)]
mod tests;
mod word;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use bitcoin_ipc::Error;
use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::model::Type;
use serde_json::{Map, Value as Json};

use self::content::{from_file, read_limited};
pub(crate) use self::word::shortened;
use self::word::{PRINT, from_text, named};
use crate::schema::methods::{Method, Param, suggest};
use crate::ui::errors::{Failure, Kind};

/// The words of a call. Files and stdin are read once, however often the words are.
#[derive(Clone)]
pub(crate) struct Words {
    /// The words of the command line, and those of a line of input, which override them.
    groups: Vec<Group>,
    stdin_free: bool,
}

/// Words of one source.
#[derive(Clone)]
struct Group {
    words: Vec<String>,
    /// Whether it is one JSON object, whatever it looks like.
    is_object: bool,
    /// The contents of files, by the word that names one.
    fetched: BTreeMap<usize, Vec<u8>>,
}

/// The parameters of a call.
#[derive(Clone, Default)]
pub(crate) struct Bound {
    pub(crate) params: Map<String, Json>,
    /// The parameters for which an object that prints its calls is hosted; null among `params`.
    pub(crate) prints: BTreeMap<String, Type>,
}

impl Words {
    /// Creates the words of a command line. `stdin_free` tells whether `-` can be read.
    pub(crate) fn new(words: &[String], stdin_free: bool) -> Self {
        Self {
            groups: vec![Group::new(words.to_vec(), false)],
            stdin_free,
        }
    }

    /// Returns these words and those of a line: one JSON object, or words that are quoted as in a
    /// shell. Returns `None` where the line has none.
    pub(crate) fn with_line(&self, line: &str) -> Result<Option<Self>, Failure> {
        let group = if line.trim_start().starts_with('{') {
            Group::new(vec![line.trim().to_owned()], true)
        } else {
            let words = shlex::split(line).ok_or_else(|| {
                Failure::usage("a quote is not closed").hint("words are quoted as in a shell")
            })?;
            if words.is_empty() {
                return Ok(None);
            }
            Group::new(words, false)
        };
        let mut all = self.clone();
        all.groups.push(group);
        Ok(Some(all))
    }

    /// Returns the parameters of one of a chain's methods, each checked to be of its type by
    /// `objects`' schema. A word with a name belongs to the last method that has such a parameter,
    /// or to the last one; words without a name all belong to the last one.
    pub(crate) fn bind(
        &mut self,
        chain: &[Method],
        index: usize,
        objects: &Objects,
    ) -> Result<Bound, Failure> {
        let Some((method, later)) = chain.get(index..).and_then(<[Method]>::split_first) else {
            return Ok(Bound::default());
        };
        let is_last = later.is_empty();
        let has = |method: &Method, name: &str| method.params.iter().any(|p| p.name == name);
        let takes = |name: Option<&str>| match name {
            None => is_last,
            Some(name) if has(method, name) => !later.iter().any(|later| has(later, name)),
            Some(name) => is_last && !chain.iter().any(|other| has(other, name)),
        };
        let mut bound = Bound::default();
        let (mut position, mut whole) = (0, false);
        for group in &mut self.groups {
            let mut reading = Reading {
                method,
                objects,
                takes: &takes,
                position,
                before: &bound.params,
                stdin_free: &mut self.stdin_free,
                bound: Bound::default(),
            };
            whole |= reading.group(group)?;
            position = reading.position;
            let Bound { params, prints } = reading.bound;
            bound.prints.retain(|name, _| !params.contains_key(name));
            bound.prints.extend(prints);
            bound.params.extend(params);
        }
        let mut left = method.params.iter().filter(|param| !param.optional);
        match left.find(|param| !whole && !bound.params.contains_key(&param.name)) {
            None => Ok(bound),
            Some(param) => Err(Failure::usage(format!(
                "{}: parameter {} ({}) is missing",
                method.full_name(),
                param.name,
                param.kind
            ))
            .hint(method.usage())),
        }
    }
}

impl Group {
    fn new(words: Vec<String>, is_object: bool) -> Self {
        Self {
            words,
            is_object,
            fetched: BTreeMap::new(),
        }
    }
}

/// The state of reading words.
struct Reading<'a> {
    method: &'a Method,
    objects: &'a Objects,
    /// Whether a word of this name, or of none, belongs to this method.
    takes: &'a dyn Fn(Option<&str>) -> bool,
    /// The number of the parameter from which on the next value without a name is for the first
    /// that has none.
    position: usize,
    /// The parameters that words of another source gave.
    before: &'a Map<String, Json>,
    stdin_free: &'a mut bool,
    bound: Bound,
}

impl Reading<'_> {
    /// Reads one source's words. Returns whether they are an object of all parameters.
    fn group(&mut self, group: &mut Group) -> Result<bool, Failure> {
        if let [word] = group.words.as_slice()
            && (self.takes)(None)
            && let Some(object) = whole(self.method, word, group.is_object)?
        {
            for (name, json) in object {
                let param = param_of(self.method, &name).map_err(|failure| {
                    let mut texts = self.method.params.iter().filter(|param| !param.optional);
                    match (texts.next(), texts.next()) {
                        (Some(text), None) if matches!(text.ty, Type::Text) => failure.hint(
                            format!("JSON as the value of {0} is written {0}='{{…}}'", text.name),
                        ),
                        _ => failure,
                    }
                })?;
                let shown = json.to_string();
                self.set(param, "", json, &shown)?;
            }
            return Ok(true);
        }
        for (index, word) in group.words.iter().enumerate() {
            let param = |name: &'_ str| name.split('.').next().unwrap_or_default().to_owned();
            let param = named(word).map(|(name, ..)| param(name));
            if (self.takes)(param.as_deref()) {
                self.word(index, word, &mut group.fetched)?;
            }
        }
        Ok(false)
    }

    fn word(
        &mut self,
        index: usize,
        word: &str,
        fetched: &mut BTreeMap<usize, Vec<u8>>,
    ) -> Result<(), Failure> {
        let method = self.method;
        let registry = self.objects.registry().clone();
        let (param, path, text) = match named(word) {
            Some((name, true, PRINT)) => return self.print(param_of(method, name)?),
            Some((name, is_json, text)) => {
                let (name, path) = name.split_once('.').unwrap_or((name, ""));
                let param = param_of(method, name)?;
                if is_json {
                    let value = serde_json::from_str(text).map_err(|error| {
                        refuse(method, param, text, &format!("no JSON: {error}"))
                    })?;
                    return self.set(param, path, value, text);
                }
                (param, path, text)
            }
            None => {
                let mut left = method.params.iter().enumerate().skip(self.position);
                let free = |name: &String| {
                    !self.bound.params.contains_key(name) && !self.before.contains_key(name)
                };
                let param = left.find(|(_, param)| free(&param.name));
                let (index, param) = param.ok_or_else(|| {
                    Failure::usage(format!(
                        "{}: no parameter is left for the value {:?}",
                        method.full_name(),
                        shortened(word)
                    ))
                    .hint(method.usage())
                })?;
                self.position = index + 1;
                (param, "", word)
            }
        };
        let ty = fields::type_of(&registry, param, path)?;
        if !fetched.contains_key(&index)
            && let Some(content) = fetch(method, param, text, self.stdin_free)?
        {
            fetched.insert(index, content);
        }
        let value = match fetched.get(&index) {
            None => from_text(&ty, text).map_err(|reason| refuse(method, param, text, &reason))?,
            Some(content) => from_file(&ty, content)
                .map_err(|reason| refuse_file(method, param, text, &reason))?,
        };
        self.set(param, path, value, text).map_err(|failure| {
            let is_interface = matches!(ty, Type::Interface(..));
            match is_interface && text == PRINT {
                true => failure.hint(format!(
                    "{}:={PRINT} hosts an object that prints its calls",
                    param.name
                )),
                false => failure,
            }
        })
    }

    /// Takes an object that is hosted for the call, if the parameter is an interface.
    fn print(&mut self, param: &Param) -> Result<(), Failure> {
        if !matches!(param.ty, Type::Interface(..)) {
            let reason = "only an interface's calls can be printed, and this is none";
            return Err(refuse(self.method, param, PRINT, reason));
        }
        self.insert(param, Json::Null)?;
        let (name, ty) = (param.name.clone(), param.ty.clone());
        self.bound.prints.insert(name, ty);
        Ok(())
    }

    /// Takes a value, or that of a field below `path`, if it is of its type.
    fn set(&mut self, param: &Param, path: &str, value: Json, text: &str) -> Result<(), Failure> {
        let method = self.method;
        let value = fields::within(path, value);
        let mut alone = Map::new();
        alone.insert(param.name.clone(), value.clone());
        match self.objects.check(&method.info, &Json::Object(alone)) {
            Ok(_) if path.is_empty() => self.insert(param, value),
            Ok(_) => self.merge(param, value),
            Err(Error::Conversion { field, reason }) => {
                // The failure names the parameter already, but not the place in its value.
                let path = format!("{}.{}", method.full_name(), param.name);
                let inner = field.strip_prefix(&path).unwrap_or_default();
                let inner = inner.trim_start_matches('.');
                let joint = if inner.is_empty() { "" } else { ": " };
                let reason = format!("{inner}{joint}{reason}");
                Err(refuse(method, param, text, &reason))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the value of a field, beside those of others.
    fn merge(&mut self, param: &Param, value: Json) -> Result<(), Failure> {
        let method = self.method;
        let params = &mut self.bound.params;
        let whole = params
            .entry(param.name.clone())
            .or_insert_with(|| Map::new().into());
        fields::merge(whole, value).map_err(|field| {
            Failure::usage(format!(
                "{}: {}.{field} is given twice",
                method.full_name(),
                param.name
            ))
            .hint(method.usage())
        })
    }

    fn insert(&mut self, param: &Param, value: Json) -> Result<(), Failure> {
        match self.bound.params.insert(param.name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!(
                "{}: parameter {} is given twice",
                self.method.full_name(),
                param.name
            ))
            .hint(self.method.usage())),
        }
    }
}

/// Parses the object that has all parameters, if the word looks like one, or with `surely` must be
/// one.
fn whole(method: &Method, word: &str, surely: bool) -> Result<Option<Map<String, Json>>, Failure> {
    let trimmed = word.trim();
    let looks = trimmed.starts_with('{') && trimmed.ends_with('}');
    if !surely && !looks {
        return Ok(None);
    }
    serde_json::from_str(trimmed).map(Some).map_err(|error| {
        let failure = Failure::usage(format!(
            "{}: the parameters {:?} are no JSON object: {error}",
            method.full_name(),
            shortened(word)
        ));
        match method.params.first() {
            Some(param) => failure.hint(format!(
                "a value with braces around it is written {}=VALUE",
                param.name
            )),
            None => failure.hint(method.usage()),
        }
    })
}

fn param_of<'m>(method: &'m Method, name: &str) -> Result<&'m Param, Failure> {
    let found = method.params.iter().find(|param| param.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = method.params.iter().map(|p| p.name.as_str()).collect();
        let hint = if names.is_empty() {
            "it has no parameters".to_owned()
        } else {
            suggest(name, &names)
        };
        Failure::usage(format!("{} has no parameter {name:?}", method.full_name())).hint(hint)
    })
}

/// Returns the content of `@FILE` or `-`; `None` for a word that is the value itself.
fn fetch(
    method: &Method,
    param: &Param,
    word: &str,
    stdin_free: &mut bool,
) -> Result<Option<Vec<u8>>, Failure> {
    let (place, read) = if word == "-" {
        if !std::mem::replace(stdin_free, false) {
            return Err(refuse(method, param, word, "the input is in use already"));
        }
        ("the input", read_limited(io::stdin().lock()))
    } else if let Some(path) = word.strip_prefix('@') {
        (path, File::open(path).and_then(read_limited))
    } else {
        return Ok(None);
    };
    read.map(Some).map_err(|error| {
        let what = format!(
            "{}: {} from {place}: {error}",
            method.full_name(),
            param.name
        );
        match error.kind() {
            io::ErrorKind::FileTooLarge => Failure::usage(what),
            _ => Failure::new(Kind::Failed, what),
        }
        .hint(format!(
            "a text that begins with @ is written {}:='\"@…\"'",
            param.name
        ))
    })
}

/// Returns the failure of a file whose content is not of its parameter's type.
fn refuse_file(method: &Method, param: &Param, word: &str, reason: &str) -> Failure {
    let place = word.strip_prefix('@').unwrap_or("the input");
    let failure = Failure::usage(format!(
        "{}: parameter {} ({}) from {place}: {reason}",
        method.full_name(),
        param.name,
        param.kind
    ));
    match param.ty {
        Type::Data => failure.hint("a file has hex, in any layout, or the bytes themselves"),
        _ => failure.hint(method.usage()),
    }
}

/// Returns the failure of a value that is not of its parameter's type.
fn refuse(method: &Method, param: &Param, value: &str, reason: &str) -> Failure {
    // The reason may have a part of it as well.
    let (value, reason) = match core::is_secret(&param.name) {
        true => (
            "the secret that was given".to_owned(),
            "it is of another type",
        ),
        false => (format!("{:?}", shortened(value)), reason),
    };
    Failure::usage(format!(
        "{}: parameter {} ({}) cannot be {value}: {reason}",
        method.full_name(),
        param.name,
        param.kind,
    ))
    .hint(method.usage())
}
