//! The node that is meant: by words, which win over the environment, which wins over bitcoin.conf.
//!
//! Knows the names of these and where each value comes from. Reads the configuration; must not look
//! whether a node is there.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use bitcoin_ipc::Address;
use bitcoin_ipc::transport::{Chain, DataDir};

use super::conf::{Config, Entry, FILE_NAME, Place};
use super::peer::{self, ADDRESS_VARIABLE, Peer, Target};
use super::refusal::Refusal;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An option.
    Words,
    /// The environment, for an address.
    Environment,
    /// A line of bitcoin.conf or of a file that it includes.
    File(Place),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words => f.write_str("the command line"),
            Self::Environment => f.write_str(ADDRESS_VARIABLE),
            Self::File(place) => place.fmt(f),
        }
    }
}

/// A value that was set, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// The variables that matter here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    address: Option<OsString>,
    home: Option<OsString>,
}

impl Environment {
    pub(crate) fn read() -> Self {
        Self {
            address: std::env::var_os(ADDRESS_VARIABLE),
            home: std::env::var_os("HOME"),
        }
    }

    /// Returns the address. A variable that is empty is no variable.
    pub(crate) fn address(&self) -> Result<Option<Target>, Refusal> {
        let text = self.address.as_deref().filter(|text| !text.is_empty());
        text.map(|text| {
            peer::parse_target(text).map_err(|reason| {
                Refusal::new(
                    format!("{ADDRESS_VARIABLE} is {text:?}: {reason}"),
                    format!("unset {ADDRESS_VARIABLE}, or see bitcoin-ipc --help for addresses"),
                )
            })
        })
        .transpose()
    }

    /// Returns Bitcoin Core's default data directory. Unlike Core, which takes `/` for the home of
    /// a user without one, this fails where there is none.
    fn default_base(&self) -> Result<PathBuf, Refusal> {
        let what = match self.home.as_deref().map(Path::new) {
            Some(home) if home.is_absolute() => return Ok(DataDir::default_base(home)),
            Some(home) if !home.as_os_str().is_empty() => {
                format!("HOME is {home:?}, which is no absolute path")
            }
            _ => "HOME is not set".to_owned(),
        };
        Err(Refusal::new(
            format!("{what}, so there is no default data directory"),
            "name the data directory with --datadir, or a socket with --address unix:/PATH",
        ))
    }
}

/// The settings that say which node is meant. Nothing that is not set is made up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) address: Option<Set<Target>>,
    pub(crate) chain: Option<Set<Chain>>,
    pub(crate) datadir: Option<Set<PathBuf>>,
    /// The first unix socket of the configuration's `ipcbind`, where its node listens; that is what
    /// `auto`, and `unix` without a path, stand for.
    pub(crate) listens: Option<Set<Address>>,
    /// The configuration that was read.
    pub(crate) conf: Option<PathBuf>,
    /// Whether a word names the configuration.
    conf_named: bool,
    /// Faults of the configuration that stop nothing.
    pub(crate) warnings: Vec<String>,
    environment: Environment,
}

impl Settings {
    pub(crate) fn read(words: &Peer, environment: Environment) -> Result<Self, Refusal> {
        let mut this = Self {
            address: set(words.address.clone(), Source::Words),
            chain: set(words.chain()?, Source::Words),
            datadir: set(named(words.datadir.as_ref()).map(absolute), Source::Words),
            listens: None,
            conf: None,
            conf_named: named(words.conf.as_ref()).is_some(),
            warnings: Vec::new(),
            environment,
        };
        if this.address.is_none() {
            this.address = set(this.environment.address()?, Source::Environment);
        }
        if let Some(path) = this.conf_path(words)?
            && let Some(config) = Config::read(&path, this.conf_named)?
        {
            this.apply(words, config, &path)?;
            this.conf = Some(path);
        }
        Ok(this)
    }

    /// Returns the place of the configuration, or `None` where there can be none.
    fn conf_path(&self, words: &Peer) -> Result<Option<PathBuf>, Refusal> {
        match named(words.conf.as_ref()) {
            Some(path) if path.is_absolute() => Ok(Some(path)),
            Some(path) => Ok(Some(self.base()?.join(path))),
            None if words.noconf => Ok(None),
            None => Ok(self.base().ok().map(|base| base.join(FILE_NAME))),
        }
    }

    fn apply(&mut self, words: &Peer, mut config: Config, path: &Path) -> Result<(), Refusal> {
        if !words.noincludeconf {
            let chain = match &self.chain {
                Some(chain) => Some(chain.value),
                None => chain_of(words, &config)?.map(|chain| chain.value),
            };
            // Where it has no base, it includes by absolute paths.
            let base = self
                .base()
                .ok()
                .or_else(|| path.parent().map(Path::to_owned));
            let section = chain.unwrap_or_default().name();
            self.warnings = config.include(section, &base.unwrap_or_default())?;
        }
        if self.chain.is_none() {
            self.chain = chain_of(words, &config)?;
        }
        let section = self.chain().name();
        if self.datadir.is_none() {
            let entry = config.get(section, "datadir");
            let entry = entry.filter(|entry| !entry.value.text().is_empty());
            self.datadir = entry.map(|entry| Set {
                value: absolute(entry.value.text().into()),
                source: Source::File(entry.place.clone()),
            });
        }
        if self.address.is_none()
            // Negated it is off, as `ipcconnect=0` is.
            && let Some(entry) = config.get_or_negated(section, "ipcconnect")
        {
            let Set { value, source } = address_of(entry, "ipcconnect")?;
            self.address = set(Some(Target::At(value)), source);
        }
        for entry in config.list(section, "ipcbind") {
            let found = address_of(entry, "ipcbind")?;
            if matches!(found.value, Address::Unix(_)) {
                self.listens = Some(found);
                break;
            }
        }
        Ok(())
    }

