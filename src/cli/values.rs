//! From the words of a call to its parameters' values.
//!
//! Knows parameters' names and types, and the forms of a word: a value, `name=value`,
//! `name:=JSON`, one `{JSON}` for all, and `@FILE` or `-` in place of a value. Must not know what
//! is called.

use std::fs::File;
use std::io::{self, Read};

use serde_json::Value as Json;

use super::errors::{Failure, Kind};
use super::methods::{Method, Param, Type, Value, suggest};

/// The most bytes that a value may have when it is read: those of the largest message.
const MAX_VALUE: u64 = 64 * 1024 * 1024;

/// Reads the values of a method's parameters, in the order of the schema. `stdin_free` tells
/// whether `-` can be read.
pub(crate) fn bind(
    method: &Method,
    words: &[String],
    stdin_free: bool,
) -> Result<Vec<Value>, Failure> {
    let params = method.params;
    let mut given: Vec<Option<Value>> = params.iter().map(|_| None).collect();
    let mut set = |index: usize, value: Value| match given[index].replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!(
            "{}: parameter {} is given twice",
            method.full_name(),
            params[index].name
        ))
        .hint(signature(method))),
    };
    let mut stdin_free = stdin_free;
    if let [word] = words
        && let Some(object) = whole(method, word)?
    {
        for (name, json) in object {
            let index = index_of(method, &name)?;
            set(index, from_json(method, &params[index], json)?)?;
        }
    } else {
        let mut positions = 0..params.len();
        for word in words {
            match named(word) {
                Some((name, true, json)) => {
                    let index = index_of(method, name)?;
                    let json = serde_json::from_str(json).map_err(|error| {
                        refuse(method, &params[index], json, &format!("no JSON: {error}"))
                    })?;
                    set(index, from_json(method, &params[index], json)?)?;
                }
                Some((name, false, text)) => {
                    let index = index_of(method, name)?;
                    let text = fetch(method, &params[index], text, &mut stdin_free)?;
                    set(index, from_text(&params[index], text))?;
                }
                None => {
                    let index = positions.next().ok_or_else(|| {
                        Failure::usage(format!(
                            "{}: no parameter is left for the value {:?}",
                            method.full_name(),
                            shortened(word)
                        ))
                        .hint(signature(method))
                    })?;
                    let text = fetch(method, &params[index], word, &mut stdin_free)?;
                    set(index, from_text(&params[index], text))?;
                }
            }
        }
    }
    params
        .iter()
        .zip(given)
        .map(|(param, value)| {
            value.ok_or_else(|| {
                Failure::usage(format!(
                    "{}: parameter {} ({}) is missing",
                    method.full_name(),
                    param.name,
                    param.kind.name()
                ))
                .hint(signature(method))
            })
        })
        .collect()
}

/// A line that shows how the method is called.
fn signature(method: &Method) -> String {
    let params = method
        .params
        .iter()
        .map(|param| format!(" {}={}", param.name, param.kind.name().to_uppercase()));
    format!(
        "usage: call {}{}",
        method.full_name(),
        params.collect::<String>()
    )
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
            None => failure.hint(signature(method)),
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

fn index_of(method: &Method, name: &str) -> Result<usize, Failure> {
    let found = method.params.iter().position(|param| param.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = method.params.iter().map(|param| param.name).collect();
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

fn from_text(param: &Param, text: String) -> Value {
    match param.kind {
        Type::Text => Value::Text(text),
    }
}

fn from_json(method: &Method, param: &Param, json: Json) -> Result<Value, Failure> {
    match (param.kind, json) {
        (Type::Text, Json::String(text)) => Ok(Value::Text(text)),
        (Type::Text, json) => Err(refuse(method, param, &json.to_string(), "no JSON string")),
    }
}

/// A value that is not of its parameter's type.
fn refuse(method: &Method, param: &Param, value: &str, reason: &str) -> Failure {
    Failure::usage(format!(
        "{}: parameter {} ({}) cannot be {:?}: {reason}",
        method.full_name(),
        param.name,
        param.kind.name(),
        shortened(value)
    ))
    .hint(signature(method))
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
    use crate::cli::methods::resolve;

    fn text(words: &[&str]) -> Result<String, String> {
        let method = resolve("Echo.echo", None).unwrap().remove(0);
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match bind(method, &words, false)
            .map_err(|failure| failure.message)?
            .remove(0)
        {
            Value::Text(text) => Ok(text),
            _ => Err("not a text".into()),
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
                "Echo.echo: parameter echo (Text) cannot be \"5\": no JSON string",
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
