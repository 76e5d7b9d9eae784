//! Schemas of other programs through the real executable: `list` and `describe` of each kind of
//! declaration, and the calls that descriptions tell to try.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::common::Sandbox;
use crate::common::mining::Node;

pub const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/foreign");

/// Tells whether the `capnp` tool is here.
pub fn has_tool() -> bool {
    crate::common::has_tool("capnp", "sources of schemas")
}

/// Returns what a command prints, which must succeed and write nothing to stderr.
#[track_caller]
pub fn printed(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.run(words);
    assert_eq!(
        (output.code, &*output.stderr),
        (0, ""),
        "{words:?}: {output:#?}"
    );
    output.stdout
}

/// Returns the names in the first column.
pub fn names(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines.map(|line| line.split(' ').next().unwrap()).collect()
}

/// Copies a folder.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
}

/// Runs the calls of a description's `Try:` without sending them: the line itself, or each line of a
/// session by itself, on the interface of what it is called on.
#[track_caller]
fn dry_run(sandbox: &Sandbox, described: &str) -> usize {
    let (_, text) = described.split_once("Try:\n  ").unwrap();
    let run = |line: String| {
        let mut command = sandbox.command("sh");
        command.args(["-c", &line]);
        let output = sandbox.start(command).wait();
        assert_eq!(
            (output.code, &*output.stderr),
            (0, ""),
            "{line}: {output:#?}"
        );
        let json: Json = serde_json::from_str(&output.stdout).unwrap();
        assert!(json.is_object() || json.is_array(), "{line}: {output:#?}");
    };
    let Some((program, lines)) = text.split_once(" connect <<'END'\n") else {
        run(text.replacen(" call ", " call --dry-run ", 1));
        return 1;
    };
    // What each name of the session is of.
    let mut held: Vec<(String, String)> = Vec::new();
    let lines = lines.trim_end().strip_suffix("\nEND").unwrap();
    for line in lines.lines() {
        let (name, call) = match line.split_once(" = ") {
            Some((name, call)) if !name.contains(' ') => (Some(name), call),
            _ => (None, line),
        };
        let (path, arguments) = call.split_once(' ').unwrap_or((call, ""));
        let (on, method) = path.rsplit_once('.').unwrap();
        let known = held.iter().find(|(name, _)| name == on);
        let interface = known.map_or_else(
            || on.split('#').next().unwrap().to_owned(),
            |(_, interface)| interface.clone(),
        );
        run(format!(
            "{program} --init {interface} call --dry-run {interface}.{method} {arguments}"
        ));
        if let Some(name) = name {
            let words: Vec<&str> = program.split(' ').skip(1).collect();
            let method = format!("{interface}.{method}");
            let words = [&words[..], &["--init", &interface, "describe", &method]].concat();
            let text = printed(sandbox, &words);
            let returned = text.lines().next().unwrap().rsplit_once(" :").unwrap().1;
            held.push((name.to_owned(), returned.trim_end_matches(')').to_owned()));
        }
    }
    lines.lines().count()
}

