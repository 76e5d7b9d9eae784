//! The one definition of the command line: parser, help, manual and completions come from it.
//!
//! Knows words and the types they stand for. Must not connect, start or print anything.

mod call;
pub(crate) mod core_words;
mod duration;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use bitcoin_ipc::roles::Role;
use bitcoin_ipc::transport::Chain;
use bitcoin_ipc::{Address, Generation};
use clap::builder::{
    OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser,
};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::call::{Call, Times};
pub(crate) use self::duration::TimeLimit;

/// The environment variable that holds an address.
pub(crate) const ADDRESS_VARIABLE: &str = "BITCOIN_IPC_ADDRESS";

/// The text after the options in the help and in the manual.
const AFTER_HELP: &str = "\
Addresses:
  auto          the chain's running node; with none, a node child of our own (the default)
  unix          the chain's node.sock in the data directory
  unix:PATH     a unix socket; the path is relative to the chain's data directory
  fd:N          a connected socket that was inherited as descriptor N
  exec:PROGRAM  a program to start as a child with -ipcfd N

Bitcoin Core's spellings work before a command's own words: -regtest, -testnet4, -testnet,
-signet, -chain=NAME, -datadir=DIR, -ipcconnect=ADDRESS, -rpcwait.

Called as bitcoin-node, bitcoin-wallet or bitcoin-gui, with exactly -ipcfd N, it serves N.

Results go to stdout, everything else to stderr.";

/// The meaning of each exit status, for the help and the manual.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "failed here"),
    ("2", "wrong usage or bad value"),
    ("3", "no connection"),
    ("64", "the other side failed"),
    ("65", "the other side was overloaded"),
    ("66", "the other side disconnected"),
    ("67", "the other side does not implement it"),
    ("124", "time ran out"),
    ("126", "the program could not be started"),
    ("127", "the program was not found"),
    ("128+n", "ended by signal n"),
];

/// Spawn, serve, connect to and call Bitcoin Core's processes over its multiprocess IPC
#[derive(Debug, Parser)]
#[command(name = "bitcoin-ipc", version, after_long_help = after_help(), max_term_width = 100)]
#[command(propagate_version = false, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM
    #[arg(short, long, global = true, value_name = "ADDRESS", value_parser = address())]
    #[arg(env = ADDRESS_VARIABLE, hide_env_values = true, default_value = "auto")]
    #[arg(overrides_with = "address")]
    pub(crate) address: Address,

    /// The chain whose node and data directory are meant
    #[arg(long, global = true, value_name = "NAME", value_parser = chain())]
    #[arg(default_value = "main", overrides_with = "chain")]
    pub(crate) chain: Chain,

    /// The data directory of all chains, as Bitcoin Core's -datadir [default: ~/.bitcoin]
    #[arg(long, global = true, value_name = "DIR", overrides_with = "datadir")]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub(crate) datadir: Option<OsString>,

    /// Connect to sockets of this user, too, and not only to your own and root's; may be repeated
    #[arg(long, global = true, value_name = "UID", action = ArgAction::Append)]
    pub(crate) peer_uid: Vec<u32>,

    /// How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        overrides_with = "timeout"
    )]
    pub(crate) timeout: Option<TimeLimit>,

    /// Keep trying to connect, for ever or for this long
    #[arg(long, global = true, value_name = "DURATION", overrides_with = "wait")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "forever")]
    pub(crate) wait: Option<TimeLimit>,

    /// How results are printed
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum)]
    #[arg(default_value = "auto", overrides_with = "output")]
    pub(crate) output: Format,

    /// A schema of your own, which wins over the built-in one: a .capnp file, a compiled file, or a
    /// folder of them
    #[arg(long, global = true, value_name = "PATH", action = ArgAction::Append)]
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub(crate) schema: Vec<PathBuf>,

    /// A folder in which a schema's imports that begin with / are searched; may be repeated
    #[arg(short = 'I', long, global = true, value_name = "DIR", action = ArgAction::Append)]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub(crate) import_path: Vec<PathBuf>,

    /// The interface that the peer serves first, where the schemas have several that could be
    #[arg(long, global = true, value_name = "INTERFACE", overrides_with = "init")]
    pub(crate) init: Option<String>,

    /// The generation of Bitcoin Core whose schema is meant; auto asks the peer
    #[arg(long, global = true, value_name = "GENERATION", value_enum)]
    #[arg(default_value = "auto", overrides_with = "core")]
    pub(crate) core: Core,

    /// Hashes as they are on the wire, not in display order
    #[arg(long, global = true)]
    pub(crate) wire_order: bool,

    /// Whether an address was given, by an option or the environment.
    #[arg(skip)]
    pub(crate) address_given: bool,

    /// Whether it was given by an option.
    #[arg(skip)]
    pub(crate) address_typed: bool,

    /// Log requests and responses; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print no status and no warnings, only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Whether to use colours on stderr
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    #[arg(default_value = "auto", overrides_with = "color")]
    pub(crate) color: When,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Spawn(Spawn),
    Serve(Serve),
    Connect(Connect),
    Call(Call),
    List(List),
    Describe(Describe),
    Completions(Completions),
    /// Print the manual page
    Man,
}

