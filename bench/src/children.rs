//! Children of the benchmark: this executable in another role. Knows processes; nothing of what
//! they say to each other.

use std::env;
use std::ffi::{OsStr, OsString};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::{Program, Spawned};
use eyre::{Result, WrapErr, bail, ensure, eyre};

/// The environment variable that names a child's role. A child's first word would be seen in the
/// list of processes, but valgrind does not pass it on.
pub const ROLE: &str = "BENCH_ROLE";
/// The environment variable with the processor that a child stays on.
pub const PROCESSOR: &str = "BENCH_PROCESSOR";
/// The environment variable with the program that a child becomes once it has been placed.
pub const BECOMES: &str = "BENCH_BECOMES";

/// How long a child may take to end.
const END_TIME: Duration = Duration::from_secs(10);

/// The environment of a child in this role, on this processor where one is given.
fn environment(role: &str, processor: Option<usize>) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![(ROLE, role.into())];
    variables.extend(processor.map(|number| (PROCESSOR, number.to_string().into())));
    variables
}

/// The executable `path`, which is this one or a copy of it, in a role that the library starts.
pub fn in_role(path: &Path, role: &str, processor: Option<usize>) -> Program {
    let variables = environment(role, processor).into_iter();
    variables.fold(Program::new(path), |program, (name, value)| {
        program.env(name, value)
    })
}

/// A child with a socket to it as standard input, which ends when its socket does; dropping this
/// sees to it.
pub struct Peer {
    stream: UnixStream,
    child: Child,
}

impl Peer {
    /// Starts this executable in the role `role` with these further words, on this processor
    /// where one is given.
    pub fn start<S: AsRef<OsStr>>(
        role: &str,
        words: &[S],
        processor: Option<usize>,
    ) -> Result<Self> {
        let (stream, theirs) = UnixStream::pair().wrap_err("make a socketpair")?;
        let child = Command::new(env::current_exe()?)
            .envs(environment(role, processor))
            .args(words)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .wrap_err_with(|| format!("start {role}"))?;
        Ok(Self { stream, child })
    }

    /// A handle to its socket. It ends with this peer, whoever else has a handle.
    pub fn stream(&self) -> Result<UnixStream> {
        self.stream.try_clone().wrap_err("duplicate a socket")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn end(&mut self) -> Result<()> {
        // It may have ended by itself, and the socket with it.
        let _ = self.stream.shutdown(Shutdown::Both);
        let deadline = Instant::now() + END_TIME;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                bail!("did not end, and was killed");
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("a child of the benchmark, pid {}: {error}", self.pid());
        }
    }
}

/// The socket that a child of [`Peer::start`] has as its standard input.
pub fn inherited() -> Result<UnixStream> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned();
    Ok(UnixStream::from(fd.wrap_err("take over standard input")?))
}

/// Disconnects from a child that the library started, and waits for its end. Other handles to its
/// objects must have been dropped.
pub fn finish<I: ?Sized>(spawned: Spawned<I>) -> Result<()> {
    let Spawned { init, child } = spawned;
    drop(init);
    let Some(status) = child.wait_timeout(END_TIME)? else {
        child.kill(bitcoin_ipc::process::Signal::KILL)?;
        child.wait()?;
        return Err(eyre!("pid {} did not end, and was killed", child.pid()));
    };
    ensure!(status.code() == Some(0), "a child ended with {status}");
    Ok(())
}
