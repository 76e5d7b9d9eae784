//! Children of the benchmark: this executable under another name, with a socket to it as standard
//! input. Knows processes; nothing of what they say to each other.

use std::ffi::OsStr;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::Spawned;
use eyre::{Result, WrapErr, bail, ensure, eyre};

/// How long a child may take to end.
const END_TIME: Duration = Duration::from_secs(10);

/// A child that ends when its socket does; dropping this sees to it.
pub struct Peer {
    stream: UnixStream,
    child: Child,
}

impl Peer {
    /// Starts this executable under the name `role` with these further words.
    pub fn start<S: AsRef<OsStr>>(role: &str, words: &[S]) -> Result<Self> {
        let (stream, theirs) = UnixStream::pair().wrap_err("make a socketpair")?;
        let child = Command::new(std::env::current_exe()?)
            .arg0(role)
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

/// Lets go of a child of the library's own and waits for it. Other handles to its objects must be
/// gone.
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
