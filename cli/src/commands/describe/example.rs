//! Command lines that call a method, for the `Try:` of a description.
//!
//! Knows what a call needs, and the calls that lead to an object; must not make any. Each word of what it
//! writes passes `--dry-run`.

use bitcoin_ipc::dynamic::core::is_core;
use bitcoin_ipc::dynamic::json::Meaning;
use bitcoin_ipc::dynamic::schema::model::{Kind, Type};
use serde_json::Value as Json;

use super::shown::meaning;
use crate::context::Context;
use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};
use crate::schema::ways::{self, Hop};
use crate::ui::errors::Failure;

/// Values that say more than those made up by type.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("Echo.echo", "echo", "hi"),
    // It may be waited for, for ever, where it is left out.
    ("Mining.createNewBlock", "cooldown", "false"),
    (
        "Rpc.executeRpc",
        "request",
        "{\"method\":\"getblockcount\"}",
    ),
];

/// The names of objects that a session keeps.
const NAMES: [&str; 3] = ["x", "y", "z"];

/// Returns a command line that can be pasted into a shell, with what the makers on the way to the object
/// require: one call of a method of this interface, or a session where an object must be named first. An object that only the caller
/// can host is given to a method that takes one. `None` for what the runtime calls itself.
pub(super) fn command(
    context: &Context,
    schema: &Schema,
    interface: u64,
    method: &Method,
) -> Result<Option<String>, Failure> {
    let example = Example { context, schema };
    if let Some(way) = ways::way(schema, interface)? {
        return example.reached(&way, method).map(Some);
    }
    if let Some((way, takes)) = example.taking(interface)? {
        return example.reached(&way, &takes).map(Some);
    }
    if context.options.schema.is_empty() {
        return Ok(None);
    }
    let name = schema.name_of(interface);
    let mut words = example.program(Some(&name))?;
    words.extend(["call".to_owned(), format!("{name}.{}", method.name())]);
    words.extend(example.arguments(method)?);
    Ok(Some(words.join(" ")))
}

struct Example<'a> {
    context: &'a Context,
    schema: &'a Schema,
}

