//! Bitcoin Core's spellings of options (`-regtest`, `-datadir=DIR`) as this program's own.
//!
//! Knows words and which options take a value; nothing of what any of them mean. A word is only
//! rewritten where an option may stand: never after `--`, never as another option's value, and
//! never among the arguments of `rpc`, which are the node's. Each word becomes one word, so that the
//! places of words stay what they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, Command};

use super::conf::truth;
use super::peer::{CHAIN_FLAGS, NEGATED};
use super::refusal::Refusal;

/// Core's options that this program does not have, and their purpose.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "is for JSON-RPC over HTTP; bitcoin-ipc reaches the node by its socket (--address)",
        &[
            "rpcclienttimeout",
            "rpcconnect",
            "rpccookiefile",
            "rpcid",
            "rpcpassword",
            "rpcport",
            "rpcuser",
            "stdinrpcpass",
        ],
    ),
    (
        "is for bitcoin-cli's `rpc`; here it stands after that command",
        &["named", "rpcwallet", "stdin", "stdinwalletpassphrase"],
    ),
    (
        "is a command of bitcoin-cli; see `bitcoin-ipc status`, `mine` and `rpc`",
        &["addrinfo", "generate", "getinfo", "netinfo"],
    ),
    (
        "is for the process that runs the node; give it to bitcoin-node",
        &[
            "bind",
            "daemon",
            "debug",
            "ipcbind",
            "ipcfd",
            "port",
            "rpcbind",
            "server",
            "signetchallenge",
            "signetseednode",
            "testactivationheight",
            "txindex",
            "vbparams",
            "wallet",
        ],
    ),
];

/// Core's spellings that a shell offers, and their meanings.
const SPELLINGS: &[(&str, &str)] = &[
    ("-regtest", "The regression test chain"),
    ("-testnet4", "The fourth test network"),
    ("-testnet", "The third test network"),
    ("-signet", "The signet test network"),
    ("-chain=", "The chain by its name"),
    ("-datadir=", "The data directory of all chains"),
    ("-conf=", "The configuration of the node"),
    ("-ipcconnect=", "The address of the node"),
    ("-rpcwait", "Keep trying to connect"),
    ("-rpcwaittimeout=", "The limit of -rpcwait in seconds"),
];

/// Core's spellings of the options of `rpc`.
const RPC_SPELLINGS: &[(&str, &str)] = &[
    ("-named", "Arguments are name=value"),
    ("-rpcwallet=", "The wallet that the call is about"),
    ("-stdin", "Further arguments from stdin"),
    ("-stdinwalletpassphrase", "The passphrase from stdin"),
];

/// Returns Core's spellings that continue the word at `index`, where an option may stand there.
pub(crate) fn spellings(
    definition: &Command,
    line: &[OsString],
    index: usize,
) -> Vec<&'static (&'static str, &'static str)> {
    let typed = line.get(index).and_then(|word| word.to_str());
    // One dash alone begins every option.
    let Some(typed) = typed.filter(|word| word.len() > 1) else {
        return Vec::new();
    };
    let (probe, own) = ("-regtest", "--regtest");
    let mut probed = line.to_vec();
    probed[index] = probe.into();
    let probed = translate_unfinished(definition, probed);
    if probed.get(index).is_none_or(|word| word != own) {
        return Vec::new();
    }
    let of_rpc = line[..index].iter().any(|word| word == "rpc");
    let more = if of_rpc { RPC_SPELLINGS } else { &[] };
    let all = SPELLINGS.iter().chain(more);
    all.filter(|(word, _)| word.starts_with(typed)).collect()
}

/// The words with Core's spellings replaced. The first one is the program's name.
///
/// # Errors
/// Where a word of Core's kind is none that this program has.
pub(crate) fn translate(
    definition: &Command,
    words: Vec<OsString>,
) -> Result<Vec<OsString>, Refusal> {
    rewrite(definition, words, Err)
}

/// Translates a line that is still being typed. A word that would be refused stays as it is.
pub(crate) fn translate_unfinished(definition: &Command, words: Vec<OsString>) -> Vec<OsString> {
    rewrite(definition, words, |_| Ok(None)).unwrap_or_default()
}

fn rewrite(
    definition: &Command,
    words: Vec<OsString>,
    refused: impl Fn(Refusal) -> Result<Option<OsString>, Refusal>,
) -> Result<Vec<OsString>, Refusal> {
    let mut words = words.into_iter();
    let mut out: Vec<OsString> = words.next().into_iter().collect();
    let mut place = Place {
        definition,
        command: None,
        arguments: 0,
    };
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            break;
        }
        if let Some(own) = own_spelling(&place, &word).or_else(&refused)? {
            let takes_value = place.takes_value(&own);
            out.push(own);
            if takes_value {
                out.extend(words.next());
            }
            continue;
        }
        let takes_value = place.takes_value(&word);
        let is_option = word.as_bytes().starts_with(b"-") && word != "-";
        out.push(word.clone());
        if takes_value {
            out.extend(words.next());
        } else if !is_option {
            let rest_is_the_nodes = place.command.as_deref() == Some(OsStr::new("rpc"));
            match &place.command {
                Some(_) if rest_is_the_nodes => break,
                Some(_) => place.arguments += 1,
                None => place.command = Some(word),
            }
        }
    }
    out.extend(words);
    Ok(out)
}

