//! Against pycapnp: Cap'n Proto RPC in C++, an implementation that is none of ours.
//!
//! First it is the client of servers here, then the server of clients here. The scenarios of the
//! first part are in `peers/client.py`, the servers of the second in `peers/server.py`. What it makes
//! of values, with `peers/values.py`, is compared with what is made of them here.

#![allow(clippy::unwrap_used, reason = "tests")]

mod foo {
    bitcoin_ipc::include_schema!("foo");
}
#[path = "../python/mod.rs"]
mod python;
#[path = "../foo/mod.rs"]
mod support;

mod clients;
mod executable;
mod generations;
mod servers;
mod values;
