//! Shell completion: the candidates that continue a partial command line.
//!
//! Knows the command line and schemas, those built in and those that the line names. Must not
//! connect to anything: the shell blocks on this while the user types.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::json::Meaning;
use bitcoin_ipc::dynamic::schema::model::{Kind, Type};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::{EnvCompleter, Shells};
use eyre::Result;

use crate::args::core_words;
use crate::args::{Cli, Options};
use crate::schema::choice::{Schema, Schemas};
use crate::schema::methods::{Method, Param};
use crate::ui::output;

/// The variable that names the shell that asks; set by the script that `completions` prints.
pub(crate) const VARIABLE: &str = "BITCOIN_IPC_COMPLETE";

/// The variable with the index of the word to complete.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// The variable with the separator of candidates.
const SEPARATOR: &str = "_CLAP_IFS";

/// Answers a shell that asks, and returns whether one did.
pub(crate) fn answer(words: &[OsString]) -> Result<bool> {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else {
        return Ok(false);
    };
    let shells = Shells::builtins();
    let shell = shell.to_str().and_then(|shell| shells.completer(shell));
    let shell = shell.ok_or_else(|| eyre::eyre!("{VARIABLE} names no shell that is known"))?;
    let line = words.iter().skip_while(|word| *word != "--").skip(1);
    let line: Vec<OsString> = line.cloned().collect();
    if !line.is_empty() {
        output::print(&candidates(shell, line)?)?;
    }
    Ok(true)
}

fn candidates(shell: &dyn EnvCompleter, line: Vec<OsString>) -> Result<Vec<u8>> {
    let variable = |name: &str| std::env::var(name).ok();
    let directory = std::env::current_dir().ok();
    let mut text = Vec::new();
    if !shell.is("bash") {
        let line = core_words::translate_unfinished(&Cli::command(), line);
        // Only bash, zsh and elvish tell; with the others it is the last.
        let last = line.len().saturating_sub(1);
        let index = variable(INDEX).and_then(|index| index.parse().ok());
        let mut command = command(&line, index.unwrap_or(last));
        shell.write_complete(&mut command, line, directory.as_deref(), &mut text)?;
        return Ok(text);
    }
    let index = variable(INDEX).and_then(|index| index.parse().ok());
    let (line, index, before) = joined(&line, index.unwrap_or_default());
    let line = core_words::translate_unfinished(&Cli::command(), line);
    let mut command = command(&line, index);
    let found = complete(&mut command, line, index, directory.as_deref())?;
    let found = found.iter().map(|candidate| {
        let value = candidate.get_value().to_string_lossy();
        value.strip_prefix(&before).unwrap_or(&value).to_owned()
    });
    let separator = variable(SEPARATOR).unwrap_or_else(|| "\n".into());
    Ok(found.collect::<Vec<_>>().join(&separator).into_bytes())
}

/// Rejoins words that bash splits at `=` and `:`. Returns the words, the index of the word to
/// complete, and the part of that word that bash takes for earlier words.
fn joined(line: &[OsString], index: usize) -> (Vec<OsString>, usize, String) {
    let breaks = |word: &OsStr| {
        let word = word.to_string_lossy();
        !word.is_empty() && word.chars().all(|c| c == '=' || c == ':')
    };
    let mut words: Vec<OsString> = Vec::new();
    let mut before = String::new();
    let mut open = false;
    for word in line.iter().take(index + 1) {
        let is_break = breaks(word);
        match words.last_mut() {
            Some(last) if open || is_break => {
                before = last.to_string_lossy().into_owned();
                last.push(word);
                if is_break {
                    before = last.to_string_lossy().into_owned();
                }
            }
            _ => {
                before.clear();
                words.push(word.clone());
            }
        }
        open = is_break;
    }
    let index = words.len().saturating_sub(1);
    (words, index, before)
}