/// FAULTS F4: nested types, groups, unions, constants, type arguments, streams.
#[test]
fn each_kind_of_declaration_is_described() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let schema = format!("{DATA}/kinds.capnp");
    let describe = |name: &str| printed(&sandbox, &["--schema", &schema, "describe", name]);
    for (name, text) in [
        (
            "Box",
            "struct Box(T)\n  Holds one thing.\n\nitem :T\nlid :Box.Lid\nspare :Box(T)\n",
        ),
        ("Box.Lid", "struct Box.Lid\n\nof :T\ncolour :Box.Colour\n"),
        (
            "Box.Colour",
            "enum Box.Colour\ngrey @0\nbrown @1\n  As wood is.\n",
        ),
        ("Box.edge", "const Box.edge :UInt8 = 7\n"),
        (
            "greeting",
            "const greeting :Text = \"good day\"\n  Said at the door.\n",
        ),
        (
            "limits",
            "const limits :Limits = {\"lowest\":-3,\"steps\":[1,2]}\n",
        ),
        (
            "shown",
            "annotation shown(struct, field, method) :Text\n  What a form calls it.\n",
        ),
        (
            "Shape",
            "struct Shape\n\nname :Text = \"shape\"\npaint :group {\n  union {\n    none :Void\n    \
             colour :Box.Colour\n    mixed :List(Box(Data).Lid)\n  }\n}\nunion {\n  circle \
             :Float64\n    Its radius.\n  rectangle :group {\n    width :Float64 = 1.0\n    height \
             :Float64\n  }\n  nothing :Void\n}\n",
        ),
        (
            "Shape.rectangle",
            "group Shape.rectangle\n\nwidth :Float64 = 1.0\nheight :Float64\n",
        ),
        ("Desk.Kind", "enum Desk.Kind\nsmall @0\nlarge @1\n"),
        // Of a file, which matters where two have the name.
        ("kinds.capnp:greeting", "const greeting"),
    ] {
        let described = describe(name);
        assert!(described.starts_with(text), "{name}: {described}");
    }
    for (interface, line) in [
        ("Desk", "boxed @2 () -> (box :Box(Clerk))"),
        ("Desk", "watch @4 (bell :Desk.Bell, times :UInt32) -> ()"),
        ("Ledger", "interface Ledger extends(Named, Shelf(Text))"),
        ("Ledger", "append @2 (line :Data) -> stream"),
        (
            "Ledger",
            "pages @1 [T, U] (first :T, all :U) -> (last :U, kept :Box(T))",
        ),
        (
            "Ledger",
            "any @3 (any :AnyPointer, struct :AnyStruct, cap :Capability) -> ()",
        ),
        // An inherited method has what its interface is bound to.
        ("Ledger", "put @0 (value :Text) -> ()"),
        ("Shelf", "put @0 (value :T) -> ()"),
    ] {
        let described = describe(interface);
        assert!(described.lines().any(|found| found == line), "{described}");
    }
    let described = describe("Desk.measure");
    assert!(
        described.contains("union {circle :Float64, rectangle :group {width :Float64 = 1.0, "),
        "{described}"
    );
    // A name that only case tells apart from a method is the one that is written.
    assert!(describe("desk.kind").starts_with("enum Desk.Kind"));
    sandbox
        .run(&["--schema", &schema, "describe", "Box.Nothing"])
        .expect_error(2, &["unknown interface \"Box\""]);
}

/// FAULTS F4: `describe` of interfaces that are reached through lists, structs and generics, and `Try:`
/// lines with what the makers on the way require.
#[test]
fn what_descriptions_tell_to_try_can_be_called() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let schema = format!("{DATA}/kinds.capnp");
    let listed = printed(&sandbox, &["--schema", &schema, "list"]);
    let expected = [
        "Desk",
        "Ledger",
        "Drawer",
        "Clerk",
        "Scale",
        "Stamp",
        "Entry",
        "Paper",
        "Desk.Bell",
        "Named",
        "Shelf",
    ];
    assert_eq!(names(&listed), expected);
    let mut calls = 0;
    for interface in expected {
        let json = printed(
            &sandbox,
            &["--schema", &schema, "-o", "json", "list", interface],
        );
        let methods: Json = serde_json::from_str(&json).unwrap();
        for method in methods.as_array().unwrap() {
            let name = format!("{interface}.{}", method["name"].as_str().unwrap());
            let described = printed(&sandbox, &["--schema", &schema, "describe", &name]);
            calls += dry_run(&sandbox, &described);
        }
    }
    assert!(calls > 30, "{calls}");
    for (method, words) in [
        ("Stamp.press", "call Stamp.press\n"),
        (
            "Ledger.append",
            "call Desk.open/append name=text pages='[]' line=00\n",
        ),
        // Both have a parameter of this name.
        (
            "Ledger.entry",
            "connect <<'END'\nx = Desk.open name=text pages='[]'\nx.entry name=text at=0\nEND\n",
        ),
        (
            "Paper.text",
            "connect <<'END'\nDesk.drawers\ny = Drawer#1.pull kind=small\ny.text\nEND\n",
        ),
        ("Clerk.ask", "\nClerk#1.ask question=text\n"),
        // An object that only the caller can host is given to what takes it.
        ("Desk.Bell.ring", "call Desk.watch bell:=print times=0\n"),
    ] {
        let described = printed(&sandbox, &["--schema", &schema, "describe", method]);
        assert!(described.contains(words), "{described}");
    }
    // The failure of a call tells where that is to be had.
    sandbox
        .run(&["--schema", &schema, "call", "Clerk.ask", "why"])
        .expect_error(2, &["Desk makes no Clerk"]);
    // A schema of Core's, and each generation of it.
    for core in ["30", "31", "32"] {
        for interface in ["Init", "Echo", "Mining", "BlockTemplate"] {
            let json = printed(&sandbox, &["--core", core, "-o", "json", "list", interface]);
            let methods: Json = serde_json::from_str(&json).unwrap();
            for method in methods.as_array().unwrap() {
                let name = format!("{interface}.{}", method["name"].as_str().unwrap());
                let described = printed(&sandbox, &["--core", core, "describe", &name]);
                let line =
                    described.replace("bitcoin-ipc ", &format!("bitcoin-ipc --core {core} "));
                dry_run(&sandbox, &line);
            }
        }
    }
    sandbox.assert_clean();
}

