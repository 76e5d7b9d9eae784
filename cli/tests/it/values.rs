//! The words of values: from files, one by one, in parts, and the parts of results.

use std::fs::File;

use crate::common::{Sandbox, mining::Node};

/// FAULTS F1: every place where bytes come from a file or a pipe.
#[test]
fn data_comes_from_files_in_any_layout() {
    let sandbox = Sandbox::new();
    let files = [
        sandbox.write("lf", "00ff10\n"),
        sandbox.write("crlf", "00ff10\r\n"),
        sandbox.write("wrapped", "00FF\n10\n"),
        sandbox.write("binary", b"\x00\xff\x10"),
    ];
    for file in &files {
        let word = format!("@{}", file.display());
        for word in [&word, "-"] {
            let mut command = sandbox.ipc(&[
                "call",
                "--dry-run",
                "--get",
                "params.block",
                "submitBlock",
                word,
            ]);
            command.stdin(File::open(file).unwrap());
            sandbox.start(command).wait().expect(0, "00ff10\n");
        }
        // The file is left as `--each` takes the input.
        let lines = format!("coinbase=@{}\n", file.display());
        let node = Node::new(&sandbox, false);
        let solution = "createNewBlock/submitSolution";
        let words = [
            "-q",
            "-a",
            &node.address,
            "call",
            solution,
            "1",
            "2",
            "3",
            "--each",
            "-",
        ];
        let output = sandbox.run_with(&words, &lines);
        assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
        assert!(node.record.has("submit @10 1"));
    }
    for (text, words) in [
        ("00fg\n", "character 4, 'g', is no hex digit"),
        ("00ff\n0x\n", "line 2, character 2, 'x', is no hex digit"),
        ("00f\n", "an odd number of hex digits, 3"),
    ] {
        let file = sandbox.write("bad", text);
        let word = format!("@{}", file.display());
        let output = sandbox.run(&["call", "--dry-run", "submitBlock", &word]);
        output.expect_error(2, &["parameter block (Data) from", words]);
    }
    let output = sandbox.run(&["call", "--dry-run", "submitBlock", "00fg"]);
    output.expect_error(
        2,
        &[
            "parameter block (Data) cannot be \"00fg\"",
            "character 4, 'g'",
        ],
    );
    let file = sandbox.write("true", "false\r\n");
    let word = format!("cooldown=@{}", file.display());
    let output = sandbox.run(&[
        "call",
        "--dry-run",
        "--get",
        "params.cooldown",
        "createNewBlock",
        &word,
    ]);
    output.expect(0, "false\n");
}

/// FAULTS F2.
#[test]
fn hashes_have_32_bytes() {
    let sandbox = Sandbox::new();
    for bytes in [0, 31, 33] {
        let hash = "00".repeat(bytes);
        let output = sandbox.run(&["call", "--dry-run", "waitTipChanged", &hash, "1s"]);
        output.expect_error(
            2,
            &[
                "currentTip",
                &format!("a length of {bytes} instead of the 32 bytes"),
            ],
        );
    }
}

/// FAULTS F10.
#[test]
fn fields_lists_of_one_and_enums() {
    let sandbox = Sandbox::new();
    let dry = |words: &[&str]| sandbox.run(&[&["call", "--dry-run"], words].concat());
    let field = "options.useMempool=false";
    let output = dry(&["--get=params.options.useMempool", "createNewBlock", field]);
    output.expect(0, "false\n");
    let json = "options:={\"blockReservedWeight\":4000}";
    let output = dry(&[
        "--get=params.options.blockReservedWeight",
        "createNewBlock",
        json,
        field,
    ]);
    output.expect(0, "4000\n");
    dry(&["createNewBlock", field, field]).expect_error(2, &["options.useMempool is given twice"]);
    dry(&["createNewBlock", "options.useMempol=1"])
        .expect_error(2, &["options has no field \"useMempol\""]);
    dry(&["createNewBlock", "options.useMempool=7"])
        .expect_error(2, &["parameter options", "true, false, 1 or 0"]);
    dry(&["createNewBlock", "cooldown.x=7"]).expect_error(2, &["cooldown is no struct"]);

    let schema = sandbox.write("s.capnp", "@0xd5a0a9a1c3b1e4f7;\n\
        using Proxy = import \"/mp/proxy.capnp\";\n\
        enum Colour { red @0; green @1; blue @2; }\n\
        interface Init { construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);\n\
          paint @1 (context :Proxy.Context, colours :List(Colour), names :List(Text)) -> (); }\n");
    if !crate::foreign::has_tool() {
        return;
    }
    let schema = format!("--schema={}", schema.display());
    let output = dry(&[&schema, "paint", "green", "a b"]);
    output.expect(
        0,
        &format!(
            "{}\n",
            r#"{"method":"Init.paint","ordinal":1,"params":{"colours":["green"],"names":["a b"]}}"#
        ),
    );
    let output = dry(&[&schema, "paint", "[\"purple\"]", "a"]);
    output.expect_error(2, &["is no value of it", "(one of red, green, blue)"]);
}

