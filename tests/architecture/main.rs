//! Rules about the structure that ARCHITECTURE.md describes, checked by reading the sources: which
//! module may name which, what the library leaves to the executable, and what every file has. The
//! rules about all files at once, circles and split impls, are tested in `whole/tests.rs`.
//!
//! Each rule is tested on small samples that break it, so that it is known to be able to fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod graph;
mod rules;
mod source;
mod tree;
mod whole;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use bitcoin_ipc::Generation;
use source::Source;
use tree::Tree;

type Rule = fn(&Source, &Tree) -> Vec<String>;

/// The folders that the rules check.
const FOLDERS: &[&str] = &[
    "src",
    "bench/src",
    "cli/src",
    "cli/tests",
    "codegen/src",
    "codegen/tests",
    "examples",
    "tests",
];

/// Reads every Rust file below `folder`, except the generator's expected texts.
fn read(root: &Path, folder: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            let skipped = ["codegen/tests/data", "examples/closure/target"];
            if !skipped.contains(&path.as_str()) {
                read(root, &path, sources);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            sources.push(Source::new(&path, &text));
        }
    }
}

fn repository() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(read_all)
}

fn read_all() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        read(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut sources);
    }
    // Read as if they were files of ours, which they would be without the generator.
    let generated = |name: &str| {
        let path = Path::new(env!("OUT_DIR")).join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let (newest, older) = Generation::ALL.split_last().unwrap();
    assert!(newest > older.last().unwrap());
    for generation in older {
        let folder = format!("core{}", generation.number());
        add_generated(&generated(&format!("{folder}/interfaces.rs")), &mut sources);
    }
    add_generated(&generated("newest/interfaces.rs"), &mut sources);
    sources
}

fn add_generated(text: &str, sources: &mut Vec<Source>) {
    let text = format!("//! Generated.\n{text}");
    sources.push(Source::new("src/interfaces/generated.rs", &text));
}

/// Returns the modules of each crate as it is.
fn trees() -> &'static [Tree] {
    static TREES: OnceLock<[Tree; 2]> = OnceLock::new();
    TREES.get_or_init(|| source::CRATES.map(|root| Tree::new(root, repository())))
}

/// Returns the modules that a file's paths lead to: its crate's, or else the library's.
fn tree(source: &Source) -> &'static Tree {
    let own = |tree: &&Tree| source.root == Some(tree.root);
    trees().iter().find(own).unwrap_or(&trees()[0])
}