/// Returns the definition of the command line, with candidates from the schemas. The word at
/// `index` is the one to complete.
fn command(line: &[OsString], index: usize) -> Command {
    let current = line.get(index).and_then(|word| word.to_str());
    // Options would hide the methods and parameters.
    let hides_options = current.is_none_or(|word| !word.starts_with('-'));
    let hidden = move |arg: clap::Arg| {
        let hide = arg.is_hide_set() || hides_options && !arg.is_positional();
        arg.hide(hide)
    };
    let line = Line::read(line);
    let names = |f: fn(&Line, &str) -> Vec<CompletionCandidate>| {
        let line = line.clone();
        ArgValueCompleter::new(move |current: &OsStr| match (&line, current.to_str()) {
            (Some(line), Some(current)) => f(line, current),
            _ => Vec::new(),
        })
    };
    let (methods, arguments) = (names(Line::callable), names(Line::arguments));
    let (interfaces, described) = (names(Line::interfaces), names(Line::describable));
    Cli::command()
        .disable_help_flag(hides_options)
        .disable_version_flag(hides_options)
        .mut_args(hidden)
        .mut_subcommands(|command| command.mut_args(hidden))
        .mut_subcommand("call", |call| {
            call.mut_arg("method", |arg| arg.add(methods))
                .mut_arg("arguments", |arg| arg.add(arguments))
        })
        .mut_subcommand("list", |list| {
            list.mut_arg("interface", |arg| arg.add(interfaces))
        })
        .mut_subcommand("describe", |describe| {
            describe.mut_arg("name", |arg| arg.add(described))
        })
}

/// A partial line, and the schema that it selects.
#[derive(Clone)]
struct Line {
    schema: Schema,
    method: Option<String>,
    arguments: Vec<String>,
}

impl Line {
    /// Reads a line. Returns `None` where there is no schema to complete by, such as one that
    /// cannot be read.
    fn read(line: &[OsString]) -> Option<Self> {
        let definition = Cli::command().ignore_errors(true);
        let matches = definition.try_get_matches_from(line).ok()?;
        let of_call = |matches: &ArgMatches| {
            let (_, call) = matches.subcommand().filter(|(name, _)| *name == "call")?;
            let method = call.get_one::<String>("method").cloned();
            let arguments = call.get_many::<String>("arguments").unwrap_or_default();
            Some((method, arguments.cloned().collect()))
        };
        let (method, arguments) = of_call(&matches).unwrap_or_default();
        let options = Options::from_arg_matches(&matches).ok()?;
        let schema = Schemas::load(&options).ok()?.assumed().ok()?;
        Some(Self {
            schema,
            method,
            arguments,
        })
    }

    fn interfaces(&self, current: &str) -> Vec<CompletionCandidate> {
        let all = self.schema.interfaces();
        let named = all
            .iter()
            .map(|node| (node.name.clone(), node.docs.as_str()));
        matching(named, current)
    }

