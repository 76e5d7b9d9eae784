//! The commands, a file each. None knows another, except through the manual of a session.

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

/// The commands that a session has as well.
const MANUAL: crate::calls::lines::Manual = crate::calls::lines::Manual {
    list: list::of_schema,
    describe: describe::of_schema,
};
