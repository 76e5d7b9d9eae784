//! Shell completion: answers a shell with the candidates that continue a partial command line.
//!
//! Knows the command line, the shells, and which schema a line means; the candidates are
//! [`super::complete`]'s. Must not connect to anything: the shell blocks on this while the user
//! types.

use std::ffi::{OsStr, OsString};

use bitcoin_ipc::roles::Role;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter, complete,
};
use eyre::Result;

use crate::args::core_words;
use crate::args::{Cli, Options, Shell};
use crate::schema::choice::{Schema, Schemas};
use crate::schema::complete::{Candidate, Completer, Found};
use crate::schema::shells::{self, VARIABLE};
use crate::ui::output;

/// Answers a shell that asks, and returns whether one did.
pub(crate) fn answer(words: &[OsString]) -> Result<bool> {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else {
        return Ok(false);
    };
    let shell = shell.to_str().and_then(Shell::of_name);
    let shell = shell.ok_or_else(|| eyre::eyre!("{VARIABLE} names no shell that is known"))?;
    let line = words.iter().skip_while(|word| *word != "--").skip(1);
    let line: Vec<OsString> = line.cloned().collect();
    if !line.is_empty() {
        let index = shells::index(line.len());
        let found = candidates(shell, line, index)?;
        output::print(shells::text(shell, &found).as_bytes())?;
    }
    Ok(true)
}

/// Returns the candidates for a word of a line.
fn candidates(
    shell: Shell,
    mut line: Vec<OsString>,
    mut index: usize,
) -> Result<Vec<CompletionCandidate>> {
    // What bash takes for earlier words is no part of a candidate.
    let mut before = String::new();
    if shell == Shell::Bash {
        (line, index, before) = joined(&line, index);
    } else if line.len() == index {
        // Zsh leaves an empty word out.
        line.push(OsString::new());
    }
    let typed = line.get(index).cloned().unwrap_or_default();
    let spellings = core_words::spellings(&Cli::command(), &line, index);
    let line = core_words::translate_unfinished(&Cli::command(), line);
    let own = line.get(index).cloned().unwrap_or_default();
    let directory = std::env::current_dir().ok();
    let found = complete(
        &mut command(&line, index),
        line,
        index,
        directory.as_deref(),
    )?;
    // What continues a word of Core's is no group of letters.
    let letters = !spellings.is_empty() && typed == own;
    let found = found.into_iter().filter(|_| !letters);
    // The names of options, up to the value: the typed one is kept.
    let name = |word: &OsString| {
        let word = word.to_string_lossy();
        word.find('=')
            .map_or(word.to_string(), |at| word[..at].to_owned())
    };
    let (typed_name, own_name) = (name(&typed), name(&own));
    let mut words: Vec<(String, CompletionCandidate)> = Vec::new();
    let spellings = spellings
        .iter()
        .map(|(word, help)| CompletionCandidate::new(*word).help(Some((*help).into())));
    for candidate in found.chain(spellings) {
        let value = candidate.get_value().to_string_lossy();
        let value = match value.strip_prefix(&own_name) {
            Some(rest) if typed != own => format!("{typed_name}{rest}"),
            _ => value.into_owned(),
        };
        if words.iter().all(|(known, _)| *known != value) {
            words.push((value, candidate));
        }
    }
    let words = words.into_iter().map(|(word, candidate)| {
        let word = word.strip_prefix(&before).unwrap_or(&word).to_owned();
        CompletionCandidate::new(word).help(candidate.get_help().cloned())
    });
    Ok(words.collect())
}

