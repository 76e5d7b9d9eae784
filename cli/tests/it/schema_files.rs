//! Files of schemas through the real executable: folders, links and imports, and the refusal of those that
//! do not compile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{Output, Sandbox};
use crate::foreign::{DATA, copy_folder, has_tool, names, printed};

/// Copies a folder of the test's schemas into the sandbox.
fn copy(sandbox: &Sandbox, from: &str) -> String {
    let to = sandbox.path(from);
    copy_folder(&Path::new(DATA).join(from), &to);
    to.display().to_string()
}

/// FAULTS F6: whatever folders and links the files lie in.
#[test]
fn schemas_are_found_wherever_they_lie() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    copy(&sandbox, "shop");
    let list = |words: &[&str]| sandbox.run(&[words, &["list"]].concat());
    #[track_caller]
    fn has(output: &Output, interface: &str) {
        assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
        assert!(names(&output.stdout).contains(&interface), "{output:#?}");
    }
    let till = "shop/parts/till.capnp";
    // Absolute imports from a folder that is named, relative ones above the file's own.
    for words in [
        &["--schema", till, "-I", "."][..],
        &["--schema", till, "--import-path", "."],
        &["-I", "shop/parts", "-I", "shop/..", "--schema", till],
        &["--schema", "shop/parts", "-I", "."],
        &["--schema", "shop/parts/../parts/till.capnp", "-I", "."],
    ] {
        has(&list(words), "Till");
    }
    let output = list(&["--schema", till]);
    output.expect_error(
        2,
        &[
            "shop/parts/till.capnp:3:",
            "Import failed: /shop/coin.capnp, which is in ",
        ],
    );
    assert!(output.stderr.contains("hint: -I DIR "), "{output:?}");

    // A link to a file with the imports beside what it leads to, one with them beside itself, and a link
    // to a folder.
    let place = |name: &str| sandbox.path(name);
    fs::create_dir_all(place("links")).unwrap();
    symlink("../shop/parts/till.capnp", place("links/real.capnp")).unwrap();
    has(&list(&["--schema", "links/real.capnp", "-I", "."]), "Till");
    sandbox.write(
        "away.capnp",
        "@0xd2b1f4c07a9e3310;\nusing G = import \"near.capnp\";\n\
                   interface Away { go @0 (to :G.Near) -> (); }\n",
    );
    sandbox.write("links/near.capnp", "@0xd2b1f4c07a9e3311;\nstruct Near {}\n");
    symlink("../away.capnp", place("links/away.capnp")).unwrap();
    has(&list(&["--schema", "links/away.capnp"]), "Away");
    symlink("links", place("folder")).unwrap();
    fs::remove_file(place("links/real.capnp")).unwrap();
    // An editor's lock, which leads nowhere, is no schema.
    symlink("nowhere", place("links/.#away.capnp")).unwrap();
    has(&list(&["--schema", "folder"]), "Away");

    // Compiled requests by any name, a source by any name, and a pipe.
    let compiled = Command::new("capnp")
        .args(["compile", "-o-", "away.capnp"])
        .current_dir(place("links"))
        .output();
    let compiled = compiled.unwrap().stdout;
    fs::create_dir_all(place("made")).unwrap();
    sandbox.write("made/a.capnp", &compiled);
    has(&list(&["--schema", "made/a.capnp"]), "Away");
    has(&list(&["--schema", "made"]), "Away");
    let plain = "@0xd2b1f4c07a9e3312;\ninterface Plain { go @0 () -> (); }\n";
    sandbox.write("plain.txt", plain);
    has(&list(&["--schema", "plain.txt"]), "Plain");
    for file in ["plain.txt", "made/a.capnp"] {
        let mut command = sandbox.command("sh");
        let line = format!("cat {file} | bitcoin-ipc --schema /dev/stdin list");
        command.args(["-c", &line]);
        let interface = if file == "plain.txt" { "Plain" } else { "Away" };
        has(&sandbox.start(command).wait(), interface);
    }

    // Copies of what sources import, by their own name and by the one that all use.
    copy(&sandbox, "vendored");
    for path in ["vendored", "vendored/init.capnp", "vendored/wages.capnp"] {
        has(&list(&["--schema", path]), "Wages");
    }
    let described = printed(&sandbox, &["--schema", "vendored", "describe", "Wages.sum"]);
    assert!(
        described.contains("call Init.makeWages/sum year=0 month=0\n"),
        "{described}"
    );
    // Two that do not go together are taken one by one.
    fs::create_dir_all(place("two")).unwrap();
    sandbox.write("two/a.capnp", plain);
    sandbox.write("two/b.capnp", plain);
    has(&list(&["--schema", "two"]), "Plain");
    sandbox.assert_clean();
}

