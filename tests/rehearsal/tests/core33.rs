//! A rehearsal of the next generation: what has to be added for it, in how many files, and what its users
//! see.
//!
//! The library is copied, gets a "Core 33" with a method that moved, a new one and one that was removed,
//! and is compiled with an implementor of today's traits and a program of the new ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most files that a generation may take.
const MOST_FILES: usize = 9;

/// The changes of files that are there: the file, a text in it, and what is added behind it.
const CHANGES: &[(&str, &str, &str)] = &[
    ("build.rs", "\"core32\"", ", \"core33\""),
    (
        "build.rs",
        ".layer(\"BlockTemplate\")",
        "
        .lacking(\"core32\", \"BlockCreateOptions.blockMaxWeight\")
        .keep(\"core32\", \"BlockTemplate.getTxSigops\")
        .keep(\"core32\", \"BlockTemplate.submitSolutionOld7\")",
    ),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes a file where it is not there with this content.
fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if fs::read(path).ok().as_deref() != Some(content) {
        fs::write(path, content).unwrap();
    }
}

/// Copies a file, or all that is in a folder; returns the number of files.
fn copy(from: &Path, to: &Path) -> usize {
    if from.is_file() {
        write(to, &fs::read(from).unwrap());
        return 1;
    }
    let entries = fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    entries
        .map(|name| copy(&from.join(&name), &to.join(&name)))
        .sum()
}

/// Copies what the library is made of; its workspace has the program and no other members.
fn copy_library(to: &Path) {
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src",
        "schema",
        "codegen",
        "tests/foo",
    ] {
        let gone = to.join(part);
        if gone.is_dir() && part == "schema" {
            fs::remove_dir_all(&gone).unwrap();
        }
        copy(&repository().join(part), &gone);
    }
    let manifest = fs::read_to_string(to.join("Cargo.toml")).unwrap();
    let (head, rest) = manifest.split_once("members = [").unwrap();
    let (_, rest) = rest.split_once(']').unwrap();
    let (middle, rest) = rest.split_once("default-members = [").unwrap();
    let (_, rest) = rest.split_once(']').unwrap();
    let members = "members = [\"codegen\", \"probe\", \"tests/foo\"]";
    write(
        &to.join("Cargo.toml"),
        format!("{head}{members}{middle}{rest}").as_bytes(),
    );
}

/// Copies the implementor as a package, whose tests are the program of the new traits.
fn copy_probe(to: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&here.join("src"), &to.join("src"));
    copy(&here.join("core33/probe.rs"), &to.join("tests/probe.rs"));
    copy(&here.join("Cargo.toml"), &to.join("Cargo.toml"));
}

/// Adds the generation; returns the number of files that it takes.
fn add_generation(to: &Path) -> usize {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut changed: Vec<&str> = Vec::new();
    for (file, behind, added) in CHANGES {
        let path = to.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let (before, after) = text.split_once(behind).unwrap();
        write(&path, format!("{before}{behind}{added}{after}").as_bytes());
        changed.push(file);
    }
    changed.dedup();
    changed.len() + copy(&here.join("core33/schema"), &to.join("schema"))
}

#[test]
fn a_generation_takes_few_files_and_breaks_nobody() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rehearsal");
    let project = folder.join("project");
    copy_library(&project);
    copy_probe(&project.join("probe"));
    let files = add_generation(&project);
    println!("a generation takes {files} files");
    assert!(files <= MOST_FILES, "{files} files");

    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--package", "bitcoin-ipc-rehearsal"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("test result: ok. 3 passed"), "{text}");
}
