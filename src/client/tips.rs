//! The tip of a node's chain, followed across connections.
//!
//! Knows `Mining`'s ways to tell the tip, and `Rpc`'s to tell a block by its height.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Client;
use super::following::{Follower, Step, mining};
use super::pump::Pumped;
use super::supervisor::Supervisor;
use crate::call::{CancelToken, Registration};
use crate::error::{Error, Result};
use crate::generation::{Generation, SLICE};
use crate::interfaces::BlockHash;
use crate::interfaces::common::BlockRef;
use crate::interfaces::mining::Mining;
use crate::interfaces::rpc::Rpc;

/// The most blocks between two tips that are told one by one.
const MOST_BETWEEN: u32 = 144;

/// A tip of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tip {
    /// The hash of its block.
    pub hash: BlockHash,
    /// The number of blocks before it.
    pub height: u32,
    /// The number of heights between the tip told before and this one, whose blocks were not told. 0
    /// where the tip is not higher than that, as after a reorganisation.
    pub skipped: u32,
    /// The hashes of these blocks in this tip's chain, from the lowest to the highest, where the node
    /// tells them, from Core 32 on, and there are at most 144 of them. Empty otherwise.
    pub between: Vec<BlockHash>,
}

impl Tip {
    fn of(tip: &BlockRef) -> Result<Self> {
        let height = u32::try_from(tip.height).map_err(|_| {
            Error::conversion(
                "the height of the tip",
                format!("{} is negative", tip.height),
            )
        })?;
        Ok(Self {
            hash: tip.hash,
            height,
            skipped: 0,
            between: Vec::new(),
        })
    }
}

/// The outcome of a wait for another tip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// There is another tip.
    Changed(Tip),
    /// The tip was the same until the time was over.
    TimedOut,
    /// The wait was interrupted, or the node shuts down.
    Interrupted,
}

impl Wait {
    /// Blocks until the tip is another than `known`, or `limit` has passed. The node ends its wait
    /// after `limit` as well, so that nothing is left in it. Only a node that has no tip yet, because it
    /// is loading its chain, waits for one for longer.
    ///
    /// # Errors
    /// Returns the errors of the call.
    pub fn for_tip(mining: &dyn Mining, known: BlockHash, limit: Duration) -> Result<Self> {
        Ok(match mining.wait_tip_changed(known, limit)? {
            None => Self::Interrupted,
            Some(tip) if tip.hash == known => Self::TimedOut,
            Some(tip) => Self::Changed(Tip::of(&tip)?),
        })
    }
}

/// The tips of a node's chain, each once, beginning with the one that it has. It goes on across
/// connections, and ends when its connection is told to [stop](super::Reconnecting::stop). An error that
/// a new connection does not mend is an item; then it goes on after a pause.
#[must_use = "it only follows when it is read"]
pub struct Tips {
    follower: Follower<Using>,
    seen: Option<Tip>,
}

/// The objects of a connection that the tips come from.
struct Using {
    mining: Arc<dyn Mining>,
    generation: Generation,
    /// From Core 32 on.
    rpc: Option<Arc<dyn Rpc>>,
}

impl Using {
    fn of(client: &Client) -> Result<Self> {
        let rpc = match client.init().make_rpc() {
            Ok(rpc) => rpc,
            // The generation has none, or it says that there is none.
            Err(Error::Unimplemented(_) | Error::Remote { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            mining: mining(client)?,
            generation: client.generation()?,
            rpc,
        })
    }

    /// Has a wait for the tip end in the node when `stop` is cancelled, until the result is dropped,
    /// where the generation can do so.
    fn interrupts(&self, stop: &CancelToken) -> Option<Registration> {
        let mining = self.mining.clone();
        match self.generation {
            Generation::Core30 => None,
            // The answer does not matter.
            _ => Some(stop.listen(move || drop(mining.interrupt_async()))),
        }
    }

    /// Returns the hash of the block at a height, where the node tells it.
    fn block_at(&self, height: u32) -> Option<BlockHash> {
        let request = format!(r#"{{"method":"getblockhash","params":[{height}]}}"#);
        let answer = self.rpc.as_ref()?.execute_rpc(&request, "/", "").ok()?;
        let (_, result) = answer.split_once(r#""result":""#)?;
        result.get(..64)?.parse().ok()
    }
}

impl Tips {
    pub(super) fn new(node: Supervisor) -> Self {
        Self {
            follower: Follower::new(node),
            seen: None,
        }
    }

    /// Returns the tips as a stream, which a thread of its own reads.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread.
    pub fn into_stream(self) -> Result<Pumped<Result<Tip>>> {
        let stop = self.follower.token().clone();
        Pumped::start(self, stop)
    }
}

impl Iterator for Tips {
    type Item = Result<Tip>;

    fn next(&mut self) -> Option<Result<Tip>> {
        let Self { follower, seen } = self;
        follower.next(Using::of, |using, stop| {
            let known = seen.as_ref().map_or(BlockHash::ZERO, |tip| tip.hash);
            let _interrupts = using.interrupts(stop);
            let mut tip = match Wait::for_tip(&*using.mining, known, SLICE)? {
                Wait::Changed(tip) => tip,
                Wait::TimedOut => return Ok(Step::Same),
                Wait::Interrupted => return Ok(Step::Interrupted),
            };
            if let Some(before) = seen {
                tip.skipped = tip.height.saturating_sub(before.height.saturating_add(1));
                if (1..=MOST_BETWEEN).contains(&tip.skipped) {
                    let heights = before.height + 1..tip.height;
                    let between: Option<_> = heights.map(|at| using.block_at(at)).collect();
                    // Only if they are still of this tip's chain.
                    let same = using.block_at(tip.height) == Some(tip.hash);
                    tip.between = between.filter(|_| same).unwrap_or_default();
                }
            }
            *seen = Some(tip.clone());
            Ok(Step::Found(tip))
        })
    }
}

crate::opaque::opaque!(Tips, "Tips");
