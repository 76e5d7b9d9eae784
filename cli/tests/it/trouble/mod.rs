//! Bad input and bad luck: each row of the table through the real executable.

mod served;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Peer, Running, Sandbox, exists, pid_in, poll};
use bitcoin_ipc::Ipc;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use command_fds::CommandFdExt;
use rustix::process::Signal;
use served::Served;

// ----- program missing, not executable, wrong architecture -----

#[test]
fn a_missing_program_is_127() {
    let sandbox = Sandbox::new();
    for words in [
        &["spawn", "./nonexistent"][..],
        &["spawn", "./nonexistent", "--", "true"],
        &["-a", "exec:./nonexistent", "call", "echo", "hi"],
    ] {
        sandbox
            .run(words)
            .expect_error(127, &["./nonexistent", "No such file"]);
    }
    sandbox.assert_clean();
}

#[test]
fn a_program_that_is_not_executable_is_126() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "text");
    sandbox
        .run(&["spawn", "./plain"])
        .expect_error(126, &["./plain", "Permission denied"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_for_another_machine_is_126() {
    let sandbox = Sandbox::new();
    // An ELF header whose machine (its bytes 18 and 19) nobody has.
    let mut elf = fs::read(crate::common::EXE).unwrap();
    elf.truncate(4096);
    elf[18..20].copy_from_slice(&[0x34, 0x12]);
    let path = sandbox.write("foreign", elf);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox
        .run(&["spawn", "./foreign"])
        .expect_error(126, &["Exec format error"]);
}

// ----- program that starts but is no IPC peer -----

#[test]
fn a_program_that_ends_before_it_answers_is_told_within_two_seconds() {
    let sandbox = Sandbox::new();
    let status = |text: &str| format!("exited with status {text} before answering");
    for (program, status) in [("/bin/true", status("0")), ("/bin/false", status("1"))] {
        for words in [
            &["spawn", program][..],
            &["spawn", program, "--", "echo", "no"],
        ] {
            let output = sandbox.run(words);
            output.expect(3, "").expect_error(3, &[program, &status]);
            assert!(output.took < Duration::from_secs(2), "{output:?}");
        }
    }
    // The program's own message is shown before.
    let output = sandbox.run(&["spawn", "/bin/cat"]);
    assert_eq!(output.code, 3);
    assert!(output.stderr.starts_with("cat["), "{output:#?}");
    assert!(
        output
            .stderr
            .contains("error: /bin/cat: exited with status 1"),
        "{output:#?}"
    );
    assert!(output.took < Duration::from_secs(2), "{output:?}");
}

#[test]
fn a_program_that_never_answers_gets_a_time_out_that_says_what_was_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.script("mute", "#!/bin/sh\nexec sleep 60\n");
    for words in [
        &["--timeout", "200ms", "spawn", "./mute"][..],
        &["--timeout", "200ms", "spawn", "./mute", "--", "true"],
        &[
            "--timeout",
            "200ms",
            "-a",
            "exec:./mute",
            "call",
            "echo",
            "hi",
        ],
    ] {
        sandbox
            .run(words)
            .expect_error(124, &["./mute", "Init", "no answer within 200 ms"]);
        sandbox.assert_clean();
    }
}

// ----- --fd -----

/// Runs `serve --fd` with this descriptor open as number 3.
fn serve_fd(sandbox: &Sandbox, fd: OwnedFd, words: &[&str]) -> Running {
    let mut command = sandbox.ipc(words);
    command
        .fd_mappings(vec![command_fds::FdMapping {
            parent_fd: fd,
            child_fd: 3,
        }])
        .unwrap();
    sandbox.start(command)
}

#[test]
fn a_bad_fd_is_named() {
    let sandbox = Sandbox::new();
    for (words, message) in [
        (&["serve"][..], "--fd <N>"),
        (&["serve", "--fd", "x"], "'x' for '--fd <N>'"),
        (&["serve", "--fd", "-1"], "descriptor -1"),
        (&["serve", "--fd", "97"], "descriptor 97: not open"),
        (&["serve", "--fd", "1"], "descriptor 1"),
        (
            &["-a", "fd:97", "call", "echo", "hi"],
            "descriptor 97: not open",
        ),
        (&["-a", "fd:x", "call", "echo", "hi"], "fd:x"),
    ] {
        sandbox.run(words).expect_error(2, &[message]);
    }
    let file = File::open(sandbox.write("plain", "text")).unwrap();
    let output = serve_fd(&sandbox, file.into(), &["serve", "--fd", "3"]).wait();
    output.expect_error(2, &["descriptor 3: "]);
    let listener = UnixListener::bind(sandbox.path("s")).unwrap();
    let output = serve_fd(&sandbox, listener.into(), &["serve", "--fd", "3"]).wait();
    output.expect_error(2, &["descriptor 3: "]);
}

#[test]
fn a_good_fd_is_served_until_the_parent_is_gone() {
    let sandbox = Sandbox::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let running = serve_fd(&sandbox, theirs.into(), &["serve", "--fd", "3"]);
    let ipc = Ipc::<dyn Init>::new("parent", Role::Node.init()).unwrap();
    let init = ipc.connect_stream(ours).unwrap();
    assert_eq!(init.make_echo().unwrap().unwrap().echo("hi").unwrap(), "hi");
    drop(init);
    let output = running.wait();
    output.expect(0, "");
    assert_eq!(output.stderr, "");
}

#[test]
fn a_connected_fd_can_be_called() {
    let sandbox = Sandbox::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let ipc = Ipc::<dyn Init>::new("peer", Role::Node.init()).unwrap();
        ipc.serve(ours).unwrap();
    });
    let words = ["-a", "fd:3", "call", "echo", "hi"];
    serve_fd(&sandbox, theirs.into(), &words)
        .wait()
        .expect(0, "hi\n");
    server.join().unwrap();
}

