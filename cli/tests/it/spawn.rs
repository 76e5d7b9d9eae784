//! `spawn` and the roles through the real executable.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::common::{EXE, Sandbox, exists, has, pid_in, poll};
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::process::Stderr;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Ipc, Program};
use rustix::process::Signal;

#[test]
fn alone_it_holds_the_child_until_end_of_input() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["spawn", "node"]);
    output.expect(0, "");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(
        output.stderr.starts_with("bitcoin-node (pid "),
        "{output:?}"
    );
    assert!(
        output.stderr.ends_with("is ready and offers Echo\n"),
        "{output:?}"
    );
    sandbox.assert_clean();
}

#[test]
fn a_command_reaches_the_child_through_a_private_socket() {
    let sandbox = Sandbox::new();
    let script = "bitcoin-ipc call echo a; bitcoin-ipc call echo b; \
                  path=${BITCOIN_IPC_ADDRESS#unix:}; stat -c %a ${path%/*} $path";
    let output = sandbox.run(&["spawn", "node", "--", "sh", "-c", script]);
    output.expect(0, "a\nb\n700\n600\n");
    assert_eq!(output.stderr, "");
    sandbox.assert_clean();
}

#[test]
fn many_clients_reach_the_child_at_once() {
    let sandbox = Sandbox::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do bitcoin-ipc call echo $i & done; wait";
    let output = sandbox.run(&["spawn", "wallet", "--", "sh", "-c", script]);
    let mut lines: Vec<_> = output.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["1", "2", "3", "4", "5", "6", "7", "8"],
        "{output:#?}"
    );
    sandbox.assert_clean();
}

#[test]
fn it_exits_with_the_commands_status() {
    let sandbox = Sandbox::new();
    for (script, code) in [("exit 5", 5), ("kill -9 $$", 137)] {
        sandbox
            .run(&["spawn", "node", "--", "sh", "-c", script])
            .expect(code, "");
    }
    let output = sandbox.run(&["spawn", "node", "--", "nonexistent-command"]);
    output.expect_error(127, &["nonexistent-command"]);
    let plain = sandbox.write("plain", "text");
    let output = sandbox.run(&["spawn", "node", "--", plain.to_str().unwrap()]);
    output.expect_error(126, &["Permission denied"]);
    sandbox.assert_clean();
}

#[test]
fn a_role_has_its_programs_name_too() {
    // FAULTS F10.
    let sandbox = Sandbox::new();
    for name in ["node", "bitcoin-node", "bitcoin-wallet", "bitcoin-gui"] {
        let output = sandbox.run(&["spawn", name]);
        assert_eq!(output.code, 0, "{output:?}");
        let role = name.strip_prefix("bitcoin-").unwrap_or(name);
        let ready = format!("bitcoin-{role} (pid ");
        assert!(output.stderr.contains(&ready), "{output:?}");
    }
}

#[test]
fn words_that_are_no_role_and_no_path_are_refused() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["spawn", "nodes"]);
    output.expect_error(2, &["\"nodes\" is no role"]);
}

#[test]
fn a_child_that_dies_is_reported_and_the_command_goes_on() {
    let sandbox = Sandbox::new();
    let script = "echo up >&2; read line; bitcoin-ipc call echo hi; echo $?";
    let mut command = sandbox.ipc(&["spawn", "node", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    running.wait_for("up");
    let child = poll("the child", || child_of(running.child.id()));
    rustix::process::kill_process(child, Signal::KILL).unwrap();
    running.wait_for("has ended (signal: 9");
    drop(running.child.stdin.take());
    let output = running.wait();
    // The connection is there, and what it leads to is not.
    assert!(
        ["3\n", "66\n"].contains(&output.stdout.as_str()),
        "{output:#?}"
    );
    assert_eq!(output.code, 0);
    sandbox.assert_clean();
}

/// The child that is called bitcoin-node.
fn child_of(parent: u32) -> Option<rustix::process::Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    // The child belongs to the thread that forked it, or to the process when that has ended.
    let mut all = children;
    for task in fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten() {
        all += &fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all += " ";
    }
    all.split_whitespace().find_map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let pid = rustix::process::Pid::from_raw(pid.parse().ok()?)?;
        name.starts_with("bitcoin-node\0").then_some(pid)
    })
}

#[test]
fn a_child_that_dies_alone_gives_its_status() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.ipc(&["spawn", "node"]);
    command.stdin(Stdio::piped());
    let running = sandbox.start(command);
    let child = pid_in(&running.wait_for("is ready"));
    rustix::process::kill_process(child, Signal::KILL).unwrap();
    running.wait().expect(137, "");
    assert!(!exists(child));
}

