//! Bad input and bad luck: each row of the table through the real executable.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Ipc};
use command_fds::CommandFdExt;
use common::{Peer, Running, Sandbox, exists, pid_in, poll};
use rustix::process::Signal;

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
    let mut elf = fs::read(common::EXE).unwrap();
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
        fs::copy(common::EXE, &exe).unwrap();
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
    assert!(killed.elapsed() < Duration::from_secs(1));
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
    std::os::unix::fs::symlink(common::EXE, &link).unwrap();
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
    assert!(killed.elapsed() < Duration::from_secs(2));
    sandbox.assert_clean();
}

// ----- what clients do to serve --listen -----

/// A server that listens, and its parts that a test needs.
struct Served<'a> {
    sandbox: &'a Sandbox,
    running: Running,
    address: String,
}

impl<'a> Served<'a> {
    fn new(sandbox: &'a Sandbox, words: &[&str]) -> Self {
        let address = format!("unix:{}", sandbox.path("served.sock").display());
        let words = [words, &["serve", "--listen", &address]].concat();
        let running = sandbox.start(sandbox.ipc(&words));
        running.wait_for("listening at ");
        Self {
            sandbox,
            running,
            address,
        }
    }

    fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.address.strip_prefix("unix:").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Returns how much memory it holds, in KiB.
    fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.running.child.id());
        let status = fs::read_to_string(status).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim()
            .strip_suffix(" kB")
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Attacks it. Meanwhile and afterwards others are served, the attacker's connection is closed
    /// with a logged reason, and memory does not grow.
    fn withstands(&self, reason: &str, attack: impl Fn(&mut UnixStream)) {
        let bystander = {
            let ipc = Ipc::<dyn Init>::new("bystander", Role::Node.init()).unwrap();
            let address: Address = self.address.parse().unwrap();
            ipc.connect(&address).unwrap().unwrap()
        };
        let echo = bystander.make_echo().unwrap().unwrap();
        let (memory, logged) = (self.memory(), self.running.stderr().len());
        let mut stream = self.stream();
        attack(&mut stream);
        let mut rest = Vec::new();
        // It is closed, in order or by force.
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        poll("a logged reason", || {
            self.running.stderr()[logged..]
                .contains(reason)
                .then_some(())
        });
        assert_eq!(echo.echo("still there").unwrap(), "still there");
        let output = self
            .sandbox
            .run(&["-a", &self.address, "call", "echo", "new"]);
        output.expect(0, "new\n");
        let grown = self.memory().saturating_sub(memory);
        assert!(grown < 16 * 1024, "{grown} KiB more");
    }

    fn end(self) {
        self.running.signal(Signal::TERM);
        self.running.wait().expect(143, "");
        let path = self.address.strip_prefix("unix:").unwrap();
        assert!(!Path::new(path).exists(), "the socket is left");
    }
}

const CLOSED: &str = "IPC server: connection to process ";

#[test]
fn garbage_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    });
    served.withstands(CLOSED, |stream| {
        let _ = stream.write_all(&[0xff; 4096]);
    });
    // One segment of eight words that mean nothing.
    served.withstands(CLOSED, |stream| {
        let mut frame = vec![0, 0, 0, 0, 8, 0, 0, 0];
        frame.extend([0xa5; 64]);
        let _ = stream.write_all(&frame);
    });
    served.end();
}

#[test]
fn a_truncated_message_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        stream
            .write_all(&[0, 0, 0, 0, 100, 0, 0, 0, 1, 2, 3])
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    });
    served.end();
}

#[test]
fn a_huge_length_with_nothing_behind_it_is_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    for length in [[0xff, 0xff, 0xff, 0x1f], [0xff; 4], [0, 0, 0x80, 0]] {
        served.withstands(CLOSED, |stream| {
            let mut frame = vec![0; 4];
            frame.extend(length);
            stream.write_all(&frame).unwrap();
            // The largest length that is allowed is only announced: no memory is allocated for it.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
    }
    served.end();
}

#[test]
fn a_byte_a_second_is_disconnected_in_time() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["--timeout", "1s"]);
    let started = Instant::now();
    served.withstands(CLOSED, |stream| {
        while stream.write_all(&[0]).is_ok() && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(300));
        }
    });
    assert!(started.elapsed() < Duration::from_secs(5));
    served.end();
}

#[test]
fn ten_thousand_nested_lists_are_disconnected() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &[]);
    served.withstands(CLOSED, |stream| {
        // A message `unimplemented` that holds a message `unimplemented` that holds ...: a struct
        // pointer (one data word, one pointer, which follow), the data, and so on.
        let mut words: Vec<u64> = Vec::new();
        for _ in 0..10_000 {
            words.extend([0x0001_0001_0000_0000, 0]);
        }
        words.push(0);
        let _ = stream.write_all(&frame(&words));
    });
    served.withstands(CLOSED, |stream| {
        // Lists of lists nest in the same way: one element each, which is a pointer.
        let mut words = vec![0x0001_0001_0000_0000_u64, 0];
        words.extend([(1 << 35 | 6 << 32) | 1; 10_000]);
        words.push(0);
        let _ = stream.write_all(&frame(&words));
    });
    served.end();
}

/// Returns one segment as a frame.
fn frame(words: &[u64]) -> Vec<u8> {
    let length = u32::try_from(words.len()).unwrap();
    let mut frame = vec![0; 4];
    frame.extend(length.to_le_bytes());
    frame.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    frame
}

// ----- SIGTERM -----

#[test]
fn sigterm_ends_serve() {
    let sandbox = Sandbox::new();
    for (signal, code) in common::ending_signals() {
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
    thread::sleep(Duration::from_millis(200));
    running.signal(Signal::TERM);
    let output = running.wait();
    output.expect(143, "");
    assert!(output.took < Duration::from_secs(1), "{output:?}");
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