// ----- no node listening, permission denied, path too long, plain file -----

#[test]
fn no_node_is_3_and_says_what_to_do() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["-a", "unix", "call", "echo", "hi"]);
    output.expect_error(3, &["nothing listens at ", ".bitcoin/node.sock"]);
    assert!(output.stderr.contains("--wait"), "{output:?}");
    // A leftover of a node that died is no node.
    let path = sandbox.path("left.sock");
    drop(UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    sandbox
        .run(&["connect", &address])
        .expect_error(3, &["nothing listens at "]);
    sandbox
        .run(&["-a", "0", "call", "echo", "hi"])
        .expect_error(3, &["the address is off"]);
}

#[test]
fn a_plain_file_is_3_and_stays() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("plain", "precious");
    let address = format!("unix:{}", path.display());
    sandbox
        .run(&["connect", &address])
        .expect_error(3, &["is not a socket"]);
    sandbox
        .run(&["serve", "--listen", &address])
        .expect_error(1, &["not a socket"]);
    sandbox
        .run(&["serve", "--listen", "auto"])
        .expect_error(2, &["auto is no address to listen at"]);
    assert_eq!(fs::read(path).unwrap(), b"precious");
}

#[test]
fn a_path_that_is_too_long_is_3_and_named() {
    let sandbox = Sandbox::new();
    let address = format!("unix:/{}", "x".repeat(200));
    let words = ["bytes long", &"x".repeat(200)];
    sandbox.run(&["connect", &address]).expect_error(3, &words);
    sandbox
        .run(&["serve", "--listen", &address])
        .expect_error(1, &words);
}

#[test]
fn a_socket_of_another_user_is_3() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let path = peer.address.strip_prefix("unix:").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let public;
    let mut command = sandbox.ipc(&["connect", &peer.address]);
    if rustix::process::geteuid().is_root() {
        // Nothing is denied to root, so somebody else connects, who must be able to start.
        public = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let exe = public.path().join("bitcoin-ipc");
        fs::copy(crate::common::EXE, &exe).unwrap();
        command = sandbox.command(exe);
        command
            .args(["connect", &peer.address])
            .uid(65534)
            .gid(65534)
            .current_dir("/");
    }
    sandbox
        .start(command)
        .wait()
        .expect_error(3, &["Permission denied"]);
}

#[test]
fn a_socket_that_somebody_else_may_have_put_there_is_3() {
    let sandbox = Sandbox::new();
    let peer = Peer::new(&sandbox);
    let path = peer.address.strip_prefix("unix:").unwrap();
    let words = ["-a", &peer.address, "call", "echo", "hi"];
    let folder = Path::new(path).parent().unwrap();
    let set_mode = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o777);
    sandbox
        .run(&words)
        .expect_error(3, &["not connected to", "everybody may write to"]);
    set_mode(0o700);
    sandbox.run(&words).expect(0, "hi\n");
    // Only root can give a file away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        let told = ["belongs to user 65534"];
        sandbox.run(&words).expect_error(3, &told);
        let trusting = [&["--peer-uid", "65534"], &words[..]].concat();
        sandbox.run(&trusting).expect(0, "hi\n");
    }
}

#[test]
fn waiting_ends_when_a_node_comes_or_the_time_is_over() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("peer.sock");
    let address = format!("unix:{}", path.display());
    let words = ["-a", &address, "--wait=200ms", "call", "echo", "hi"];
    sandbox
        .run(&words)
        .expect_error(3, &["nothing listens at "]);

    let running = sandbox.start(sandbox.ipc(&["-a", &address, "-rpcwait", "call", "echo", "hi"]));
    thread::sleep(Duration::from_millis(200));
    let _peer = Peer::new(&sandbox);
    running.wait().expect(0, "hi\n");
}

#[test]
fn a_listener_that_accepts_nobody_gets_a_time_out() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("deaf.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());
    let words = ["-a", &address, "--timeout", "200ms", "call", "echo", "hi"];
    sandbox
        .run(&words)
        .expect_error(124, &["no answer within 200 ms"]);
}

// ----- child killed during a call -----

