//! Any interface and any schema through the real executable: `call`, `list`, `describe`, and the
//! schemas of others.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;

use crate::common::mining::Node;
use crate::common::{Sandbox, poll};
use crate::foo::interfaces::foo::{FooInit, FooInterface};
use crate::implementation::Foo;
use bitcoin_ipc::{Address, Ipc, Result};

const DISPLAYED: &str = "01000000000000000000000000000000000000000000000000000000000000aa";
const ON_THE_WIRE: &str = "aa00000000000000000000000000000000000000000000000000000000000001";

#[test]
fn every_interface_can_be_called() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let tip = format!("{{\"hash\":\"{DISPLAYED}\",\"height\":7}}\n");
    let wire_tip = tip.replace(DISPLAYED, ON_THE_WIRE);
    let header = format!("{}\n", "ab".repeat(80));
    let txids = format!("[\"{DISPLAYED}\"]");
    for (words, stdout) in [
        (&["getTip"][..], tip.as_str()),
        (&["MINING.getTip"], &tip),
        (&["--wire-order", "getTip"], &wire_tip),
        (&["isTestChain"], "true\n"),
        (&["waitTipChanged", &"00".repeat(32), "forever"], &tip),
        (&["waitTipChanged", DISPLAYED, "timeout=50ms"], &tip),
        (&["mining.createNewBlock/getBlockHeader"], &header),
        (
            &["Mining.createNewBlock/getTxFees"],
            "[1152921504606846976,-1]\n",
        ),
        (&["Mining.createNewBlock/waitNext"], "null\n"),
        (&["makeEcho"], "null\n"),
        (&["interrupt"], ""),
        (
            &["checkBlock", "00ff", "options={\"checkPow\":false}"],
            "{\"reason\":\"2 bytes\",\"debug\":\"\",\"result\":false}\n",
        ),
        (
            &["getTransactionsByTxID", &txids],
            "[\"0000000000000000000000000000000000000000000000000000000000000000\"]\n",
        ),
        (
            &[
                "Rpc.executeRpc",
                "{\"request\": \"{\\\"method\\\":\\\"getblockcount\\\"}\"}",
            ],
            "[{\"method\":\"getblockcount\"}||]\n",
        ),
        (&["executeRpc", "a", "b", "c"], "[a|b|c]\n"),
        (
            &["Mining.createNewBlock/submitSolution", "1", "2", "3", "00"],
            "{\"reason\":\"high-hash\",\"debug\":\"\",\"result\":false}\n",
        ),
    ] {
        if words[0] == "getTransactionsByTxID" {
            let words = [&["-a", &node.address, "call"], words].concat();
            // A list of hashes is in display order when shown as a parameter only.
            let expected = format!("[\"{ON_THE_WIRE}\"]\n");
            sandbox.run(&words).expect(0, &expected);
            continue;
        }
        let words = [&["-a", &node.address, "call"], words].concat();
        sandbox.run(&words).expect(0, stdout);
    }
    assert!(node.record.has("create true 8000 400 true"));
    assert!(node.record.has("wait 50"));
    assert!(node.record.has(&format!("wait next {}", f64::MAX)));
    assert!(node.record.has("submit @10 1"));
    // What was made on the way is let go of.
    let destroyed = || node.record.has("template destroyed").then_some(());
    poll("the template's end", destroyed);

    let output = sandbox.run(&["-a", &node.address, "call", "submitBlock", "00"]);
    output.expect_error(67, &["does not implement"]);
    let output = sandbox.run(&["-a", &node.address, "call", "echo", "hi"]);
    output.expect_error(67, &["Init.makeEcho is null"]);
}

#[test]
fn objects_are_kept_in_a_session() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let lines = "t = createNewBlock\nt.getBlock\ngetTip\nm = makeMining\nm.isTestChain\n\
                 t.waitNext 'options={\"timeout\":5}'\n.caps\n.release t\n";
    let output = sandbox.run_with(&["-q", "-a", &node.address, "call"], lines);
    let tip = format!("{{\"hash\":\"{DISPLAYED}\",\"height\":7}}");
    let shown = format!("\"t\"\n0102\n{tip}\n\"m\"\ntrue\nnull\n");
    output.expect(0, &shown);
    assert_eq!(output.stderr, "m  Mining\nt  BlockTemplate\n");
    assert!(node.record.has("wait next 5"));
    poll("the end", || {
        node.record.has("template destroyed").then_some(())
    });
}

