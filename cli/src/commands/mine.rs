//! `mine`: blocks through the node's block templates, where a processor solves them.

use std::sync::Arc;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Amount, Network, ScriptBuf, TxOut};
use bitcoin_ipc::client::Work;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, Mining};
use bitcoin_ipc::miner::Job;
use eyre::Result;
use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::peer::node;
use crate::ui::errors::{Failure, Kind};

/// The most hashes that a block may take on average, which are some seconds of a processor.
const CHEAP: f64 = 4_194_304.0;

/// The number of nonces that are tried between two looks for a signal.
const TRIES: u32 = 1 << 16;

/// The text that follows the height in a coinbase.
const TAG: &[u8] = b"/bitcoin-ipc/";

pub(crate) fn run(context: &Context, args: &args::Mine) -> Result<u8> {
    let payee = Payee::parse(&args.to)?;
    let client = node::client(context)?;
    let done = context.calling(|| {
        node::let_start(context, client.generation()?)?;
        let mining = client.mining()?;
        let script = payee.script(mining.is_test_chain()?)?;
        let mut mined = context.output.count("blocks");
        for _ in 0..args.blocks {
            context.signals.check()?;
            let line = block(context, &mining, &script)?;
            context.output.json_line(&line)?;
            mined.add(false);
        }
        Ok(0)
    });
    // It returns when the node was told which objects to destroy.
    client.disconnect();
    context.signals.check()?;
    done
}

/// Mines a block on the node's tip. Returns its height and hash.
fn block(
    context: &Context,
    mining: &Arc<dyn Mining>,
    script: &ScriptBuf,
) -> Result<serde_json::Value> {
    // Without a cooldown, for which a node that has no peers waits for ever.
    let template = mining.create_new_block(&BlockCreateOptions::default(), false)?;
    let template = template.ok_or_else(|| {
        Failure::new(Kind::Remote, "the node makes no template: it shuts down").hint("see its log")
    })?;
    let work = Work::of(template)?;
    let pay = |value: Amount| {
        let script_pubkey = script.clone();
        vec![TxOut {
            value,
            script_pubkey,
        }]
    };
    let mut job = Job::new(&work, pay, TAG)?;
    check_cost(job.header.difficulty_float())?;
    let mut tried = 0_u64;
    while !job.solve(TRIES) {
        context.signals.check()?;
        tried += u64::from(TRIES);
        if tried.is_multiple_of(1 << 32) {
            job.header.time += 1;
        }
    }
    let hash = job.header.block_hash();
    let answer = job.submit()?;
    if !answer.result {
        let told = [answer.reason, answer.debug];
        let told: Vec<_> = told.into_iter().filter(|text| !text.is_empty()).collect();
        let reason = match told.is_empty() {
            true => "it gives no reason".to_owned(),
            false => told.join(": "),
        };
        let message = format!("the node refused block {hash}: {reason}");
        return Err(Failure::new(Kind::Remote, message)
            .hint("its log may say more")
            .into());
    }
    let tip = mining.get_tip()?.filter(|tip| tip.hash == hash.into());
    let height = tip.map(|tip| tip.height);
    Ok(json!({ "height": height, "hash": hash.to_string() }))
}

/// Refuses blocks that take too long.
fn check_cost(difficulty: f64) -> Result<(), Failure> {
    // A block of difficulty 1 takes 2^32 hashes.
    let hashes = difficulty * 4_294_967_296.0;
    if hashes <= CHEAP {
        return Ok(());
    }
    let message = format!("a block of this chain takes some {hashes:.1e} hashes");
    Err(Failure::new(Kind::Failed, message)
        .hint("mine is for regtest: other chains are mined by hardware made for it"))
}

/// Whom the blocks pay.
enum Payee {
    Address(Address<NetworkUnchecked>),
    Script(ScriptBuf),
}

impl Payee {
    /// Reads an address, or a script in hex.
    fn parse(text: &str) -> Result<Self, Failure> {
        let reason = match text.parse() {
            Ok(address) => return Ok(Self::Address(address)),
            Err(reason) => reason,
        };
        match ScriptBuf::from_hex(text) {
            Ok(script) if !text.is_empty() => Ok(Self::Script(script)),
            _ => Err(Failure::usage(format!(
                "--to: {text:?} is no address ({reason}), and no script in hex"
            ))
            .hint("51 is a script that anyone can spend from")),
        }
    }

    /// Returns the script of the outputs. An address must be one of the node's chain.
    fn script(self, is_test_chain: bool) -> Result<ScriptBuf, Failure> {
        let address = match self {
            Self::Script(script) => return Ok(script),
            Self::Address(address) => address,
        };
        // Test chains share their addresses, but for those of regtest that have a prefix of their own.
        let networks: &[Network] = match is_test_chain {
            true => &[Network::Regtest, Network::Testnet, Network::Signet],
            false => &[Network::Bitcoin],
        };
        if networks
            .iter()
            .any(|network| address.is_valid_for_network(*network))
        {
            return Ok(address.assume_checked().script_pubkey());
        }
        let chain = if is_test_chain {
            "a test chain"
        } else {
            "the main chain"
        };
        Err(Failure::usage(format!(
            "--to: {} is no address of the node's chain, {chain}",
            address.assume_checked()
        ))
        .hint("an address of regtest begins with bcrt1, m, n or 2"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn payees_are_addresses_of_the_chain_or_scripts() {
        let script = |text: &str, is_test| {
            let script = Payee::parse(text).and_then(|payee| payee.script(is_test));
            script
                .map(|script| script.to_hex_string())
                .map_err(|failure| failure.message)
        };
        let regtest = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        let main = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        let expected = "0014751e76e8199196d454941c45d1b3a323f1433bd6";
        assert_eq!(script(regtest, true).unwrap(), expected);
        assert_eq!(script(main, false).unwrap(), expected);
        assert_eq!(script("51", true).unwrap(), "51");
        assert!(
            script(main, true)
                .unwrap_err()
                .contains("no address of the node's chain")
        );
        assert!(
            script(regtest, false)
                .unwrap_err()
                .contains("the main chain")
        );
        for bad in ["", "5", "bcrt1qqq", "xyz"] {
            let message = script(bad, true).unwrap_err();
            assert!(message.contains("and no script in hex"), "{message}");
        }
    }

    #[test]
    fn blocks_that_take_long_are_not_begun() {
        assert!(check_cost(4.656_542_373_906_925e-10).is_ok());
        assert!(check_cost(0.000_9).is_ok());
        let failure = check_cost(1.0).unwrap_err();
        assert_eq!(
            failure.message,
            "a block of this chain takes some 4.3e9 hashes"
        );
    }
}