/// Start a child over a socketpair and hold its Init
///
/// Alone, it holds the child's Init until end of input, SIGINT or SIGTERM, and exits with the
/// child's status. With a COMMAND, it runs that with BITCOIN_IPC_ADDRESS set to a private socket
/// through which any number of processes reach the child, then ends the child and exits with the
/// command's status:
///
///   bitcoin-ipc spawn node -- sh -c 'bitcoin-ipc call echo hi'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Spawn {
    /// node, wallet, gui, or a program's path, with a slash in it
    #[arg(value_name = "ROLE|PROGRAM", value_hint = clap::ValueHint::ExecutablePath)]
    pub(crate) what: OsString,
    /// What to run with the child's address in its environment
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Answer Init requests: a parent's until it is gone, clients' until a signal
///
/// With --fd until the parent is gone, with --listen until SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).args(["fd", "listen"])))]
pub(crate) struct Serve {
    /// Serve the peer of this inherited, connected socket
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = descriptor)]
    pub(crate) fd: Option<i32>,
    /// Listen at this address, unix:PATH or fd:N, and serve everyone who connects
    #[arg(long, value_name = "ADDRESS", num_args = 1.., value_parser = address())]
    pub(crate) listen: Vec<Address>,
    /// Whose Init to serve
    #[arg(long, value_name = "ROLE", value_parser = role(), default_value = "node")]
    pub(crate) role: Role,
}

/// Open one connection and talk: a prompt on a terminal, lines from a pipe
///
/// Shows what the peer offers, then makes a call for each line: METHOD [ARGUMENT…], quoted as in
/// a shell. `name = METHOD …` keeps a returned object and `name.method` calls it. `METHOD … &` is
/// answered in the background; at the end of input the peer is asked to end what still runs there.
/// `.help` lists the rest.
///
/// A terminal's prompt completes with Tab, keeps a history in $XDG_STATE_HOME/bitcoin-ipc
/// (~/.local/state/bitcoin-ipc) without the lines that begin with a space, ends the call that runs
/// on Ctrl-C, and puts it into the background on Ctrl-Z.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The peer, in place of --address
    #[arg(value_name = "ADDRESS", value_parser = address())]
    pub(crate) peer: Option<Address>,
}

/// List the interfaces, or an interface's methods
///
/// With an address, a chain or a data directory it asks the node which interfaces it has, without
/// making any; otherwise, and where no node listens there, the schema tells.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The interface whose methods are listed
    pub(crate) interface: Option<String>,
}

/// Describe an interface, a method, a struct, an enum or a constant
///
/// Shows what the schema says, and of a method a command line that calls it. The schema is that of the
/// node that is named by an address, a chain or a data directory, where one listens.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// Interface, Interface.method, a method that only one interface has, or any other declaration:
    /// Outer.Inner for one within another, FILE.capnp:Name where several files have the name
    pub(crate) name: String,
    /// Print the JSON of a method's parameters to fill in
    #[arg(long)]
    pub(crate) template: bool,
}

/// Print a shell's completions
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A scalar plain, anything else as JSON, indented on a terminal
    Auto,
    /// Always JSON, one line each; errors too, on stderr
    Json,
    /// The value alone, without quotes and without a newline
    Raw,
    /// Columns
    Table,
}

/// The generation whose schema is used: none for the peer's own, which is asked, or the newest where
/// there is no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Core(pub(crate) Option<Generation>);

/// All that can be given.
static CORES: LazyLock<Vec<Core>> = LazyLock::new(|| {
    let all = Generation::ALL.iter().copied().map(Some);
    [None].into_iter().chain(all).map(Core).collect()
});

impl ValueEnum for Core {
    fn value_variants<'a>() -> &'a [Self] {
        &CORES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            None => PossibleValue::new("auto")
                .help("The peer's own, which is asked; the newest where there is no peer"),
            Some(generation) => PossibleValue::new(generation.number().to_string())
                .help(format!("Bitcoin {generation}")),
        })
    }
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn after_help() -> String {
    let codes = EXIT_STATUS
        .iter()
        .map(|(code, meaning)| format!("\n  {code:<8}{meaning}"));
    format!("{AFTER_HELP}\n\nExit status:{}", codes.collect::<String>())
}

fn descriptor(number: &str) -> Result<i32, &'static str> {
    number
        .parse()
        .map_err(|_| "not the number of a file descriptor")
}

fn address() -> ValueParser {
    OsStringValueParser::new()
        .try_map(|word| {
            Address::parse(&word).map_err(|error| match error {
                // The word itself is in clap's message already.
                bitcoin_ipc::Error::Address { reason, .. } => reason,
                error => error.to_string(),
            })
        })
        .into()
}

fn chain() -> ValueParser {
    PossibleValuesParser::new(Chain::ALL.map(Chain::name))
        .try_map(|name| name.parse::<Chain>())
        .into()
}

fn role() -> ValueParser {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.name()))
        .try_map(|name| name.parse::<Role>())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
