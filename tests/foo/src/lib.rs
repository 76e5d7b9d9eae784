//! The interfaces of the test schema, generated once for all tests, and an implementation of them.

#![allow(
    missing_docs,
    clippy::new_without_default,
    clippy::unwrap_used,
    reason = "for tests only"
)]

pub mod foo {
    bitcoin_ipc::include_schema!("foo");
}
pub mod implementation;
