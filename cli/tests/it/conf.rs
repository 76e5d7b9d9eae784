//! bitcoin.conf, the environment and Core's words: which node is meant (FAULTS F8).
//!
//! The peer is one of this process, so that a call that reaches it proves that it was found; where
//! `BITCOIN_NODE` names a node, the `bitcoin-cli` beside it reads the same files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Output, Peer, Sandbox};

/// Writes `HOME/.bitcoin/bitcoin.conf`, and makes the directory of each chain.
fn conf(sandbox: &Sandbox, text: &str) -> PathBuf {
    let directory = home(sandbox).join(".bitcoin");
    for chain in ["regtest", "signet", "testnet3", "testnet4"] {
        fs::create_dir_all(directory.join(chain)).unwrap();
    }
    let path = directory.join("bitcoin.conf");
    fs::write(&path, text).unwrap();
    path
}

fn home(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("").parent().unwrap().join("home")
}

fn echo(sandbox: &Sandbox, words: &[&str]) -> Output {
    let mut command = sandbox.ipc(words);
    command.args(["call", "echo", "hi"]);
    sandbox.start(command).wait()
}

/// A bitcoin.conf, words, and the place where the node is then looked for, below `.bitcoin`.
const PLACES: &[(&str, &[&str], &str)] = &[
    ("regtest=1", &[], "regtest/node.sock"),
    ("testnet=1", &[], "testnet3/node.sock"),
    ("testnet4=1\n", &[], "testnet4/node.sock"),
    ("# x\n  signet = 1 # y\r\n", &[], "signet/node.sock"),
    ("chain=regtest", &[], "regtest/node.sock"),
    ("chain=main", &[], "node.sock"),
    ("regtest=0", &[], "node.sock"),
    ("regtest=", &[], "regtest/node.sock"),
    ("noregtest=1", &[], "node.sock"),
    ("noregtest=0", &[], "regtest/node.sock"),
    ("regtest=1\nregtest=0", &[], "node.sock"),
    ("regtest=0\nregtest=1", &[], "regtest/node.sock"),
    ("[regtest]\nregtest=1", &[], "node.sock"),
    // Words win.
    ("regtest=1", &["-regtest=0"], "node.sock"),
    ("", &["-regtest=1"], "regtest/node.sock"),
    ("", &["--regtest"], "regtest/node.sock"),
    ("", &["-signet", "-signet=0"], "node.sock"),
    // Core ignores a negation of a chain among the words.
    ("regtest=1", &["-noregtest"], "regtest/node.sock"),
    ("", &["-regtest", "-noregtest"], "node.sock"),
    // The node's own place.
    ("regtest=1\nipcconnect=unix:a.sock", &[], "regtest/a.sock"),
    (
        "ipcconnect=unix:a\n[regtest]\nipcconnect=unix:b",
        &["-regtest"],
        "regtest/b",
    ),
    (
        "ipcconnect=unix:a\n[regtest]\nipcconnect=unix:b",
        &["-signet"],
        "signet/a",
    ),
    (
        "regtest.ipcconnect=unix:b\n",
        &["-chain=regtest"],
        "regtest/b",
    ),
    ("ipcconnect=unix:a\nipcconnect=unix:b", &[], "a"),
    ("ipcconnect=unix:a", &["-ipcconnect=unix:c"], "c"),
];

#[test]
fn the_configuration_says_where_the_node_is() {
    for (text, words, place) in PLACES {
        let sandbox = Sandbox::new();
        conf(&sandbox, text);
        let place = home(&sandbox).join(".bitcoin").join(place);
        // `unix` fails where nobody listens; an address in the configuration is as good.
        let unix = !text.contains("ipcconnect") && words.iter().all(|w| !w.contains("ipcconnect"));
        let words = [words, &["-ipcconnect=unix"][..usize::from(unix)]].concat();
        let place = place.display().to_string();
        echo(&sandbox, &words).expect_error(3, &[&place]);
        if let Some(output) = bitcoin_cli(&sandbox, &words) {
            let trace = fs::read_to_string(sandbox.path("trace")).unwrap();
            assert!(
                trace.contains(&format!("\"{place}\"")),
                "{text}: {output:?}: {trace}"
            );
        }
    }
}

