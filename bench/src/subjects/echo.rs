//! Calls of Core's `Echo`, in a child of ours or in another implementation's.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::json::Options;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Generation, Ipc, Program};
use eyre::{Result, ensure, eyre};
use futures::executor::block_on;
use serde_json::{Value as Json, json};

use super::{Plan, SIZES, processes};
use crate::measure::{Sample, in_threads, one_by_one, outstanding, timed};
use crate::peers;

/// What is said: 16 bytes.
pub const TEXT: &str = "sixteen bytes ok";

/// One call at a time, of one thread.
pub const BLOCKING: &str = "blocking call, 16 bytes";
/// Calls of one thread, all together a second.
pub const THREADS_1: &str = "1 thread";
/// Calls of 32 threads, all together a second.
pub const THREADS_32: &str = "32 threads";
/// 32 calls under way.
pub const OUTSTANDING: &str = "32 outstanding from one thread";
/// A call by its name, with JSON.
pub const DYNAMIC: &str = "dynamic JSON call, 16 bytes";

/// Who serves.
#[derive(Clone, PartialEq)]
pub enum Server {
    /// This executable.
    Ours,
    /// Another one.
    Program(PathBuf),
}

impl Server {
    /// How it is started.
    pub fn program(&self) -> Result<Program> {
        Ok(match self {
            Self::Ours => Program::new(std::env::current_exe()?).arg0(peers::ECHO),
            Self::Program(path) => Program::new(path),
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
        }
    }
}

/// One call, its answer looked at.
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
    let mut plans = vec![plan(server, BLOCKING, |echo, budget| {
        one_by_one(budget, || call(&**echo, TEXT))
    })];
    plans.push(plan(server, "async call, 16 bytes", |echo, budget| {
        one_by_one(budget, || {
            let (answer, time) = timed(|| Ok(block_on(echo.echo_async(TEXT))?))?;
            ensure!(answer == TEXT, "wrong text");
            Ok(time)
        })
    }));
    for (name, count) in [
        (THREADS_1, 1),
        ("2 threads", 2),
        ("8 threads", 8),
        (THREADS_32, 32),
    ] {
        plans.push(plan(server, name, move |echo, budget| {
            in_threads(count, budget, || call(&**echo, TEXT))
        }));
    }
    plans.push(plan(server, OUTSTANDING, |echo, budget| {
        block_on(outstanding(32, budget, || {
            let answer = echo.echo_async(TEXT);
            async {
                ensure!(answer.await? == TEXT, "wrong text");
                Ok(())
            }
        }))
    }));
    for (size, bytes) in SIZES {
        let text = "x".repeat(bytes);
        let name = format!("text of {size} there and back");
        plans.push(plan(server, &name, move |echo, budget| {
            one_by_one(budget, || call(&**echo, &text))
        }));
    }
    plans.push(processes::spawn(server));
    plans
}

/// A subject that calls the `Echo` of a child that it shares with others; another implementation's
/// beside ours.
fn plan(
    server: &Server,
    name: &str,
    run: impl Fn(&Arc<dyn Echo>, Duration) -> Result<Sample> + 'static,
) -> Plan {
    let own = server.clone();
    let plan = Plan::calls(server.name(name), move |shared| {
        let echo = shared.echo(&own)?;
        Ok(move |budget| run(&echo, budget))
    });
    match server {
        Server::Ours => plan,
        Server::Program(_) => plan.beside(name),
    }
}

/// The same call by its name, to the same object.
pub fn dynamic() -> Vec<Plan> {
    let start = |shared: &super::Shared| {
        let init = shared.init(&Server::Ours)?;
        let registry = Arc::new(Registry::core(Generation::Core32)?);
        let objects = Objects::new(registry, Options::core());
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
