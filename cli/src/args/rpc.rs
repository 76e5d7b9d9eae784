//! The words of `rpc`.

use clap::Args;

use super::pick::Pick;

/// Call the node's JSON-RPC, with bitcoin-cli's arguments and exit statuses
///
/// Arguments are strings or JSON, as the node's own description of its methods says. A result that is
/// a string is printed plain. An error of the RPC goes to stderr, and the exit status is its code,
/// without the sign and modulo 256. Core has this interface from 32 on.
///
/// The options, in Core's spelling too (-named, -rpcwallet=NAME), stand before METHOD; what follows it
/// is the method's.
#[derive(Debug, Args)]
pub(crate) struct Rpc {
    /// Take ARGUMENTs as name=value
    #[arg(long)]
    pub(crate) named: bool,
    /// Read further ARGUMENTs from stdin, one a line
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Read the passphrase of walletpassphrase or walletpassphrasechange from stdin, as its first
    /// ARGUMENT
    #[arg(long)]
    pub(crate) stdinwalletpassphrase: bool,
    /// The wallet that the call is about
    #[arg(long, value_name = "NAME")]
    pub(crate) rpcwallet: Option<String>,
    #[command(flatten)]
    pub(crate) pick: Pick,
    /// The method and its arguments; `help` lists the methods
    #[arg(
        value_name = "METHOD [ARGUMENT]",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<String>,
}
