//! The executable: its `serve` with pycapnp's clients and parents, its `call`, `connect` and
//! `exec:` with pycapnp's servers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bitcoin_ipc::Address;
use rustix::process::{Pid, Signal, kill_process};

use crate::clients::scenario;
use crate::python::{Process, pycapnp};
use crate::servers::{Server, with_server};
use crate::support::timed;

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");
const TIME: Duration = Duration::from_secs(20);

fn command(words: &[&str]) -> Command {
    // Signals are heard also where whoever runs the tests has them ignored.
    let mut command = Command::new("env");
    command.args(["--default-signal", EXECUTABLE]).args(words);
    for name in ["BITCOIN_IPC_ADDRESS", "RUST_BACKTRACE", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// How a run ended, and what it printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(address: &Address, words: &[&str], input: &str) -> Ran {
    let mut process = Process::start(command(&["-a", &address.to_string()]).args(words));
    process.input(input);
    ended(process)
}

fn ended(mut process: Process) -> Ran {
    let status = process.wait(TIME).expect("the executable hangs");
    let (stdout, stderr) = process.output();
    Ran {
        code: status.code(),
        stdout,
        stderr,
    }
}

#[test]
fn serve_listen() {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("node.sock");
        let listen = format!("unix:{}", socket.display());
        let mut server = Process::start(&mut command(&["serve", "--listen", &listen]));
        let deadline = Instant::now() + TIME;
        while !socket.exists() {
            assert!(Instant::now() < deadline, "no socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        scenario(python, "core_init", &socket);
        scenario(python, "core_init", &socket);
        kill_process(pid(&server), Signal::TERM).unwrap();
        server.input("");
        assert_eq!(ended(server).code, Some(128 + 15));
        assert!(!socket.exists());
    });
}

fn pid(process: &Process) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap()
}

/// A parent that is none of ours, with a link that is called what Core's parent looks for.
#[test]
fn be_the_bitcoin_node_of_another_parent() {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bitcoin-node");
        symlink(EXECUTABLE, &program).unwrap();
        scenario(python, "core_parent", &program);
    });
}

#[test]
fn serve_fd() {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        scenario(python, "serve_parent", Path::new(EXECUTABLE));
    });
}

#[test]
fn call() {
    with_server("32", |server| {
        let ran = run(&server.address, &["call", "echo", "hi"], "");
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (Some(0), "hi", "")
        );
        server.line("disconnected");
        server.line("freed Echo-1");
        let ran = run(&server.address, &["call", "echo", "fail"], "");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""));
        assert!(ran.stderr.contains("this echo fails"), "{ran:?}");
        let ran = run(&server.address, &["call", "Init.makeMiningOld2"], "");
        assert_eq!(ran.code, Some(64));
        assert!(
            ran.stderr
                .contains("Old mining interface (@2) not supported."),
            "{ran:?}"
        );
        let ran = run(&server.address, &["call", "echo", "invalid"], "");
        // Text that is not UTF-8 is shown by its bytes.
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "{\"$text\":\"ff\"}"),
            "{ran:?}"
        );
        let ran = run(
            &server.address,
            &["--timeout", "300ms", "call", "echo", "hang"],
            "",
        );
        assert_eq!(ran.code, Some(124), "{ran:?}");
    });
    with_server("bare", |server| {
        let ran = run(&server.address, &["call", "Init.makeRpc"], "");
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "null"),
            "{ran:?}"
        );
    });
    with_server("30", |server| {
        let ran = run(&server.address, &["call", "Init.makeRpc"], "");
        assert_eq!(ran.code, Some(67));
        assert!(
            ran.stderr.contains("this node (Core 30) has no makeRpc"),
            "{ran:?}"
        );
    });
}

/// Each generation has its methods at its places, and lacks what it lacks.
#[test]
fn call_each_generation_by_name() {
    for kind in ["30", "31", "31.99", "32"] {
        with_server(kind, move |server| {
            let run = |words: &[&str]| run(&server.address, words, "");
            let printed = |words: &[&str]| {
                let ran = run(words);
                assert_eq!(
                    (ran.code, ran.stderr.as_str()),
                    (Some(0), ""),
                    "{kind} {ran:?}"
                );
                ran.stdout
            };
            let header = printed(&["call", "mining.createNewBlock/getBlockHeader"]);
            assert_eq!(header, "01".repeat(80));
            // Set for a Core 30 too, whose schema has no defaults.
            server.line("options True 8000");
            server.line("destroy BlockTemplate-2");
            assert_eq!(printed(&["call", "isTestChain"]), "true");
            printed(&["call", "waitTipChanged", &"00".repeat(32), "250ms"]);
            server.line("waitTipChanged 250.0");
            let fees = printed(&["call", "Mining.createNewBlock/getTxFees"]);
            assert_eq!(fees, "[1,-2,4611686018427387904]");
            assert_eq!(printed(&["call", "Mining.createNewBlock/waitNext"]), "null");
            let coinbase = printed(&["call", "Mining.createNewBlock/getCoinbaseTx"]);
            assert!(
                coinbase.contains("\"blockRewardRemaining\":5000000000"),
                "{coinbase}"
            );

            let lines = "t = createNewBlock\nt.submitSolution 1 2 3 00\n";
            let ran = super::executable::run(&server.address, &["call"], lines);
            assert_eq!(ran.code, Some(0), "{kind} {ran:?}");
            let answer = match kind {
                "32" => "{\"reason\":\"bad-cb\",\"debug\":\"too short\",\"result\":false}",
                _ => "{\"reason\":\"\",\"debug\":\"\",\"result\":true}",
            };
            assert!(ran.stdout.ends_with(answer), "{kind} {ran:?}");

            // On a template that the call itself makes, and only one.
            let method = "Mining.createNewBlock/submitSolution";
            assert!(printed(&["call", method, "1", "2", "3", "00"]).ends_with(answer));
            assert_eq!(
                server
                    .process
                    .count(|line| line.starts_with("made BlockTemplate")),
                6
            );

            let ran = run(&["call", "submitBlock", "00"]);
            match kind {
                "30" | "31" => {
                    assert_eq!(ran.code, Some(67), "{ran:?}");
                    let words = format!("this node (Core {kind}) has no submitBlock");
                    assert!(ran.stderr.contains(&words), "{ran:?}");
                }
                _ => assert!(ran.stdout.contains("inconclusive"), "{kind} {ran:?}"),
            }
            let listed = printed(&["list"]);
            let has_rpc = listed.lines().any(|line| line.starts_with("Rpc "));
            assert_eq!(has_rpc, matches!(kind, "31.99" | "32"), "{listed}");
            // Core 30 has it at another place.
            for name in ["Mining ", "BlockTemplate "] {
                assert!(
                    listed.lines().any(|line| line.starts_with(name)),
                    "{listed}"
                );
            }
        });
    }
}