impl Example<'_> {
    /// A call of a method of an object, and of what leads to that.
    fn reached(&self, way: &[Hop], method: &Method) -> Result<String, Failure> {
        match self.can_be_one(way, method) {
            true => self.one(way, method),
            false => self.session(way, method),
        }
    }

    /// Whether one call can name the parameters of all methods: each name is that of the last method that
    /// has it, and objects are hosted for the last one alone.
    fn can_be_one(&self, way: &[Hop], method: &Method) -> bool {
        let mut later: Vec<&Method> = vec![method];
        let mut fits = true;
        for hop in way.iter().rev() {
            let needed = hop
                .method
                .params
                .iter()
                .filter(|param| self.is_given(&hop.method, param));
            for param in needed {
                let is_taken = later
                    .iter()
                    .any(|later| later.params.iter().any(|p| p.name == param.name));
                fits &= !is_taken && !matches!(param.ty, Type::Interface(..));
            }
            fits &= hop.is_direct;
            later.push(&hop.method);
        }
        fits
    }

    fn one(&self, way: &[Hop], method: &Method) -> Result<String, Failure> {
        let needs_nothing = |hop: &Hop| hop.method.params.iter().all(|param| param.optional);
        let mut names: Vec<&str> = way.iter().map(|hop| hop.method.name()).collect();
        names.push(method.name());
        // What the bootstrap interface makes without parameters is made where its interface is named.
        let mut start = self.schema.root.name.clone();
        if let Some(first) = way.first().filter(|hop| needs_nothing(hop))
            && self
                .schema
                .maker(first.to)?
                .is_some_and(|maker| maker.name() == first.method.name())
        {
            start = self.schema.name_of(first.to);
            names.remove(0);
        }
        let mut words = self.program(None)?;
        words.extend(["call".to_owned(), format!("{start}.{}", names.join("/"))]);
        for hop in way {
            words.extend(self.arguments(&hop.method)?);
        }
        words.extend(self.arguments(method)?);
        Ok(words.join(" "))
    }

    fn session(&self, way: &[Hop], method: &Method) -> Result<String, Failure> {
        let mut lines = vec![format!("{} connect <<'END'", self.program(None)?.join(" "))];
        let mut on = self.schema.root.name.clone();
        let line = |call: String, method: &Method| -> Result<String, Failure> {
            let words = [vec![call], self.arguments(method)?].concat();
            Ok(words.join(" "))
        };
        for (index, hop) in way.iter().enumerate() {
            let call = format!("{on}.{}", hop.method.name());
            if hop.is_direct {
                let name = NAMES
                    .get(index)
                    .map_or_else(|| format!("o{index}"), |name| (*name).into());
                lines.push(line(format!("{name} = {call}"), &hop.method)?);
                on = name;
            } else {
                // The first one that a result holds has this name.
                lines.push(line(call, &hop.method)?);
                on = format!("{}#1", self.schema.name_of(hop.to));
            }
        }
        lines.push(line(format!("{on}.{}", method.name()), method)?);
        lines.push("END".to_owned());
        Ok(lines.join("\n"))
    }

    /// Returns a method that takes an object of an interface, and the way to it.
    fn taking(&self, interface: u64) -> Result<Option<(Vec<Hop>, Method)>, Failure> {
        for node in self.schema.interfaces() {
            for method in self.schema.methods(node.id)? {
                let takes =
                    |param: &Param| matches!(param.ty, Type::Interface(id, _) if id == interface);
                if let (true, Some(way)) = (
                    method.params.iter().any(takes),
                    ways::way(self.schema, node.id)?,
                ) {
                    return Ok(Some((way, method)));
                }
            }
        }
        Ok(None)
    }

    /// The program with the options that choose the peer and the schema, which serves `init` first where
    /// that is given.
    fn program(&self, init: Option<&str>) -> Result<Vec<String>, Failure> {
        let options = &self.context.options;
        let mut words = vec!["bitcoin-ipc".to_owned()];
        let mut option = |name: &str, value: &str| -> Result<(), Failure> {
            words.extend([name.to_owned(), quoted(value)?]);
            Ok(())
        };
        let peer = &options.peer;
        if let Some(chain) = peer.chain()? {
            option("--chain", chain.name())?;
        }
        if let Some(datadir) = &peer.datadir {
            option("--datadir", &datadir.display().to_string())?;
        }
        if let Some(address) = &peer.address {
            option("-a", &address.to_string())?;
        }
        for path in &options.schema {
            option("--schema", &path.display().to_string())?;
        }
        for folder in &options.import_path {
            option("-I", &folder.display().to_string())?;
        }
        if let Some(init) = init.or(options.init.as_deref()) {
            option("--init", init)?;
        }
        Ok(words)
    }

    fn is_given(&self, method: &Method, param: &Param) -> bool {
        !param.optional
            || example(method, param).is_some()
            || meaning(self.context, method, param) == Meaning::Milliseconds
    }

    /// Values for the parameters that a call needs.
    fn arguments(&self, method: &Method) -> Result<Vec<String>, Failure> {
        let mut words = Vec::new();
        for param in &method.params {
            if !self.is_given(method, param) {
                continue;
            }
            if matches!(param.ty, Type::Interface(..)) {
                words.push(format!("{}:=print", param.name));
                continue;
            }
            let meaning = meaning(self.context, method, param);
            let value = match (example(method, param), &param.ty, meaning) {
                (Some(value), ..) => value.to_owned(),
                (_, Type::Data, Meaning::Hash | Meaning::WireHash) => "00".repeat(32),
                (_, _, Meaning::Milliseconds) => "1s".to_owned(),
                (_, Type::Text, _) => "text".to_owned(),
                (_, Type::Data, _) => "00".to_owned(),
                (_, Type::Bool, _) => "true".to_owned(),
                (_, Type::List(_), _) => Json::Array(Vec::new()).to_string(),
                (_, Type::Struct(..), _) => "{}".to_owned(),
                (_, Type::Enum(id), _) => self.first_of(*id),
                (_, Type::AnyPointer | Type::Void, _) => "null".to_owned(),
                _ => "0".to_owned(),
            };
            words.push(format!("{}={}", param.name, quoted(&value)?));
        }
        Ok(words)
    }

    /// Returns the first value of an enum.
    fn first_of(&self, id: u64) -> String {
        let node = self.schema.registry.node(id);
        let first = match node.map(|node| &node.kind) {
            Some(Kind::Enum(values)) => values.first().map(|value| value.name.clone()),
            _ => None,
        };
        first.unwrap_or_else(|| "0".to_owned())
    }
}

fn example(method: &Method, param: &Param) -> Option<&'static str> {
    let name = method.full_name();
    let mut examples = EXAMPLES
        .iter()
        .filter(|_| is_core(method.info.interface.file));
    let found = examples.find(|(method, field, _)| *method == name && *field == param.name);
    found.map(|(_, _, value)| *value)
}

fn quoted(word: &str) -> Result<String, Failure> {
    let quoted = shlex::try_quote(word);
    let quoted = quoted.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(quoted.into_owned())
}
