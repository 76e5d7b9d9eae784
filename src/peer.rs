//! The other end of a connection, as its channel tells it.
//!
//! Knows what tells one peer from another; nothing of sockets, addresses or messages.

use std::fmt;
use std::sync::Arc;

/// The other end of a connection, as far as its channel tells.
///
/// Everything that a peer makes this process hold is charged to it, so connections whose peers are
/// equal share the limits of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A process of this machine, as the kernel tells it.
    Process(Credentials),
    /// A peer that the channel tells by a name of its own: the address of a host without the port,
    /// or whom a certificate is for.
    Named(Arc<str>),
    /// A peer of which the channel tells nothing. All such peers count as one.
    #[default]
    Unknown,
}

/// The credentials of a process when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// Its process id; `None` where it has none here, as from another container.
    pub pid: Option<u32>,
    /// Its user's id.
    pub uid: u32,
    /// Its group's id.
    pub gid: u32,
}

impl Peer {
    /// Returns the credentials of a peer that is a process of this machine.
    pub fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Process(credentials) => Some(credentials),
            Self::Named(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(credentials) => credentials.fmt(f),
            // It may come from the peer, and goes to the log.
            Self::Named(name) => name.escape_debug().fmt(f),
            Self::Unknown => f.write_str("an unknown peer"),
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} of user {}", self.uid),
            None => write!(f, "a process elsewhere of user {}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_afar_stays_on_its_line() {
        let named = Peer::Named("CN=a\nIPC: b".into());
        assert_eq!(named.to_string(), "CN=a\\nIPC: b");
    }
}