    /// Returns the methods as `Interface.method`, and those that can be called so also as the method
    /// alone, where it is the only one of its name.
    fn methods(&self, with_unreachable: bool) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for node in self.schema.interfaces() {
            let is_direct = self.schema.route(node.id).ok().flatten();
            let is_direct = is_direct.is_some_and(|route| route.is_empty());
            if !is_direct && !with_unreachable {
                continue;
            }
            for method in self.schema.methods(node.id).unwrap_or_default() {
                let docs = &method.info.method.docs;
                found.insert(method.full_name(), docs.clone());
                let alone = self.schema.named(method.name());
                if alone.is_ok_and(|(id, _)| id == node.id) {
                    found.insert(method.name().to_owned(), docs.clone());
                }
            }
        }
        found
    }

    fn callable(&self, current: &str) -> Vec<CompletionCandidate> {
        let Some((path, _)) = current.rsplit_once('/') else {
            let all = self.methods(false);
            return matching(
                all.iter().map(|(name, docs)| (name.clone(), docs.as_str())),
                current,
            );
        };
        // The object that the method before the slash returns has further methods.
        let steps = self.schema.resolve(path, None).map(|(_, steps)| steps);
        let interface = steps.ok().and_then(|steps| steps.last()?.returns);
        let next = interface.and_then(|id| self.schema.methods(id).ok());
        let next = next.unwrap_or_default();
        let named = next.iter().map(|method| {
            let name = format!("{path}/{}", method.name());
            (name, method.info.method.docs.as_str())
        });
        matching(named, current)
    }

    fn describable(&self, current: &str) -> Vec<CompletionCandidate> {
        let mut all = self.methods(true);
        for node in self.schema.registry.nodes() {
            let has_name = matches!(
                node.kind,
                Kind::Interface(_) | Kind::Struct(_) | Kind::Enum(_)
            );
            if has_name && !node.name.contains('$') {
                all.insert(node.name.clone(), node.docs.clone());
            }
        }
        matching(
            all.iter().map(|(name, docs)| (name.clone(), docs.as_str())),
            current,
        )
    }

    /// Returns the parameters that are not given yet, or the values of the one that is being typed.
    fn arguments(&self, current: &str) -> Vec<CompletionCandidate> {
        let steps = self
            .method
            .as_deref()
            .map(|path| self.schema.resolve(path, None));
        let Some(method) = steps.and_then(|steps| steps.ok()?.1.pop()) else {
            return Vec::new();
        };
        if let Some((name, _)) = current.split_once('=') {
            let name = name.strip_suffix(':').unwrap_or(name);
            let mut params = method.params.iter();
            let param = params.find(|param| param.name == name);
            let values = param.map(|param| self.values(&method, param));
            let named = values.unwrap_or_default().into_iter();
            return matching(named.map(|value| (format!("{name}{value}"), "")), current);
        }
        let given = |param: &&Param| {
            let mut words = self.arguments.iter().filter(|word| *word != current);
            words.any(|word| {
                let rest = word.strip_prefix(&param.name);
                rest.is_some_and(|rest| rest.starts_with('=') || rest.starts_with(":="))
            })
        };
        let left = method.params.iter().filter(|param| !given(param));
        let named = left.flat_map(|param| {
            let printed = matches!(param.ty, Type::Interface(..));
            let printed = printed.then(|| format!("{}:=print", param.name));
            let names = std::iter::once(format!("{}=", param.name)).chain(printed);
            names.map(|name| (name, param.kind.as_str()))
        });
        matching(named, current)
    }

    /// Returns the candidates that follow a parameter's name, where the type limits them.
    fn values(&self, method: &Method, param: &Param) -> Vec<String> {
        let words: Vec<String> = match &param.ty {
            Type::Bool => vec!["true".into(), "false".into()],
            Type::Enum(id) => match self.schema.registry.node(*id).map(|node| &node.kind) {
                Some(Kind::Enum(values)) => values.iter().map(|v| v.name.clone()).collect(),
                _ => Vec::new(),
            },
            Type::Interface(..) => return vec!["=null".into(), ":=print".into()],
            ty => match core::meaning(&method.full_name(), &param.name, ty) {
                Meaning::Milliseconds => vec!["1s".into(), "forever".into()],
                _ => Vec::new(),
            },
        };
        words.iter().map(|word| format!("={word}")).collect()
    }
}

/// Returns the candidates that begin with `current`, whatever its case.
fn matching<'d>(
    all: impl Iterator<Item = (String, &'d str)>,
    current: &str,
) -> Vec<CompletionCandidate> {
    let lower = current.to_lowercase();
    let matching = all.filter(|(name, _)| name.to_lowercase().starts_with(&lower));
    let candidates = matching.map(|(name, docs)| {
        let first = docs.lines().next().filter(|line| !line.is_empty());
        CompletionCandidate::new(name).help(first.map(|line| line.to_owned().into()))
    });
    candidates.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bash_takes_apart_is_put_together() {
        for (line, index, words, before) in [
            ("x call", 1, "x|call", ""),
            ("x call m name = va", 5, "x|call|m|name=va", "name="),
            ("x call m name =", 4, "x|call|m|name=", "name="),
            ("x call m name := pr", 5, "x|call|m|name:=pr", "name:="),
            (
                "x -a unix : /tmp/a call ec",
                6,
                "x|-a|unix:/tmp/a|call|ec",
                "",
            ),
            ("x --core = 3 call", 3, "x|--core=3", "--core="),
            ("x call m a = 1 b", 6, "x|call|m|a=1|b", ""),
        ] {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let (found, at, prefix) = joined(&line, index);
            let found: Vec<_> = found.iter().map(|word| word.to_string_lossy()).collect();
            assert_eq!((found.join("|").as_str(), prefix.as_str()), (words, before));
            assert_eq!(at, found.len() - 1);
        }
    }
}
