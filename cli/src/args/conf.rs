//! bitcoin.conf as Bitcoin Core reads it: `src/common/config.cpp` has the lines, sections and
//! included files, `src/common/settings.cpp` which of several values counts.
//!
//! Knows keys and values; nothing of what a key means.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::refusal::Refusal;

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "bitcoin.conf";

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Arc<Path>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file.display(), self.line)
    }
}

/// The value that a line gives a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(OsString),
    /// `noKEY=1`
    Negated,
    /// `noKEY=0`
    NegatedTwice,
}

impl Value {
    /// The value where one is asked for, as Core's `SettingToString`.
    pub(crate) fn text(&self) -> &OsStr {
        match self {
            Self::Text(text) => text,
            Self::Negated => OsStr::new("0"),
            Self::NegatedTwice => OsStr::new("1"),
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        truth(self.text().as_bytes())
    }
}

/// Reads a truth value, as Core's `InterpretBool`: nothing is true, and so is a number but zero.
pub(crate) fn truth(text: &[u8]) -> bool {
    let number = text.trim_ascii();
    let number = number.strip_prefix(b"+").unwrap_or(number);
    let number = number.strip_prefix(b"-").unwrap_or(number);
    let mut digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    text.is_empty() || digits.any(|digit| *digit != b'0')
}

/// A key's value in a section; the section before all others has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    section: Vec<u8>,
    key: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The entries of a configuration file and of those that it includes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    entries: Vec<Entry>,
}

impl Config {
    /// Reads a file. Returns `None` where there is none, which is an error if it was `named`.
    pub(crate) fn read(path: &Path, named: bool) -> Result<Option<Self>, Refusal> {
        let mut config = Self::default();
        if path.is_dir() {
            return Err(cannot_read(path, &io::ErrorKind::IsADirectory.into()));
        }
        match fs::read(path) {
            Ok(text) => config.parse(path, &text)?,
            // Core goes on without a default file, also where that cannot be read.
            Err(_) if !named => return Ok(None),
            Err(error) => return Err(cannot_read(path, &error)),
        }
        Ok(Some(config))
    }

    /// Adds the files that `includeconf` names, those of `section` first, relative to `base`.
    /// Returns a warning for each that an included file names, which Core ignores as well.
    pub(crate) fn include(&mut self, section: &str, base: &Path) -> Result<Vec<String>, Refusal> {
        let own = self.entries.len();
        let named = |section: &str| {
            let values = self.span(section.as_bytes(), b"includeconf");
            let files: Vec<_> = values
                .iter()
                .map(|entry| (PathBuf::from(entry.value.text()), entry.place.clone()))
                .collect();
            files
        };
        for (file, place) in [named(section), named("")].concat() {
            let path = base.join(file);
            let text = match path.is_dir() {
                true => Err(io::ErrorKind::IsADirectory.into()),
                false => fs::read(&path),
            };
            let text = text.map_err(|error| {
                let refusal = cannot_read(&path, &error);
                Refusal::new(format!("{place}: {}", refusal.message), refusal.hint)
            })?;
            self.parse(&path, &text)?;
        }
        let included = self.entries.iter().skip(own);
        let ignored = included.filter(|entry| entry.key == b"includeconf");
        Ok(ignored
            .map(|entry| format!("{}: an included file includes no other", entry.place))
            .collect())
    }

