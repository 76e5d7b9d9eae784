//! Processes from their start to their first answer, and connections likewise.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Ipc, Program};
use eyre::{Result, WrapErr, ensure, eyre};

use super::echo::{self, Server, TEXT};
use super::{Plan, Shared, Started};
use crate::children::{finish, in_role};
use crate::measure::{Sample, one_by_one, timed};
use crate::peers;
use crate::placement::Placement;

/// The start of a process, as the unit for others.
pub const TRUE: &str = "spawn and wait of /bin/true";
/// The product's own executable as a node.
pub const NODE: &str = "spawn of bitcoin-node to first answer";
const SPAWN: &str = "spawn to first answer";
const CALL: &str = "bitcoin-ipc call echo hi";
/// Why the executable cannot be measured.
const NO_EXECUTABLE: &str = "bitcoin-ipc is not beside the benchmark, and there is no cargo";

pub fn plans() -> Vec<Plan> {
    vec![
        Plan::calls(TRUE, |_| {
            Ok(|budget| {
                one_by_one(budget, || {
                    let (status, time) = timed(|| Ok(Command::new("/bin/true").status()?))?;
                    ensure!(status.success(), "ended with {status}");
                    Ok(time)
                })
            })
        }),
        Plan::maybe(NODE, |shared| {
            let Some(path) = shared.executable()?.map(Path::to_owned) else {
                return Ok(Started::Missing(NO_EXECUTABLE));
            };
            let name = Role::Node.exe_name();
            let ipc = shared.ipc(Placement::Free)?;
            spawning(ipc, move || Ok(Program::new(&path).arg0(name))).map(Started::Ready)
        })
        .beside(TRUE),
        whole(CALL, |_| Ok(Vec::new())),
        whole("the same to a node that listens", |shared| {
            let address = shared.listening()?.address();
            Ok(vec!["--address".to_owned(), format!("{address}")])
        }),
        connect(),
    ]
}

/// A child of any implementation.
pub fn spawn(server: &Server) -> Plan {
    let own = server.clone();
    let start = move |shared: &Shared| {
        let copy = match own {
            Server::Ours => Some(shared.install(&env::current_exe()?)?),
            Server::Program(_) | Server::Core(_) => None,
        };
        spawning(shared.ipc(Placement::Free)?, move || match &copy {
            Some(copy) => Ok(in_role(copy, peers::ECHO, None)),
            None => own.program(None),
        })
    };
    let plan = Plan::calls(server.name(SPAWN), start);
    match server {
        Server::Ours => plan.beside(TRUE),
        Server::Program(_) | Server::Core(_) => plan.beside(SPAWN),
    }
}

/// Starts a child, has an answer of it, and ends it. The end does not count.
fn spawning(
    ipc: Rc<Ipc<dyn Init>>,
    program: impl Fn() -> Result<Program> + 'static,
) -> Result<impl FnMut(Duration) -> Result<Sample>> {
    Ok(move |budget| {
        one_by_one(budget, || {
            let started = Instant::now();
            let spawned = ipc.spawn(program()?)?;
            let echo = echo::make(&*spawned.init)?;
            echo::call(&*echo, TEXT)?;
            let time = started.elapsed();
            drop(echo);
            finish(spawned)?;
            Ok(time)
        })
    })
}

/// A connection to a process that listens.
fn connect() -> Plan {
    Plan::calls("connect to first answer", |shared| {
        let listening = shared.listening()?;
        let ipc = shared.ipc(Placement::Free)?;
        Ok(move |budget| {
            one_by_one(budget, || {
                let started = Instant::now();
                let init = ipc.connect(&listening.address())?;
                let init = init.ok_or_else(|| eyre!("nothing listens"))?;
                let echo = echo::make(&*init)?;
                echo::call(&*echo, TEXT)?;
                Ok(started.elapsed())
            })
        })
    })
}

/// The executable, from its start to its end.
fn whole(name: &'static str, words: impl FnOnce(&Shared) -> Result<Vec<String>> + 'static) -> Plan {
    Plan::maybe(name, |shared| {
        let Some(path) = shared.executable()?.map(Path::to_owned) else {
            return Ok(Started::Missing(NO_EXECUTABLE));
        };
        let words = words(shared)?;
        // Nobody's node listens in there.
        let home = shared.folder().to_owned();
        Ok(Started::Ready(move |budget| {
            one_by_one(budget, || {
                let mut command = Command::new(&path);
                command
                    .arg("--quiet")
                    .args(&words)
                    .args(["call", "echo", "hi"]);
                command.env("HOME", &home).env_remove("BITCOIN_IPC_ADDRESS");
                command.stdin(Stdio::null());
                let (output, time) = timed(|| Ok(command.output()?))?;
                ensure!(
                    output.status.success() && output.stdout == b"hi\n",
                    "{}: {}",
                    output.status,
                    String::from_utf8_lossy(&output.stderr)
                );
                Ok(time)
            })
        }))
    })
    .beside(TRUE)
}

/// Where cargo puts executables.
pub fn own_folder() -> Result<PathBuf> {
    // target/release/deps/ipc-0123456789abcdef
    let own = env::current_exe()?;
    let folder = own.parent().and_then(Path::parent);
    let folder = folder.ok_or_else(|| eyre!("{} has no folder", own.display()))?;
    Ok(folder.to_owned())
}

/// Has cargo build `bitcoin-ipc` in the benchmark's own profile. Where the benchmark is run without
/// cargo, takes what is there, if anything.
pub fn build_executable() -> Result<Option<PathBuf>> {
    let folder = own_folder()?;
    if let Some(cargo) = env::var_os("CARGO") {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some("release") => "bench",
            Some(other) => other,
            None => return Ok(None),
        };
        // With the benchmark, which is there already: so the dependencies have the features that
        // they have been built with for it.
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--profile", profile])
            .args(["--bin", "bitcoin-ipc", "--bench", "ipc"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .status()
            .wrap_err("run cargo")?;
        ensure!(built.success(), "bitcoin-ipc cannot be built: {built}");
    }
    let path = folder.join("bitcoin-ipc");
    Ok(path.exists().then_some(path))
}
