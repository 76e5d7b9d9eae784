//! The one definition of the command line: parser, help, manual and completions come from it.
//!
//! Knows words and the types they stand for. Must not connect, start or print anything.

mod call;
pub(crate) mod conf;
pub(crate) mod core_words;
mod duration;
pub(crate) mod exit_status;
mod peer;
mod pick;
mod refusal;
mod rpc;
pub(crate) mod settings;
mod status;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Generation};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::call::{Call, Times};
pub(crate) use self::duration::TimeLimit;
pub(crate) use self::peer::{ADDRESS_VARIABLE, Peer, Target};
pub(crate) use self::pick::Pick;
pub(crate) use self::refusal::Refusal;
pub(crate) use self::rpc::Rpc;
pub(crate) use self::status::Status;
pub(crate) use self::watch::{Mine, Watch};

/// The text after the options in the help and in the manual.
pub(crate) const AFTER_HELP: &str = "\
Addresses:
  auto          the chain's running node (the default); with none, where nothing names a node,
                call and connect start a node child of our own
  self          a node child of our own
  unix          the chain's node.sock in the data directory
  unix:PATH     a unix socket; the path is relative to the chain's data directory
  /PATH         the same as unix:/PATH
  fd:N          a connected socket that was inherited as descriptor N
  exec:PROGRAM  a program to start as a child with -ipcfd N

A name that is not given is looked for in the environment (BITCOIN_IPC_ADDRESS, unless empty), then
in bitcoin.conf as Bitcoin Core reads it: chain, regtest and the like, datadir, ipcconnect, and
ipcbind, which is where auto and unix then look.

Bitcoin Core's spellings work wherever an option may stand, with one dash or two: -regtest,
-testnet4, -testnet, -signet, -chain=NAME, -datadir=DIR, -conf=FILE, -ipcconnect=ADDRESS, -rpcwait,
-rpcwaittimeout=SECONDS, and -noX and -X=0 of these where Core has them.

Called as bitcoin-node, bitcoin-wallet or bitcoin-gui, with exactly -ipcfd N, it serves N.

Results go to stdout, everything else to stderr.";

/// Spawn, serve, connect to and call Bitcoin Core's processes over its multiprocess IPC
#[derive(Debug, Parser)]
#[command(name = "bitcoin-ipc", version, after_long_help = after_help(), max_term_width = 100)]
#[command(propagate_version = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) peer: Peer,

    /// Connect to sockets of this user, too, and not only to your own and root's; may be repeated
    #[arg(long, global = true, value_name = "UID", action = ArgAction::Append)]
    pub(crate) peer_uid: Vec<u32>,

    /// How long connecting and each call may take: 250ms, 5s (or 5), 5min, 1h or forever
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

    /// No wait: Core's -norpcwait.
    #[arg(long, global = true, hide = true, overrides_with_all = ["wait", "no_wait"])]
    no_wait: bool,

    /// The limit of a wait in seconds, 0 for none: Core's -rpcwaittimeout.
    #[arg(long, global = true, hide = true, overrides_with = "rpcwaittimeout")]
    #[arg(value_name = "SECONDS")]
    rpcwaittimeout: Option<u32>,

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

    /// Log requests and responses, with times; twice for everything
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

impl Cli {
    /// Joins the words that mean one thing together.
    pub(crate) fn settle(&mut self) {
        if let Command::Connect(connect) = &mut self.command
            && let Some(peer) = connect.peer.take()
        {
            self.options.peer.address = Some(peer);
        }
        let limit = self.options.rpcwaittimeout.filter(|seconds| *seconds > 0);
        if let (Some(TimeLimit(None)), Some(seconds)) = (self.options.wait, limit) {
            let limit = Duration::from_secs(seconds.into());
            self.options.wait = Some(TimeLimit(Some(limit)));
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Spawn(Spawn),
    Serve(Serve),
    Connect(Connect),
    Call(Call),
    #[command(visible_alias = "ping")]
    Status(Status),
    Watch(Watch),
    Rpc(Rpc),
    Mine(Mine),
    List(List),
    Describe(Describe),
    Completions(Completions),
    Man(Man),
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
    /// node, wallet, gui (or bitcoin-node …), or a program's path, with a slash in it
    #[arg(value_name = "ROLE|PROGRAM", value_hint = clap::ValueHint::ExecutablePath)]
    pub(crate) what: OsString,
    /// What to run with the child's address in its environment
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Answer Init requests: a parent's until it is gone, clients' until a signal
///
/// With --fd until the parent is gone, with --listen until SIGINT or SIGTERM. With neither, it serves
/// the sockets that a service manager passes (LISTEN_FDS), listening or connected ones. It tells
/// the service manager its state (NOTIFY_SOCKET).
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["fd", "listen"])))]
pub(crate) struct Serve {
    /// Serve the peer of this inherited, connected socket
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = descriptor)]
    pub(crate) fd: Option<i32>,
    /// Listen at this address, unix:PATH or fd:N, and serve everyone who connects
    #[arg(long, value_name = "ADDRESS", num_args = 1.., value_parser = peer::address())]
    pub(crate) listen: Vec<Address>,
    /// Whose Init to serve
    #[arg(long, value_name = "ROLE", value_parser = role(), default_value = "node")]
    pub(crate) role: Role,
}

/// Open one connection and talk: a prompt on a terminal, lines from a pipe
///
/// Shows what the peer offers, then makes a call for each line: METHOD [ARGUMENT…], quoted as in
/// a shell. `name = METHOD …` keeps a returned object, or those in a list as name.0, name.1 …, and
/// `name.method` calls it. `METHOD … &` is answered in the background; at the end of input the peer
/// is asked to end what still runs there. `.help` lists the rest.
///
/// With -o jsonl each line of a pipe, also an empty one, is answered by exactly one line on stdout,
/// {"line":N,"result":…} or {"line":N,"error":{"kind":…,"message":…,"hint":…}}. Other lines there
/// have no "line": {"job":N,"result":…} or {"job":N,"error":…} from the background, and
/// {"object":…,"method":…,"params":…} of an object that prints its calls. In other formats results
/// and such calls share stdout.
///
/// A terminal's prompt completes with Tab, keeps a history in $XDG_STATE_HOME/bitcoin-ipc
/// (~/.local/state/bitcoin-ipc) without the lines that begin with a space or hold a secret, ends the
/// call that runs on Ctrl-C, puts it into the background on Ctrl-Z, and passes a result on with
/// `METHOD … | COMMAND`. It stays when the peer goes: the next call connects again.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The peer, in place of --address
    #[arg(value_name = "ADDRESS", value_parser = peer::target())]
    pub(crate) peer: Option<Target>,
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
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that can be asked to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Nushell,
    Powershell,
    Zsh,
}

impl Shell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Nushell => "nushell",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::value_variants().iter().copied();
        all.find(|shell| shell.name() == name)
    }
}

/// Print a manual page
///
/// That of the program, or of one of its commands; `man -l <(bitcoin-ipc man call)` shows it.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command whose page is meant
    pub(crate) command: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A scalar plain, on one line, anything else as JSON, indented on a terminal
    Auto,
    /// Always JSON, one line each; errors too, on stderr
    Json,
    /// As json; of lines of input, each has one answer on stdout, and so have errors
    Jsonl,
    /// The value alone, without quotes and without a newline; as it is into a file or a pipe
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
    format!("{AFTER_HELP}\n\nExit status:{}", exit_status::table())
}

fn descriptor(number: &str) -> Result<i32, &'static str> {
    number
        .parse()
        .map_err(|_| "not the number of a file descriptor")
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
