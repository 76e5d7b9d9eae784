//! Against pycapnp: Cap'n Proto RPC in C++, an implementation that is none of ours.
//!
//! First it is the client of servers here, then the server of clients here. The scenarios of the
//! first part are in `peers/client.py`, the servers of the second in `peers/server.py`; tail calls
//! and promises of both are in `peers/promising.py` and `peers/promises.py`; `peers/plain.py` is a
//! program without threads, called by its schema. The values that it makes, with `peers/values.py`, are compared with those that are made here.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../python/mod.rs"]
mod python;

mod callbacks;
mod clients;
mod executable;
mod generations;
mod plain;
mod servers;
mod tails;
mod values;

use bitcoin_ipc_foo::{foo, implementation as support};