/// FAULTS F7: only Core's own methods have durations and hashes, whatever others are called.
#[test]
fn names_of_cores_in_another_schema_mean_nothing() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let schema = format!("{DATA}/mining.capnp");
    let run = |words: &[&str]| sandbox.run(&[&["--schema", &schema], words].concat());
    let call = ["call", "--dry-run", "waitTipChanged"];
    run(&[&call[..], &["aabb", "2.5"]].concat()).expect(
        0,
        "{\"method\":\"Mining.waitTipChanged\",\"ordinal\":0,\"params\":\
         {\"currentTip\":\"aabb\",\"timeout\":2.5}}\n",
    );
    let output = run(&[&call[..], &["aabb", "5s"]].concat());
    output.expect_error(2, &["parameter timeout (Float64) cannot be \"5s\""]);
    let described = run(&["describe", "waitTipChanged"]).stdout;
    assert!(!described.contains("display order"), "{described}");
    assert!(
        described.contains("currentTip=00 timeout=0\n"),
        "{described}"
    );
    let described = run(&["describe", "createNewBlock"]).stdout;
    assert!(
        described.contains("createNewBlock cooldown=true\n"),
        "{described}"
    );
    // A flag beside a field is a field.
    run(&[
        "call",
        "--dry-run",
        "submit",
        "{\"block\":{\"note\":\"n\"}}",
    ])
    .expect(
        0,
        "{\"method\":\"Mining.submit\",\"ordinal\":2,\"params\":{\"block\":\
         {\"hash\":null,\"hasNote\":false,\"note\":\"n\"}}}\n",
    );
    // And Core's have them still.
    let described = printed(&sandbox, &["describe", "waitTipChanged"]);
    assert!(described.contains("in display order"), "{described}");
    assert!(described.contains("timeout=1s\n"), "{described}");
}

/// FAULTS F4: an `Init` with a method that names no thread, and that the node does not have.
#[test]
fn an_init_with_a_method_more_is_listed() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/core32");
    copy_folder(Path::new(core), &sandbox.path("more"));
    let init = fs::read_to_string(sandbox.path("more/init.capnp")).unwrap();
    let more =
        "  makeChain @5 () -> (result :Chain);\n}\n\ninterface Chain {\n  tip @0 () -> ();\n}\n";
    let (body, _) = init.trim_end().rsplit_once('}').unwrap();
    sandbox.write("more/init.capnp", format!("{body}{more}"));
    let own = printed(&sandbox, &["--schema", "more", "list"]);
    assert!(names(&own).contains(&"Chain"), "{own}");
    let node = Node::new(&sandbox, false);
    let options = ["--schema", "more", "-a", &node.address];
    let listed = printed(&sandbox, &[&options[..], &["list"]].concat());
    assert_eq!(
        names(&listed),
        ["Init", "Echo", "Mining", "Rpc", "BlockTemplate"]
    );
    let methods = printed(&sandbox, &[&options[..], &["list", "Init"]].concat());
    assert!(names(&methods).contains(&"makeChain"), "{methods}");
    assert!(node.record.take().is_empty());
}

/// A program without a thread map may serve any interface first.
#[test]
fn the_first_of_several_interfaces_is_not_guessed() {
    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    let text = "@0xd2b1f4c07a9e3330;\ninterface One { a @0 () -> (); }\n\
                interface Two { b @0 () -> (); }\n";
    sandbox.write("two.capnp", text);
    let options = ["--schema", "two.capnp", "-a", "unix:/nonexistent"];
    let output = sandbox.run(&[&options[..], &["call", "a"]].concat());
    output.expect_error(2, &["may serve first: One, Two"]);
    let listed = printed(&sandbox, &["--schema", "two.capnp", "list"]);
    assert_eq!(names(&listed), ["One", "Two"]);
    for method in ["One.a", "Two.b"] {
        let described = printed(&sandbox, &["--schema", "two.capnp", "describe", method]);
        dry_run(&sandbox, &described);
    }
    let output = sandbox.run(&[&options[..], &["--init", "Two", "call", "b"]].concat());
    output.expect_error(3, &["/nonexistent"]);
}