/// Asserts that the rule finds nothing in the repository.
fn hold(rule: Rule, skip: fn(&Source) -> bool) {
    let wrong: Vec<String> = repository()
        .iter()
        .filter(|source| !skip(source))
        .flat_map(|source| {
            let name = &source.name;
            rule(source, tree(source))
                .into_iter()
                .map(move |what| format!("{name} {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn never(_: &Source) -> bool {
    false
}

fn is_generated(source: &Source) -> bool {
    source.name.ends_with("generated.rs")
}

/// Returns what the rule finds in a file of this name and text.
fn found(rule: Rule, name: &str, text: &str) -> Vec<String> {
    let source = Source::new(name, text);
    rule(&source, tree(&source))
}

/// Asserts that the rule finds `count` things in a file of this name and text.
#[track_caller]
fn finds(rule: Rule, count: usize, name: &str, text: &str) {
    let wrong = found(rule, name, text);
    assert_eq!(wrong.len(), count, "{name}: {text}\n{wrong:?}");
}

#[test]
fn layers_keep_to_what_is_below_them() {
    hold(rules::arrows, |source| {
        !source.name.starts_with("src/") || rules::is_test(&source.name)
    });
}

#[test]
fn a_forbidden_arrow_is_found() {
    for (name, text) in [
        ("src/process/a.rs", "use crate::protocol::Protocol;"),
        (
            "src/process/a.rs",
            "use crate::{error::Error, protocol::{self, Protocol}};",
        ),
        (
            "src/process/a/b.rs",
            "use super::super::super::protocol as p;",
        ),
        (
            "src/process/a.rs",
            "fn f() { crate::protocol::capnp::x(); }",
        ),
        (
            "src/process/a.rs",
            "macro_rules! m { () => { $crate::protocol::x() } }",
        ),
        ("src/process/a.rs", "use crate::rt;"),
        ("src/process/a.rs", "use crate::Ipc;"),
        ("src/transport/a.rs", "use crate::{protocol::*};"),
        ("src/transport/a.rs", "fn f(x: Vec<crate::roles::Role>) {}"),
        ("src/protocol/capnp/a.rs", "use crate::transport::Address;"),
        ("src/protocol/capnp/a.rs", "use crate::Address;"),
        (
            "src/protocol/capnp/a.rs",
            "use crate::transport::{self, Stream};",
        ),
        ("src/protocol/mod.rs", "use crate::transport::*;"),
        (
            "src/protocol/mod.rs",
            "fn f() { crate::transport::socket::send() }",
        ),
        ("src/dynamic/a.rs", "use crate::transport::Acceptor;"),
        ("src/process/a.rs", "use crate::transport::Stream;"),
        ("src/protocol/mod.rs", "use super::process;"),
        ("src/ipc.rs", "use crate::client::Client;"),
        ("src/client/a.rs", "use crate::protocol::Protocol;"),
        ("src/protocol/mod.rs", "use crate::roles::Role as R;"),
    ] {
        let wrong = found(rules::arrows, name, text);
        assert!(!wrong.is_empty(), "{name}: {text}");
    }
    for (name, text) in [
        (
            "src/process/a.rs",
            "//! Not crate::protocol.\nconst A: &str = \"crate::protocol::x\";",
        ),
        (
            "src/process/a.rs",
            "#[cfg(test)]\nmod tests { use crate::protocol::Protocol; }",
        ),
        (
            "src/process/a.rs",
            "use crate::error::Error; use std::process; fn f() { x.protocol() }",
        ),
        (
            "src/transport/a.rs",
            "use crate::process::inherited_stream;",
        ),
        ("src/ipc.rs", "use crate::{process, protocol, transport};"),
        (
            "src/protocol/mod.rs",
            "use crate::transport::{Acceptor, Stream};",
        ),
        ("src/dynamic/a.rs", "use crate::transport::Stream;"),
    ] {
        finds(rules::arrows, 0, name, text);
    }
}

#[test]
fn protocols_run_over_channels_of_every_kind() {
    hold(rules::any_channel, |source| source.root.is_none());
}

#[test]
fn a_protocol_that_knows_a_socket_is_found() {
    let rule = rules::any_channel;
    for text in [
        "use std::os::unix::net::{UnixListener as L};",
        "use std::net::Shutdown;",
        "use std::os::unix; fn f(x: unix::net::UnixStream) {}",
        "fn f() { rustix::net::sockopt::set_socket_send_buffer_size() }",
    ] {
        finds(rule, 1, "src/protocol/capnp/a.rs", text);
        finds(rule, 1, "src/dynamic/call/a.rs", text);
        finds(rule, 0, "src/transport/unix.rs", text);
        finds(rule, 0, "src/protocol/capnp/rpc/tests/a.rs", text);
    }
    let text = "use std::os::fd::AsFd; use rustix::process; use crate::transport::Stream;
        #[cfg(test)] mod tests { use std::os::unix::net::UnixStream; }";
    finds(rule, 0, "src/protocol/capnp/a.rs", text);
}

#[test]
fn interfaces_know_only_std_and_errors() {
    hold(rules::plain_interfaces, never);
}

#[test]
fn an_interface_that_knows_more_is_found() {
    let name = "src/interfaces/a.rs";
    finds(
        rules::plain_interfaces,
        1,
        name,
        "use crate::process::Child;",
    );
    finds(rules::plain_interfaces, 1, name, "use crate::Limits;");
    finds(rules::plain_interfaces, 1, name, "use ::capnp::text;");
    finds(
        rules::plain_interfaces,
        1,
        name,
        "fn f() -> futures::future::Ready<()> {}",
    );
    finds(
        rules::plain_interfaces,
        1,
        "src/error.rs",
        "use capnp::Error;",
    );
    finds(
        rules::plain_interfaces,
        0,
        name,
        "use std::sync::Arc; use crate::{Error, Result};",
    );
}

#[test]
fn types_of_capnp_stay_at_home() {
    hold(rules::capnp_at_home, |source| source.root.is_none());
}

#[test]
fn a_type_of_capnp_elsewhere_is_found() {
    let rule = rules::capnp_at_home;
    finds(rule, 1, "src/roles/mod.rs", "use capnp::message::Builder;");
    finds(
        rule,
        1,
        "src/protocol/mod.rs",
        "use ::capnp::message::Builder;",
    );
    finds(
        rule,
        1,
        "cli/src/a.rs",
        "fn f() { capnp_rpc::new_client(x) }",
    );
    finds(
        rule,
        2,
        "src/ipc.rs",
        "use crate::protocol::capnp::{Capnp, server::Local, rt::Build};",
    );
    finds(
        rule,
        1,
        "src/ipc.rs",
        "use crate::protocol::capnp; fn f() { capnp::server::x() }",
    );
    finds(rule, 1, "src/call.rs", "use crate::protocol::capnp::Capnp;");
    finds(rule, 1, "src/call.rs", "use crate::rt::Object;");
    finds(rule, 1, "src/pair.rs", "use crate::protocol::capnp::Capnp;");
    finds(
        rule,
        0,
        "src/ipc.rs",
        "use crate::protocol::capnp::{self, Capnp, rt::Interface};",
    );
    finds(rule, 0, "src/protocol/mod.rs", "pub mod capnp;");
    finds(
        rule,
        0,
        "src/protocol/capnp/a.rs",
        "use capnp::message::Builder;",
    );
    finds(rule, 0, "codegen/src/a.rs", "use capnp::message::Builder;");
}

#[test]
fn the_library_leaves_the_terminal_the_environment_and_the_end_to_others() {
    hold(rules::quiet, never);
}

#[test]
fn a_library_that_prints_or_reads_the_environment_is_found() {
    let rule = rules::quiet;
    for text in [
        "fn f() { println!(\"x\"); }",
        "fn f() { if true { std::eprint!(\"x\") } }",
        "fn f() { dbg!(1); }",
        "fn f() { std::env::var(\"HOME\"); }",
        "use std::env; fn f() { env::var_os(\"HOME\"); }",
        "use std::{env::{args as a}, io};",
        "use std::process; fn f() { process::exit(1) }",
        "fn f() { ::std::process::abort() }",
        "use std::io; fn f() { io::stdout() }",
    ] {
        let wrong = found(rule, "src/ipc.rs", text);
        assert!(!wrong.is_empty(), "{text}");
        finds(rule, 0, "cli/src/ui/output.rs", text);
        finds(rule, 0, "src/process/tests.rs", text);
    }
    let text = "use std::{env, process};
        fn f() { process::id(); env::current_exe(); writeln!(f, \"println!\"); env!(\"X\"); }";
    finds(rule, 0, "src/ipc.rs", text);
}

#[test]
fn unsafe_code_is_in_one_place() {
    hold(rules::safe, is_generated);
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    let text = "fn f() { unsafe { g() } }";
    finds(rules::safe, 1, "src/ipc.rs", text);
    finds(rules::safe, 0, "src/process/fd.rs", text);
    finds(
        rules::safe,
        1,
        "src/process/fd.rs",
        &format!("{text} unsafe fn g() {{}}"),
    );
    finds(
        rules::safe,
        0,
        "src/ipc.rs",
        "// unsafe\nfn f() { \"unsafe\"; }",
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(rules::introduced, never);
}

#[test]
fn a_file_that_does_not_is_found() {
    finds(
        rules::introduced,
        1,
        "src/ipc.rs",
        "// What it is.\nfn f() {}",
    );
    finds(rules::introduced, 0, "src/ipc.rs", "//! A file.\nfn f() {}");
}

#[test]
fn documentation_begins_with_its_subject() {
    // The help of the command line is written in another form.
    hold(rules::with_subject, |source| {
        is_generated(source) || source.name == "cli/src/args/mod.rs"
    });
}

#[test]
fn documentation_that_does_not_is_found() {
    let finds = |count, text| finds(rules::with_subject, count, "src/ipc.rs", text);
    finds(1, "//! What it is.");
    finds(1, "    /// Who waits.\nfn f() {}");
    finds(1, "/// A thing.\n///\n/// The same elsewhere.");
    finds(0, "/// A thing, and\n/// What it is.");
    finds(0, "/// Whatever.\n// What it is.");
}

#[test]
fn files_are_short() {
    hold(rules::short, is_generated);
}

#[test]
fn a_long_file_is_found() {
    let long = "\n".repeat(501);
    finds(rules::short, 1, "src/ipc.rs", &long);
    finds(rules::short, 0, "src/ipc.rs", &long[1..]);
}

#[test]
fn the_state_of_a_connection_is_pure() {
    hold(rules::pure, never);
}

#[test]
fn a_state_that_locks_waits_or_sends_is_found() {
    let state = "src/protocol/capnp/rpc/state/a.rs";
    for text in [
        "use std::sync::Mutex;",
        "use std::sync::{Arc, RwLock};",
        "use std::sync; fn f() { sync::Condvar::new() }",
        "use std as s; fn f() { s::sync::Once::new() }",
        "use core::cell::Cell; static A: ::std::sync::OnceLock<u8> = x();",
        "fn f(x: &std::sync::LazyLock<u8>) {}",
        "use std::sync::mpsc::channel;",
        "use std::sync::*;",
        "use std::*;",
        "use crate::protocol::capnp::sync::lock;",
        "use super::super::super::sync;",
        "use super::super::super::sync::Mutex;",
        "use std::time::Instant;",
        "use std::time::Duration;",
        "fn f() { core::time::Duration::ZERO }",
        "use std::{thread, vec};",
        "thread_local! { static A: u8 = 0; }",
        "fn f() { std::thread_local! {} }",
        "use std::net::TcpStream;",
        "use std::os::unix::net::UnixStream;",
        "use std::os::fd::OwnedFd;",
        "use rustix::net::send;",
        "fn f() { mio::Poll::new() }",
        "use crate::protocol::capnp::event_loop::EventLoop;",
        "use super::super::super::event_loop as l;",
        "mod a { use super::super::super::super::event_loop; }",
    ] {
        let wrong = found(rules::pure, state, text);
        assert!(!wrong.is_empty(), "{text}");
        let wire = "src/protocol/capnp/rpc/wire/mod.rs";
        let text = text.replace("super::super::super", "super::super");
        let wrong = found(rules::pure, wire, &text);
        assert!(!wrong.is_empty(), "{text}");
        finds(rules::pure, 0, "src/protocol/capnp/rpc/link.rs", &text);
        let test = "src/protocol/capnp/rpc/state/tests.rs";
        finds(rules::pure, 0, test, &text);
    }
    for text in [
        "use std::sync::{Arc, Weak, atomic::{AtomicBool, Ordering}};",
        "use std::sync::{self}; fn f() { sync::Arc::new(1) }",
        "use std::{collections::HashMap, mem, io};",
        "use crate::limits::Limits; enum A { Once } fn f() { A::Once }",
        "#[cfg(test)] mod tests { use std::time::Instant; }",
        "//! std::time\nconst A: &str = \"mio::Poll\";",
    ] {
        finds(rules::pure, 0, state, text);
    }
}
