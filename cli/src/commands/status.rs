//! `status`: whether a node is there, who serves it, what it offers, and how far it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin_ipc::Error;
use bitcoin_ipc::interfaces::common::BlockRef;
use bitcoin_ipc::interfaces::rpc::Rpc;
use eyre::Result;
use indicatif::HumanDuration;
use serde_json::{Map, Value as Json, json};

use crate::args;
use crate::calls::rpc;
use crate::context::Context;
use crate::peer::absence::name_of;
use crate::peer::offers::{Offer, Peer};
use crate::peer::target::{self, Link, OwnChild};
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::Shown;

pub(crate) fn run(context: &Context, args: &args::Status) -> Result<u8> {
    let link = target::open(context, OwnChild::Never)?;
    let asked = context.calling(|| {
        let peer = Peer::ask(&link)?;
        link.let_start(context, peer.generation)?;
        let tip = Tip::ask(&link, &peer)?;
        Ok::<_, eyre::Report>((peer, tip))
    });
    context.signals.check()?;
    let done = asked.and_then(|(peer, tip)| {
        show(context, &link, &peer, &tip)?;
        match args.synced {
            true => tip.check_synced(),
            false => Ok(()),
        }
    });
    link.end(None);
    done.map(|()| 0)
}

/// The state of the node's chain, as far as it tells.
#[derive(Default)]
struct Tip {
    chain: Option<String>,
    is_test_chain: Option<bool>,
    tip: Option<BlockRef>,
    /// The time in the tip's header.
    time: Option<SystemTime>,
    initial_block_download: Option<bool>,
    /// The height of the best header.
    headers: Option<u64>,
}

impl Tip {
    /// Asks the node. One that is spawned, and so not fully started, is not asked: it exits when its
    /// `makeMining` runs.
    fn ask(link: &Link, peer: &Peer) -> Result<Self, Error> {
        let mut this = Self::default();
        let Some(init) = link.init.as_ref().filter(|_| link.child.is_none()) else {
            return Ok(this);
        };
        if peer.offers("Mining")
            && let Some(mining) = init.make_mining()?
        {
            this.tip = mining.get_tip()?;
            this.initial_block_download = Some(mining.is_initial_block_download()?);
            this.is_test_chain = Some(mining.is_test_chain()?);
        }
        if peer.offers("Rpc")
            && let Some(rpc) = init.make_rpc()?
        {
            this.ask_rpc(&*rpc)?;
        }
        Ok(this)
    }

    /// Asks for what the other interfaces do not tell.
    fn ask_rpc(&mut self, rpc: &dyn Rpc) -> Result<(), Error> {
        let Some(info) = execute(rpc, "getblockchaininfo", &json!([]))? else {
            return Ok(());
        };
        self.chain = info["chain"].as_str().map(ToOwned::to_owned);
        self.headers = info["headers"].as_u64();
        let is_tip = |tip: &BlockRef| info["bestblockhash"] == tip.hash.to_string();
        if self.tip.as_ref().is_none_or(is_tip) {
            let seconds = info["time"].as_u64().map(Duration::from_secs);
            self.time = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds));
        }
        Ok(())
    }

    fn height(&self) -> Option<u64> {
        u64::try_from(self.tip.as_ref()?.height).ok()
    }

    /// Returns the tip's age in seconds. One from the future has none.
    fn age(&self) -> Option<u64> {
        let age = SystemTime::now().duration_since(self.time?);
        Some(age.unwrap_or_default().as_secs())
    }

    fn check_synced(&self) -> Result<()> {
        let failure = |message: String, hint: &str| {
            Err(Failure::new(Kind::Failed, message).hint(hint).into())
        };
        let Some(downloading) = self.initial_block_download else {
            return failure(
                "the peer does not tell how far it is: it offers no Mining".into(),
                "name a node with --address, --chain or --datadir",
            );
        };
        let hint = "wait for it, as `until bitcoin-ipc status --synced; do sleep 10; done` does";
        if downloading {
            return failure("the node is in initial block download".into(), hint);
        }
        match (self.height(), self.headers) {
            (Some(height), Some(headers)) if height < headers => {
                failure(format!("the node has {height} of {headers} blocks"), hint)
            }
            _ => Ok(()),
        }
    }
}

/// Calls a method of the node's JSON-RPC. Returns `None` where it answers an error, as while it
/// starts.
fn execute(rpc: &dyn Rpc, method: &str, params: &Json) -> Result<Option<Json>, Error> {
    let reply = rpc.execute_rpc(&rpc::request(method, params), "/", "")?;
    let result = rpc::read(&reply)
        .ok()
        .and_then(|reply| reply.ok().flatten());
    Ok(result.and_then(|result| serde_json::from_str(result).ok()))
}