/// A wait is interrupted and answered before the connection ends. Core 30 has no `interrupt`.
#[test]
fn a_signal_interrupts_a_wait() {
    for kind in ["30", "31", "31.99", "32"] {
        with_server(kind, move |server| {
            let address = server.address.to_string();
            let tip = "ff".repeat(32);
            let words = ["-a", &address, "call", "waitTipChanged", &tip, "forever"];
            let mut calling = Process::start(&mut command(&words));
            calling.input("");
            // The first slice, after which the wait ends also where nothing interrupts it.
            server.line("waitTipChanged 1000.0");
            kill_process(pid(&calling), Signal::INT).unwrap();
            let ran = ended(calling);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
            assert_eq!(ran.stderr, "");
            if kind != "30" {
                server.line("interrupt");
                server.line("waitTipChanged interrupted");
            }
            server.line("disconnected");
            let ran = run(&server.address, &["call", "isTestChain"], "");
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "true"));
        });
    }
}

/// A C++ client destroys what it holds and then disconnects. So does `call`.
#[test]
fn call_destroys_what_it_made() {
    with_server("32", |server| {
        for number in 1..=20 {
            run(&server.address, &["call", "echo", "hi"], "");
            server.line(&format!("freed Echo-{number}"));
            let destroyed = format!("destroy Echo-{number}");
            assert_eq!(
                server.process.count(|line| line == destroyed),
                1,
                "{destroyed}"
            );
        }
    });
}

#[test]
fn connect() {
    for (kind, generation) in [
        ("30", "Core 30"),
        ("31", "Core 31"),
        ("31.99", "Core 32"),
        ("32", "Core 32"),
    ] {
        with_server(kind, move |server| {
            let ran = run(&server.address, &["connect"], "echo a\necho fail\necho b\n");
            assert_eq!(
                (ran.code, ran.stdout.as_str()),
                (Some(64), "a\nb"),
                "{ran:?}"
            );
            assert!(ran.stderr.contains(generation), "{ran:?}");
            let mining = "Mining      offered\n";
            assert!(ran.stderr.contains(mining), "{ran:?}");
            let rpc = match kind {
                "30" | "31" => "Rpc         unknown to this generation\n",
                _ => "Rpc         offered\n",
            };
            assert!(ran.stderr.contains(rpc), "{ran:?}");
            assert!(ran.stderr.contains("line 2"), "{ran:?}");
            server.line("disconnected");
        });
    }
}

#[test]
fn call_to_a_server_that_dies() {
    with_server("32", |server| {
        let address = server.address.to_string();
        let mut calling = Process::start(&mut command(&["-a", &address, "call", "echo", "hang"]));
        calling.input("");
        server.line("call Echo-1 echo");
        let killed = Instant::now();
        server.process.kill();
        let ran = ended(calling);
        assert_eq!(ran.code, Some(66), "{ran:?}");
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "{:?}",
            killed.elapsed()
        );
    });
}

/// A spawned child that is none of ours.
#[test]
fn spawn_a_python_program() {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bitcoin-node");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/server.py");
        let text = format!(
            "#!/bin/sh\nexec '{}' -B '{}' 32 \"$@\"\n",
            python.display(),
            script.display()
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let ran = run(&Address::Exec(program.clone()), &["call", "echo", "hi"], "");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hi"), "{ran:?}");
        // Through the relay, to any number of clients.
        let call = format!("'{EXECUTABLE}' call echo a && '{EXECUTABLE}' call echo b");
        let program = program.to_str().unwrap();
        let mut process =
            Process::start(&mut command(&["spawn", program, "--", "sh", "-c", &call]));
        process.input("");
        let ran = ended(process);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "a\nb"),
            "{ran:?}"
        );
    });
}

/// A peer that takes the connection and says nothing.
#[test]
fn call_to_a_mute_server() {
    with_server("mute", |server: &mut Server| {
        let before = Instant::now();
        let ran = run(
            &server.address,
            &["--timeout", "500ms", "call", "echo", "hi"],
            "",
        );
        assert_eq!(ran.code, Some(124), "{ran:?}");
        assert!(before.elapsed() < Duration::from_secs(5));
    });
}
