//! JSON-RPC as bitcoin-cli speaks it: from words to a request, and from a reply to text.
//!
//! Knows the forms of arguments (`src/rpc/client.cpp` in Core), OpenRPC documents, and how
//! bitcoin-cli prints (`src/bitcoin-cli.cpp`); nothing of connections.

use eyre::Result;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use crate::ui::errors::{Failure, Kind};

/// The method by which a node describes its methods, in the OpenRPC format.
pub(crate) const DESCRIBE: &str = "getopenrpcinfo";

/// RPC_IN_WARMUP of Core's `src/rpc/protocol.h`.
pub(crate) const IN_WARMUP: i64 = -28;

/// RPC_TYPE_ERROR, with which a node refuses arguments before it runs a method.
const TYPE_ERROR: i64 = -3;

/// RPC_WALLET_NOT_SPECIFIED.
const WALLET_NOT_SPECIFIED: i64 = -19;

/// The parameters of a node's methods, by its own description.
#[derive(Debug, Deserialize)]
pub(crate) struct OpenRpc {
    methods: Vec<Method>,
}

#[derive(Debug, Deserialize)]
struct Method {
    name: String,
    params: Vec<Param>,
}

#[derive(Debug, Deserialize)]
struct Param {
    name: String,
    #[serde(rename = "x-bitcoin-aliases", default)]
    aliases: Vec<String>,
    schema: Json,
}

impl Param {
    fn form(&self) -> Form {
        Form::of(&self.schema)
    }
}

/// The form of an argument's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    JsonOrText,
    /// A string that is not free text, such as hex.
    Word,
    Text,
}

impl Form {
    fn of(schema: &Json) -> Self {
        let is_text = |schema: &Json| schema["type"] == "string";
        let any = |key: &str| {
            let of = schema[key].as_array();
            of.is_some_and(|of| of.iter().any(is_text))
        };
        if is_text(schema) {
            let limited = schema.get("pattern").or_else(|| schema.get("enum"));
            return if limited.is_some() {
                Self::Word
            } else {
                Self::Text
            };
        }
        match any("oneOf") || any("anyOf") {
            true => Self::JsonOrText,
            false => Self::Json,
        }
    }

    fn read(self, text: &str) -> Result<Json, Failure> {
        let as_text = || Json::from(text);
        match (self, serde_json::from_str(text)) {
            (Self::Word | Self::Text, _) => Ok(as_text()),
            (_, Ok(value)) => Ok(value),
            (Self::JsonOrText, Err(_)) => Ok(as_text()),
            // In bitcoin-cli's words.
            (Self::Json, Err(_)) => Err(Failure::new(
                Kind::Failed,
                format!("Error parsing JSON: {text}"),
            )
            .hint("`bitcoin-ipc rpc help METHOD` tells the types of its arguments")),
        }
    }
}

/// The forms of one method's arguments. Without a description they are guessed: JSON where the text
/// is JSON.
pub(crate) struct Forms<'a>(Option<&'a Method>);

impl<'a> Forms<'a> {
    /// Returns the forms by the node's description, if it has one.
    pub(crate) fn of(described: Option<&'a OpenRpc>, method: &str) -> Self {
        // A method that is not described does not exist; the node says so.
        let mut methods = described.iter().flat_map(|document| &document.methods);
        Self(methods.find(|found| found.name == method))
    }

    fn at(&self, index: usize) -> Form {
        match self.0 {
            None => Form::JsonOrText,
            // One too many is the node's to refuse.
            Some(method) => method.params.get(index).map_or(Form::Word, Param::form),
        }
    }

    fn named(&self, name: &str) -> Option<Form> {
        let params = &self.0?.params;
        let is = |param: &&Param| param.name == name || param.aliases.iter().any(|a| a == name);
        let own = params.iter().find(is).map(Param::form);
        own.or_else(|| {
            // A field of an object can be given as a parameter.
            let mut fields = params.iter().map(|param| &param.schema["properties"][name]);
            fields.find(|schema| !schema.is_null()).map(Form::of)
        })
    }

    /// Returns `params` for arguments by position.
    pub(crate) fn positional(&self, arguments: &[String]) -> Result<Json, Failure> {
        let read = |(index, text): (usize, &String)| self.at(index).read(text);
        arguments.iter().enumerate().map(read).collect()
    }

    /// Returns `params` for arguments some of which are `name=value`, as with `-named`.
    pub(crate) fn by_name(&self, arguments: &[String]) -> Result<Json, Failure> {
        let mut named = Map::new();
        let mut positional: Vec<Json> = Vec::new();
        for argument in arguments {
            let next = self.at(positional.len());
            let Some((name, value)) = argument.split_once('=') else {
                positional.push(next.read(argument)?);
                continue;
            };
            match (self.named(name), next) {
                (Some(form), _) => {
                    named.insert(name.to_owned(), form.read(value)?);
                }
                // A value that has an equals sign in it.
                (None, Form::Text) if self.0.is_some() => positional.push(argument.as_str().into()),
                (None, Form::Json) if Form::Json.read(argument).is_ok() => {
                    positional.push(Form::Json.read(argument)?);
                }
                (None, _) => {
                    let form = if self.0.is_some() {
                        Form::Word
                    } else {
                        Form::JsonOrText
                    };
                    named.insert(name.to_owned(), form.read(value)?);
                }
            }
        }
        if !positional.is_empty() {
            named.entry("args").or_insert(positional.into());
        }
        Ok(named.into())
    }
}

