//! The words that name a peer: its address, chain, data directory and configuration.
//!
//! Knows words and the types they stand for. Reads no file; `settings` does.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use bitcoin_ipc::Address;
use bitcoin_ipc::transport::Chain;
use clap::Args;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser, ValueParser};

use super::conf::truth;
use super::refusal::Refusal;

/// The environment variable that holds an address.
pub(crate) const ADDRESS_VARIABLE: &str = "BITCOIN_IPC_ADDRESS";

/// Core's options, and keys in its configuration, that select a chain each.
pub(crate) const CHAIN_FLAGS: [(&str, Chain); 4] = [
    ("regtest", Chain::Regtest),
    ("signet", Chain::Signet),
    ("testnet", Chain::Test),
    ("testnet4", Chain::Testnet4),
];

/// The word for a node child of our own.
const OWN_CHILD: &str = "self";

/// The value by which `core_words` writes Core's `-noX`.
pub(super) const NEGATED: &str = "negated";

/// The options that say which node is meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Peer {
    /// The peer: auto, self, unix, unix:PATH, /PATH, fd:N or exec:PROGRAM
    ///
    /// [env: BITCOIN_IPC_ADDRESS] [default: auto]
    #[arg(short, long, global = true, value_name = "ADDRESS", value_parser = target())]
    #[arg(overrides_with = "address")]
    pub(crate) address: Option<Target>,

    /// The chain whose node and data directory are meant [default: that of bitcoin.conf, or main]
    #[arg(long = "chain", global = true, value_name = "NAME", value_parser = chain())]
    #[arg(overrides_with = "named_chain")]
    pub(crate) named_chain: Option<Chain>,

    /// The data directory of all chains, as Bitcoin Core's -datadir [default: that of bitcoin.conf,
    /// or ~/.bitcoin]
    #[arg(long, global = true, value_name = "DIR", overrides_with = "datadir")]
    #[arg(value_hint = clap::ValueHint::DirPath, value_parser = path())]
    pub(crate) datadir: Option<PathBuf>,

    /// The configuration of the node, relative to the data directory [default: bitcoin.conf]
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(overrides_with_all = ["conf", "noconf"])]
    #[arg(value_hint = clap::ValueHint::FilePath, value_parser = path())]
    pub(crate) conf: Option<PathBuf>,

    /// No configuration is read: Core's -noconf.
    #[arg(long, global = true, hide = true, overrides_with_all = ["conf", "noconf"])]
    pub(crate) noconf: bool,

    /// The configuration includes no other: Core's -noincludeconf.
    #[arg(long, global = true, hide = true, overrides_with = "noincludeconf")]
    pub(crate) noincludeconf: bool,

    #[arg(long, global = true, hide = true, overrides_with = "regtest")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = flag)]
    regtest: Option<Flag>,

    #[arg(long, global = true, hide = true, overrides_with = "signet")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = flag)]
    signet: Option<Flag>,

    #[arg(long, global = true, hide = true, overrides_with = "testnet")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = flag)]
    testnet: Option<Flag>,

    #[arg(long, global = true, hide = true, overrides_with = "testnet4")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = flag)]
    testnet4: Option<Flag>,
}

/// One of Core's options that select a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    On,
    Off,
    /// `-noX`, which Core ignores on the command line.
    Negated,
}

impl Peer {
    fn flag(&self, chain: Chain) -> Option<Flag> {
        match chain {
            Chain::Regtest => self.regtest,
            Chain::Signet => self.signet,
            Chain::Test => self.testnet,
            Chain::Testnet4 => self.testnet4,
            _ => None,
        }
    }

    /// Whether a word such as `-regtest=0` takes back what bitcoin.conf says of a chain.
    pub(super) fn denies(&self, chain: Chain) -> bool {
        self.flag(chain) == Some(Flag::Off)
    }

    /// Returns the chain that the words select.
    ///
    /// # Errors
    /// Where they select several.
    pub(crate) fn chain(&self) -> Result<Option<Chain>, Refusal> {
        let named = self
            .named_chain
            .map(|chain| (chain, format!("--chain={chain}")));
        let flags = CHAIN_FLAGS
            .iter()
            .filter(|(_, chain)| self.flag(*chain) == Some(Flag::On));
        let flags = flags.map(|(flag, chain)| (*chain, format!("-{flag}")));
        let found: Vec<_> = named.into_iter().chain(flags).collect();
        let Some((chain, one)) = found.first() else {
            return Ok(None);
        };
        match found.iter().find(|(other, _)| other != chain) {
            None => Ok(Some(*chain)),
            Some((_, other)) => Err(Refusal::new(
                format!("{one} and {other} select a chain each"),
                "leave one of them",
            )),
        }
    }
}

/// The peer that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    At(Address),
    /// A node child of our own, which is started: `self`.
    OwnChild,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::OwnChild => f.write_str(OWN_CHILD),
        }
    }
}

/// Reads the peer that is meant, as [`parse`] reads an address.
pub(crate) fn parse_target(text: &OsStr) -> Result<Target, String> {
    match text == OWN_CHILD {
        true => Ok(Target::OwnChild),
        false => parse(text).map(Target::At),
    }
}

/// Reads an address as users write it: as the library has them, or the absolute path of a socket.
/// The error is the reason alone.
pub(crate) fn parse(text: &OsStr) -> Result<Address, String> {
    if text.as_encoded_bytes().first() == Some(&b'/') {
        let mut address = OsString::from("unix:");
        address.push(text);
        return parse(&address);
    }
    Address::parse(text).map_err(|error| match error {
        bitcoin_ipc::Error::Address { reason, .. } => reason,
        error => error.to_string(),
    })
}

pub(crate) fn target() -> ValueParser {
    // The word itself is in clap's message already.
    OsStringValueParser::new()
        .try_map(|word| parse_target(&word))
        .into()
}

pub(crate) fn address() -> ValueParser {
    // The word itself is in clap's message already.
    OsStringValueParser::new()
        .try_map(|word| parse(&word))
        .into()
}

/// A path, which may be empty, as Core's may.
fn path() -> ValueParser {
    OsStringValueParser::new().map(PathBuf::from).into()
}

fn chain() -> ValueParser {
    PossibleValuesParser::new(Chain::ALL.map(Chain::name))
        .try_map(|name| name.parse::<Chain>())
        .into()
}

#[allow(clippy::unnecessary_wraps, reason = "clap's parsers may fail")]
fn flag(value: &str) -> Result<Flag, String> {
    Ok(match value {
        NEGATED => Flag::Negated,
        value if truth(value.as_bytes()) => Flag::On,
        _ => Flag::Off,
    })
}
