//! Finds out which release's interfaces a peer speaks, and makes the typed interfaces speak to any
//! of them.
//!
//! Knows the typed interfaces of every generation; nothing of the wire. Ids are shared between
//! generations while ordinals moved, so the wrong one would call another method in silence.
//! PROTOCOL.md tells how to find out.
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
//! - Core 30 has no `cooldown`: its `createNewBlock` never waits.
//!
//! Builds between 31 and 32 have 32's `Init` and `Mining` with 31's `BlockTemplate`: their
//! `submitSolution` is found when 32's is answered as unimplemented.
//!
//! A wait in the node (`waitTipChanged`, `waitNext`) gets no more time than the time limit of
//! [`CallOptions`](crate::CallOptions) leaves its caller, so that it does not stay there.
//!
//! Where there is a second call to make (the generation is not known yet; `submitSolution` in such
//! a build), each has the caller's time limit, and an async call goes on only while it is polled.
//!
//! [`Mining`]: crate::interfaces::mining::Mining
//! [`BlockTemplate`]: crate::interfaces::mining::BlockTemplate
//! [`Rpc`]: crate::interfaces::rpc::Rpc

mod coinbase;
mod core30;
mod core31;
mod core32;
mod forward;
mod init;
mod limit;

use std::fmt;

use crate::error::{Error, Result};
use crate::interfaces::init::Init;
use crate::interfaces::{Call, ready};

pub(crate) use core32::AnyBlockTemplate;
pub(crate) use init::AnyInit;

/// A generation of Core's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Bitcoin Core 30.
    Core30,
    /// Bitcoin Core 31.
    Core31,
    /// Bitcoin Core 32. Builds between 31 and 32 count as this once they have its `Init`; where
    /// they lack a method they answer that it is not implemented.
    Core32,
}

impl Generation {
    /// Finds out which generation a peer speaks: `makeMining @3` is not implemented by 30,
    /// `makeRpc @4` not by 31. Nothing is run in the peer. A local `init` counts as the newest.
    ///
    /// # Errors
    /// Fails when the connection fails.
    pub fn of(init: &dyn Init) -> Result<Self> {
        let Some(remote) = init.remote() else {
            return Ok(Self::Core32);
        };
        if !remote.implements("makeMining")? {
            return Ok(Self::Core30);
        }
        if !remote.implements("makeRpc")? {
            return Ok(Self::Core31);
        }
        Ok(Self::Core32)
    }

    /// The async form of [`of`](Self::of).
    pub fn of_async(init: &dyn Init) -> Call<Self> {
        let Some(remote) = init.remote() else {
            return ready(Ok(Self::Core32));
        };
        let mining = remote.implements_async("makeMining");
        let rpc = remote.implements_async("makeRpc");
        Box::pin(async move {
            Ok(match (mining.await?, rpc.await?) {
                (false, _) => Self::Core30,
                (true, false) => Self::Core31,
                (true, true) => Self::Core32,
            })
        })
    }

    /// Returns the error of a method that this generation lacks.
    fn lacks<T>(self, method: &str) -> Result<T> {
        Err(Error::Unimplemented(format!(
            "this node ({self}) has no {method}"
        )))
    }

    /// Returns the release's number: 30, 31 or 32.
    pub fn number(self) -> u32 {
        match self {
            Self::Core30 => 30,
            Self::Core31 => 31,
            Self::Core32 => 32,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core {}", self.number())
    }
}