#[test]
fn a_solution_reaches_the_method_that_takes_it() {
    let sandbox = Sandbox::new();
    for (older, record) in [(false, "submit @10 1"), (true, "submit @7 1 2 3")] {
        let node = Node::new(&sandbox, older);
        let lines = "t = createNewBlock\nt.submitSolution 1 2 3 00\n";
        let output = sandbox.run_with(&["-q", "-a", &node.address, "call"], lines);
        assert_eq!(output.code, 0, "{output:?}");
        let submitted = node.record.take().into_iter();
        let submitted: Vec<_> = submitted
            .filter(|line| line.starts_with("submit"))
            .collect();
        assert_eq!(submitted, [record]);
    }
    // Through the method that makes the template as well, and of one template.
    for (older, record) in [(false, "submit @10 1"), (true, "submit @7 1 2 3")] {
        let node = Node::new(&sandbox, older);
        let method = "Mining.createNewBlock/submitSolution";
        let words = ["-a", &node.address, "call", method, "1", "2", "3", "00"];
        let output = sandbox.run(&words);
        assert_eq!(output.code, 0, "{output:?}");
        poll("the template's end", || {
            node.record.has("template destroyed").then_some(())
        });
        let recorded = node.record.take();
        let expected = ["create true 8000 400 true", record, "template destroyed"];
        assert_eq!(recorded, expected);
    }
    // On a node that is said to be 32, no other method is tried.
    let node = Node::new(&sandbox, true);
    let lines = "t = createNewBlock\nt.submitSolution 1 2 3 00\n";
    let words = ["-q", "--core", "32", "-a", &node.address, "call"];
    assert_eq!(sandbox.run_with(&words, lines).code, 67);
    assert!(!node.record.has("submit @7 1 2 3"));
}

#[test]
fn bad_values_cost_no_connection() {
    let sandbox = Sandbox::new();
    for (words, message) in [
        (
            &["waitTipChanged"][..],
            "parameter currentTip (Data) is missing",
        ),
        (
            &["waitTipChanged", "0"],
            "parameter currentTip (Data) cannot be \"0\": ",
        ),
        (
            &["waitTipChanged", &DISPLAYED[2..], "5s"],
            "has a length of 31 instead of the 32 bytes of a hash",
        ),
        (
            &["--wire-order", "waitTipChanged", "00", "5s"],
            "has a length of 1 instead of the 32 bytes of a hash",
        ),
        (
            &["waitTipChanged", DISPLAYED, "5y"],
            "parameter timeout (Float64) cannot be \"5y\": ",
        ),
        (&["createNewBlock", "{\"x\":1}"], "has no parameter \"x\""),
        (
            &["createNewBlock", "options={\"useMempool\":5}"],
            "parameter options (BlockCreateOptions) cannot be",
        ),
        (&["getBlock"], "Init makes no BlockTemplate"),
        (
            &["Mining.createNewBlok/getBlock"],
            "Mining has no method \"createNewBlok\"",
        ),
        (&["Echo.destroy"], "Echo has no method \"destroy\""),
    ] {
        let words = [&["-a", "unix:/nonexistent", "call"], words].concat();
        sandbox.run(&words).expect_error(2, &[message]);
    }
}

#[test]
fn a_dry_run_sends_nothing() {
    let sandbox = Sandbox::new();
    let words = [
        "-a",
        "unix:/nonexistent",
        "--core",
        "30",
        "call",
        "--dry-run",
        "createNewBlock",
    ];
    sandbox.run(&words).expect(
        0,
        "{\"method\":\"Mining.createNewBlock\",\"ordinal\":4,\"params\":{\"options\":\
         {\"useMempool\":true,\"blockReservedWeight\":8000,\
         \"coinbaseOutputMaxAdditionalSigops\":400}}}\n",
    );
    let words = ["call", "--dry-run", "waitTipChanged", DISPLAYED, "5s"];
    let shown = format!(
        "{{\"method\":\"Mining.waitTipChanged\",\"ordinal\":3,\"params\":{{\"currentTip\":\
         \"{DISPLAYED}\",\"timeout\":5000.0}}}}\n"
    );
    sandbox.run(&words).expect(0, &shown);
    sandbox.assert_clean();
}

