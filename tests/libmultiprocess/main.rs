//! libmultiprocess's tests under their names, each the title of a `KJ_TEST` in snake case. They are
//! those of `test/mp/test` at commit 67302cd132ad of 2026-08-03: 12 of `test.cpp`, in [`calls`],
//! [`lifetimes`] and [`threads`], 4 of `listen_tests.cpp` in [`listen`], and the one of
//! `spawn_tests.cpp` in [`spawn`]. Beside each are tests of this library on the same subject.
//!
//! None is left out. Where one sets a hook of libmultiprocess's event loop (`testing_hook_*`), the
//! test here disconnects in the method itself or races the call, because this library has no such
//! hooks; where one asserts on the counts of connections that its hooks keep, the test here reads
//! the number of connections that are open. Two parts of `test.cpp` have no counterpart, because
//! they are about C++: the assertions on `version.h`, and the build and read steps that
//! `FooMessage` and `FooMutable` record of the conversion functions.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod calls;
mod lifetimes;
mod listen;
mod raw;
mod spawn;
mod threads;

use std::time::Duration;

use bitcoin_ipc_foo::{foo, implementation as support};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);
/// Long enough for something to happen that must not.
const SHORT: Duration = Duration::from_millis(200);