#[test]
fn a_child_killed_during_a_call_fails_it_as_disconnected() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.ipc(&["-v", "call"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let child = pid_in(&running.wait_for("started bitcoin-node"));
    let mut input = running.child.stdin.take().unwrap();
    writeln!(input, "echo first").unwrap();
    running.wait_for_stdout("first");
    // So that the next call lasts.
    rustix::process::kill_process(child, Signal::STOP).unwrap();
    writeln!(input, "echo second-longer").unwrap();
    running.wait_for("IPC client send Echo.echo {\"echo\":\"second-longer\"}");
    let killed = Instant::now();
    rustix::process::kill_process(child, Signal::KILL).unwrap();
    running.wait_for("error: line 2: disconnected");
    assert!(killed.elapsed() < Duration::from_secs(5));
    let output = running.wait();
    output.expect(66, "first\n");
    assert!(!exists(child), "not reaped");
    drop(input);
    sandbox.assert_clean();
}

// ----- parent killed while the child serves -----

#[test]
fn a_child_whose_parent_is_killed_ends_by_itself() {
    let sandbox = Sandbox::new();
    // The shell tells the status of a role whose parent, the executable, is killed: the role is
    // started by a script that notes how it ended.
    let noted = sandbox.path("status");
    let link = sandbox.path("bitcoin-node");
    std::os::unix::fs::symlink(crate::common::EXE, &link).unwrap();
    let script = sandbox.script(
        "noting",
        &format!(
            "#!/bin/sh\n{} \"$@\"\necho $? > {}\n",
            link.display(),
            noted.display()
        ),
    );
    let mut command = sandbox.ipc(&["spawn", script.to_str().unwrap()]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    running.wait_for("is ready");
    let killed = Instant::now();
    running.signal(Signal::KILL);
    running.child.wait().unwrap();
    let status = poll("the child's status", || {
        fs::read_to_string(&noted)
            .ok()
            .filter(|status| status.ends_with('\n'))
    });
    assert_eq!(status, "0\n");
    assert!(killed.elapsed() < Duration::from_secs(5));
    sandbox.assert_clean();
}

// ----- SIGTERM -----

#[test]
fn sigterm_ends_serve() {
    let sandbox = Sandbox::new();
    for (signal, code) in crate::common::ending_signals() {
        let served = Served::new(&sandbox, &[]);
        let client = served.stream();
        served.running.signal(signal);
        served.running.wait().expect(code, "");
        assert!(!sandbox.path("served.sock").exists(), "the socket is left");
        drop(client);
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let running = serve_fd(&sandbox, theirs.into(), &["serve", "--fd", "3"]);
    let ipc = Ipc::<dyn Init>::new("parent", Role::Node.init()).unwrap();
    let init = ipc.connect_stream(ours).unwrap();
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
    assert!(init.make_echo().is_err());
    sandbox.assert_clean();
}

#[test]
fn sigterm_ends_connect() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.ipc(&["connect"]);
    command.stdin(Stdio::piped());
    let running = sandbox.start(command);
    let child = pid_in(&running.wait_for("started bitcoin-node"));
    running.wait_for("round trip");
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
    assert!(!exists(child), "not reaped");
    sandbox.assert_clean();
}

#[test]
fn sigterm_ends_waiting() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(sandbox.ipc(&["-a", "unix", "--wait", "call", "echo", "hi"]));
    running.wait_caught(Signal::TERM);
    running.signal(Signal::TERM);
    let output = running.wait();
    output.expect(143, "");
    assert!(output.took < Duration::from_secs(5), "{output:?}");
}

#[test]
fn fifty_clients_at_once() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    let clients: Vec<_> = (0..50)
        .map(|n| {
            sandbox.start(sandbox.ipc(&["-a", &served.address, "call", "echo", &n.to_string()]))
        })
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        client.wait().expect(0, &format!("{n}\n"));
    }
    assert_eq!(served.running.stderr().lines().count(), 1);
    served.end();
    sandbox.assert_clean();
}

#[test]
fn several_sockets_are_listened_at() {
    let sandbox = Sandbox::new();
    let addresses = ["a", "b"].map(|name| format!("unix:{}", sandbox.path(name).display()));
    let words = [
        "serve",
        "--role",
        "gui",
        "--listen",
        &addresses[0],
        "--listen",
        &addresses[1],
    ];
    let running = sandbox.start(sandbox.ipc(&words));
    running.wait_for(&format!("listening at {}", &addresses[1][5..]));
    for address in &addresses {
        sandbox
            .run(&["-a", address, "call", "echo", "hi"])
            .expect(0, "hi\n");
    }
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
    assert!(!sandbox.path("a").exists() && !sandbox.path("b").exists());
}

/// FAULTS D1: where a limit of ours ends a connection, the error says so, and which.
#[test]
fn a_limit_of_ours_is_told_as_ours() {
    use std::io::{Read, Write};

    let sandbox = Sandbox::new();
    let path = sandbox.path("peer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        // The header of a message of 600 segments.
        stream.write_all(&599_u32.to_le_bytes()).unwrap();
        stream.write_all(&[0; 600 * 4]).unwrap();
        // Until the client has ended the connection.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let address = format!("unix:{}", path.display());
    let output = sandbox.run(&["-a", &address, "call", "echo", "hi"]);
    let told = "this process ended the connection because of its peer";
    output.expect_error(3, &[told, "600 segments (limit 512)"]);
    server.join().unwrap();
}
