//! Many connections to one process: what each takes of its memory, and of its calls' time.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Address, Ipc, Limits};
use eyre::{Result, WrapErr, ensure, eyre};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::echo::{TEXT, call, make};
use super::{Plan, Shared};
use crate::children::Peer;
use crate::measure::one_by_one;
use crate::peers;
use crate::placement::Placement;

/// The server's memory for one connection.
pub const MEMORY: &str = "server's memory for an idle connection";
/// A call where there is no other connection.
pub const ALONE: &str = "call, the only connection";
/// A call where there are many.
pub const CROWDED: &str = "call, beside 1,000 idle connections";
/// How many are idle.
const IDLE: usize = 1000;
/// How many server threads are made to see what they take.
const THREADS: usize = 200;

pub fn plans() -> Vec<Plan> {
    vec![
        Plan::calls(ALONE, |shared| {
            let path = shared.folder().join("alone.sock");
            let listening = Listening::start(&path)?;
            let client = Client::connect(shared, &listening)?;
            Ok(move |budget| {
                // Held as a whole, and as long as it is called.
                let (_listening, client) = (&listening, &client);
                one_by_one(budget, || call(&*client.echo, TEXT))
            })
        }),
        Plan::calls(CROWDED, |shared| {
            let crowd = shared.crowd()?;
            Ok(move |budget| one_by_one(budget, || call(&*crowd.client.echo, TEXT)))
        })
        .beside(ALONE),
        Plan::memory(MEMORY, |shared| Ok(shared.crowd()?.bytes)),
        Plan::memory("server's memory for a server thread", thread_memory),
    ]
}

/// A child that listens.
pub struct Listening {
    peer: Peer,
    path: PathBuf,
}

impl Listening {
    /// Starts it, and waits until it listens at `path`.
    pub fn start(path: &Path) -> Result<Self> {
        let peer = Peer::start(peers::LISTEN, &[path], None)?;
        ready(&peer)?;
        Ok(Self {
            peer,
            path: path.to_owned(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        Address::Unix(Some(self.path.clone()))
    }
}

/// A connection, and an object of its peer. The benchmark's usual event loop makes it.
struct Client {
    echo: Arc<dyn Echo>,
    _init: Arc<dyn Init>,
}

impl Client {
    fn connect(shared: &Shared, listening: &Listening) -> Result<Self> {
        let init = shared.ipc(Placement::Free)?.connect(&listening.address())?;
        let init = init.ok_or_else(|| eyre!("nothing listens"))?;
        let echo = make(&*init)?;
        call(&*echo, TEXT)?;
        Ok(Self { echo, _init: init })
    }
}

/// A child that listens, one connection to it that is used, and many that another child holds.
pub struct Crowd {
    client: Client,
    _holding: Peer,
    _listening: Listening,
    /// The server's memory for one idle connection.
    bytes: f64,
}

impl Crowd {
    /// Makes the connections.
    pub fn start(shared: &Shared) -> Result<Self> {
        let path = shared.folder().join("crowd.sock");
        let listening = Listening::start(&path)?;
        let client = Client::connect(shared, &listening)?;
        let before = memory(listening.peer.pid())?;
        let words = [path.as_os_str().to_owned(), IDLE.to_string().into()];
        let holding = Peer::start(peers::HOLD, &words, None)?;
        ready(&holding)?;
        let after = memory(listening.peer.pid())?;
        Ok(Self {
            client,
            bytes: (after - before) / IDLE as f64,
            _holding: holding,
            _listening: listening,
        })
    }
}

/// Measures the server's memory for a server thread: as many threads of ours call, and wait for
/// each other.
fn thread_memory(shared: &Shared) -> Result<f64> {
    let listening = Listening::start(&shared.folder().join("threads.sock"))?;
    let client = Client::connect(shared, &listening)?;
    let before = memory(listening.peer.pid())?;
    let (called, seen) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let work = || {
        let answer = call(&*client.echo, TEXT);
        called.wait();
        seen.wait();
        answer.map(drop)
    };
    let after = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        called.wait();
        let after = memory(listening.peer.pid());
        seen.wait();
        for thread in threads {
            thread.join().map_err(|_| eyre!("a thread panicked"))??;
        }
        after
    })?;
    Ok((after - before) / THREADS as f64)
}

/// Returns the private memory of a process, in bytes.
fn memory(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).wrap_err_with(|| format!("read {path}"))?;
    let mut kib = 0.0;
    for line in text.lines().filter(|line| line.starts_with("Private_")) {
        let number = line.split_whitespace().nth(1).unwrap_or_default();
        kib += number.parse::<f64>().wrap_err_with(|| path.clone())?;
    }
    Ok(kib * 1024.0)
}

/// Waits until a child is ready.
fn ready(peer: &Peer) -> Result<()> {
    let read = peer.stream()?.read_exact(&mut [0]);
    read.wrap_err("a child ended before it was ready")
}

/// Reports to the parent that this child is ready, and blocks until the parent closes the socket.
fn wait(mut parent: &UnixStream) -> Result<()> {
    parent.write_all(&[1])?;
    let read = parent.read(&mut [0])?;
    ensure!(read == 0, "the parent is not to say anything");
    Ok(())
}

/// As many descriptors as this process may have.
fn raise_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).wrap_err("raise the limit of open files")
}

/// Listens at `path` until the parent closes its socket.
pub fn listen(parent: &UnixStream, path: &Path) -> Result<()> {
    raise_descriptors()?;
    let limits = Limits::default().connections(4 * IDLE);
    let ipc = Ipc::<dyn Init>::with_limits(peers::LISTEN, Role::Node.init(), limits)?;
    let _listener = ipc.listen(&Address::Unix(Some(path.to_owned())))?;
    wait(parent)
}

/// Holds `count` connections to `path` until the parent closes its socket.
pub fn hold(parent: &UnixStream, path: &Path, count: usize) -> Result<()> {
    raise_descriptors()?;
    let ipc = Ipc::<dyn Init>::new(peers::HOLD, Role::Gui.init())?;
    let address = Address::Unix(Some(path.to_owned()));
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(
            ipc.connect(&address)?
                .ok_or_else(|| eyre!("nothing listens"))?,
        );
    }
    wait(parent)
}
