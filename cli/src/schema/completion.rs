//! Shell completion: answers a shell with the candidates that continue a partial command line.
//!
//! Knows the command line, the shells, and which schema a line means; the candidates are
//! [`super::complete`]'s. Must not connect to anything: the shell blocks on this while the user
//! types.

use std::ffi::{OsStr, OsString};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::{EnvCompleter, Shells};
use eyre::Result;

use crate::args::core_words;
use crate::args::{Cli, Options};
use crate::schema::choice::{Schema, Schemas};
use crate::schema::complete::{Completer, Found};
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
    let names = |f: fn(&Line, &str) -> Found| {
        let line = line.clone();
        ArgValueCompleter::new(move |current: &OsStr| match (&line, current.to_str()) {
            (Some(line), Some(current)) => shown(f(line, current), current),
            _ => Vec::new(),
        })
    };
    let (methods, arguments) = (names(Line::call), names(Line::arguments));
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

    fn call(&self, current: &str) -> Found {
        self.completer().paths(current)
    }

    fn arguments(&self, current: &str) -> Found {
        let completer = self.completer();
        let method = self
            .method
            .as_deref()
            .and_then(|path| completer.method(path));
        let Some(method) = method else {
            return Found::default();
        };
        let given = match self.arguments.split_last() {
            Some((last, given)) if last == current => given,
            _ => &self.arguments,
        };
        completer.arguments(&method, given, current)
    }

    fn interfaces(&self, _: &str) -> Found {
        self.completer().interfaces()
    }

    fn describable(&self, _: &str) -> Found {
        self.completer().describable()
    }

    fn completer(&self) -> Completer<'_> {
        Completer::in_shell(&self.schema)
    }
}

/// Returns the candidates that continue `current`, as a shell takes them: whole words.
fn shown(found: Found, current: &str) -> Vec<CompletionCandidate> {
    let before = current.get(..found.at).unwrap_or_default();
    let all = found.matching(current).all.into_iter();
    let all = all.map(|candidate| {
        let word = format!("{before}{}", candidate.text);
        let help = Some(candidate.help).filter(|help| !help.is_empty());
        CompletionCandidate::new(word).help(help.map(Into::into))
    });
    all.collect()
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