/// The place of a word on the line.
struct Place<'d> {
    definition: &'d Command,
    command: Option<OsString>,
    /// The number of the command's own words before it.
    arguments: usize,
}

impl<'d> Place<'d> {
    /// Returns the options that may stand here.
    fn options(&self) -> impl Iterator<Item = &'d Arg> {
        let command = self.command.as_deref();
        let own = command.and_then(|name| self.definition.find_subcommand(name));
        let common = self.definition.get_arguments();
        common.chain(own.into_iter().flat_map(Command::get_arguments))
    }

    fn has_long(&self, name: &str) -> bool {
        self.options().any(|arg| arg.get_long() == Some(name))
    }

    /// Whether `word` is an option whose value is the next word.
    fn takes_value(&self, word: &OsStr) -> bool {
        let Some(word) = word.to_str() else {
            return false;
        };
        let takes = |arg: &&Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
        if let Some(long) = word.strip_prefix("--") {
            let mut options = self.options().filter(takes);
            return options.any(|arg| arg.get_long() == Some(long));
        }
        // The last letter of a group of short options can have the value; a letter before it that
        // takes one takes the rest of the word.
        let Some(letters) = word.strip_prefix('-') else {
            return false;
        };
        let takes = |letter: char| {
            let mut options = self.options().filter(takes);
            options.any(|arg| arg.get_short() == Some(letter))
        };
        letters
            .char_indices()
            .find(|(_, letter)| takes(*letter))
            .is_some_and(|(at, letter)| at + letter.len_utf8() == letters.len())
    }

    /// Whether letters after a dash are options of one letter each, up to one that takes a value.
    fn are_letters(&self, letters: &str) -> bool {
        for letter in letters.chars() {
            let mut options = self.options();
            let option = options.find(|arg| arg.get_short() == Some(letter));
            match option {
                Some(arg) if arg.get_action().takes_values() => return true,
                Some(_) => {}
                // Help and version, which clap adds later.
                None if matches!(letter, 'h' | 'V') => {}
                None => return false,
            }
        }
        true
    }
}

/// This program's spelling of a word of Core's; Core takes one dash or two.
fn own_spelling(place: &Place<'_>, word: &OsStr) -> Result<Option<OsString>, Refusal> {
    let Some(bytes) = word.as_bytes().strip_prefix(b"-") else {
        return Ok(None);
    };
    let (bytes, dashes) = match bytes.strip_prefix(b"-") {
        Some(bytes) => (bytes, 2),
        None => (bytes, 1),
    };
    let equals = bytes.iter().position(|byte| *byte == b'=');
    let (name, value) = bytes.split_at(equals.unwrap_or(bytes.len()));
    let value = value.strip_prefix(b"=");
    let Ok(name) = std::str::from_utf8(name) else {
        return Ok(None);
    };
    let joined = |option: &str, value: Option<&[u8]>| {
        let value = value.map(|value| [b"=", value].concat());
        let word = [option.as_bytes(), &value.unwrap_or_default()].concat();
        Ok(Some(OsString::from_vec(word)))
    };
    // As Core's InterpretValue: `-noX` is no, and `-noX=0` yes.
    let positive = name.strip_prefix("no");
    let denied = positive.is_some() && value.is_none_or(truth);
    match positive.unwrap_or(name) {
        flag if CHAIN_FLAGS.iter().any(|(name, _)| *name == flag) => {
            let value = match positive {
                Some(_) if denied => Some(NEGATED.as_bytes()),
                Some(_) => None,
                None => value,
            };
            return joined(&format!("--{flag}"), value);
        }
        "rpcwait" => {
            let wanted = positive.map_or_else(|| value.is_none_or(truth), |_| !denied);
            return joined(if wanted { "--wait" } else { "--no-wait" }, None);
        }
        "ipcconnect" if denied => return joined("--address", Some(b"0")),
        "ipcconnect" if positive.is_none() => return joined("--address", value),
        "conf" if denied => return joined("--noconf", None),
        "includeconf" if denied => return joined("--noincludeconf", None),
        "datadir" | "chain" | "rpcwaittimeout" if positive.is_some() => {
            let message = format!("{}: cannot be negated", word.display());
            let hint = format!(
                "leave it out, or give -{} a value",
                positive.unwrap_or(name)
            );
            return Err(Refusal::new(message, hint));
        }
        _ => {}
    }
    match name {
        "help" | "?" if dashes == 1 => return joined("--help", None),
        "version" if dashes == 1 => return joined("--version", None),
        // An option of this program with one dash.
        name if dashes == 1 && name.chars().nth(1).is_some() && place.has_long(name) => {
            return joined(&format!("--{name}"), value);
        }
        name if place.has_long(name) => return Ok(None),
        _ => {}
    }
    refuse_unknown(place, word, name, positive, dashes).map(|()| None)
}