/// FAULTS E6: where a node is named and none listens, the schema tells, and which one it is.
#[test]
fn the_schema_tells_where_no_node_listens() {
    let sandbox = Sandbox::new();
    let newest = "Bitcoin Core 32";
    for words in [
        &["-a", "unix:/nonexistent/node.sock"][..],
        &["-regtest"],
        &["--datadir", "/nonexistent"],
    ] {
        for (command, line) in [
            (&["list"][..], "Init "),
            (&["list", "Mining"], "isTestChain @"),
            (&["describe", "submitBlock"], "Mining.submitBlock @"),
        ] {
            let output = sandbox.run(&[words, command].concat());
            assert_eq!(output.code, 0, "{output:#?}");
            assert!(output.stdout.starts_with(line), "{output:#?}");
            assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
            assert!(output.stderr.contains(newest), "{output:#?}");
            let quiet = sandbox.run(&[&["-q"], words, command].concat());
            assert_eq!((&quiet.stdout, &*quiet.stderr), (&output.stdout, ""));
        }
        // The generation has been said.
        let output = sandbox.run(&[words, &["--core", "30", "list", "Mining"]].concat());
        assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    }
    // Nothing is named, so nothing else is expected.
    assert_eq!(sandbox.run(&["list"]).stderr, "");
    sandbox.assert_clean();
}

#[test]
fn the_bootstrap_interface_can_be_named() {
    let sandbox = Sandbox::new();
    let foo = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
    let sums = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/closure/schema/compiled.bin"
    );
    let both = ["--schema", foo, "--schema", sums];
    let run = |words: &[&str]| sandbox.run(&[&both[..], words].concat());
    let output = run(&["list"]);
    output.expect_error(2, &["several bootstrap interfaces: FooInit, Sums"]);
    assert!(output.stderr.contains("--init"), "{output:?}");
    let output = run(&["list", "--init", "Sums"]);
    output.expect(0, "Sums  What the child serves: its bootstrap interface.\n");
    let output = run(&["--init", "fooinit", "call", "--dry-run", "add", "1", "2"]);
    assert_eq!(output.code, 0, "{output:?}");
    // Any interface may be the first that a program serves.
    let output = run(&["--init", "Term", "list"]);
    assert!(output.stdout.starts_with("Term  "), "{output:?}");
    let output = run(&["--init", "Trem", "list"]);
    output.expect_error(2, &["--init Trem", "did you mean \"Term\"?"]);
    assert!(
        output.stderr.contains("it is one of ExtendedCallback, "),
        "{output:?}"
    );
    sandbox
        .run(&["--init", "Sums", "list"])
        .expect_error(2, &["--init is for"]);
}

/// FAULTS H1: a process-separated Core has another maker at the ordinal of `makeRpc`. What it offers is told
/// by the interface of the object that it makes.
#[test]
fn what_is_offered_is_told_by_the_interface_of_the_object() {
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    use bitcoin_ipc::Limits;
    use bitcoin_ipc::dynamic::call::Objects;
    use bitcoin_ipc::dynamic::core;
    use bitcoin_ipc::dynamic::schema::Registry;
    use bitcoin_ipc::protocol::capnp::Capnp;

    if !has_tool() {
        return;
    }
    let sandbox = Sandbox::new();
    // The id of Core's file, and so of its Init.
    let schema = sandbox.write(
        "init.capnp",
        "@0xf2c5cfa319406aa6;\n\
         using Proxy = import \"/mp/proxy.capnp\";\n\
         interface Chain { getHeight @0 (context :Proxy.Context) -> (result :Int32); }\n\
         interface Init {\n\
           construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);\n\
           makeEcho @1 (context :Proxy.Context) -> (result :AnyPointer);\n\
           makeMiningOld2 @2 () -> ();\n\
           makeMining @3 (context :Proxy.Context) -> (result :AnyPointer);\n\
           makeChain @4 (context :Proxy.Context) -> (result :Chain);\n\
         }\n",
    );
    let mut registry = Registry::new();
    registry.add_path(&schema).unwrap();
    let objects = Objects::new(Arc::new(registry), core::options());
    let chain = objects.host("Chain", |_, _, _| Ok(7.into())).unwrap();
    let root = objects.host("Init", move |_, method, _| {
        Ok(match method {
            "makeChain" => chain.clone().into(),
            _ => serde_json::Value::Null,
        })
    });
    let root = root.unwrap();
    let socket = sandbox.path("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let served = std::thread::spawn(move || {
        let capnp = Capnp::new("separated", Limits::default()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        objects.serve(&capnp, stream, &root).unwrap();
    });
    let address = format!("unix:{}", socket.display());
    let output = sandbox.run(&["-a", &address, "status", "-o", "json"]);
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    let status: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(status["interfaces"]["Rpc"], "not offered", "{status}");
    served.join().unwrap();
}
