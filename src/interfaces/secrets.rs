//! The words by which secrets are known: names of fields and of RPC commands. What holds one is neither
//! logged nor kept.
//!
//! Knows words and characters; nothing of the messages or lines that hold them.

use std::fmt;

/// The beginnings of fields' names that stand for secrets.
const NAMES: &[&str] = &["pass", "private", "secret"];

/// The words that stand for secrets wherever they are part of a name or a text: those of fields, and the
/// prefixes of extended private keys.
const WORDS: &[&str] = &[
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "privkey",
    "secret",
    "tprv",
    "xprv",
];

/// The RPC commands with secrets among their parameters, or in their results: those that Bitcoin Core's
/// console keeps out of its history (`historyFilter` in `src/qt/rpcconsole.cpp`), those that it kept out
/// of it in earlier releases, and those that show private keys.
const COMMANDS: &[&str] = &[
    "createwallet",
    "createwalletdescriptor",
    "dumpprivkey",
    "encryptwallet",
    "importdescriptors",
    "importmulti",
    "importprivkey",
    "migratewallet",
    "sethdseed",
    "signmessagewithprivkey",
    "signrawtransactionwithkey",
    "walletpassphrase",
    "walletpassphrasechange",
];

/// The characters of a word that are looked at; no word above has more.
const LONGEST: usize = 32;

/// Returns whether a text holds a secret, as far as words tell: a field or a command named as those
/// above, in the schema language, in JSON, and in JSON within either.
#[must_use]
pub fn are_in(text: &str) -> bool {
    let mut scan = Scan::default();
    // A scan fails once it has found one.
    fmt::Write::write_str(&mut scan, text).is_err() || scan.end()
}

/// Returns whether a field of this name is a secret.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.iter().any(|begin| name.starts_with(begin))
        || WORDS.iter().any(|word| name.contains(word))
}

/// Looks for secrets in what is written to it, of any length, and keeps nothing of it. Fails once it has
/// found one.
#[derive(Debug, Default)]
pub struct Scan {
    /// The word under way, in lower case, up to [`LONGEST`] characters.
    word: String,
    /// Whether the word is longer.
    is_long: bool,
    /// Whether the last word is a secret's name if it is one.
    is_named: bool,
    /// The place in an escape such as `\u0070`, by which JSON may write any letter.
    escape: usize,
}

impl Scan {
    /// Returns whether a secret's word stands at the end of what was written.
    pub fn end(&mut self) -> bool {
        self.end_word()
    }

    /// Takes a character. Returns whether a secret is found with it.
    fn add(&mut self, character: char) -> bool {
        self.escape = match (self.escape, character) {
            (_, '\\') => 1,
            (1, 'u') => 2,
            (2 | 3, '0') => self.escape + 1,
            // An ASCII letter that is written so has something to hide.
            (4, '4'..='7') => return true,
            _ => 0,
        };
        if character.is_alphanumeric() || character == '_' {
            if self.word.is_empty() {
                self.is_named = false;
            }
            match self.word.len() < LONGEST {
                true => self.word.extend(character.to_lowercase()),
                false => self.is_long = true,
            }
            return false;
        }
        if self.end_word() {
            return true;
        }
        match character {
            '"' | '\'' | '\\' | ' ' => false,
            ':' | '=' => std::mem::take(&mut self.is_named),
            _ => {
                self.is_named = false;
                false
            }
        }
    }

    /// Ends the word under way. Returns whether it tells of a secret.
    fn end_word(&mut self) -> bool {
        if self.word.is_empty() {
            return false;
        }
        let word = std::mem::take(&mut self.word);
        let is_long = std::mem::take(&mut self.is_long);
        self.is_named = NAMES.iter().any(|begin| word.starts_with(begin));
        // After the `n` of an escaped line break as well.
        let is_command = |command: &&str| word.strip_suffix(*command).is_some_and(|b| b.len() < 2);
        WORDS.iter().any(|part| word.contains(part)) || !is_long && COMMANDS.iter().any(is_command)
    }
}

impl fmt::Write for Scan {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.chars().any(|character| self.add(character)) {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn secrets_are_known_by_names_and_commands() {
        for text in [
            "executeRpc request='{\"method\":\"walletpassphrase\",\"params\":[\"x\",60]}'",
            "{\"request\":\"{\\\"params\\\":[],\\\"method\\\":\\\"EncryptWallet\\\"}\"}",
            "(request = \"{\\n\\\"method\\\":\\\"importdescriptors\\\"}\")",
            "{\"method\":\"\\u0077alletlock\"}",
            "createwallet",
            "w.unlock pass=x",
            "w.unlock passwords:='[]'",
            "(walletPassphrase = \"x\", n = 1)",
            "{\"privateKey\":\"x\"}",
            "{\"private_key\" : \"x\"}",
            "(secretNumber = 7)",
            "[\"xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi\"]",
            "echo 'dumpprivkey'",
        ] {
            assert!(are_in(text), "{text}");
            let mut pieces = Scan::default();
            let failed = text.chars().any(|c| pieces.write_char(c).is_err());
            assert!(failed || pieces.end(), "in pieces: {text}");
        }
        for text in [
            "",
            "echo hi",
            "echo 'it passes' n=1",
            "{\"method\":\"getblockhash\",\"params\":[0]}",
            "executeRpc request='{\"method\":\"walletlock\"}'",
            "{\"text\":\"a private matter, passing\",\"n\":1}",
            "\\u001b[31m \\u009b",
            "compassion: 1",
        ] {
            assert!(!are_in(text), "{text}");
        }
        assert!(is_name("passphrase") && is_name("oldWalletPassphrase") && is_name("secretKey"));
        assert!(!is_name("context") && !is_name("echo"));
    }

    #[test]
    fn a_word_in_a_long_text_is_found_wherever_it_is() {
        let digits = "0123456789abcdef".repeat(1000);
        for text in [
            format!("{digits} walletpassphrase"),
            format!("{{\"params\":[\"{digits}\"],\"method\":\"walletpassphrase\"}}"),
        ] {
            assert!(are_in(&text));
        }
        assert!(!are_in(&digits));
    }
}
