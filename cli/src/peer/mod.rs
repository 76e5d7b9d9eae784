//! Peers: finding, starting and connecting to them.
//!
//! Knows addresses, children and the façade; nothing of schemas or of what is called.

pub(crate) mod children;
pub(crate) mod systemd;
pub(crate) mod target;
