//! Bitcoin Core's spellings of options (`-regtest`, `-datadir=DIR`) as this program's own.
//!
//! Knows words and which options take a value; nothing of what any of them mean. A word is only
//! rewritten where an option may stand: never after `--`, never as another option's value, and
//! never among the arguments of `call`, which belong to the method.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::Command;

/// The words with Core's spellings replaced. The first one is the program's name.
pub(crate) fn translate(definition: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut out: Vec<OsString> = words.next().into_iter().collect();
    let mut command: Option<OsString> = None;
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            break;
        }
        if let Some(own) = own_spelling(&word) {
            out.push(own);
            continue;
        }
        let takes_value = takes_value(definition, command.as_deref(), &word);
        let is_option = word.as_bytes().starts_with(b"-") && word != "-";
        out.push(word.clone());
        if takes_value {
            out.extend(words.next());
        } else if !is_option {
            match &command {
                // What follows METHOD is the method's.
                Some(command) if command == "call" => break,
                Some(_) => {}
                None => command = Some(word),
            }
        }
    }
    out.extend(words);
    out
}

/// This program's spelling of a word of Core's; Core takes one dash or two.
fn own_spelling(word: &OsStr) -> Option<OsString> {
    let bytes = word.as_bytes().strip_prefix(b"-")?;
    let bytes = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let chain = match bytes {
        b"regtest" => "regtest",
        b"testnet4" => "testnet4",
        b"testnet" => "test",
        b"signet" => "signet",
        b"rpcwait" => return Some("--wait".into()),
        _ => {
            let equals = bytes.iter().position(|byte| *byte == b'=')?;
            let (name, value) = bytes.split_at(equals);
            let own: &[u8] = match name {
                b"chain" => b"--chain",
                b"datadir" => b"--datadir",
                b"ipcconnect" => b"--address",
                _ => return None,
            };
            return Some(OsString::from_vec([own, value].concat()));
        }
    };
    Some(format!("--chain={chain}").into())
}

/// Whether `word` is an option whose value is the next word.
fn takes_value(definition: &Command, command: Option<&OsStr>, word: &OsStr) -> bool {
    let Some(word) = word.to_str() else {
        return false;
    };
    let own = command.and_then(|name| definition.find_subcommand(name));
    let arguments = || {
        definition
            .get_arguments()
            .chain(own.into_iter().flat_map(Command::get_arguments))
            .filter(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
    };
    if let Some(long) = word.strip_prefix("--") {
        return arguments().any(|arg| arg.get_long() == Some(long));
    }
    // The last letter of a group of short options can have the value; a letter before it that
    // takes one takes the rest of the word.
    let Some(letters) = word.strip_prefix('-') else {
        return false;
    };
    let takes = |letter: char| arguments().any(|arg| arg.get_short() == Some(letter));
    letters
        .char_indices()
        .find(|(_, letter)| takes(*letter))
        .is_some_and(|(at, letter)| at + letter.len_utf8() == letters.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn translated(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let words: Vec<String> = translate(&Cli::command(), words)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        words.join(" ")
    }

    #[test]
    fn core_words_become_our_own() {
        for (core, own) in [
            ("x -regtest call echo hi", "x --chain=regtest call echo hi"),
            ("x -testnet connect", "x --chain=test connect"),
            ("x -chain=signet man", "x --chain=signet man"),
            ("x -datadir=/d -rpcwait call", "x --datadir=/d --wait call"),
            (
                "x call -ipcconnect=unix:/s echo",
                "x call --address=unix:/s echo",
            ),
            ("x spawn node --regtest", "x spawn node --chain=regtest"),
        ] {
            assert_eq!(translated(core), own);
        }
    }

    #[test]
    fn values_and_the_words_of_others_are_left_alone() {
        for line in [
            "x call echo -regtest",
            "x -o json call echo -regtest",
            "x -vo json call echo -regtest",
            "x -ojson call echo -rpcwait",
            "x spawn node -- sh -regtest",
            "x --datadir -regtest call",
            "x serve --listen -signet",
            "x -unknown call",
        ] {
            assert_eq!(translated(line), line);
        }
    }
}
