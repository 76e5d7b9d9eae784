//! Calls of Core's `Echo`, in a child of ours or in another implementation's.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Generation, Ipc, Program};
use eyre::{Result, WrapErr, ensure, eyre};
use futures::executor::block_on;
use serde_json::{Value as Json, json};

use super::foreign::TARPC_OUTSTANDING;
use super::{Plan, SIZES, Shared, processes};
use crate::children::{BECOMES, in_role};
use crate::measure::{Sample, in_threads, one_by_one, outstanding, timed};
use crate::peers;
use crate::placement::Placement::{self, Apart, Free, Together};

/// The text of a call: 16 bytes.
pub const TEXT: &str = "sixteen bytes ok";

/// One call at a time, from the main thread.
pub const BLOCKING: &str = "blocking call, 16 bytes";
/// One call at a time, from a thread that is new in each slice.
pub const THREADS_1: &str = "1 thread";
/// Calls from 32 threads at a time.
pub const THREADS_32: &str = "32 threads";
/// 32 calls outstanding, from the main thread.
pub const OUTSTANDING: &str = "32 outstanding from one thread";
/// A call by its name, with JSON.
pub const DYNAMIC: &str = "dynamic JSON call, 16 bytes";

/// The environment variable with the path of a Bitcoin Core node; the tests know it as well.
const CORE: &str = "BITCOIN_NODE";
/// Why none is measured.
const NO_CORE: &str = "set BITCOIN_NODE to a bitcoin-node built with IPC";

/// The program that serves.
#[derive(Clone, PartialEq)]
pub enum Server {
    /// This executable.
    Ours,
    /// Another one.
    Program(PathBuf),
    /// The Bitcoin Core node that the goals are about.
    Core(PathBuf),
}

impl Server {
    /// How it is started, on this processor where one is given.
    pub fn program(&self, processor: Option<usize>) -> Result<Program> {
        let own = env::current_exe()?;
        Ok(match (self, processor) {
            (Self::Ours, _) => in_role(&own, peers::ECHO, processor),
            (Self::Program(path) | Self::Core(path), None) => Program::new(path),
            (Self::Program(path) | Self::Core(path), Some(_)) => {
                in_role(&own, peers::BECOME, processor).env(BECOMES, path)
            }
        })
    }

    /// A subject's name with its own, where that is not ours.
    pub fn name(&self, what: &str) -> String {
        match self {
            Self::Ours => what.to_owned(),
            Self::Program(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                format!("{}: {what}", name.display())
            }
            Self::Core(_) => core_name(what),
        }
    }
}

/// The name of a subject of the Bitcoin Core node.
pub fn core_name(what: &str) -> String {
    format!("Core node: {what}")
}

/// Makes one call, and checks its answer outside of the time that counts.
pub fn call(echo: &dyn Echo, text: &str) -> Result<Duration> {
    let (answer, time) = timed(|| Ok(echo.echo(text)?))?;
    ensure!(answer == text, "wrong text");
    Ok(time)
}

/// The `Echo` that an `Init` makes.
pub fn make(init: &dyn Init) -> Result<Arc<dyn Echo>> {
    init.make_echo()?.ok_or_else(|| eyre!("offers no Echo"))
}

/// All that is measured of any implementation.
pub fn plans(server: &Server) -> Vec<Plan> {
    let mut plans = vec![blocking(server, Free), asynchronous(server)];
    for (name, count) in [
        (THREADS_1, 1),
        ("2 threads", 2),
        ("8 threads", 8),
        (THREADS_32, 32),
    ] {
        plans.push(threads(server, name, count, Free));
    }
    plans.push(many(server, Free));
    for (size, bytes) in SIZES {
        let text = "x".repeat(bytes);
        let name = format!("text of {size} there and back");
        plans.push(plan(server, &name, Free, move |echo, budget| {
            one_by_one(budget, || call(&**echo, &text))
        }));
    }
    plans.push(processes::spawn(server));
    plans
}

/// Those of ours that are measured in other placements as well.
pub fn placed() -> Vec<Plan> {
    let ours = &Server::Ours;
    let mut plans = Vec::new();
    for placement in [Together, Apart] {
        plans.push(blocking(ours, placement));
        plans.push(threads(ours, THREADS_1, 1, placement));
    }
    plans.push(many(ours, Together));
    plans
}

