//! `serve` under a service manager: sockets that are passed to it, and what it tells of its state;
//! and the places where it listens.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bitcoin_ipc::Ipc;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;

use crate::common::{EXE, LIMIT, Running, Sandbox};

/// Returns `serve` as a service manager starts it: the shell's process id stays the program's.
fn passed(sandbox: &Sandbox, sockets: Vec<OwnedFd>, variables: &str, words: &[&str]) -> Command {
    let mut command = sandbox.command("sh");
    let script = format!("{variables}; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$@\"");
    command
        .args(["-c", &script, "sh", EXE, "serve"])
        .args(words);
    let sockets = sockets.into_iter().enumerate();
    let mappings = sockets.map(|(index, socket)| FdMapping {
        parent_fd: socket,
        child_fd: 3 + i32::try_from(index).unwrap(),
    });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

fn echo(sandbox: &Sandbox, socket: &Path) {
    let address = format!("unix:{}", socket.display());
    sandbox
        .run(&["-a", &address, "call", "echo", "hi"])
        .expect(0, "hi\n");
}

fn end(running: Running) {
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
}

#[test]
fn it_serves_everyone_at_the_sockets_that_are_passed() {
    let sandbox = Sandbox::new();
    let paths = [sandbox.path("one"), sandbox.path("two")];
    let sockets = paths
        .iter()
        .map(|path| UnixListener::bind(path).unwrap().into());
    let variables = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=one.socket:";
    let running = sandbox.start(passed(&sandbox, sockets.collect(), variables, &[]));
    running.wait_for("listening at fd:3 (one.socket)");
    running.wait_for("listening at fd:4");
    for path in &paths {
        echo(&sandbox, path);
        echo(&sandbox, path);
    }
    end(running);
    // They are the service manager's to remove.
    assert!(paths.iter().all(|path| path.exists()));
}

/// As of a socket unit with `Accept=yes`.
#[test]
fn it_serves_the_peer_of_a_connected_socket_that_is_passed() {
    let sandbox = Sandbox::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=connection";
    let running = sandbox.start(passed(&sandbox, vec![theirs.into()], variables, &[]));
    let ipc = Arc::new(Ipc::<dyn Init>::new("client", Role::Gui.init()).unwrap());
    let init = ipc.connect_stream(ours).unwrap();
    assert_eq!(init.make_echo().unwrap().unwrap().echo("hi").unwrap(), "hi");
    running.wait_for("serving the peer of fd:3 (connection)");
    drop(init);
    drop(ipc);
    assert_eq!(running.wait().code, 0);
}

#[test]
fn sockets_of_another_process_and_of_other_kinds_are_not_served() {
    let sandbox = Sandbox::new();
    let socket = |name: &str| -> OwnedFd {
        let path = sandbox.path(name);
        let _ = fs::remove_file(&path);
        UnixListener::bind(path).unwrap().into()
    };
    for variables in [
        "LISTEN_PID=1 LISTEN_FDS=1",
        "LISTEN_FDS=1",
        "LISTEN_PID=$$ LISTEN_FDS=0",
    ] {
        let command = passed(&sandbox, vec![socket("x")], variables, &[]);
        sandbox
            .start(command)
            .wait()
            .expect_error(2, &["nothing to serve"]);
    }
    let command = passed(
        &sandbox,
        vec![socket("x")],
        "LISTEN_PID=$$ LISTEN_FDS=y",
        &[],
    );
    sandbox
        .start(command)
        .wait()
        .expect_error(2, &["LISTEN_FDS is \"y\""]);
    let (one, other) = UnixStream::pair().unwrap();
    let mixed = vec![socket("x"), one.into()];
    let command = passed(&sandbox, mixed, "LISTEN_PID=$$ LISTEN_FDS=2", &[]);
    sandbox
        .start(command)
        .wait()
        .expect_error(2, &["listening and connected"]);
    drop(other);
    let datagram = UnixDatagram::unbound().unwrap().into();
    let command = passed(&sandbox, vec![datagram], "LISTEN_PID=$$ LISTEN_FDS=1", &[]);
    sandbox
        .start(command)
        .wait()
        .expect_error(2, &["descriptor 3", "not a stream"]);
}

/// Reads the messages that a service manager gets from a `serve` that listens and is then ended.
fn told(sandbox: &Sandbox, manager: &UnixDatagram, place: &str) -> Vec<String> {
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let socket = sandbox.path("served.sock");
    let mut command = sandbox.ipc(&["serve", "--listen"]);
    command
        .arg(format!("unix:{}", socket.display()))
        .env("NOTIFY_SOCKET", place);
    let running = sandbox.start(command);
    let receive = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let mut messages = vec![receive()];
    // It is ready when it says so.
    echo(sandbox, &socket);
    end(running);
    messages.push(receive());
    messages
}

#[test]
fn it_tells_a_service_manager_when_it_is_ready_and_when_it_ends() {
    let sandbox = Sandbox::new();
    let place = sandbox.path("notify");
    let manager = UnixDatagram::bind(&place).unwrap();
    let messages = told(&sandbox, &manager, &place.display().to_string());
    let socket = sandbox.path("served.sock");
    assert_eq!(
        messages[0],
        format!("READY=1\nSTATUS=listening at {}", socket.display())
    );
    assert!(
        messages[1].starts_with("STOPPING=1\nSTATUS="),
        "{messages:?}"
    );
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("bitcoin-ipc-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let messages = told(&sandbox, &manager, &format!("@{name}"));
        assert!(messages[0].starts_with("READY=1\n"), "{messages:?}");
    }
}

#[test]
fn it_serves_where_no_service_manager_hears_it() {
    let sandbox = Sandbox::new();
    for place in ["/nonexistent", "vsock:2:1"] {
        let socket = sandbox.path("served.sock");
        let mut command = sandbox.ipc(&["serve", "--listen"]);
        command
            .arg(format!("unix:{}", socket.display()))
            .env("NOTIFY_SOCKET", place);
        let running = sandbox.start(command);
        running.wait_for(&format!("NOTIFY_SOCKET {place}"));
        echo(&sandbox, &socket);
        end(running);
    }
}

/// FAULTS F12.
#[test]
fn it_listens_in_directories_that_exist_and_in_the_data_directory() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("nodir/x");
    let output = sandbox.run(&["serve", "--listen", missing.to_str().unwrap()]);
    output.expect_error(1, &["the directory", "nodir does not exist"]);
    assert!(!missing.parent().unwrap().exists());
    let base = sandbox.path("base");
    let words = [
        "serve",
        "--listen",
        "unix:deep/er.sock",
        "-regtest",
        "--datadir",
    ];
    let mut command = sandbox.ipc(&words);
    command.arg(&base);
    let running = sandbox.start(command);
    running.wait_for("base/regtest/deep/er.sock");
    echo(&sandbox, &base.join("regtest/deep/er.sock"));
    end(running);
}

