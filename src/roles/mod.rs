//! The roles of Bitcoin Core's processes, and the `Init` that each one offers.
//!
//! Knows the interfaces; nothing of how they travel.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::interfaces::echo::Echo;
use crate::interfaces::init::Init;
use crate::interfaces::mining::Mining;
use crate::interfaces::rpc::Rpc;

/// A process's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The node.
    Node,
    /// The wallet.
    Wallet,
    /// The graphical interface.
    Gui,
}

impl Role {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Node, Self::Wallet, Self::Gui];

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Wallet => "wallet",
            Self::Gui => "gui",
        }
    }

    /// Returns the name of its executable in Bitcoin Core.
    pub fn exe_name(self) -> &'static str {
        match self {
            Self::Node => "bitcoin-node",
            Self::Wallet => "bitcoin-wallet",
            Self::Gui => "bitcoin-gui",
        }
    }

    /// Returns the role whose executable has this name.
    pub fn of_exe(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|role| role.exe_name() == name)
    }

    /// Returns the `Init` that it serves.
    pub fn init(self) -> Arc<dyn Init> {
        match self {
            Self::Node => Arc::new(NodeInit),
            Self::Wallet => Arc::new(WalletInit),
            Self::Gui => Arc::new(GuiInit),
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|role| role.name() == name)
            .ok_or_else(|| Error::Usage(format!("{name:?} is no role: node, wallet or gui")))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Answers with its argument.
struct LocalEcho;

impl Echo for LocalEcho {
    fn echo(&self, echo: &str) -> Result<String> {
        Ok(echo.to_owned())
    }
}

/// Fails as Core 31 and later do for a client of Core 30.
fn old_mining() -> Result<()> {
    Err(Error::failed(
        "Old mining interface (@2) not supported. Please update your client!",
    ))
}

/// Defines a role's `Init` by the interfaces it offers besides `Echo`; all others are null.
macro_rules! role_init {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        struct $name;

        impl Init for $name {
            fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
                Ok(Some(Arc::new(LocalEcho)))
            }

            fn make_mining_old2(&self) -> Result<()> {
                old_mining()
            }

            fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
                Ok(None)
            }

            fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
                Ok(None)
            }
        }
    };
}

role_init! {
    /// The node's `Init`. A node without a chain has no mining and no RPC to offer.
    NodeInit
}
role_init! {
    /// The wallet's `Init`.
    WalletInit
}
role_init! {
    /// The graphical interface's `Init`.
    GuiInit
}
