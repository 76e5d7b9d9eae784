//! From the words of a call to its parameters, as JSON.
//!
//! Knows parameters' names and types, and the forms of a word: a value, `name=value`,
//! `name:=JSON`, one `{JSON}` for all, and `@FILE` or `-` in place of a value. Must not know what
//! is called.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use bitcoin_ipc::Error;
use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::schema::model::Type;
use serde_json::{Map, Value as Json};

use super::errors::{Failure, Kind};
use super::methods::{Method, Param, suggest};

/// The most bytes that a value may have when it is read: those of the largest message.
const MAX_VALUE: u64 = 64 * 1024 * 1024;

/// The words of a call. What files and the input hold is read once, however often the words are.
pub(crate) struct Words {
    words: Vec<String>,
    fetched: BTreeMap<usize, String>,
    stdin_free: bool,
}

impl Words {
    /// `stdin_free` tells whether `-` can be read.
    pub(crate) fn new(words: &[String], stdin_free: bool) -> Self {
        Self {
            words: words.to_vec(),
            fetched: BTreeMap::new(),
            stdin_free,
        }
    }

    /// The parameters of a method, each checked to be of its type by `objects`' schema.
    pub(crate) fn bind(&mut self, method: &Method, objects: &Objects) -> Result<Json, Failure> {
        let mut given = Map::new();
        if let [word] = self.words.as_slice()
            && let Some(object) = whole(method, word)?
        {
            for (name, json) in object {
                let param = param_of(method, &name)?;
                let shown = json.to_string();
                set(method, &mut given, param, json, &shown, objects)?;
            }
            return Ok(Json::Object(given));
        }
        let mut positions = method.params.iter();
        for index in 0..self.words.len() {
            let word = self.words[index].clone();
            let (param, text) = match named(&word) {
                Some((name, true, json)) => {
                    let param = param_of(method, name)?;
                    let value = serde_json::from_str(json).map_err(|error| {
                        refuse(method, param, json, &format!("no JSON: {error}"))
                    })?;
                    set(method, &mut given, param, value, json, objects)?;
                    continue;
                }
                Some((name, false, text)) => (param_of(method, name)?, text),
                None => {
                    let param = positions.next().ok_or_else(|| {
                        Failure::usage(format!(
                            "{}: no parameter is left for the value {:?}",
                            method.full_name(),
                            shortened(&word)
                        ))
                        .hint(method.usage())
                    })?;
                    (param, word.as_str())
                }
            };
            let text = match self.fetched.get(&index) {
                Some(text) => text.clone(),
                None => {
                    let text = fetch(method, param, text, &mut self.stdin_free)?;
                    self.fetched.insert(index, text.clone());
                    text
                }
            };
            let value = from_text(&param.ty, &text)
                .map_err(|reason| refuse(method, param, &text, &reason))?;
            set(method, &mut given, param, value, &text, objects)?;
        }
        let mut left = method.params.iter();
        match left.find(|param| !param.optional && !given.contains_key(&param.name)) {
            None => Ok(Json::Object(given)),
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

/// Takes a value that is of its parameter's type.
fn set(
    method: &Method,
    given: &mut Map<String, Json>,
    param: &Param,
    value: Json,
    text: &str,
    objects: &Objects,
) -> Result<(), Failure> {
    let mut alone = Map::new();
    alone.insert(param.name.clone(), value.clone());
    match objects.check(&method.info, &Json::Object(alone)) {
        Ok(_) => {}
        Err(Error::Conversion { field, reason }) => {
            // The parameter is named already; what is in it is not.
            let path = format!("{}.{}", method.full_name(), param.name);
            let inner = field.strip_prefix(&path).unwrap_or_default();
            let inner = inner.trim_start_matches('.');
            let joint = if inner.is_empty() { "" } else { ": " };
            return Err(refuse(
                method,
                param,
                text,
                &format!("{inner}{joint}{reason}"),
            ));
        }
        Err(error) => return Err(error.into()),
    }
    match given.insert(param.name.clone(), value) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!(
            "{}: parameter {} is given twice",
            method.full_name(),
            param.name
        ))
        .hint(method.usage())),
    }
}

/// A value as its type has it, from a word. What is not of the type is refused later, but for
/// what JSON has no form of.
fn from_text(ty: &Type, text: &str) -> Result<Json, String> {
    let json = || serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"));
    match ty {
        Type::Text | Type::Data => Ok(text.into()),
        Type::Void => match text {
            "" | "null" => Ok(Json::Null),
            _ => Err("it is Void, of which the only value is null".into()),
        },
        Type::Bool => match text {
            "true" | "1" => Ok(true.into()),
            "false" | "0" => Ok(false.into()),
            _ => Err("it is true, false, 1 or 0".into()),
        },
        Type::Int8
        | Type::Int16
        | Type::Int32
        | Type::Int64
        | Type::UInt8
        | Type::UInt16
        | Type::UInt32
        | Type::UInt64 => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => Ok(number.into()),
            (_, Ok(number)) => Ok(number.into()),
            _ => Err("no whole number in decimal, or out of range".into()),
        },
        Type::Float32 | Type::Float64 => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number.into()),
            // A duration, or a number that JSON has no form of.
            _ => Ok(text.into()),
        },
        Type::Enum(_) => match text.parse::<u16>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Ok(text.into()),
        },
        Type::Interface(..) => match text {
            "null" => Ok(Json::Null),
            handle => Ok(handle.into()),
        },
        Type::List(_) | Type::Struct(..) | Type::AnyPointer | Type::Parameter(..) => json(),
    }
}