#[test]
fn the_childs_stderr_is_marked_line_by_line() {
    let sandbox = Sandbox::new();
    let script = sandbox.script(
        "peer",
        "#!/bin/sh\necho 'first line' >&2\necho 'second line' >&2\nexec true\n",
    );
    let output = sandbox.run(&["spawn", script.to_str().unwrap()]);
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(
        lines[0].starts_with("peer[") && lines[0].ends_with("]: first line"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("]: second line"), "{lines:?}");
}

#[test]
fn signals_end_spawn_and_everything_it_started() {
    let sandbox = Sandbox::new();
    for (signal, code) in crate::common::ending_signals() {
        let mut command = sandbox.ipc(&["spawn", "node"]);
        command.stdin(Stdio::piped());
        let running = sandbox.start(command);
        let child = pid_in(&running.wait_for("is ready"));
        running.signal(signal);
        let output = running.wait();
        output.expect(code, "");
        assert!(!exists(child), "the child is not reaped");
    }
    let mut command = sandbox.ipc(&[
        "spawn",
        "node",
        "--",
        "sh",
        "-c",
        "echo up >&2; exec sleep 60",
    ]);
    command.stdin(Stdio::null());
    let running = sandbox.start(command);
    running.wait_for("up");
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
    sandbox.assert_clean();
}

#[test]
fn a_program_that_does_not_answer_is_ended_by_a_signal() {
    let sandbox = Sandbox::new();
    let script = sandbox.script("mute", "#!/bin/sh\necho up >&2\nexec sleep 60\n");
    for command in [&["spawn", "./mute"][..], &["spawn", "./mute", "--", "true"]] {
        let running = sandbox.start(sandbox.ipc(command));
        running.wait_for("]: up");
        running.signal(Signal::TERM);
        running.wait().expect(143, "");
        sandbox.assert_clean();
    }
    drop(script);
}

#[test]
fn a_link_under_a_roles_name_serves_the_program_that_starts_it() {
    let sandbox = Sandbox::new();
    for role in Role::ALL {
        let link = sandbox.path(role.exe_name());
        symlink(EXE, &link).unwrap();
        let ipc = Ipc::<dyn Init>::new("parent", role.init()).unwrap();
        let spawned = ipc.spawn(Program::new(&link).stderr(Stderr::Null)).unwrap();
        let echo = spawned.init.make_echo().unwrap().unwrap();
        assert_eq!(echo.echo("hi").unwrap(), "hi");
        drop(echo);
        assert!(spawned.finish().unwrap().success());
    }
    // A copy does as well.
    let copy = sandbox.path("copies");
    fs::create_dir(&copy).unwrap();
    let copy = copy.join("bitcoin-node");
    fs::copy(EXE, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let ipc = Ipc::<dyn Init>::new("parent", Role::Node.init()).unwrap();
    let spawned = ipc.spawn(Program::new(&copy)).unwrap();
    assert!(spawned.finish().unwrap().success());
}

#[test]
fn a_role_takes_exactly_its_words() {
    let sandbox = Sandbox::new();
    let link = sandbox.path("bitcoin-node");
    symlink(EXE, &link).unwrap();
    for words in [
        &[][..],
        &["--version"],
        &["-ipcfd"],
        &["-ipcfd", "3", "-regtest"],
        &["call"],
    ] {
        let mut command = sandbox.command(&link);
        command.args(words);
        let output = sandbox.start(command).wait();
        output.expect_error(2, &["takes exactly: -ipcfd N"]);
    }
    for (number, words) in [
        ("x", "Invalid -ipcfd number 'x'"),
        ("97", "descriptor 97"),
        ("0", "descriptor 0"),
    ] {
        let mut command = sandbox.command(&link);
        command.args(["-ipcfd", number]);
        sandbox.start(command).wait().expect_error(2, &[words]);
    }
}

#[test]
fn a_role_ignores_sigint_and_says_so_once() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.ipc(&["spawn", "node"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let child = pid_in(&running.wait_for("is ready"));
    for _ in 0..2 {
        rustix::process::kill_process(child, Signal::INT).unwrap();
        running.wait_for("ignores SIGINT");
    }
    // The second one has come as well.
    let pending = || has(child, "ShdPnd:", Signal::INT) == Some(true);
    poll("the second signal", || (!pending()).then_some(()));
    drop(running.child.stdin.take());
    let output = running.wait();
    output.expect(0, "");
    assert_eq!(
        output.stderr.matches("ignores SIGINT").count(),
        1,
        "{output:?}"
    );
}