/// Rejoins words that bash splits at `=`, `:` and `@`. Returns the words, the index of the word to
/// complete, and the part of that word that bash takes for earlier words.
fn joined(line: &[OsString], index: usize) -> (Vec<OsString>, usize, String) {
    let breaks = |word: &OsStr| {
        let word = word.to_string_lossy();
        !word.is_empty() && word.chars().all(|c| matches!(c, '=' | ':' | '@'))
    };
    let mut words: Vec<OsString> = Vec::new();
    let mut before = String::new();
    let mut open = false;
    for word in line.iter().take(index + 1) {
        let is_break = breaks(word);
        match words.last_mut() {
            // One that begins with `@` is taken for a word's first part, as in `@FILE`.
            Some(last) if open || is_break && !word.as_encoded_bytes().starts_with(b"@") => {
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
    // Bash has the `@` in the part that a candidate replaces.
    let before = before.trim_end_matches('@').to_owned();
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
    let (watched, its_arguments) = (names(Line::watched), names(Line::arguments));
    let (interfaces, described) = (names(Line::interfaces), names(Line::describable));
    let pages = Cli::command();
    let pages: Vec<_> = pages
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    let pages = ArgValueCompleter::new(move |current: &OsStr| {
        words_of(&pages, current).collect::<Vec<_>>()
    });
    Cli::command()
        .disable_help_flag(hides_options)
        .disable_version_flag(hides_options)
        .mut_args(hidden)
        .mut_arg("address", |arg| arg.add(ArgValueCompleter::new(addresses)))
        .mut_subcommands(|command| command.mut_args(hidden))
        .mut_subcommand("call", |call| {
            call.mut_arg("method", |arg| arg.add(methods))
                .mut_arg("arguments", |arg| arg.add(arguments))
        })
        .mut_subcommand("watch", |watch| {
            watch
                .mut_arg("what", |arg| arg.add(watched))
                .mut_arg("arguments", |arg| arg.add(its_arguments))
        })
        .mut_subcommand("spawn", |spawn| {
            // A changed argument takes the last place.
            spawn
                .mut_arg("what", |arg| arg.add(ArgValueCompleter::new(roles)))
                .mut_arg("command", |arg| arg)
        })
        .mut_subcommand("connect", |connect| {
            connect.mut_arg("peer", |arg| arg.add(ArgValueCompleter::new(addresses)))
        })
        .mut_subcommand("man", |man| man.mut_arg("command", |arg| arg.add(pages)))
        .mut_subcommand("list", |list| {
            list.mut_arg("interface", |arg| arg.add(interfaces))
        })
        .mut_subcommand("describe", |describe| {
            describe.mut_arg("name", |arg| arg.add(described))
        })
}

/// Returns those of some words that begin with `current`.
fn words_of<'w>(
    words: &'w [impl AsRef<str>],
    current: &'w OsStr,
) -> impl Iterator<Item = CompletionCandidate> + 'w {
    let current = current.to_string_lossy();
    let words = words.iter().map(AsRef::as_ref);
    let found = words.filter(move |word| word.starts_with(&*current));
    found.map(CompletionCandidate::new)
}

/// Returns the roles, or the programs of a path.
fn roles(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = Role::ALL.iter().map(|role| role.name());
    let names: Vec<_> = names.collect();
    let found: Vec<_> = words_of(&names, current).collect();
    match found.is_empty() {
        true => PathCompleter::file().complete(current),
        false => found,
    }
}

/// Returns the forms of addresses, or the files of one with a path.
fn addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy();
    let prefix = ["unix:", "exec:", "/"]
        .iter()
        .find(|prefix| text.starts_with(**prefix));
    let Some(prefix) = prefix else {
        return words_of(&["auto", "unix", "unix:", "fd:", "exec:"], current).collect();
    };
    let prefix = if *prefix == "/" { "" } else { prefix };
    let files = PathCompleter::any().complete(OsStr::new(&text[prefix.len()..]));
    files
        .into_iter()
        .map(|file| file.add_prefix(prefix))
        .collect()
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
            let (name, call) = matches.subcommand()?;
            let method = match name {
                "call" => call.get_one::<String>("method").cloned(),
                "watch" => call.get_one::<String>("what").cloned(),
                _ => return None,
            };
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

    fn watched(&self, current: &str) -> Found {
        let mut found = self.completer().paths(current);
        if found.at == 0 {
            let own = ["tip", "template"].map(Candidate::new);
            found.all.splice(0..0, own);
        }
        found
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
            ("x call m @ /tm", 4, "x|call|m|@/tm", ""),
            ("x call m a =@ /tm", 5, "x|call|m|a=@/tm", "a="),
            ("x call m @", 3, "x|call|m|@", ""),
        ] {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let (found, at, prefix) = joined(&line, index);
            let found: Vec<_> = found.iter().map(|word| word.to_string_lossy()).collect();
            assert_eq!((found.join("|").as_str(), prefix.as_str()), (words, before));
            assert_eq!(at, found.len() - 1);
        }
    }
}