/// Whether arguments that are read without the node's description, as JSON where they are JSON, may mean
/// something else to a node without its saying so. It tells a number, a list or a struct from the string that
/// it expects, but not one string from another, nor null from a string that is left out.
pub(crate) fn may_be_mistaken(arguments: &[String]) -> bool {
    let mut values = arguments.iter().map(|text| serde_json::from_str(text));
    values.any(|value| matches!(value, Ok(Json::String(_) | Json::Null)))
}

/// Returns the text of a request.
pub(crate) fn request(method: &str, params: &Json) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 }).to_string()
}

/// Returns the path of a wallet's requests, or of those that are about none.
pub(crate) fn endpoint(wallet: Option<&str>) -> String {
    let Some(wallet) = wallet else {
        return "/".into();
    };
    let mut path = "/wallet/".to_owned();
    for byte in wallet.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

/// A reply: the text of its result, `None` where that is null, or its error.
pub(crate) type Reply<'a> = Result<Option<&'a str>, RpcError>;

/// The error that a node answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RpcError(Json);

/// Reads a reply.
pub(crate) fn read(reply: &str) -> Result<Reply<'_>, Failure> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(default)]
        error: Json,
    }
    let whole: Whole<'_> = serde_json::from_str(reply).map_err(|error| {
        Failure::new(Kind::Remote, format!("the reply is no JSON-RPC: {error}"))
            .hint("see that the peer is a Bitcoin Core node; -v shows more")
    })?;
    Ok(match whole.error {
        Json::Null => Ok(whole.result.map(RawValue::get)),
        error => Err(RpcError(error)),
    })
}

impl RpcError {
    /// Whether it refuses the types of arguments.
    pub(crate) fn is_about_types(&self) -> bool {
        self.code() == Some(TYPE_ERROR)
    }

    pub(crate) fn code(&self) -> Option<i64> {
        self.0["code"].as_i64()
    }

    /// The exit status that bitcoin-cli has with it, modulo 256 as a shell sees it.
    pub(crate) fn exit(&self) -> u8 {
        let code = self.code().unwrap_or(1).unsigned_abs() % 256;
        u8::try_from(code).unwrap_or(1)
    }

    pub(crate) fn json(&self) -> Json {
        json!({ "error": {
            "kind": "rpc",
            "code": self.0["code"],
            "message": self.0["message"],
            "exit": self.exit(),
        }})
    }

    /// The error as bitcoin-cli writes it, without the last newline.
    pub(crate) fn text(&self) -> String {
        if !self.0.is_object() {
            return format!("error: {}", self.0);
        }
        let mut text = String::new();
        match &self.0["code"] {
            Json::Null => {}
            Json::String(code) => text.push_str(&format!("error code: {code}\n")),
            code => text.push_str(&format!("error code: {code}\n")),
        }
        if let Some(message) = self.0["message"].as_str() {
            text.push_str(&format!("error message:\n{message}"));
        }
        if self.code() == Some(WALLET_NOT_SPECIFIED) {
            text.push_str(
                " Or for the CLI, specify the \"-rpcwallet=<walletname>\" option before the \
                 command (run \"bitcoin-ipc rpc --help\" for help or \"bitcoin-ipc rpc \
                 listwallets\" to see which wallets are currently loaded).",
            );
        }
        text
    }
}

/// Returns a result as bitcoin-cli prints it: a string plain, anything else indented by two, with
/// numbers and strings as the node wrote them.
pub(crate) fn printed(result: &str) -> String {
    match serde_json::from_str(result) {
        Ok(Json::String(text)) => text,
        _ => indented(result),
    }
}

/// Indents JSON as Core's UniValue does, which breaks lines in empty lists and objects too.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut opened = false;
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    let mut characters = json.chars();
    while let Some(character) = characters.next() {
        match character {
            '{' | '[' => {
                if opened {
                    line(&mut out, depth);
                }
                out.push(character);
                depth += 1;
                opened = true;
                continue;
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            space if space.is_ascii_whitespace() => continue,
            other => {
                if opened {
                    line(&mut out, depth);
                }
                out.push(other);
                if other == '"' {
                    copy_string(&mut characters, &mut out);
                }
            }
        }
        opened = false;
    }
    out
}

