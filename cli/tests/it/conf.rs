//! bitcoin.conf, the environment and Core's words: which node is meant (FAULTS F8).
//!
//! The peer is one of this process, so that a call that reaches it proves that it was found; where
//! `BITCOIN_NODE` names a node, the `bitcoin-cli` beside it reads the same files.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{EXE, Output, Peer, Sandbox};

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
    (
        "regtest=1\nnoipcconnect=0",
        &["-ipcconnect=unix:x"],
        "regtest/x",
    ),
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
    let cli = core()?;
    let words = [words, &["getblockcount"]].concat();
    Some(traced(sandbox, cli.as_os_str(), &words))
}

/// Returns the path of `bitcoin-cli`, where it can be compared with.
fn core() -> Option<PathBuf> {
    let node = PathBuf::from(std::env::var_os("BITCOIN_NODE")?);
    let cli = node.with_file_name("bitcoin-cli");
    let has_strace = Command::new("strace").arg("-V").output().is_ok();
    if !cli.exists() || !has_strace {
        let line = "SKIPPED: bitcoin-cli, its reading of bitcoin.conf: it or strace is not there";
        let _ = writeln!(std::io::stderr(), "{line}");
        return None;
    }
    Some(cli)
}

/// Runs a program, whose attempts to connect are then in the file `trace`.
fn traced(sandbox: &Sandbox, program: &OsStr, words: &[&str]) -> Output {
    let mut command = sandbox.command("strace");
    command.args(["-f", "-e", "trace=connect", "-s", "300", "-o"]);
    command.arg(sandbox.path("trace")).arg(program).args(words);
    sandbox.start(command).wait()
}

/// Returns the first socket that a traced program tried.
fn tried(sandbox: &Sandbox) -> Option<String> {
    let trace = fs::read_to_string(sandbox.path("trace")).unwrap();
    let mut paths = trace.split("sun_path=\"").skip(1);
    let path = paths.find_map(|rest| rest.split('"').next().filter(|p| !p.contains("nscd")))?;
    // Core leaves the `.` of a folder in.
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    Some(parts.collect::<Vec<_>>().join("/"))
}

/// A stream of numbers that a seed makes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// A configuration with the lines that select a chain, a folder or an address.
    fn configuration(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(6) {
            if self.below(4) == 0 {
                text += self.of(&["[regtest]\n", "[signet]\n", "[main]\n", "[test]\r\n"]);
            }
            let key = self.of(&[
                "regtest",
                "signet",
                "testnet",
                "testnet4",
                "chain",
                "datadir",
                "ipcconnect",
                "noregtest",
                "nosignet",
                "noipcconnect",
                "rpcport",
                "noconf",
                "# chain",
            ]);
            let value = match key {
                "chain" => self.of(&["main", "test", "testnet4", "signet", "regtest", "foo"]),
                "datadir" => self.of(&["d1", "./d2/", ""]),
                "ipcconnect" => self.of(&["unix", "unix:a", "unix:/nosuch", "auto", "0", "bad"]),
                _ => self.of(&["1", "0", "", "2", "x"]),
            };
            let section = self.of(&["", "", "", "", "", "regtest.", "signet.", "main."]);
            let space = self.of(&["", " ", "\t"]);
            text += &format!("{space}{section}{key}{space}={space}{value}{space}\n");
        }
        text
    }
}

/// Made-up configurations and words lead to the socket that `bitcoin-cli` tries. Only where words
/// select one chain and the file another, this program takes that of the words, and Core neither.
/// `CONFIGURATIONS=1500` tries as many.
#[test]
fn made_up_configurations_are_read_as_bitcoin_cli_reads_them() {
    let Some(cli) = core() else { return };
    let rounds = std::env::var("CONFIGURATIONS").map_or(40, |rounds| rounds.parse().unwrap());
    let mut found = 0;
    for seed in 0..rounds {
        let mut numbers = Numbers(seed * 1_000_003 + 17);
        let sandbox = Sandbox::new();
        let main = conf(&sandbox, &numbers.configuration());
        fs::write(main.with_file_name("other.conf"), numbers.configuration()).unwrap();
        for folder in ["d1", "d2"] {
            fs::create_dir_all(sandbox.path(folder).join("regtest")).unwrap();
            let text = numbers.configuration();
            fs::write(sandbox.path(folder).join("bitcoin.conf"), text).unwrap();
        }
        let words: Vec<_> = (0..numbers.below(3))
            .map(|_| {
                numbers.of(&[
                    "-regtest",
                    "-signet=1",
                    "-testnet=0",
                    "-noregtest",
                    "-regtest=0",
                    "-chain=regtest",
                    "-chain=main",
                    "-nosignet=0",
                    "--testnet4",
                    "-datadir=d1",
                    "-ipcconnect=unix:b",
                    "-conf=other.conf",
                    "-noconf",
                ])
            })
            .collect();
        let theirs = traced(
            &sandbox,
            cli.as_os_str(),
            &[&words[..], &["getblockcount"]].concat(),
        );
        let expected = tried(&sandbox);
        let ours = traced(&sandbox, EXE.as_ref(), &[&words[..], &["status"]].concat());
        let path = tried(&sandbox);
        if theirs.stderr.contains("Invalid combination") && !words.is_empty() {
            continue;
        }
        found += usize::from(path.is_some());
        let text = fs::read_to_string(main).unwrap();
        assert_eq!(
            path, expected,
            "seed {seed}: {words:?} {text:?}\n{ours:?}\n{theirs:?}"
        );
    }
    assert!(
        found * 2 > usize::try_from(rounds).unwrap(),
        "{found} of {rounds}"
    );
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
