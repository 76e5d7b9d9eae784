//! Attacks on the real executable, as a server and as a relay, and how a well-behaved client fares
//! beside each.
//!
//! The attacker is this process, with frames made by hand; the well-behaved clients are other
//! processes, for what a peer may hold is charged to its process. One attack runs at a time, so that
//! they do not disturb each other.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bystander;
mod frames;
mod log;
mod relay;
mod server;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Running, Sandbox};
use rustix::process::Signal;

/// Keeps other attacks from running.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server under attack.
struct Server {
    running: Running,
    path: PathBuf,
    address: String,
    sandbox: Sandbox,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these variables in its environment.
    fn start_with(variables: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let path = sandbox.path("s");
        let address = format!("unix:{}", path.display());
        let mut command = sandbox.ipc(&["serve", "--listen", &address]);
        command.envs(variables.iter().copied());
        let running = sandbox.start(command);
        running.wait_for("listening at ");
        Self {
            running,
            path,
            address,
            sandbox,
        }
    }

    /// Has another process make a call.
    #[track_caller]
    fn serves(&self) {
        let call = ["-a", &self.address, "call", "echo", "hi"];
        self.sandbox.run(&call).expect(0, "hi\n");
    }

    fn end(self) {
        self.running.signal(Signal::TERM);
        self.running.wait().expect(143, "");
        self.sandbox.assert_clean();
    }
}

/// How many entries a folder of a process has in `/proc`, such as `fd` or `task`.
fn entries(pid: u32, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{folder}"))
        .unwrap()
        .count()
}

/// A number from a process's status, such as `VmRSS` in KiB.
fn status(pid: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