/// Copies the rest of a string.
fn copy_string(characters: &mut std::str::Chars<'_>, out: &mut String) {
    while let Some(character) = characters.next() {
        out.push(character);
        match character {
            '"' => return,
            '\\' => out.extend(characters.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn document() -> OpenRpc {
        let method = |name: &str, params: Json| json!({ "name": name, "params": params });
        let hex = json!({ "type": "string", "pattern": "^[0-9a-f]+$" });
        serde_json::from_value(json!({ "methods": [
            method("getblock", json!([
                { "name": "blockhash", "schema": hex },
                { "name": "verbosity", "schema": { "default": 1 }, "x-bitcoin-aliases": ["verbose"] },
            ])),
            method("stats", json!([
                { "name": "which", "schema": { "oneOf": [{ "type": "integer" }, { "type": "string" }] } },
                { "name": "names", "schema": { "type": "array" } },
            ])),
            method("create", json!([
                { "name": "name", "schema": { "type": "string" } },
                { "name": "options", "schema": { "type": "object", "properties": {
                    "blank": { "type": "boolean" }, "note": { "type": "string" } } } },
            ])),
        ]}))
        .unwrap()
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn arguments_have_the_types_of_the_description() {
        let document = document();
        let positional = |method: &str, line: &str| {
            let forms = Forms::of(Some(&document), method);
            forms.positional(&words(line)).map(|json| json.to_string())
        };
        let failure = |method, line| positional(method, line).unwrap_err().message;
        assert_eq!(positional("getblock", "00 0").unwrap(), r#"["00",0]"#);
        assert_eq!(positional("getblock", "12 true").unwrap(), r#"["12",true]"#);
        assert_eq!(positional("stats", r#"7 ["a"]"#).unwrap(), r#"[7,["a"]]"#);
        assert_eq!(positional("stats", "0f").unwrap(), r#"["0f"]"#);
        assert_eq!(failure("getblock", "00 x"), "Error parsing JSON: x");
        // What there is not is refused by the node.
        assert_eq!(positional("nothing", "1 a").unwrap(), r#"[1,"a"]"#);
        let guessed = Forms::of(None, "getblock").positional(&words("00 0 true"));
        assert_eq!(guessed.unwrap().to_string(), r#"["00",0,true]"#);
    }

    #[test]
    fn named_arguments_are_told_from_values_with_an_equals_sign() {
        let document = document();
        let named = |method: &str, line: &str| {
            let forms = Forms::of(Some(&document), method);
            forms.by_name(&words(line)).unwrap().to_string()
        };
        for (method, line, params) in [
            (
                "getblock",
                "blockhash=12 verbosity=0",
                r#"{"blockhash":"12","verbosity":0}"#,
            ),
            (
                "getblock",
                "12 verbose=false",
                r#"{"verbose":false,"args":["12"]}"#,
            ),
            ("getblock", "x=1", r#"{"x":"1"}"#),
            ("create", "my=wallet", r#"{"args":["my=wallet"]}"#),
            (
                "create",
                "w blank=true note=1",
                r#"{"blank":true,"note":"1","args":["w"]}"#,
            ),
            ("stats", r#"1 ["a=b"]"#, r#"{"args":[1,["a=b"]]}"#),
        ] {
            assert_eq!(named(method, line), params, "{line}");
        }
    }

    #[test]
    fn strings_and_null_are_not_guessed() {
        for (line, may) in [
            ("", false),
            ("0 true [1] {} abc 00ff", false),
            ("null", true),
            ("0 \"hi\"", true),
        ] {
            assert_eq!(may_be_mistaken(&words(line)), may, "{line}");
        }
    }

    #[test]
    fn wallets_are_encoded_in_the_path() {
        assert_eq!(endpoint(None), "/");
        assert_eq!(endpoint(Some("")), "/wallet/");
        assert_eq!(endpoint(Some("a b/é~")), "/wallet/a%20b%2F%C3%A9~");
    }

    #[test]
    fn results_are_indented_as_core_does() {
        for (json, text) in [
            (r#""a\"b\n""#, "a\"b\n"),
            ("1e-8", "1e-8"),
            ("[]", "[\n]"),
            (
                r#"{"a":{},"b":[1,[2,"],{"]]}"#,
                "{\n  \"a\": {\n  },\n  \"b\": [\n    1,\n    [\n      2,\n      \"],{\"\n    ]\n  ]\n}",
            ),
            (
                r#"[{"x" : 0.10000000}, "\\"]"#,
                "[\n  {\n    \"x\": 0.10000000\n  },\n  \"\\\\\"\n]",
            ),
        ] {
            assert_eq!(printed(json), text);
        }
    }

    #[test]
    fn errors_have_bitcoin_clis_words_and_statuses() {
        let error = |text: &str| read(text).unwrap().unwrap_err();
        let failed = error(r#"{"result":null,"error":{"code":-8,"message":"no\nsuch"},"id":1}"#);
        assert_eq!(failed.text(), "error code: -8\nerror message:\nno\nsuch");
        assert_eq!(failed.exit(), 8);
        assert_eq!(error(r#"{"error":{"code":-32601}}"#).exit(), 89);
        assert_eq!(error(r#"{"error":"odd"}"#).text(), "error: \"odd\"");
        assert_eq!(error(r#"{"error":"odd"}"#).exit(), 1);
        assert_eq!(read(r#"{"result":null,"error":null}"#).unwrap(), Ok(None));
        assert_eq!(read(r#"{"result":[1.10]}"#).unwrap(), Ok(Some("[1.10]")));
        assert_eq!(read("x").unwrap_err().kind, Kind::Remote);
    }
}