fn show(context: &Context, link: &Link, peer: &Peer, tip: &Tip) -> Result<()> {
    let settings = context.settings()?;
    let credentials = link
        .init
        .as_ref()
        .and_then(|init| init.remote())
        .map(|remote| remote.peer());
    let credentials = credentials.as_ref().and_then(|peer| peer.credentials());
    // The credentials of a child's socket are those of this process, which made it.
    let child = link.child.as_ref().map(|child| child.pid());
    let pid = child.or_else(|| credentials?.pid);
    let program = pid.and_then(name_of);
    let uid = credentials.map(|credentials| credentials.uid);
    // The directory tells, where the node does not.
    let by_directory = || {
        let is_main = settings.chain() == bitcoin_ipc::transport::Chain::Main;
        let fits = tip.is_test_chain == Some(!is_main);
        (link.is_chains_own && fits).then(|| settings.chain().to_string())
    };
    let chain = tip.chain.clone().or_else(by_directory);
    let hash = tip.tip.as_ref().map(|tip| tip.hash.to_string());
    let micros = peer
        .round_trip
        .and_then(|time| u64::try_from(time.as_micros()).ok());
    let output = &context.output;
    if output.is_json() {
        let offers = peer.offers.iter();
        let offers: Map<_, _> = offers
            .map(|(name, offer)| ((*name).to_owned(), offer.words().into()))
            .collect();
        let shown = json!({
            "address": link.name,
            "pid": pid,
            "uid": uid,
            "program": program,
            "generation": peer.generation.number(),
            "interfaces": offers,
            "chain": chain,
            "test_chain": tip.is_test_chain,
            "height": tip.height(),
            "hash": hash,
            "age_s": tip.age(),
            "initial_block_download": tip.initial_block_download,
            "headers": tip.headers,
            "round_trip_us": micros,
        });
        return Ok(output.result(&Shown::Structured(shown), false)?);
    }
    let mut rows = vec![("address", link.name.clone())];
    if let Some(uid) = uid {
        let pid = pid.map_or_else(|| "elsewhere".to_owned(), |pid| format!("pid {pid}"));
        let program = program.unwrap_or_else(|| "a process".into());
        rows.push(("served by", format!("{program} ({pid}, uid {uid})")));
    }
    rows.push(("generation", peer.generation.to_string()));
    for (name, offer) in &peer.offers {
        rows.push((name, Offer::words(*offer).to_owned()));
    }
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let test_chain = || {
        tip.is_test_chain
            .map(|test| if test { "a test chain" } else { "main" }.to_owned())
    };
    let facts = [
        ("chain", chain.or_else(test_chain)),
        (
            "height",
            tip.height().map(|height| match tip.headers {
                Some(headers) if headers > height => format!("{height} of {headers}"),
                _ => height.to_string(),
            }),
        ),
        ("tip", hash),
        ("tip age", tip.age().map(human)),
        (
            "initial block download",
            tip.initial_block_download.map(yes_or_no),
        ),
        ("round trip", micros.map(|micros| format!("{micros} µs"))),
    ];
    rows.extend(
        facts
            .into_iter()
            .filter_map(|(name, fact)| Some((name, fact?))),
    );
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        output.peer_text(&format!("{name:width$}  {value}"))?;
    }
    Ok(())
}

/// Returns a number of seconds in words.
fn human(seconds: u64) -> String {
    HumanDuration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(tip: &Tip) -> String {
        match tip.check_synced() {
            Ok(()) => "synced".into(),
            Err(report) => Failure::of(&report).message,
        }
    }

    #[test]
    fn a_node_is_synced_with_all_blocks_it_knows_of() {
        let at = |height| {
            let mut tip = BlockRef::default();
            tip.height = height;
            Some(tip)
        };
        let mut tip = Tip::default();
        assert!(told(&tip).contains("offers no Mining"));
        tip.initial_block_download = Some(true);
        assert!(told(&tip).contains("in initial block download"));
        tip.initial_block_download = Some(false);
        assert_eq!(told(&tip), "synced");
        (tip.tip, tip.headers) = (at(7), Some(8));
        assert_eq!(told(&tip), "the node has 7 of 8 blocks");
        tip.tip = at(8);
        assert_eq!(told(&tip), "synced");
    }

    #[test]
    fn the_age_of_a_tip_is_never_negative() {
        let mut tip = Tip::default();
        assert_eq!(tip.age(), None);
        tip.time = SystemTime::now().checked_add(Duration::from_secs(100));
        assert_eq!(tip.age(), Some(0));
        tip.time = SystemTime::now().checked_sub(Duration::from_secs(100));
        assert!(tip.age().unwrap() >= 100);
    }
}
