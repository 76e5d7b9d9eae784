//! Peers: finding, starting and connecting to them.
//!
//! Knows addresses, children, the façade and what an `Init` may offer; nothing of what is called.

pub(crate) mod children;
pub(crate) mod offers;
pub(crate) mod target;
