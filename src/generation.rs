//! Which release's interfaces a peer speaks.
//!
//! Knows the typed interfaces; nothing of the wire. Ids are shared between generations while
//! ordinals moved, so the wrong one would call another method in silence; PROTOCOL.md tells how
//! to find out.

use std::fmt;

use crate::error::Result;
use crate::interfaces::init::Init;

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
    /// `makeRpc @4` not by 31. Nothing is run in the peer. A local `init` is of the newest.
    ///
    /// # Errors
    /// When the connection fails.
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

    /// The release's number: 30, 31 or 32.
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