/// Runs the real `bitcoin-cli` with these words, where there is one and strace shows which socket
/// it tries.
fn bitcoin_cli(sandbox: &Sandbox, words: &[&str]) -> Option<Output> {
    let node = PathBuf::from(std::env::var_os("BITCOIN_NODE")?);
    let cli = node.with_file_name("bitcoin-cli");
    let has_strace = Command::new("strace").arg("-V").output().is_ok();
    if !cli.exists() || !has_strace {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: bitcoin-cli: it or strace is not there"
        );
        return None;
    }
    let mut command = sandbox.command("strace");
    command.args(["-f", "-e", "trace=connect", "-s", "200", "-o"]);
    command
        .arg(sandbox.path("trace"))
        .arg(cli)
        .args(words)
        .arg("getblockcount");
    Some(sandbox.start(command).wait())
}

#[test]
fn a_node_is_found_by_its_configuration() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let socket = peer.address.strip_prefix("unix:").unwrap();
    for (text, words) in [
        (format!("ipcconnect={}", peer.address), &[][..]),
        (format!("ipcbind={}", peer.address), &[]),
        (format!("ipcbind={}", peer.address), &["-a", "auto"]),
        (format!("ipcbind={}", peer.address), &["-ipcconnect=unix"]),
        (
            format!("[signet]\nipcbind=unix:x\nipcbind={}", peer.address),
            &[],
        ),
        (
            format!("[regtest]\nipcbind={}", peer.address),
            &["-regtest"],
        ),
        (
            format!("ipcbind=unix\nnoipcbind=1\nipcbind={}", peer.address),
            &[],
        ),
        (
            "ipcconnect=unix:/nonexistent".into(),
            &["-a", &peer.address],
        ),
        ("ipcconnect=unix:/nonexistent".into(), &["-a", socket]),
    ] {
        conf(&sandbox, &text);
        echo(&sandbox, words).expect(0, "hi\n");
    }
    // Words win over the environment, that over the file.
    let mut command = sandbox.ipc(&["call", "echo", "hi"]);
    command.env("BITCOIN_IPC_ADDRESS", socket);
    sandbox.start(command).wait().expect(0, "hi\n");
    let mut command = sandbox.ipc(&["-a", &peer.address, "call", "echo", "hi"]);
    command.env("BITCOIN_IPC_ADDRESS", "unix:/nonexistent");
    sandbox.start(command).wait().expect(0, "hi\n");
}

#[test]
fn a_configuration_may_be_elsewhere() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    conf(&sandbox, "ipcconnect=unix:/nonexistent");
    let text = format!("ipcconnect={}\n", peer.address);
    let other = sandbox.write("other.conf", &text);
    let absolute = format!("-conf={}", other.display());
    let datadir = format!("-datadir={}", sandbox.path("").display());
    sandbox.write("bitcoin.conf", &text);
    for words in [
        &[&*absolute][..],
        &[&datadir, "-conf=other.conf"],
        &[&datadir, "--conf", "other.conf"],
        &[&datadir],
        &["-datadir=."],
    ] {
        echo(&sandbox, words).expect(0, "hi\n");
    }
    // One that is named and not there is an error, and so is a folder.
    echo(&sandbox, &["-conf=nosuch"]).expect_error(2, &[".bitcoin/nosuch"]);
    echo(&sandbox, &["-conf=."]).expect_error(2, &["cannot read the configuration"]);
    // The data directory of the configuration has the sockets, and no second configuration.
    let base = sandbox.path("");
    conf(
        &sandbox,
        &format!("datadir={}\nregtest=1\nipcconnect=unix", base.display()),
    );
    let socket = base.join("regtest/node.sock").display().to_string();
    echo(&sandbox, &[]).expect_error(3, &[&socket]);
    // None at all.
    let output = echo(&sandbox, &["-noconf", "-a", "unix"]);
    output.expect_error(3, &[".bitcoin/node.sock"]);
}

