//! The words where there is no node: eight situations, each by its own words, and what a child of
//! our own may take the place of.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::common::{EXE, Output, Peer, Sandbox, has_tool};

/// A data directory with nothing in it.
fn data_dir(sandbox: &Sandbox) -> (PathBuf, String) {
    let directory = sandbox.path("d");
    fs::create_dir(&directory).unwrap();
    let word = format!("--datadir={}", directory.display());
    (directory, word)
}

#[track_caller]
fn told(output: &Output, message: &str, hint: &str) {
    output.expect_error(3, &[message]);
    assert!(output.stderr.contains(hint), "{output:#?}");
    assert_eq!(output.stdout, "");
}

/// FAULTS F3: nothing is started where something names a node.
#[test]
fn only_where_nothing_names_a_node_one_is_started() {
    let sandbox = Sandbox::new();
    let (directory, word) = data_dir(&sandbox);
    let own = sandbox.run(&["call", "echo", "hi"]);
    own.expect(0, "hi\n");
    assert!(
        own.stderr
            .starts_with("no node of chain main listens; started bitcoin-node (pid ")
    );
    sandbox
        .run(&["-a", "auto", "call", "echo", "hi"])
        .expect(0, "hi\n");
    let asked_for = sandbox.run(&["-regtest", "-a", "self", "call", "echo", "hi"]);
    asked_for.expect(0, "hi\n");
    assert_eq!(asked_for.stderr, "");

    for words in [
        &["-regtest", "call", "echo", "hi"][..],
        &["-regtest", "connect"],
        &["--chain", "main", "call", "echo", "hi"],
        &[&word, "call", "echo", "hi"],
        &[&word, "connect"],
        &[&word, "status"],
        &["--datadir=/nonexistent", "status"],
        &["status"],
        &["-q", "ping"],
        &["rpc", "getblockcount"],
        &["mine", "--to", "51"],
        &["watch", "tip"],
        &["watch", "getTip"],
    ] {
        let output = sandbox.run(words);
        output.expect_error(3, &["nothing listens at"]);
        assert_eq!(output.stdout, "");
    }
    // A configuration names one, too.
    fs::create_dir(sandbox.path("../home/.bitcoin")).unwrap();
    fs::write(sandbox.path("../home/.bitcoin/bitcoin.conf"), "regtest=1\n").unwrap();
    let output = sandbox.run(&["call", "echo", "hi"]);
    told(
        &output,
        ".bitcoin/regtest/node.sock",
        "--datadir and --chain",
    );
    let mut command = sandbox.ipc(&["call", "echo", "hi"]);
    command.env("BITCOIN_IPC_ADDRESS", directory.join("s"));
    let output = sandbox.start(command).wait();
    told(&output, "(address from BITCOIN_IPC_ADDRESS)", "--wait");
    sandbox.assert_clean();
}

#[test]
fn what_is_there_in_place_of_a_node_is_told() {
    let sandbox = Sandbox::new();
    let (directory, word) = data_dir(&sandbox);
    let status = || sandbox.run(&[&word, "status"]);
    told(
        &status(),
        "there is no such file",
        "start a node with -ipcbind=unix",
    );
    let missing = sandbox.run(&[&word, "-regtest", "status"]);
    told(&missing, "there is no directory", "--datadir and --chain");

    let socket = directory.join("node.sock");
    drop(UnixListener::bind(&socket).unwrap());
    told(
        &status(),
        "a node that has ended left its socket",
        "start it again",
    );
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    told(&status(), "is not a socket", "--address");
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
    fs::remove_file(&socket).unwrap();

    fs::create_dir(directory.join("signet")).unwrap();
    let other = UnixListener::bind(directory.join("signet/node.sock")).unwrap();
    told(
        &status(),
        "a node of chain signet listens in this data directory",
        "--chain=signet",
    );
    drop(other);

    let long = format!("--datadir=/{}", "x".repeat(200));
    told(&sandbox.run(&[&long, "status"]), "bytes long", "shorter");
    // FAULTS F8: that is not waited for.
    told(
        &sandbox.run(&[&long, "--wait", "status"]),
        "bytes long",
        "shorter",
    );
}

#[test]
fn a_node_without_a_socket_is_told_by_its_pid() {
    if !has_tool("python3", "the process that holds a data directory") {
        return;
    }
    let sandbox = Sandbox::new();
    let (directory, word) = data_dir(&sandbox);
    let lock = directory.join(".lock");
    let script = "import fcntl, sys\n\
                  f = open(sys.argv[1], 'w')\n\
                  fcntl.lockf(f, fcntl.LOCK_EX)\n\
                  print('locked', file=sys.stderr, flush=True)\n\
                  sys.stdin.read()";
    let mut command = Command::new("python3");
    command
        .args(["-c", script])
        .arg(&lock)
        .stdin(Stdio::piped());
    let holder = sandbox.start(command);
    holder.wait_for("locked");
    let message = format!(
        "(pid {}) runs with {}",
        holder.child.id(),
        directory.display()
    );
    told(
        &sandbox.run(&[&word, "status"]),
        &message,
        "start it with -ipcbind=unix",
    );
}

#[test]
fn a_socket_of_another_user_is_told() {
    let sandbox = Sandbox::new();
    let (directory, word) = data_dir(&sandbox);
    let socket = directory.join("node.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    if !rustix::process::geteuid().is_root() || !has_tool("setpriv", "another user's socket") {
        eprintln!("SKIPPED: a socket of another user: only root can make one");
        return;
    }
    chown(&socket, Some(65534), None).unwrap();
    told(
        &sandbox.run(&[&word, "status"]),
        "belongs to user 65534",
        "--peer-uid",
    );
    chown(&socket, Some(0), None).unwrap();
    // Who may not write to it may not connect. The way there has to be another's to use.
    let public = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .unwrap();
    let exe = public.path().join("bitcoin-ipc");
    fs::copy(EXE, &exe).unwrap();
    let denied = public.path().join("node.sock");
    let _denied = UnixListener::bind(&denied).unwrap();
    fs::set_permissions(&denied, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = sandbox.command("setpriv");
    command
        .args(["--reuid=65534", "--clear-groups"])
        .arg(exe)
        .arg(format!("--datadir={}", public.path().display()))
        .arg("status")
        .current_dir("/");
    told(
        &sandbox.start(command).wait(),
        "Permission denied",
        "run this as that user",
    );
}

/// A peer of our own tells its state too, as far as it has one.
#[test]
fn status_of_a_peer_without_a_chain() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let output = sandbox.run(&["-a", &peer.address, "status"]);
    assert_eq!((output.code, &*output.stderr), (0, ""), "{output:#?}");
    assert!(output.stdout.contains("\nEcho "), "{output:#?}");
    assert!(!output.stdout.contains("height"), "{output:#?}");
    let output = sandbox.run(&["-a", &peer.address, "status", "--synced"]);
    output.expect_error(1, &["it offers no Mining"]);
    let output = sandbox.run(&["-a", "self", "status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&status["program"], &status["height"]),
        (&"bitcoin-node".into(), &serde_json::Value::Null)
    );
    sandbox.assert_clean();
}
