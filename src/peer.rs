//! The credentials of the process at the other end of a connection, as the kernel tells them.
//!
//! Knows a stream's credentials; nothing of addresses or messages.

use std::fmt;
use std::os::unix::net::UnixStream;

/// The process at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Peer {
    /// Its process id when it connected; `None` where it has none here, as from another
    /// container.
    pub pid: Option<u32>,
    /// Its user's id.
    pub uid: u32,
    /// Its group's id.
    pub gid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} of user {}", self.uid),
            None => write!(f, "a process elsewhere of user {}", self.uid),
        }
    }
}

impl Peer {
    /// Returns who is at the other end of `stream`, where the system tells (Linux does).
    #[cfg(target_os = "linux")]
    pub fn of(stream: &UnixStream) -> Option<Self> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        // rustix reads the pid as one that cannot be 0, which it is from another pid namespace.
        let peer = getsockopt(stream, PeerCredentials).ok()?;
        Some(Self {
            pid: u32::try_from(peer.pid()).ok().filter(|&pid| pid != 0),
            uid: peer.uid(),
            gid: peer.gid(),
        })
    }

    /// Returns who is at the other end of `stream`, where the system tells (Linux does).
    #[cfg(not(target_os = "linux"))]
    pub fn of(_stream: &UnixStream) -> Option<Self> {
        None
    }
}