#[test]
fn interfaces_and_methods_are_listed() {
    let sandbox = Sandbox::new();
    let names = |words: &[&str]| -> Vec<String> {
        let output = sandbox.run(words);
        assert_eq!(output.code, 0, "{output:?}");
        let lines = output.stdout.lines();
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&["list"]),
        ["Init", "Echo", "Mining", "Rpc", "BlockTemplate"]
    );
    assert_eq!(
        names(&["--core", "31", "list"]),
        ["Init", "Echo", "Mining", "BlockTemplate"]
    );
    assert_eq!(names(&["--core", "30", "list", "echo"]), ["echo"]);
    assert_eq!(
        names(&["list", "Init"]),
        ["makeEcho", "makeMiningOld2", "makeMining", "makeRpc"]
    );
    let node = Node::new(&sandbox, false);
    let asked = names(&["-a", &node.address, "list"]);
    assert_eq!(asked, ["Init", "Echo", "Mining", "Rpc", "BlockTemplate"]);
    assert!(node.record.take().is_empty());
    sandbox
        .run(&["list", "Minig"])
        .expect_error(2, &["unknown interface \"Minig\""]);
    let json = sandbox.run(&["-o", "json", "list", "Mining"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json[2]["name"], &json[2]["ordinal"]),
        (&"getTip".into(), &2.into())
    );
}

#[test]
fn descriptions_have_a_command_line_that_works() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let methods = [
        "Mining.waitTipChanged",
        "Rpc.executeRpc",
        "BlockTemplate.getBlock",
        "BlockTemplate.submitSolution",
        "Mining.createNewBlock",
    ];
    for method in methods {
        let output = sandbox.run(&["describe", method]);
        assert_eq!(output.code, 0, "{output:?}");
        let (_, line) = output.stdout.split_once("Try:\n").unwrap();
        let mut command = sandbox.command("sh");
        command
            .args(["-c", line])
            .env("BITCOIN_IPC_ADDRESS", &node.address);
        let output = sandbox.start(command).wait();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (0, ""),
            "{line}: {output:?}"
        );
    }
    let text = sandbox.run(&["describe", "Mining.waitTipChanged"]).stdout;
    assert!(text.starts_with(
        "Mining.waitTipChanged @3 (currentTip :Data, timeout :Float64 = forever) -> (result :BlockRef)\n"
    ));
    let text = sandbox.run(&["describe", "BlockCreateOptions"]).stdout;
    assert!(
        text.contains("blockReservedWeight :UInt64 = 8000\n"),
        "{text}"
    );
    let template = sandbox.run(&["describe", "Mining.createNewBlock", "--template"]);
    template.expect(
        0,
        "{\"options\":{\"useMempool\":true,\"blockReservedWeight\":8000,\
         \"coinbaseOutputMaxAdditionalSigops\":400},\"cooldown\":true}\n",
    );
    sandbox
        .run(&["describe", "Nosuch.x"])
        .expect_error(2, &["unknown interface"]);
}

/// On a new regtest a template with a cooldown is waited for without end, and nothing told why.
#[cfg(target_os = "linux")]
#[test]
fn a_template_that_takes_long_comes_with_advice_on_a_terminal() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let sandbox = Sandbox::new();
    let text = sandbox.run(&["describe", "createNewBlock"]).stdout;
    assert!(text.contains("waits first until initial block\n"), "{text}");
    let node = Node::new(&sandbox, false);
    node.stall();
    let words = [
        "-a",
        &node.address,
        "call",
        "createNewBlock",
        "cooldown=false",
    ];
    sandbox.run(&words).expect(0, "\"BlockTemplate#1\"\n");
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let tty = File::options().write(true).open(name.to_str().unwrap());
    let tty = tty.unwrap();
    let mut command = sandbox.ipc(&[
        "-a",
        &node.address,
        "call",
        "mining.createNewBlock/getBlock",
    ]);
    command.stdout(Stdio::piped()).stderr(tty);
    let child = command.spawn().unwrap();
    drop(command);
    let (sender, told) = std::sync::mpsc::channel();
    let mut screen = File::from(terminal);
    let reader = std::thread::spawn(move || {
        let (mut text, mut part) = (String::new(), [0; 1024]);
        // A terminal whose other side is closed fails to be read.
        while let Ok(length @ 1..) = screen.read(&mut part) {
            text.push_str(&String::from_utf8_lossy(&part[..length]));
            if text.contains("cooldown=false answers at once") {
                let _ = sender.send(());
            }
        }
        text
    });
    told.recv_timeout(crate::common::LIMIT).unwrap();
    node.finish_download();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"0102\n"[..])
    );
    let text = reader.join().unwrap();
    assert_eq!(text.matches("answers at once").count(), 1, "{text}");
}

