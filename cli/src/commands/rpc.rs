//! `rpc`: the node's JSON-RPC over IPC, as bitcoin-cli makes it.

use std::io::{self, BufRead, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::interfaces::rpc::Rpc;
use eyre::Result;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value as Json, json};

use crate::args;
use crate::calls::rpc::{self, Forms, OpenRpc, RpcError};
use crate::context::Context;
use crate::peer::target::{self, OwnChild};
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::Shown;

/// The pause before a node that is starting is asked again, as bitcoin-cli's.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, args: &args::Rpc) -> Result<u8> {
    let words = words(context, args)?;
    let Some((method, arguments)) = words.split_first() else {
        return Err(
            Failure::new(Kind::Failed, "too few parameters (need at least command)")
                .hint("`bitcoin-ipc rpc help` lists the node's methods")
                .into(),
        );
    };
    let link = target::open(context, OwnChild::Never)?;
    let init = link.init.clone();
    let done = context.calling(|| {
        let rpc = match &init {
            Some(init) => init.make_rpc(),
            None => Ok(None),
        };
        let rpc = rpc
            .map_err(Failure::from)
            .and_then(|rpc| rpc.ok_or_else(none));
        let rpc = rpc.map_err(explain)?;
        let node = Node { context, rpc };
        node.call(args, method, arguments)
    });
    drop(init);
    link.end(None);
    context.signals.check()?;
    done
}

/// The node's JSON-RPC.
struct Node<'a> {
    context: &'a Context,
    rpc: Arc<dyn Rpc>,
}

impl Node<'_> {
    /// Makes a call and prints its result or error. Returns the exit status.
    fn call(&self, args: &args::Rpc, method: &str, arguments: &[String]) -> Result<u8> {
        let endpoint = rpc::endpoint(args.rpcwallet.as_deref());
        // The description is large, and most arguments have one form that the node takes.
        let guessed = match args.named || rpc::may_be_mistaken(arguments) {
            true => None,
            false => Some(Forms::of(None, method).positional(arguments)?),
        };
        let mut reply = match &guessed {
            Some(params) => self.execute(&rpc::request(method, params), &endpoint)?,
            None => String::new(),
        };
        let is_mistaken = || matches!(rpc::read(&reply), Ok(Err(error)) if error.is_about_types());
        if guessed.is_none() || !arguments.is_empty() && is_mistaken() {
            let described = self.described()?;
            let forms = Forms::of(described.as_ref(), method);
            let params = match args.named {
                true => forms.by_name(arguments)?,
                false => forms.positional(arguments)?,
            };
            if guessed.as_ref() != Some(&params) {
                reply = self.execute(&rpc::request(method, &params), &endpoint)?;
            }
        }
        let result = match rpc::read(&reply)? {
            Ok(result) => result,
            Err(error) => return Ok(self.fail(&error)),
        };
        self.print(args, method, result)?;
        Ok(0)
    }

    /// Returns the node's description of its methods, if it has one.
    fn described(&self) -> Result<Option<OpenRpc>> {
        let request = rpc::request(rpc::DESCRIBE, &json!([true]));
        let reply = self.execute(&request, "/")?;
        match rpc::read(&reply)? {
            // A node that has none says that there is no such method.
            Err(_) | Ok(None) => Ok(None),
            Ok(Some(document)) => Ok(serde_json::from_str(document).ok()),
        }
    }

    /// Executes a request. With `--wait` a node that is still starting is asked again.
    fn execute(&self, request: &str, endpoint: &str) -> Result<String> {
        loop {
            let reply = self.rpc.execute_rpc(request, endpoint, "")?;
            let starting = self.context.options.wait.is_some()
                && matches!(rpc::read(&reply), Ok(Err(error)) if error.code() == Some(rpc::IN_WARMUP));
            if !starting {
                return Ok(reply);
            }
            self.context.signals.sleep(RETRY)?;
        }
    }

    fn print(&self, args: &args::Rpc, method: &str, result: Option<&str>) -> Result<()> {
        let output = &self.context.output;
        if args.pick.is_all() && !output.is_json() {
            if let Some(result) = result {
                output.peer_text(&rpc::printed(result))?;
            }
            return Ok(());
        }
        let value: Json = result.map_or(Ok(Json::Null), serde_json::from_str)?;
        args.pick.print(output, Shown::of(value), method, false)
    }

    /// Reports an error of the RPC. Returns the exit status.
    fn fail(&self, error: &RpcError) -> u8 {
        let output = &self.context.output;
        match output.is_json() {
            true => output.stderr_line(&error.json().to_string()),
            false => output.stderr_lines(&error.text()),
        }
        error.exit()
    }
}

/// Returns the method and its arguments: those of the command line, a passphrase, and those of stdin.
fn words(context: &Context, args: &args::Rpc) -> Result<Vec<String>> {
    let mut words = args.words.clone();
    if args.stdinwalletpassphrase {
        let is_about_it = words
            .first()
            .is_some_and(|word| word.starts_with("walletpassphrase"));
        if !is_about_it {
            return Err(Failure::new(
                Kind::Failed,
                "-stdinwalletpassphrase is only applicable for walletpassphrase(change)",
            )
            .hint("name the method: bitcoin-ipc rpc -stdinwalletpassphrase walletpassphrase 60")
            .into());
        }
        words.insert(1, passphrase(context)?);
    }
    if args.stdin {
        for line in io::stdin().lock().lines() {
            let line = line?;
            words.push(line.strip_suffix('\r').unwrap_or(&line).to_owned());
        }
    }
    Ok(words)
}

/// Reads a line from stdin, which a terminal does not show.
fn passphrase(context: &Context) -> Result<String> {
    let stdin = io::stdin();
    let shown = match stdin.is_terminal() {
        true => tcgetattr(&stdin).ok(),
        false => None,
    };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden).map_err(io::Error::from)?;
        context.output.ask("Wallet passphrase> ");
    }
    let read = context.signals.interruptible(None, || {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Now, shown).map_err(io::Error::from)?;
        context.output.stderr_line("");
    }
    let line = read?.ok_or_else(|| eyre::eyre!("a wait without a limit has ended"))??;
    if line.is_empty() {
        return Err(Failure::new(
            Kind::Failed,
            "-stdinwalletpassphrase specified but failed to read from standard input",
        )
        .hint("give the passphrase as the first line of stdin")
        .into());
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Adds to a failure what a node without the interface needs.
fn explain(failure: Failure) -> Failure {
    match failure.kind {
        Kind::Unimplemented => {
            failure.hint("Bitcoin Core has Rpc from 32 on: bitcoin-cli reaches an older node")
        }
        _ => failure,
    }
}

fn none() -> Failure {
    Failure::new(Kind::Unimplemented, "the peer offers no Rpc")
}