/// The blocking call of the Bitcoin Core node that the environment names, in every placement.
pub fn core() -> Result<Vec<Plan>> {
    let server = match env::var_os(CORE) {
        None => None,
        Some(path) => {
            let path = Path::new(&path).canonicalize();
            Some(Server::Core(path.wrap_err(CORE)?))
        }
    };
    let plan = |placement| match &server {
        Some(server) => blocking(server, placement),
        None => Plan::missing(core_name(BLOCKING), NO_CORE).placed(placement),
    };
    Ok(Placement::ALL.map(plan).into())
}

fn blocking(server: &Server, placement: Placement) -> Plan {
    plan(server, BLOCKING, placement, |echo, budget| {
        one_by_one(budget, || call(&**echo, TEXT))
    })
}

fn asynchronous(server: &Server) -> Plan {
    plan(server, "async call, 16 bytes", Free, |echo, budget| {
        one_by_one(budget, || {
            let (answer, time) = timed(|| Ok(block_on(echo.echo_async(TEXT))?))?;
            ensure!(answer == TEXT, "wrong text");
            Ok(time)
        })
    })
}

fn threads(server: &Server, name: &str, count: usize, placement: Placement) -> Plan {
    plan(server, name, placement, move |echo, budget| {
        in_threads(count, budget, || call(&**echo, TEXT))
    })
}

fn many(server: &Server, placement: Placement) -> Plan {
    plan(server, OUTSTANDING, placement, |echo, budget| {
        block_on(outstanding(32, budget, || {
            let answer = echo.echo_async(TEXT);
            async {
                ensure!(answer.await? == TEXT, "wrong text");
                Ok(())
            }
        }))
    })
}

/// Makes so many blocking calls of a child and measures nothing, for a profiler.
pub fn make_calls(shared: &Shared, count: u32) -> Result<()> {
    let echo = shared.echo(&Server::Ours, Free)?;
    (0..count).try_for_each(|_| call(&*echo, TEXT).map(drop))
}

/// A subject that calls the `Echo` of a child that it shares with others; another implementation's
/// beside ours.
fn plan(
    server: &Server,
    name: &str,
    placement: Placement,
    run: impl Fn(&Arc<dyn Echo>, Duration) -> Result<Sample> + 'static,
) -> Plan {
    let own = server.clone();
    let plan = Plan::calls(server.name(name), move |shared| {
        let echo = shared.echo(&own, placement)?;
        Ok(move |budget| run(&echo, budget))
    });
    let plan = match (server, name) {
        (Server::Ours, THREADS_1) => plan.beside(BLOCKING),
        (Server::Ours, OUTSTANDING) => plan.beside(TARPC_OUTSTANDING),
        (Server::Ours, _) => plan,
        (Server::Program(_) | Server::Core(_), _) => plan.beside(name),
    };
    plan.placed(placement)
}

/// The call of `Echo.echo` by its name.
pub fn dynamic() -> Vec<Plan> {
    let start = |shared: &Shared| {
        let init = shared.init(&Server::Ours, Free)?;
        let registry = Arc::new(Registry::core(Generation::Core32)?);
        let objects = Objects::new(registry, core::options());
        let remote = init.remote().ok_or_else(|| eyre!("is no remote object"))?;
        let init = objects.adopt(remote, "Init")?;
        let echo = objects.call(&init, "makeEcho", Json::Null)?;
        let echo = echo
            .as_str()
            .ok_or_else(|| eyre!("offers no Echo"))?
            .to_owned();
        Ok(move |budget| {
            one_by_one(budget, || {
                let params = json!({ "echo": TEXT });
                let (answer, time) = timed(|| Ok(objects.call(&echo, "echo", params)?))?;
                ensure!(answer == TEXT, "wrong text");
                Ok(time)
            })
        })
    };
    vec![Plan::calls(DYNAMIC, start).beside(BLOCKING)]
}

/// The other side.
pub fn serve(words: &[OsString]) -> Result<()> {
    let ipc = Ipc::<dyn Init>::new(peers::ECHO, Role::Node.init())?;
    let served = ipc.start_spawned(words, || ())?;
    served.map(|_| ()).ok_or_else(|| eyre!("was not spawned"))
}
