//! The library's public items with all features, compared with the list in `bitcoin_ipc.txt`: a change of
//! what users can name is seen in its diff. Hidden items, which generated code names, are not in it.
//!
//! `UPDATE_API=1 cargo test -p bitcoin-ipc-api` writes the list anew.
//!
//! The items are those of rustdoc's JSON, whose format is not stable: with a rustdoc that writes another
//! format nothing is compared.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use public_api::{Builder, PublicItem};
use serde_json::Value;

/// The format of the JSON that the list was made from: that of Rust 1.95.
const FORMAT: u64 = 57;

const LIST: &str = "bitcoin_ipc.txt";

/// Traits that the compiler implements, and of which users seldom make anything.
const NOT_LISTED: [&str; 6] = [
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::Unpin",
    "core::marker::UnsafeUnpin",
    "core::panic::unwind_safe::RefUnwindSafe",
    "core::panic::unwind_safe::UnwindSafe",
];

#[test]
fn the_public_items_are_those_of_the_list() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let json = document(here);
    let document: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let format = document["format_version"].as_u64().unwrap();
    if format != FORMAT {
        let reason = format!(
            "the public items, which are not compared with tests/api/{LIST}: rustdoc's JSON has format \
             {format} here, and the list was made from format {FORMAT}"
        );
        assert!(env::var_os("CI").is_none(), "{reason}");
        // Past the test harness, which shows only what failing tests print.
        writeln!(stderr(), "SKIPPED: {reason}").unwrap();
        return;
    }
    let found = list(&json);
    let path = here.join(LIST);
    if env::var_os("UPDATE_API").is_some() {
        return fs::write(path, found).unwrap();
    }
    let listed = fs::read_to_string(path).unwrap();
    assert!(
        listed == found,
        "the public items are not those of tests/api/{LIST}; if they should change, run this test with \
         UPDATE_API=1 and see whether CHANGELOG.md has to tell of it:\n{}",
        changes(&listed, &found)
    );
}

/// Has rustdoc write the library's items as JSON, and returns the file. Shares the folder of the build,
/// where most of what is needed is there already.
fn document(here: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--locked", "--package", "bitcoin-core-ipc"])
        .args(["--lib", "--all-features", "--target-dir"])
        .arg(target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .current_dir(here)
        .env("RUSTDOC", here.join("rustdoc"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    target.join("doc/bitcoin_ipc.json")
}

/// Returns the items, one a line.
fn list(json: &Path) -> String {
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .build()
        .unwrap();
    let ids = |is_meant: fn(&str) -> bool| -> HashSet<_> {
        let meant = api.items().filter(|item| is_meant(&item.to_string()));
        meant.map(PublicItem::id).collect()
    };
    let modules = ids(|line| line.starts_with("pub mod "));
    let implementations = ids(is_of_trait);
    let mut listed = HashSet::new();
    let mut lines = String::new();
    for item in api.items() {
        let line = item.to_string();
        let is_in = |ids: &HashSet<_>| item.parent_id().is_some_and(|id| ids.contains(&id));
        // The methods of an implementation are those of its trait.
        let is_implied = line.contains(" fn ") && is_in(&implementations);
        // A re-exported item is listed again, and not what it has.
        let is_again = !listed.insert(item.id()) && !is_in(&modules);
        let is_plain = !NOT_LISTED.iter().any(|name| line.contains(name));
        if is_plain && !is_implied && !is_again {
            lines += &line;
            lines.push('\n');
        }
    }
    lines
}

/// Whether a line is about the implementation of a trait.
fn is_of_trait(line: &str) -> bool {
    line.starts_with("impl") && line.contains(" for ")
}

/// Returns the lines that only one of the texts has, with `-` and `+` before them.
fn changes(listed: &str, found: &str) -> String {
    let only_in = |text: &str, other: &str, mark| -> String {
        let other: HashSet<_> = other.lines().collect();
        let lines = text.lines().filter(|line| !other.contains(line));
        lines.map(|line| format!("{mark}{line}\n")).collect()
    };
    only_in(listed, found, '-') + &only_in(found, listed, '+')
}

#[test]
fn changes_are_seen() {
    assert_eq!(changes("a\nb\nc\n", "a\nx\nc\n"), "-b\n+x\n");
    assert_eq!(changes("a\n", "a\n"), "");
}