/// The object that has all parameters, if the word is one.
fn whole(method: &Method, word: &str) -> Result<Option<serde_json::Map<String, Json>>, Failure> {
    let trimmed = word.trim();
    if !(trimmed.starts_with('{') && trimmed.ends_with('}')) {
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

/// `name=value`, or with true `name:=JSON`.
fn named(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let mut letters = name.chars();
    let identifier = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    identifier.then_some((name, json, value))
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

/// The text of a value: the word itself, or what `@FILE` or `-` holds, as it stands.
fn fetch(
    method: &Method,
    param: &Param,
    word: &str,
    stdin_free: &mut bool,
) -> Result<String, Failure> {
    let (place, read) = if word == "-" {
        if !std::mem::replace(stdin_free, false) {
            return Err(refuse(method, param, word, "the input is in use already"));
        }
        ("the input", read_limited(io::stdin().lock()))
    } else if let Some(path) = word.strip_prefix('@') {
        (path, File::open(path).and_then(read_limited))
    } else {
        return Ok(word.to_owned());
    };
    read.map_err(|error| {
        let what = format!(
            "{}: {} from {place}: {error}",
            method.full_name(),
            param.name
        );
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => Failure::usage(what),
            _ => Failure::new(Kind::Failed, what),
        }
        .hint(format!(
            "a text that begins with @ is written {}:='\"@…\"'",
            param.name
        ))
    })
}

fn read_limited(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MAX_VALUE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_VALUE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {MAX_VALUE} bytes, the size of the largest message"),
        ));
    }
    Ok(text)
}

/// A value that is not of its parameter's type.
fn refuse(method: &Method, param: &Param, value: &str, reason: &str) -> Failure {
    Failure::usage(format!(
        "{}: parameter {} ({}) cannot be {:?}: {reason}",
        method.full_name(),
        param.name,
        param.kind,
        shortened(value)
    ))
    .hint(method.usage())
}

/// As much of a value as an error message has room for.
fn shortened(value: &str) -> String {
    const LENGTH: usize = 60;
    match value.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use crate::cli::schemas::Schemas;
    use bitcoin_ipc::dynamic::json::Options;
    use clap::Parser;

    fn bound(method: &str, words: &[&str]) -> Result<Json, String> {
        let cli = Cli::parse_from(["bitcoin-ipc", "man"]);
        let schema = Schemas::load(&cli.options).unwrap().assumed().unwrap();
        let (_, method) = schema.named(method).unwrap();
        let objects = Objects::new(schema.registry, Options::core());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let bound = Words::new(&words, false).bind(&method, &objects);
        bound.map_err(|failure| failure.message)
    }

    fn text(words: &[&str]) -> Result<String, String> {
        Ok(bound("Echo.echo", words)?["echo"]
            .as_str()
            .unwrap()
            .to_owned())
    }

    #[test]
    fn values_are_read_by_their_types() {
        use serde_json::json;

        let hash = "00".repeat(32);
        assert_eq!(
            bound("waitTipChanged", &[&hash, "200ms"]).unwrap(),
            json!({ "currentTip": hash, "timeout": "200ms" })
        );
        assert_eq!(
            bound("createNewBlock", &["cooldown=0"]).unwrap(),
            json!({ "cooldown": false })
        );
        assert_eq!(
            bound("BlockTemplate.submitSolution", &["1", "2", "3", "00ff"]).unwrap(),
            json!({ "version": 1, "timestamp": 2, "nonce": 3, "coinbase": "00ff" })
        );
        for (method, words, part) in [
            (
                "waitTipChanged",
                &["zz"][..],
                "parameter currentTip (Data) cannot be \"zz\"",
            ),
            (
                "waitTipChanged",
                &["00", "5y"],
                "parameter timeout (Float64) cannot be \"5y\"",
            ),
            (
                "createNewBlock",
                &["{\"cooldown\":2}"],
                "parameter cooldown (Bool) cannot be \"2\"",
            ),
            (
                "createNewBlock",
                &["options={\"useMempol\":true}"],
                "useMempol",
            ),
            (
                "BlockTemplate.submitSolution",
                &["4294967296", "2", "3", "00"],
                "parameter version (UInt32) cannot be \"4294967296\"",
            ),
            ("BlockTemplate.submitSolution", &["0x1"], "no whole number"),
        ] {
            let message = bound(method, words).unwrap_err();
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        for words in ["hi", "echo=hi", "echo:=\"hi\"", "{\"echo\":\"hi\"}"] {
            assert_eq!(text(&[words]).unwrap(), "hi");
        }
        assert_eq!(text(&["echo=a=b"]).unwrap(), "a=b");
        assert_eq!(text(&["a b=c"]).unwrap(), "a b=c");
        assert_eq!(text(&["{open"]).unwrap(), "{open");
        assert_eq!(text(&["echo={x}"]).unwrap(), "{x}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, message) in [
            (&[][..], "Echo.echo: parameter echo (Text) is missing"),
            (
                &["a", "b"],
                "Echo.echo: no parameter is left for the value \"b\"",
            ),
            (&["a", "echo=b"], "Echo.echo: parameter echo is given twice"),
            (&["ecko=b"], "Echo.echo has no parameter \"ecko\""),
            (
                &["echo:=5"],
                "Echo.echo: parameter echo (Text) cannot be \"5\": Text: 5 is no string",
            ),
            (
                &["-"],
                "Echo.echo: parameter echo (Text) cannot be \"-\": the input is in use already",
            ),
        ] {
            assert_eq!(text(words).unwrap_err(), message);
        }
        assert!(
            text(&["{\"echo\":1}"])
                .unwrap_err()
                .contains("cannot be \"1\"")
        );
        assert!(text(&["{bad}"]).unwrap_err().contains("no JSON object"));
        assert!(
            text(&["echo:=x"])
                .unwrap_err()
                .contains("no JSON: expected")
        );
    }
}