/// A program with a bootstrap interface of its own.
struct Program;

impl FooInit for Program {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        Ok(Some(Arc::new(Foo::default())))
    }
}

#[test]
fn programs_with_an_init_of_their_own_are_called() {
    let sandbox = Sandbox::new();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
    let ipc = Ipc::<dyn FooInit>::new("program", Arc::new(Program)).unwrap();
    let address = format!("unix:{}", sandbox.path("foo.sock").display());
    let _listener = ipc.listen(&address.parse::<Address>().unwrap()).unwrap();
    let options = ["-a", address.as_str(), "--schema", schema];
    for (words, stdout) in [
        (&["call", "add", "1", "-2"][..], "-1\n"),
        (&["call", "FooInit.makeFoo/add", "a=1", "b=2"], "3\n"),
        (&["call", "makeFoo"], "\"FooInterface#1\"\n"),
        (
            &["call", "divide", "7", "2"],
            "{\"quotient\":3,\"remainder\":1}\n",
        ),
        (&["call", "passData", "00ff"], "00ff\n"),
    ] {
        sandbox
            .run(&[&options[..], words].concat())
            .expect(0, stdout);
    }
    let listed = sandbox.run(&[&options[..], &["list"]].concat());
    assert!(listed.stdout.starts_with("FooInit "), "{listed:?}");
    let lines = "f = makeFoo\nf.add 1 1\n";
    let output = sandbox.run_with(&[&options[..], &["connect"]].concat(), lines);
    output.expect(0, "\"f\"\n2\n");
    assert!(output.stderr.contains("which serves FooInit"), "{output:?}");
    sandbox
        .run(&[
            "-a",
            "unix:/nonexistent",
            "--schema",
            schema,
            "call",
            "add",
            "x",
            "1",
        ])
        .expect_error(2, &["parameter a (Int32) cannot be \"x\""]);
    // A child that speaks something else is named.
    let output = sandbox.run(&[
        "-a",
        "exec:/bin/true",
        "--schema",
        schema,
        "call",
        "add",
        "1",
        "1",
    ]);
    output.expect_error(3, &["/bin/true"]);
    sandbox.assert_clean();
}

#[test]
fn a_name_that_only_an_earlier_method_has_is_its() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    let call = |words: &[&str]| sandbox.run(&[&["-a", &node.address, "call"], words].concat());
    let chain = "createNewBlock/getBlockHeader";
    call(&[chain, "cooldown=false"]).expect(0, &format!("{}\n", "ab".repeat(80)));
    assert!(node.record.has("create true 8000 400 false"));
    let output = call(&[chain, "cooldown=maybe"]);
    output.expect_error(2, &["parameter cooldown (Bool)", "maybe"]);
    // What none of them has, and what has no name, is the last one's.
    let output = call(&[chain, "colldown=false"]);
    output.expect_error(2, &["BlockTemplate.getBlockHeader has no parameter"]);
    call(&[chain, "false"]).expect_error(2, &["no parameter is left for the value"]);
    let words = [
        "createNewBlock/waitNext",
        "cooldown=false",
        "options={\"timeout\": 1}",
    ];
    call(&words).expect(0, "null\n");

    // And a value that looks like all the parameters is told how it is written.
    let output = call(&["executeRpc", "{\"method\":\"uptime\"}"]);
    assert!(output.stderr.contains("request='{"), "{output:?}");
    let described = sandbox.run(&["describe", "getBlockHeader"]);
    let line = format!("call Mining.{chain} cooldown=false");
    assert!(described.stdout.contains(&line), "{described:?}");
}

#[test]
fn a_time_out_says_what_the_call_waited_for() {
    let sandbox = Sandbox::new();
    let node = Node::new(&sandbox, false);
    node.stall();
    let call = |words: &[&str]| sandbox.run(&[&["-a", &node.address], words].concat());
    let output = call(&["--timeout", "1s", "call", "createNewBlock"]);
    output.expect(124, "");
    assert!(output.stderr.contains("cooldown=false"), "{output:?}");
    node.finish_download();
}
