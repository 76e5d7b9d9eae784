//! The client of a node, against a node of a few methods within this process.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod client;
mod following;
mod giving_up;
mod lifetimes;
mod local;
mod mock;