    /// Whether anything names a node: an address, a chain, a data directory or a configuration.
    /// `auto` as an address names none.
    pub(crate) fn names_a_node(&self) -> bool {
        let has_address = self.address.as_ref();
        has_address.is_some_and(|address| address.value != Target::At(Address::Auto))
            || self.chain.is_some()
            || self.datadir.is_some()
            || self.listens.is_some()
            || self.conf_named
    }

    /// Returns the peer that is meant: the address `auto` where none is set.
    pub(crate) fn target(&self) -> Target {
        match self.address.as_ref().map(|address| &address.value) {
            None => Target::At(Address::Auto),
            Some(Target::At(address)) => Target::At(self.place_of(address)),
            Some(Target::OwnChild) => Target::OwnChild,
        }
    }

    /// Returns an address with the configuration's path for `unix` without one.
    pub(crate) fn place_of(&self, address: &Address) -> Address {
        match address {
            Address::Unix(None) => Address::Unix(self.socket()),
            address => address.clone(),
        }
    }

    /// Returns where the address comes from, unless it is of the command line, which the user sees.
    pub(crate) fn address_source(&self) -> Option<&Source> {
        let own = self.address.as_ref();
        let listens = self.listens.as_ref().map(|address| &address.source);
        let source = match own.map(|address| (&address.value, &address.source)) {
            Some((Target::At(Address::Unix(None)), source)) => listens.or(Some(source)),
            Some((_, source)) => Some(source),
            None => listens,
        };
        source.filter(|source| **source != Source::Words)
    }

    /// Returns the path at which the configuration's node listens, where that has one.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match &self.listens.as_ref()?.value {
            Address::Unix(path) => path.clone(),
            _ => None,
        }
    }

    pub(crate) fn chain(&self) -> Chain {
        self.chain
            .as_ref()
            .map(|chain| chain.value)
            .unwrap_or_default()
    }

    /// Returns the data directory of all chains.
    fn base(&self) -> Result<PathBuf, Refusal> {
        match &self.datadir {
            Some(datadir) => Ok(datadir.value.clone()),
            None => self.environment.default_base(),
        }
    }

    /// Returns the data directory of the chain.
    pub(crate) fn data_dir(&self) -> Result<DataDir, Refusal> {
        Ok(DataDir::new(self.base()?, self.chain()))
    }

    /// Returns the data directory that `address` is relative to; an empty one for an address that
    /// is relative to none.
    pub(crate) fn data_dir_for(&self, address: &Address) -> Result<DataDir, Refusal> {
        let is_relative = match address {
            Address::Auto => self.socket().is_none_or(|path| path.is_relative()),
            Address::Unix(path) => path.as_ref().is_none_or(|path| path.is_relative()),
            _ => false,
        };
        match is_relative {
            true => self.data_dir(),
            false => Ok(self
                .data_dir()
                .unwrap_or_else(|_| DataDir::new("", self.chain()))),
        }
    }
}

fn set<T>(value: Option<T>, source: Source) -> Option<Set<T>> {
    value.map(|value| Set { value, source })
}

/// Returns a path, unless it is empty, which to Core is the default.
fn named(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}

/// Makes a path absolute, so that it means the same in a message. An empty one stays.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn address_of(entry: &Entry, key: &str) -> Result<Set<Address>, Refusal> {
    let text: &OsStr = entry.value.text();
    let address = peer::parse(text).map_err(|reason| {
        Refusal::new(
            format!("{}: {key}={}: {reason}", entry.place, text.display()),
            format!("write {key}=unix or {key}=unix:PATH, or name a peer with --address"),
        )
    })?;
    Ok(Set {
        value: address,
        source: Source::File(entry.place.clone()),
    })
}

/// Returns the chain that the configuration selects. What words say of one is not asked for again.
fn chain_of(words: &Peer, config: &Config) -> Result<Option<Set<Chain>>, Refusal> {
    let mut found: Vec<(Chain, String, &Entry)> = Vec::new();
    if let Some(entry) = config.get("", "chain") {
        let name = entry.value.text().to_string_lossy();
        let chain = name.parse().map_err(|error: bitcoin_ipc::Error| {
            let names = Chain::ALL.map(Chain::name).join(", ");
            Refusal::new(
                format!("{}: {error}", entry.place),
                format!("it is one of {names}"),
            )
        })?;
        found.push((chain, format!("chain={name}"), entry));
    }
    for (flag, chain) in peer::CHAIN_FLAGS {
        if let Some(entry) = config.last(flag)
            && entry.value.is_true()
            && !words.denies(chain)
        {
            found.push((chain, format!("{flag}=1"), entry));
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [(chain, _, entry)] => Ok(Some(Set {
            value: *chain,
            source: Source::File(entry.place.clone()),
        })),
        [(_, one, _), (_, other, entry), ..] => Err(Refusal::new(
            format!("{}: {one} and {other} select a chain each", entry.place),
            "leave one of them, or name the chain with --chain",
        )),
    }
}