    fn parse(&mut self, file: &Path, text: &[u8]) -> Result<(), Refusal> {
        let file: Arc<Path> = file.into();
        let mut prefix: Vec<u8> = Vec::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = Place {
                file: file.clone(),
                line: index + 1,
            };
            let end = line.iter().position(|byte| *byte == b'#');
            let has_comment = end.is_some();
            let line = trim(&line[..end.unwrap_or(line.len())]);
            let refused = |what: &str, hint: &str| {
                Refusal::new(format!("{place}: {:?}: {what}", without_secret(line)), hint)
            };
            match line {
                [] => {}
                [b'[', section @ .., b']'] => prefix = [section, b"."].concat(),
                [b'-', ..] => {
                    let what = "an option in a configuration file has no dash before it";
                    return Err(refused(what, "write KEY=VALUE"));
                }
                _ => {
                    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
                        let name = without_secret(line);
                        return Err(refused("has no value", &format!("write {name}=1")));
                    };
                    let key = [&prefix, trim(&line[..equals])].concat();
                    if has_comment && contains(&key, b"rpcpassword") {
                        // Without the line, which has the password.
                        let what = "a # in rpcpassword is ambiguous";
                        let hint = "choose a password without #, or use rpcauth";
                        return Err(Refusal::new(format!("{place}: {what}"), hint));
                    }
                    let value = OsString::from_vec(trim(&line[equals + 1..]).to_vec());
                    self.add(&key, value, place)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], value: OsString, place: Place) -> Result<(), Refusal> {
        let dot = key.iter().position(|byte| *byte == b'.');
        let (section, key) = dot.map_or((&[][..], key), |dot| (&key[..dot], &key[dot + 1..]));
        let positive = key.strip_prefix(b"no");
        let value = match positive {
            None => Value::Text(value),
            Some(_) if truth(value.as_bytes()) => Value::Negated,
            Some(_) => Value::NegatedTwice,
        };
        let key = positive.unwrap_or(key);
        match key {
            b"conf" => Err(Refusal::new(
                format!("{place}: conf cannot be set in a configuration file"),
                "name further files with includeconf=FILE",
            )),
            b"datadir" if positive.is_some() => Err(Refusal::new(
                format!("{place}: datadir cannot be negated"),
                "write datadir=DIR, or leave it out",
            )),
            _ => {
                self.entries.push(Entry {
                    section: section.to_vec(),
                    key: key.to_vec(),
                    value,
                    place,
                });
                Ok(())
            }
        }
    }

    /// Returns the values of a key in a section, from the one after its last negation on.
    fn span(&self, section: &[u8], key: &[u8]) -> Vec<&Entry> {
        let all = self
            .entries
            .iter()
            .filter(|entry| entry.section == section && entry.key == key);
        let mut span: Vec<&Entry> = all.collect();
        let negated = span.iter().rposition(|e| e.value == Value::Negated);
        span.drain(..negated.map_or(0, |last| last + 1));
        span
    }

    /// Returns whether the last value of a key in a section is a negation.
    fn negated(&self, section: &[u8], key: &[u8]) -> Option<&Entry> {
        let mut all = self.entries.iter().rev();
        all.find(|entry| entry.section == section && entry.key == key)
            .filter(|entry| entry.value == Value::Negated)
    }

    /// Returns the value that counts: the section's before the one of no section, and in each the
    /// first, as Core has it. A key that is negated has none.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        let found = self.get_or_negated(section, key)?;
        (found.value != Value::Negated).then_some(found)
    }

    /// Returns the value that counts, or the negation.
    pub(crate) fn get_or_negated(&self, section: &str, key: &str) -> Option<&Entry> {
        let (section, key) = (section.as_bytes(), key.as_bytes());
        let sections = [section, b""];
        let sections = &sections[usize::from(section.is_empty())..];
        sections.iter().find_map(|section| {
            let first = self.span(section, key).first().copied();
            first.or_else(|| self.negated(section, key))
        })
    }

    /// Returns the last value of no section, if that is not a negation: the rule for the keys that
    /// select a chain.
    pub(crate) fn last(&self, key: &str) -> Option<&Entry> {
        self.span(b"", key.as_bytes()).last().copied()
    }

    /// Returns all values of a key: those of the section, then those of no section, unless the
    /// section's negate them.
    pub(crate) fn list(&self, section: &str, key: &str) -> Vec<&Entry> {
        let (section, key) = (section.as_bytes(), key.as_bytes());
        let mut all = self.span(section, key);
        let is_negated = self.negated(section, key).is_some();
        if !section.is_empty() && !is_negated {
            all.extend(self.span(b"", key));
        }
        all
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(
        format!("cannot read the configuration {}: {error}", path.display()),
        "see that the path is right and that you may read the file",
    )
}

