//! Finds out which release's interfaces a peer speaks, and makes the typed interfaces speak to any
//! of them.
//!
//! Knows the typed interfaces of every generation; nothing of the wire. Ids are shared between
//! generations while ordinals moved, so the wrong one would call another method in silence.
//!
//! The list of the generations is in `build.rs`, and all else that can be read off the schemas is
//! generated from them: how a peer's `Init` tells its generation, which methods a generation lacks, and
//! the adapters that make an older one's interfaces the newest's. `by_hand` has the answers that no
//! rule converts, and `node` what is to be done for a node of any generation.
//!
//! # One API for all
//!
//! The traits that users know ([`Init`], [`Mining`], [`BlockTemplate`], [`Rpc`]) are Core 32's. A
//! remote `Init` is wrapped: the first call that depends on it finds out the peer's generation,
//! once for the connection and without running anything there, and what it makes then speaks that
//! generation. Every option is sent, as defaults differ. What a generation lacks is an
//! [`Error::Unimplemented`], such as `this node (Core 30) has no submitBlock`, and nothing is sent:
//!
//! | not in | |
//! |---|---|
//! | Core 30 | `Mining.interrupt` |
//! | Core 30, 31 | `Init.makeRpc`; `Mining.submitBlock`, `getTransactionsByTxID`, `getTransactionsByWitnessID` |
//! | any, to be called | `BlockTemplate.submitSolutionOld7`, which submits in Core 31 and is another method in 30 |
//! | Core 30, to be called | `Init.makeMiningOld2`, which is `makeMining` there |
//!
//! Answers that have another form there are converted:
//!
//! - Core 30 and 31 answer only whether a solution was accepted, so that `reason` and `debug` of
//!   `submitSolution` are empty.
//! - Core 30 answers a whole dummy coinbase, from which the fields of `getCoinbaseTx` are read.
//! - Core 30 has no `cooldown`: of what that waits for, only the end of initial block download is waited
//!   for there.
//!
//! Builds between 31 and 32 have 32's `Init` and `Mining` with 31's `BlockTemplate`: their
//! `submitSolution` is found when 32's is answered as unimplemented.
//!
//! A wait (`waitTipChanged`, `waitNext`) is passed to the node in slices of a second, or less where the
//! time limit of [`CallOptions`](crate::CallOptions) leaves its caller less. So what its caller gave up
//! is gone from the node a second later, however it was given up: by a time limit, a cancellation, a
//! future that was dropped, or a process that was killed. The end of initial block download, for which
//! `createNewBlock` waits with a cooldown, is waited for in the same way before that is called. After that
//! a `createNewBlock` that is given up while it may cool down is interrupted; other waits on the same
//! `Mining` go on then.
//!
//! Where there is a second call to make (the generation is not known yet; `submitSolution` in such
//! a build), each has the caller's time limit, and an async call goes on only while it is polled.
//!
//! [`Mining`]: crate::interfaces::mining::Mining
//! [`BlockTemplate`]: crate::interfaces::mining::BlockTemplate
//! [`Rpc`]: crate::interfaces::rpc::Rpc

mod by_hand;
mod coinbase;
mod init;
mod node;
mod waiting;

use std::fmt;

use crate::error::{Error, Result};
use crate::interfaces::init::Init;
use crate::interfaces::{Call, ready};

#[cfg(feature = "dynamic")]
pub(crate) use coinbase::of_dummy as coinbase_of_dummy;
pub(crate) use init::{AnyInit, Clients};
pub(crate) use node::any_block_template;
pub(crate) use waiting::SLICE;

include!(concat!(env!("OUT_DIR"), "/list.rs"));

impl Generation {
    /// Finds out which generation a peer speaks, by the methods that its `Init` has: `makeRpc @4` is not
    /// implemented by 31, `makeMining @3` not by 30. Nothing is run in the peer. A build between two
    /// releases counts as the newer one once it has that one's `Init`; where it lacks a method it answers
    /// that it is not implemented. A local `init` counts as the newest.
    ///
    /// # Errors
    /// Fails when the connection fails.
    pub fn of(init: &dyn Init) -> Result<Self> {
        let Some(remote) = init.remote() else {
            return Ok(Self::NEWEST);
        };
        remote.first_implemented(Self::TOLD_BY).map(told)
    }

    /// The async form of [`of`](Self::of).
    pub fn of_async(init: &dyn Init) -> Call<Self> {
        let Some(remote) = init.remote() else {
            return ready(Ok(Self::NEWEST));
        };
        let found = remote.first_implemented_async(Self::TOLD_BY);
        Box::pin(async move { found.await.map(told) })
    }

    /// Returns the error of a method that this generation lacks.
    fn lacks<T>(self, method: &str) -> Result<T> {
        Err(Error::Unimplemented(format!(
            "this node ({self}) has no {method}"
        )))
    }
}

/// Returns the generation that a peer tells: the newest of those that have its methods.
fn told(place: Option<usize>) -> Generation {
    let newer = place.and_then(|place| Generation::ALL.iter().rev().nth(place));
    newer.copied().unwrap_or(Generation::OLDEST)
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core {}", self.number())
    }
}