/// Refuses a word that Core has and this program has not, and any other of more than a letter after
/// one dash, by its whole name. What is left to clap is of its kind.
fn refuse_unknown(
    place: &Place<'_>,
    word: &OsStr,
    name: &str,
    positive: Option<&str>,
    dashes: usize,
) -> Result<(), Refusal> {
    let bare = positive.unwrap_or(name);
    let unexpected = |shown: &str| format!("unexpected argument '{shown}' found");
    for (what, names) in OTHERS {
        if names.contains(&bare) || names.contains(&name) {
            // A password is not shown.
            let shown = match bare {
                "rpcpassword" | "rpcuser" => format!("-{name}=…"),
                _ => word.to_string_lossy().into_owned(),
            };
            return Err(Refusal::new(unexpected(&shown), format!("-{bare} {what}")));
        }
    }
    let is_core_like = dashes == 1
        && name.chars().nth(1).is_some()
        && name.starts_with(|first: char| first.is_alphabetic());
    let letters = &word.to_string_lossy()[1..];
    if !is_core_like || place.are_letters(letters) {
        return Ok(());
    }
    let in_arguments = place.arguments > 0;
    let hint = match nearest(place, bare) {
        Some(near) => format!("a similar option exists: --{near}"),
        None if in_arguments => {
            "see bitcoin-ipc --help for options; to pass it as a value, write -- before it".into()
        }
        None => "see bitcoin-ipc --help for options, Bitcoin Core's spellings among them".into(),
    };
    Err(Refusal::new(unexpected(&word.to_string_lossy()), hint))
}

/// Returns the option that is most like `name`, where one is alike.
fn nearest<'d>(place: &Place<'d>, name: &str) -> Option<&'d str> {
    let all = place.options().filter_map(Arg::get_long);
    let alike = all.map(|long| (strsim::jaro_winkler(long, name), long));
    let nearest = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (nearest.0 > 0.85).then_some(nearest.1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn translated(line: &str) -> Result<String, Refusal> {
        let words = line.split(' ').map(OsString::from).collect();
        let words: Vec<String> = translate(&Cli::command(), words)?
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        Ok(words.join(" "))
    }

    #[test]
    fn core_words_become_our_own() {
        for (core, own) in [
            ("x -regtest call echo hi", "x --regtest call echo hi"),
            ("x -testnet=1 connect", "x --testnet=1 connect"),
            ("x --regtest=0 call", "x --regtest=0 call"),
            ("x -noregtest call", "x --regtest=negated call"),
            ("x -noregtest=0 call", "x --regtest call"),
            ("x -chain=signet man", "x --chain=signet man"),
            ("x -datadir=/d -rpcwait call", "x --datadir=/d --wait call"),
            ("x -datadir -regtest call", "x --datadir -regtest call"),
            ("x -rpcwait=0 -norpcwait", "x --no-wait --no-wait"),
            ("x -rpcwaittimeout=5 call", "x --rpcwaittimeout=5 call"),
            ("x -noipcconnect call", "x --address=0 call"),
            ("x -conf=f -noconf call", "x --conf=f --noconf call"),
            (
                "x call -ipcconnect=unix:/s echo",
                "x call --address=unix:/s echo",
            ),
            ("x spawn node --regtest", "x spawn node --regtest"),
            ("x call echo hi -regtest", "x call echo hi --regtest"),
            ("x call -timeout=5 echo", "x call --timeout=5 echo"),
            ("x -help", "x --help"),
            ("x -version", "x --version"),
        ] {
            assert_eq!(translated(core).unwrap(), own);
        }
    }

    #[test]
    fn values_and_the_words_of_others_are_left_alone() {
        for line in [
            "x call echo -- -regtest",
            "x -o json call echo -- -regtest",
            "x -vo json call echo",
            "x -ojson call echo -5 -1.5e3",
            "x rpc help -regtest",
            "x rpc help -rpcport=1",
            "x spawn node -- sh -regtest",
            "x --datadir -regtest call",
            "x serve --listen -signet",
            "x -vvq -hV call",
            "x -a/tmp/x call",
            "x -x call",
        ] {
            assert_eq!(translated(line).unwrap(), line);
        }
    }

    #[test]
    fn unknown_words_are_named_whole() {
        for (line, message, hint) in [
            ("x -rpcport=1 call", "'-rpcport=1'", "by its socket"),
            ("x --norpcconnect call", "'--norpcconnect'", "by its socket"),
            (
                "x call echo hi -rpcuser=me",
                "'-rpcuser=…'",
                "by its socket",
            ),
            ("x -addrinfo", "'-addrinfo'", "a command of bitcoin-cli"),
            ("x -foo call", "'-foo'", "--help"),
            ("x -datdir=/x call", "'-datdir=/x'", "--datadir"),
            ("x call echo -foo", "'-foo'", "write -- before it"),
            ("x -nodatadir call", "-nodatadir", "-datadir"),
        ] {
            let refused = translated(line).unwrap_err();
            assert!(refused.message.contains(message), "{refused:?}");
            assert!(refused.hint.contains(hint), "{refused:?}");
        }
        let refused = translated("x -rpcpassword=secret call").unwrap_err();
        assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
    }
}