#[test]
fn parts_of_results_are_printed_and_refusals_fail() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let run = |words: &[&str]| sandbox.run(&[&["-a", &node.address, "call"], words].concat());
    let height = run(&["getTip", "--get", "height"]);
    assert_eq!(
        (height.code, height.stdout.trim().parse::<i64>().is_ok()),
        (0, true),
        "{height:#?}"
    );
    run(&["getTip", "--get=depth"]).expect_error(1, &["the result has no \"depth\""]);
    run(&["getTip", "--fail", "--get=height"]).expect(0, &height.stdout);
    let refused = run(&["isInitialBlockDownload"]);
    let failed = run(&["isInitialBlockDownload", "--fail"]);
    assert_eq!(refused.stdout, failed.stdout);
    assert_eq!(
        failed.code,
        i32::from(refused.stdout == "false\n"),
        "{failed:#?}"
    );
    // Each of many, too.
    let output = run(&["getTip", "--repeat=2", "--get", "height"]);
    assert_eq!(output.stdout, height.stdout.repeat(2));
    sandbox.assert_clean();
}

/// FAULTS E6: words are those of the newest generation, also where an older one lacks a parameter.
#[test]
fn words_are_the_same_for_every_generation() {
    let sandbox = Sandbox::new();
    let dry = |core: &str, words: &[&str]| {
        let words = [
            &["--core", core, "call", "--dry-run", "createNewBlock"],
            words,
        ]
        .concat();
        sandbox.run(&words)
    };
    for core in ["30", "31"] {
        let plain = dry(core, &[]);
        assert_eq!((plain.code, &*plain.stderr), (0, ""), "{plain:#?}");
        for words in [
            &["cooldown=true"][..],
            &["{\"cooldown\":true}"],
            &["{\"useMempool\":true}", "true"],
        ] {
            dry(core, words).expect(0, &plain.stdout);
        }
        dry(core, &["cooldown=maybe"]).expect_error(2, &["parameter cooldown (Bool)"]);
        dry(core, &["coldown=true"]).expect_error(2, &["no parameter \"coldown\""]);
    }
}

/// FAULTS C2: also an error that refuses one does not show it.
#[test]
fn a_secret_that_is_refused_is_not_shown() {
    if !crate::foreign::has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let schema = sandbox.write(
        "s.capnp",
        "@0xd5a0a9a1c3b1e4f8;\n\
         using Proxy = import \"/mp/proxy.capnp\";\n\
         interface Init { construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);\n\
           unlock @1 (context :Proxy.Context, passphrase :Data, seconds :Int32) -> (); }\n",
    );
    let schema = format!("--schema={}", schema.display());
    for word in ["hunter2", "passphrase=hunter2", "passphrase:=\"hunter2\""] {
        let output = sandbox.run(&[&schema, "call", "--dry-run", "unlock", word, "seconds=1"]);
        output.expect_error(2, &["parameter passphrase (Data) cannot be the secret"]);
        assert!(!output.stderr.contains("hunter2"), "{output:#?}");
    }
    let output = sandbox.run(&[&schema, "call", "--dry-run", "unlock", "00", "many"]);
    output.expect_error(2, &["parameter seconds (Int32) cannot be \"many\""]);
}
