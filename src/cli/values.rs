//! From the words of a call to its parameters, as JSON.
//!
//! Knows parameters' names and types, and the forms of a word: a value, `name=value`,
//! `name:=JSON`, one `{JSON}` for all, and `@FILE` or `-` in place of a value. Must not know what
//! is called.

mod word;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use bitcoin_ipc::Error;
use bitcoin_ipc::dynamic::call::Objects;
use serde_json::{Map, Value as Json};

use self::word::{from_text, named, read_limited, shortened};
use super::errors::{Failure, Kind};
use super::methods::{Method, Param, suggest};

/// The words of a call. What files and the input hold is read once, however often the words are.
#[derive(Clone)]
pub(crate) struct Words {
    /// Those of the command line, and those of a line of input, which win over them.
    groups: Vec<Group>,
    stdin_free: bool,
}

/// Words of one source.
#[derive(Clone)]
struct Group {
    words: Vec<String>,
    /// Whether it is one JSON object, whatever it looks like.
    is_object: bool,
    fetched: BTreeMap<usize, String>,
}

impl Words {
    /// `stdin_free` tells whether `-` can be read.
    pub(crate) fn new(words: &[String], stdin_free: bool) -> Self {
        Self {
            groups: vec![Group::new(words.to_vec(), false)],
            stdin_free,
        }
    }

    /// These words and those of a line: one JSON object, or words that are quoted as in a shell.
    /// `None` where the line has none.
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

    /// The parameters of a method, each checked to be of its type by `objects`' schema.
    pub(crate) fn bind(
        &mut self,
        method: &Method,
        objects: &Objects,
    ) -> Result<Map<String, Json>, Failure> {
        let mut bound = Map::new();
        let (mut position, mut whole) = (0, false);
        for group in &mut self.groups {
            let mut reading = Reading {
                method,
                objects,
                position,
                stdin_free: &mut self.stdin_free,
                bound: Map::new(),
            };
            whole |= reading.group(group)?;
            position = reading.position;
            bound.extend(reading.bound);
        }
        let mut left = method.params.iter().filter(|param| !param.optional);
        match left.find(|param| !whole && !bound.contains_key(&param.name)) {
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

/// Words that are being read.
struct Reading<'a> {
    method: &'a Method,
    objects: &'a Objects,
    /// Which parameter the next value without a name is for.
    position: usize,
    stdin_free: &'a mut bool,
    bound: Map<String, Json>,
}

impl Reading<'_> {
    /// Reads one source's words; tells whether they are an object of all parameters.
    fn group(&mut self, group: &mut Group) -> Result<bool, Failure> {
        if let [word] = group.words.as_slice()
            && let Some(object) = whole(self.method, word, group.is_object)?
        {
            for (name, json) in object {
                let param = param_of(self.method, &name)?;
                let shown = json.to_string();
                self.set(param, json, &shown)?;
            }
            return Ok(true);
        }
        for (index, word) in group.words.iter().enumerate() {
            self.word(index, word, &mut group.fetched)?;
        }
        Ok(false)
    }

    fn word(
        &mut self,
        index: usize,
        word: &str,
        fetched: &mut BTreeMap<usize, String>,
    ) -> Result<(), Failure> {
        let method = self.method;
        let (param, text) = match named(word) {
            Some((name, true, json)) => {
                let param = param_of(method, name)?;
                let value = serde_json::from_str(json)
                    .map_err(|error| refuse(method, param, json, &format!("no JSON: {error}")))?;
                return self.set(param, value, json);
            }
            Some((name, false, text)) => (param_of(method, name)?, text),
            None => {
                let param = method.params.get(self.position).ok_or_else(|| {
                    Failure::usage(format!(
                        "{}: no parameter is left for the value {:?}",
                        method.full_name(),
                        shortened(word)
                    ))
                    .hint(method.usage())
                })?;
                self.position += 1;
                (param, word)
            }
        };
        let text = match fetched.get(&index) {
            Some(text) => text.clone(),
            None => {
                let text = fetch(method, param, text, self.stdin_free)?;
                fetched.insert(index, text.clone());
                text
            }
        };
        let value =
            from_text(&param.ty, &text).map_err(|reason| refuse(method, param, &text, &reason))?;
        self.set(param, value, &text)
    }

    /// Takes a value that is of its parameter's type.
    fn set(&mut self, param: &Param, value: Json, text: &str) -> Result<(), Failure> {
        let method = self.method;
        let mut alone = Map::new();
        alone.insert(param.name.clone(), value.clone());
        match self.objects.check(&method.info, &Json::Object(alone)) {
            Ok(_) => self.insert(param, value),
            Err(Error::Conversion { field, reason }) => {
                // The parameter is named already; what is in it is not.
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

    fn insert(&mut self, param: &Param, value: Json) -> Result<(), Failure> {
        match self.bound.insert(param.name.clone(), value) {
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

/// The object that has all parameters, if the word is one, or with `surely` must be.
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
        let bound = bound.map_err(|failure| failure.message)?;
        Ok(Json::Object(bound))
    }

    /// A line's words on top of those of the command line.
    fn lined(words: &[&str], line: &str) -> Result<Option<Json>, String> {
        let cli = Cli::parse_from(["bitcoin-ipc", "man"]);
        let schema = Schemas::load(&cli.options).unwrap().assumed().unwrap();
        let (_, method) = schema.named("waitTipChanged").unwrap();
        let objects = Objects::new(schema.registry, Options::core());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let words = Words::new(&words, false).with_line(line);
        let Some(mut words) = words.map_err(|failure| failure.message)? else {
            return Ok(None);
        };
        let bound = words.bind(&method, &objects);
        let bound = bound.map_err(|failure| failure.message)?;
        Ok(Some(Json::Object(bound)))
    }

    #[test]
    fn a_line_adds_to_the_command_line_and_wins() {
        use serde_json::json;

        for (words, line, params) in [
            (
                &["00"][..],
                "1s",
                json!({"currentTip": "00", "timeout": "1s"}),
            ),
            (
                &["timeout=1s"],
                "00",
                json!({"timeout": "1s", "currentTip": "00"}),
            ),
            (
                &["00", "1s"],
                "timeout=2s",
                json!({"currentTip": "00", "timeout": "2s"}),
            ),
            (
                &[],
                " {\"currentTip\": \"00\"} ",
                json!({"currentTip": "00"}),
            ),
            (
                &["00", "1s"],
                "{\"timeout\":5}",
                json!({"currentTip": "00", "timeout": 5}),
            ),
            (
                &["{\"timeout\":5}"],
                "'00'",
                json!({"timeout": 5, "currentTip": "00"}),
            ),
            (&["00"], "{}", json!({"currentTip": "00"})),
        ] {
            assert_eq!(lined(words, line), Ok(Some(params)), "{words:?} {line}");
        }
        for line in ["", "  \t", "# nothing"] {
            assert_eq!(lined(&["00"], line), Ok(None));
        }
        for (words, line, part) in [
            (&["00"][..], "1s 2s", "no parameter is left"),
            (&[], "timeout=1s", "parameter currentTip (Data) is missing"),
            (&[], "{\"currentTip\":", "no JSON object"),
            (&[], "'00", "a quote is not closed"),
            (&[], "00 currentTip=00", "given twice"),
        ] {
            let message = lined(words, line).unwrap_err();
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
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
