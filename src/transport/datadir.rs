//! Where the sockets of a chain are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::address::Address;
use crate::error::{Error, Result};

/// The longest path of a unix socket, in bytes: one less than `sun_path` has, for the NUL.
pub const MAX_SOCKET_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

/// A chain, by the names of Bitcoin Core's `-chain=` (`src/util/chaintype.cpp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Chain {
    /// `main`
    #[default]
    Main,
    /// `test`: the third test network.
    Test,
    /// `testnet4`
    Testnet4,
    /// `signet`
    Signet,
    /// `regtest`
    Regtest,
}

impl Chain {
    /// All of them, in the order of Core.
    pub const ALL: [Self; 5] = [
        Self::Main,
        Self::Test,
        Self::Testnet4,
        Self::Signet,
        Self::Regtest,
    ];

    /// The name that `-chain=` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The chain's directory below the data directory (`src/chainparamsbase.cpp`). The main
    /// chain has none.
    pub fn directory(self) -> Option<&'static str> {
        match self {
            Self::Main => None,
            Self::Test => Some("testnet3"),
            other => Some(other.name()),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chain {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|chain| chain.name() == name)
            .ok_or_else(|| {
                Error::Usage(format!(
                    "unknown chain {name:?}: not one of {}",
                    Self::ALL.map(Self::name).join(", ")
                ))
            })
    }
}

/// A data directory and the chain whose part of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    /// The directory of all chains, as given by `-datadir=`.
    pub base: PathBuf,
    /// The chain.
    pub chain: Chain,
}

impl DataDir {
    /// The part of `base` that belongs to `chain`.
    pub fn new(base: impl Into<PathBuf>, chain: Chain) -> Self {
        Self {
            base: base.into(),
            chain,
        }
    }

    /// Where Core keeps its data if it is not told otherwise, for the user with this home
    /// directory (`GetDefaultDataDir` in `src/common/args.cpp`).
    pub fn default_base(home: &Path) -> PathBuf {
        if cfg!(target_os = "macos") {
            home.join("Library/Application Support/Bitcoin")
        } else {
            home.join(".bitcoin")
        }
    }

    /// The chain's own directory.
    pub fn path(&self) -> PathBuf {
        match self.chain.directory() {
            Some(directory) => self.base.join(directory),
            None => self.base.clone(),
        }
    }

    /// The path of a unix socket: `given` relative to the chain's directory, or as it is where
    /// it is absolute; without one, the node's `node.sock`.
    ///
    /// # Errors
    /// [`Error::Address`] where the path is longer than [`MAX_SOCKET_PATH`].
    pub fn socket(&self, given: Option<&Path>) -> Result<PathBuf> {
        let path = self.path().join(given.unwrap_or(Path::new("node.sock")));
        let length = path.as_os_str().len();
        if length > MAX_SOCKET_PATH {
            return Err(Error::Address {
                address: Address::Unix(given.map(Path::to_owned)).to_string(),
                reason: format!(
                    "the path {} is {length} bytes long, that of a unix socket can have \
                     {MAX_SOCKET_PATH}",
                    path.display()
                ),
            });
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_of_core() {
        for chain in Chain::ALL {
            assert_eq!(chain.to_string().parse::<Chain>().unwrap(), chain);
        }
        let error = "testnet3".parse::<Chain>().unwrap_err().to_string();
        assert!(error.contains("\"testnet3\"") && error.contains("main, test, testnet4"));
    }

    #[test]
    fn sockets_are_in_the_directory_of_the_chain() {
        let socket = |chain, given: Option<&str>| {
            DataDir::new("/data", chain)
                .socket(given.map(Path::new))
                .unwrap()
        };
        assert_eq!(socket(Chain::Main, None), Path::new("/data/node.sock"));
        assert_eq!(
            socket(Chain::Test, None),
            Path::new("/data/testnet3/node.sock")
        );
        assert_eq!(
            socket(Chain::Regtest, Some("a/b")),
            Path::new("/data/regtest/a/b")
        );
        assert_eq!(socket(Chain::Regtest, Some("/a/b")), Path::new("/a/b"));
    }

    #[test]
    fn a_path_has_a_longest_length() {
        let base = format!("/{}", "d".repeat(MAX_SOCKET_PATH - "//node.sock".len()));
        let fits = DataDir::new(&base, Chain::Main).socket(None).unwrap();
        assert_eq!(fits.as_os_str().len(), MAX_SOCKET_PATH);
        let error = DataDir::new(base + "d", Chain::Main)
            .socket(None)
            .unwrap_err()
            .to_string();
        for part in [
            "d/node.sock",
            &(MAX_SOCKET_PATH + 1).to_string(),
            &MAX_SOCKET_PATH.to_string(),
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