#[test]
fn a_configuration_includes_others() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let path = conf(
        &sandbox,
        "includeconf=more.conf\n[signet]\nincludeconf=signet.conf",
    );
    let more = format!("ipcconnect={}\nincludeconf=again.conf", peer.address);
    fs::write(path.with_file_name("more.conf"), more).unwrap();
    fs::write(path.with_file_name("signet.conf"), "ipcconnect=unix:s").unwrap();
    let output = echo(&sandbox, &[]);
    output.expect(0, "hi\n");
    assert!(
        output.stderr.contains("more.conf line 2: an included file"),
        "{output:?}"
    );
    echo(&sandbox, &["-signet"]).expect_error(3, &["signet/s"]);
    let output = echo(&sandbox, &["-noincludeconf", "-ipcconnect=unix"]);
    output.expect_error(3, &[".bitcoin/node.sock"]);
    assert!(!output.stderr.contains("warning"), "{output:?}");
    fs::remove_file(path.with_file_name("more.conf")).unwrap();
    echo(&sandbox, &[]).expect_error(2, &["bitcoin.conf line 1", "more.conf"]);
}

#[test]
fn what_is_wrong_with_a_configuration_has_its_line() {
    let sandbox = Sandbox::new();
    for (text, words) in [
        (
            "regtest",
            &["bitcoin.conf line 1", "\"regtest\"", "has no value"][..],
        ),
        ("a=1\n-regtest=1", &["bitcoin.conf line 2", "dash"]),
        ("\nchain=nosuch", &["bitcoin.conf line 2", "nosuch"]),
        ("conf=x", &["bitcoin.conf line 1", "conf"]),
        (
            "regtest=1\nsignet=1",
            &["bitcoin.conf line 2", "regtest=1 and signet=1"],
        ),
        (
            "x=1\nipcconnect=tcp:1",
            &["bitcoin.conf line 2", "ipcconnect=tcp:1"],
        ),
        ("ipcbind=x", &["bitcoin.conf line 1", "ipcbind=x"]),
    ] {
        conf(&sandbox, text);
        echo(&sandbox, &[]).expect_error(2, words);
    }
    let output = sandbox.run(&["call", "--dry-run", "echo", "hi"]);
    assert_eq!(
        output.code, 0,
        "a call that needs no node reads nothing: {output:?}"
    );
}