/// FAULTS F6: one line that names the file, the line and what is wrong.
#[test]
fn a_refused_schema_is_told_in_one_line() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("empty/deep")).unwrap();
    for (name, text, words) in [
        ("a.capnp", "nonsense", &["a.capnp:1:9: Parse error"][..]),
        (
            "b.capnp",
            "@0xd2b1f4c07a9e3320;\nstruct A {\n  a @0 :Nope;\n  b @0 :Text;\n}\n",
            &["b.capnp:3:9: Not defined: Nope (and 2 more errors)"],
        ),
        (
            "c.capnp",
            "struct A {}\n",
            &["c.capnp:1:1: ", "does not declare an ID"],
        ),
        (
            "d.capnp",
            "@0xd2b1f4c07a9e3321;\nusing X = import \"x.capnp\";\nstruct A { x @0 :X.X; }\n",
            &["d.capnp:2:18: Import failed: x.capnp"],
        ),
        (
            "e.capnp",
            "@0xd2b1f4c07a9e3322;\nconst e :Text = embed \"nothing\";\n",
            &["e.capnp:2:23: Couldn't read file for embed: nothing"],
        ),
        // The tool has only a trace of its stack for this.
        (
            "f.capnp",
            &format!(
                "@0xd2b1f4c07a9e3323;\nusing X = import \"{}x.capnp\";\nstruct A {{ x @0 :X.X; }}\n",
                "../".repeat(40)
            ),
            &["f.capnp: ", "break out of starting directory"],
        ),
        ("g.bin", "no schema", &["g.bin: ", "no compiled schema"]),
        ("empty/deep/h.capnp", "", &["h.capnp:1:1: "]),
    ] {
        sandbox.write(name, text);
        let output = sandbox.run(&["--schema", name, "list"]);
        output.expect_error(2, &[&["--schema"], words].concat());
        assert!(!output.stderr.contains("stack:"), "{output:?}");
    }
    let output = sandbox.run(&["--schema", "empty", "list"]);
    output.expect_error(2, &["the folder has no schema", "empty/deep has some"]);
    let output = sandbox.run(&["--schema", "a.capnp", "-I", "nosuch", "list"]);
    output.expect_error(2, &["nosuch"]);
    sandbox
        .run(&["-I", ".", "list"])
        .expect_error(2, &["--import-path is for a schema"]);
    sandbox.assert_clean();
}

#[test]
fn schemas_of_others_are_taken() {
    let sandbox = Sandbox::new();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
    let output = sandbox.run(&["--schema", schema, "list"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.lines().count() > 1, "{output:?}");
    let core30 = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/core30/compiled.bin");
    let output = sandbox.run(&["--schema", core30, "describe", "BlockTemplate.waitNext"]);
    assert!(output.stdout.contains("waitNext @10"), "{output:?}");
    let bad = sandbox.write("bad.bin", "no schema");
    let output = sandbox.run(&["--schema", bad.to_str().unwrap(), "list"]);
    output.expect_error(2, &["--schema", "no compiled schema"]);
    let output = sandbox.run(&["--schema", "/nonexistent", "list"]);
    output.expect_error(2, &["/nonexistent"]);
}
