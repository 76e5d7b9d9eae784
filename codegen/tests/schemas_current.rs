//! The compiled schemas in the repository are those of the sources beside them.
//!
//! Needs the `capnp` tool. Without it the tests compare nothing and say so on stderr, and fail in
//! CI. The comparison leaves out the differences between versions of the tool.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use capnp::message::{Builder, ReaderOptions};
use capnp::schema_capnp::{code_generator_request, node};
use capnp::serialize;

/// The content of a request in an order that does not depend on the tool.
#[derive(Debug, Default, PartialEq)]
struct Content {
    /// Nodes by id, as canonical messages.
    nodes: BTreeMap<u64, Vec<u8>>,
    /// Comments by node, those of the members behind its own.
    comments: BTreeMap<u64, Vec<String>>,
    /// Files by id: their name and imports.
    files: BTreeMap<u64, (String, BTreeSet<(u64, String)>)>,
}

fn content(bytes: &[u8]) -> capnp::Result<Content> {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(None);
    let message = serialize::read_message(bytes, options)?;
    let root: code_generator_request::Reader<'_> = message.get_root()?;
    let mut content = Content::default();
    for reader in root.get_nodes()? {
        let mut node = Builder::new_default();
        node.set_root_canonical::<node::Owned>(reader)?;
        let words = node.get_segments_for_output().concat();
        content.nodes.insert(reader.get_id(), words);
    }
    for info in root.get_source_info()? {
        let mut texts = vec![info.get_doc_comment()?.to_string()?];
        for member in info.get_members()? {
            texts.push(member.get_doc_comment()?.to_string()?);
        }
        if texts.iter().any(|text| !text.is_empty()) {
            content.comments.insert(info.get_id(), texts);
        }
    }
    for file in root.get_requested_files()? {
        let mut imports = BTreeSet::new();
        for import in file.get_imports()? {
            imports.insert((import.get_id(), import.get_name()?.to_string()?));
        }
        let name = file.get_filename()?.to_string()?;
        content.files.insert(file.get_id(), (name, imports));
    }
    Ok(content)
}

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Tells whether there is a `capnp` tool to compare with. Fails in CI where there is none.
fn has_tool() -> bool {
    if Command::new("capnp").arg("--version").output().is_ok() {
        return true;
    }
    eprintln!(
        "SKIPPED: no `capnp` tool here, the compiled schemas are not compared with their sources"
    );
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI needs the `capnp` tool"
    );
    false
}

/// Compiles `files` in `folder` and compares the result with `compiled` there.
fn check(folder: &Path, options: &[&str], files: &[String], compiled: &str) {
    let mut command = Command::new("capnp");
    command
        .current_dir(folder)
        .env_remove("PWD")
        .args(["compile", "-o-"])
        .args(options)
        .args(files);
    let output = command.output().expect("run capnp");
    let here = folder.join(compiled);
    assert!(
        output.status.success(),
        "{}: {}",
        here.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let old = fs::read(&here).unwrap_or_else(|e| panic!("read {}: {e}", here.display()));
    let old = content(&old).expect("the compiled schema can be read");
    let new = content(&output.stdout).expect("what capnp wrote can be read");
    assert!(
        old == new,
        "{} is not what its sources say. Compile it anew:\n(cd {} && capnp compile -o- {} {} > {compiled})",
        here.display(),
        folder.display(),
        options.join(" "),
        files.join(" ")
    );
}

/// The `.capnp` files in a folder, sorted.
fn sources(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("list {}: {e}", folder.display()))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".capnp"))
        .collect();
    files.sort();
    files
}

#[test]
fn schemas_of_each_generation_are_current() {
    if !has_tool() {
        return;
    }
    let schema = package().join("../schema");
    let rehearsal = package().join("../tests/rehearsal/core33/schema");
    let folders = ["core30", "core31", "core32"].map(|name| schema.join(name));
    for folder in folders.into_iter().chain([rehearsal.join("core33")]) {
        let mut files = vec!["mp/proxy.capnp".to_owned()];
        files.extend(sources(&folder));
        check(
            &folder,
            &["--no-standard-import", "-I", "."],
            &files,
            "compiled.bin",
        );
    }
}

#[test]
fn schema_of_the_feature_tests_is_current() {
    if !has_tool() {
        return;
    }
    let folder = package().join("../schema/test");
    let options = ["--no-standard-import", "-I", "../core32"];
    check(&folder, &options, &sources(&folder), "compiled.bin");
}

#[test]
fn schema_of_the_example_is_current() {
    if !has_tool() {
        return;
    }
    let folder = package().join("../examples/closure/schema");
    let options = ["--no-standard-import", "-I", "../../../codegen/schema"];
    check(&folder, &options, &sources(&folder), "compiled.bin");
}

#[test]
fn schema_of_the_benchmark_is_current() {
    if !has_tool() {
        return;
    }
    let folder = package().join("../bench/schema");
    let options = ["--no-standard-import", "-I", "../../codegen/schema"];
    check(&folder, &options, &sources(&folder), "compiled.bin");
}

#[test]
fn schemas_of_the_generators_tests_are_current() {
    if !has_tool() {
        return;
    }
    for (folder, imports) in [
        ("tests/data", "../../schema"),
        ("tests/data/rejected", "../../../schema"),
        ("tests/data/generations", "../../../schema"),
    ] {
        let folder = package().join(folder);
        for file in sources(&folder) {
            let compiled = file.replace(".capnp", ".bin");
            check(&folder, &["-I", imports], &[file], &compiled);
        }
    }
}