#[test]
fn errors_of_the_environment_and_the_file_name_them() {
    let sandbox = Sandbox::new();
    let run = |value: &str, words: &[&str]| {
        let mut command = sandbox.ipc(words);
        command.env("BITCOIN_IPC_ADDRESS", value);
        sandbox.start(command).wait()
    };
    let call = &["call", "echo", "hi"];
    run("tcp:1", call).expect_error(2, &["BITCOIN_IPC_ADDRESS", "tcp:1"]);
    run("tcp:1", &["list"]).expect_error(2, &["BITCOIN_IPC_ADDRESS", "tcp:1"]);
    run("unix:/nonexistent", call).expect_error(3, &["/nonexistent", "BITCOIN_IPC_ADDRESS"]);
    // An empty variable is none.
    let output = run("", &["list"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    run("", call).expect(0, "hi\n");
    conf(&sandbox, "\nipcconnect=unix:/nonexistent\n");
    run("", call).expect_error(3, &["/nonexistent", "bitcoin.conf line 2"]);
}

#[test]
fn no_home_is_an_error_only_where_one_is_needed() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let run = |home: Option<&str>, words: &[&str]| {
        let mut command = sandbox.ipc(words);
        match home {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        sandbox.start(command).wait()
    };
    for (home, message) in [
        (None, "HOME is not set"),
        (Some(""), "HOME is not set"),
        (Some("."), "HOME is \".\""),
    ] {
        for words in [
            &["-a", "unix", "call", "echo", "hi"][..],
            &["-a", "unix:x", "call", "echo", "hi"],
            &["-conf=x", "-a", "unix", "call", "echo", "hi"],
            &["serve", "--listen", "unix"],
        ] {
            run(home, words).expect_error(2, &[message]);
        }
        run(home, &["-a", &peer.address, "call", "echo", "hi"]).expect(0, "hi\n");
        assert_eq!(run(home, &["list"]).code, 0);
        let files = fs::read_dir(sandbox.path("")).unwrap();
        assert!(files.flatten().all(|file| file.file_name() != ".bitcoin"));
    }
    let datadir = Path::new("/nonexistent/node.sock").display().to_string();
    run(
        None,
        &["-datadir=/nonexistent", "-a", "unix", "call", "echo", "hi"],
    )
    .expect_error(3, &[&datadir]);
}

/// FAULTS F8 and F10: a word of Core's kind is named whole.
#[test]
fn unknown_words_are_named_whole() {
    let sandbox = Sandbox::new();
    for (words, message, hint) in [
        (
            &["-rpcport=1", "call"][..],
            "'-rpcport=1'",
            "-rpcport is for JSON-RPC",
        ),
        (
            &["call", "echo", "hi", "-rpcport=1"],
            "'-rpcport=1'",
            "by its socket",
        ),
        (
            &["-rpcpassword=x", "call"],
            "'-rpcpassword=…'",
            "by its socket",
        ),
        (&["-getinfo"], "'-getinfo'", "a command of bitcoin-cli"),
        (&["-nosuch", "call"], "'-nosuch'", "--help"),
        (
            &["-regtest", "-signet", "-a", "unix", "call", "echo", "hi"],
            "-regtest and -signet",
            "one of them",
        ),
        (
            &["-chain=main", "-signet", "-a", "unix", "call", "echo", "hi"],
            "--chain=main and -signet",
            "one of them",
        ),
    ] {
        let output = sandbox.run(words);
        output.expect_error(2, &[message]);
        assert!(
            output.stderr.lines().last().unwrap().contains(hint),
            "{output:?}"
        );
    }
}

/// FAULTS F8: `-rpcwait` and its limit, before and after the command.
#[test]
fn waits_are_cores() {
    let sandbox = Sandbox::new();
    for words in [
        &[
            "-rpcwait",
            "-rpcwaittimeout=1",
            "-a",
            "/nonexistent",
            "call",
            "echo",
            "hi",
        ][..],
        &[
            "call",
            "-a",
            "/nonexistent",
            "echo",
            "hi",
            "-rpcwaittimeout=1",
            "--rpcwait=1",
        ],
    ] {
        let output = sandbox.run(words);
        output.expect_error(3, &["/nonexistent"]);
        assert!(output.took.as_millis() >= 900, "{output:?}");
    }
    let words = [
        "-rpcwait",
        "-norpcwait",
        "-a",
        "/nonexistent",
        "call",
        "echo",
        "hi",
    ];
    sandbox.run(&words).expect_error(3, &["/nonexistent"]);
    sandbox
        .run(&["-rpcwaittimeout=x", "call"])
        .expect_error(2, &["'x'"]);
}

/// FAULTS F10: options and parameters have the same units; a number alone is seconds as an option,
/// and as a parameter the milliseconds of the wire.
#[test]
fn durations_are_the_same_in_every_place() {
    let sandbox = Sandbox::new();
    let hash = "00".repeat(32);
    let sent = |duration: &str| {
        let timeout = format!("timeout={duration}");
        sandbox.run(&[
            "call",
            "--dry-run",
            "Mining.waitTipChanged",
            &hash,
            &timeout,
        ])
    };
    let option = |option: &str, duration: &str| {
        let words = [option, duration, "call", "--dry-run", "echo", "hi"];
        let words = if option == "--wait" {
            vec![format!("--wait={duration}")]
        } else {
            vec![option.into(), duration.into()]
        }
        .into_iter()
        .chain(words[2..].iter().map(|word| (*word).to_owned()));
        sandbox.run(&words.collect::<Vec<_>>())
    };
    for (duration, milliseconds) in [
        ("250ms", "250.0"),
        ("5s", "5000.0"),
        ("1.5s", "1500.0"),
        ("2m", "120000.0"),
        ("5min", "300000.0"),
        ("1h", "3600000.0"),
        ("forever", "\"forever\""),
        ("7", "7.0"),
    ] {
        let output = sent(duration);
        assert_eq!(output.code, 0, "{output:?}");
        let sent = format!("\"timeout\":{milliseconds}");
        assert!(
            output.stdout.replace(": ", ":").contains(&sent),
            "{output:?}"
        );
        for name in ["--timeout", "--wait"] {
            assert_eq!(option(name, duration).code, 0, "{name} {duration}");
        }
    }
    for bad in ["5d", "5 s", "s", "..s", "-5s"] {
        assert_eq!(sent(bad).code, 2, "{bad}");
        assert_eq!(option("--wait", bad).code, 2, "{bad}");
    }
    let words = ["-a", "/nonexistent", "--wait=1", "call", "echo", "hi"];
    let output = sandbox.run(&words);
    output.expect_error(3, &["/nonexistent"]);
    assert!(
        (900..20_000).contains(&output.took.as_millis()),
        "{output:?}"
    );
}