/// Without the white space that Core takes away.
fn trim(mut line: &[u8]) -> &[u8] {
    const SPACE: &[u8] = b" \t\r\n";
    while let [first, rest @ ..] = line
        && SPACE.contains(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && SPACE.contains(last)
    {
        line = rest;
    }
    line
}

/// Returns a line for a message: without its value where that may be a secret.
fn without_secret(line: &[u8]) -> String {
    let is_secret = [&b"pass"[..], b"auth", b"user"]
        .iter()
        .any(|part| contains(line, part));
    let end = line.iter().position(|byte| b"= \t".contains(byte));
    match end.filter(|_| is_secret) {
        Some(end) => format!("{}…", String::from_utf8_lossy(&line[..end])),
        None => String::from_utf8_lossy(line).into_owned(),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        let mut config = Config::default();
        config.parse(Path::new("f"), text.as_bytes()).unwrap();
        config
    }

    fn value<'c>(config: &'c Config, section: &str, key: &str) -> Option<&'c str> {
        config.get(section, key)?.value.text().to_str()
    }

    #[test]
    fn lines_are_read_as_core_reads_them() {
        let config = parsed(
            "# a comment\r\n  a = 1 # one\n\n b=  x y \nc=\nd=1=2\n[regtest]\na=2\n[ test ]\na=3\n\
             signet.a=4\n",
        );
        for (section, key, expected) in [
            ("", "a", Some("1")),
            ("main", "a", Some("1")),
            ("regtest", "a", Some("2")),
            ("regtest", "b", Some("x y")),
            ("", "c", Some("")),
            ("", "d", Some("1=2")),
            ("test", "a", Some("1")),
            (" test ", "a", Some("3")),
            (" test ", "signet.a", Some("4")),
            ("", "e", None),
        ] {
            assert_eq!(value(&config, section, key), expected, "{section} {key}");
        }
        let config = parsed("regtest.a=1\na=0");
        assert_eq!(value(&config, "regtest", "a"), Some("1"));
    }

    /// Core takes the first value in a file, and the last of the keys that select a chain.
    #[test]
    fn the_first_value_counts_and_negations_take_back() {
        let config = parsed("a=1\na=2\nnob=1\nb=3\nc=1\nnoc=1\nd=1\nnod=0\n[regtest]\nnoa=1\n");
        assert_eq!(value(&config, "", "a"), Some("1"));
        assert_eq!(value(&config, "regtest", "a"), None);
        assert_eq!(value(&config, "", "b"), Some("3"));
        assert_eq!(value(&config, "", "c"), None);
        assert_eq!(config.last("a").unwrap().value.text(), "2");
        assert_eq!(config.last("c"), None);
        assert_eq!(config.last("d").unwrap().value.text(), "1");
        let list = |section: &str, key: &str| -> Vec<String> {
            let list = config.list(section, key);
            let texts = list.iter().map(|entry| entry.value.text());
            texts.map(|text| text.to_str().unwrap().into()).collect()
        };
        assert_eq!(list("", "a"), ["1", "2"]);
        assert!(list("regtest", "a").is_empty());
    }

    #[test]
    fn truth_is_cores() {
        for (text, expected) in [
            ("", true),
            ("1", true),
            ("+2", true),
            (" 1x", true),
            ("-1", true),
            ("0", false),
            ("00", false),
            ("true", false),
            ("0x1", false),
        ] {
            assert_eq!(truth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_refused_has_its_line() {
        for (text, message) in [
            ("a=1\nregtest", "f line 2: \"regtest\": has no value"),
            (
                "-regtest=1",
                "f line 1: \"-regtest=1\": an option in a configuration file has no dash",
            ),
            ("\n\nconf=x", "f line 3: conf cannot be set"),
            ("[test]\nconf=x", "f line 2: conf cannot be set"),
            ("nodatadir=1", "f line 1: datadir cannot be negated"),
            (
                "rpcpassword x:a",
                "f line 1: \"rpcpassword…\": has no value",
            ),
            ("-rpcauth=x:a#b", "f line 1: \"-rpcauth…\": an option"),
            (
                "rpcpassword=a#b",
                "f line 1: a # in rpcpassword is ambiguous",
            ),
        ] {
            let mut config = Config::default();
            let refused = config.parse(Path::new("f"), text.as_bytes()).unwrap_err();
            assert!(refused.message.starts_with(message), "{refused:?}");
            assert!(!format!("{refused:?}").contains("x:a"), "{refused:?}");
            assert!(!format!("{refused:?}").contains("a#b"), "{refused:?}");
        }
    }
}
