//! The commands, a file each. None knows another.

pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod describe;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod mine;
pub(crate) mod rpc;
pub(crate) mod serve;
pub(crate) mod spawn;
pub(crate) mod status;
pub(crate) mod watch;