/// FAULTS F12.
#[test]
fn it_says_that_a_clients_address_is_not_served() {
    let sandbox = Sandbox::new();
    let socket = sandbox.path("served.sock").display().to_string();
    for (address, is_said) in [("unix:/elsewhere", true), (&socket, false), ("", false)] {
        let mut command = sandbox.ipc(&["serve", "--listen", &socket]);
        command.env("BITCOIN_IPC_ADDRESS", address);
        let running = sandbox.start(command);
        running.wait_for("listening at ");
        let said = running
            .stderr()
            .contains("BITCOIN_IPC_ADDRESS (unix:/elsewhere) is for clients");
        assert_eq!(said, is_said, "{}", running.stderr());
        end(running);
    }
    let words = ["-a", "/elsewhere", "serve", "--listen", &socket];
    sandbox
        .run(&words)
        .expect_error(2, &["--address unix:/elsewhere"]);
    let words = ["-a", "/elsewhere", "spawn", "node"];
    sandbox
        .run(&words)
        .expect_error(2, &["--address unix:/elsewhere"]);
}

/// The units name the program and the sockets as they are, and `systemd-analyze` accepts them where
/// it is installed.
#[test]
fn the_units_are_accepted_by_systemd() {
    let sandbox = Sandbox::new();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let service = fs::read_to_string(units.join("bitcoin-ipc.service")).unwrap();
    let socket = fs::read_to_string(units.join("bitcoin-ipc.socket")).unwrap();
    for (unit, line) in [
        (&service, "ExecStart=/usr/bin/bitcoin-ipc serve"),
        (&service, "Type=notify"),
        (&service, "SuccessExitStatus=130 143"),
        (&service, "RestrictAddressFamilies=AF_UNIX"),
        (&service, "Requires=bitcoin-ipc.socket"),
        (&socket, "SocketMode=0600"),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
    }
    if !crate::common::has_tool("systemd-analyze", "the check of the units") {
        return;
    }
    // The program is not installed here.
    let service = service.replace("/usr/bin/bitcoin-ipc", EXE);
    let paths = [
        sandbox.write("bitcoin-ipc.service", service),
        sandbox.write("bitcoin-ipc.socket", socket),
    ];
    let mut command = sandbox.command("systemd-analyze");
    command.args(["verify", "--man=no"]).args(&paths);
    let output = sandbox.start(command).wait();
    let complaints = output
        .stderr
        .lines()
        .filter(|line| line.contains("bitcoin-ipc"));
    let complaints: Vec<_> = complaints.collect();
    assert!(output.code == 0 && complaints.is_empty(), "{output:?}");
}
