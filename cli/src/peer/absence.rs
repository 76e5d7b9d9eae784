//! Why no node listens where one is meant: what is at the path instead, and what runs beside it.
//!
//! Knows the files that Core keeps in a data directory: its socket, its lock, those of other chains.
//! Looks, and calls nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::transport::{Chain, DataDir};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::ui::errors::{Failure, Kind};

/// The file that a node locks in its chain's directory (`LockDirectory` in Core's `src/util/fs_helpers.cpp`).
const LOCK: &str = ".lock";

/// The time that another chain's node has to accept a connection.
const PATIENCE: Duration = Duration::from_millis(500);

/// The findings in place of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absence {
    path: PathBuf,
    there: There,
    /// The process that has locked the directory: a node that runs without a socket.
    holder: Option<Holder>,
    /// The chains of this data directory whose nodes listen.
    others: Vec<Chain>,
}

/// The file at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    /// Not even the directory.
    NoDirectory,
    /// A socket that nobody listens at any more.
    Leftover,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

impl Absence {
    /// Looks what is at a path at which nobody listens, and who has locked its directory.
    pub(crate) fn at(path: &Path) -> Self {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let there = match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => There::Leftover,
            Ok(_) => There::Nothing,
            Err(_) if directory.is_dir() => There::Nothing,
            Err(_) => There::NoDirectory,
        };
        Self {
            path: path.to_owned(),
            there,
            holder: holder(&directory.join(LOCK)),
            others: Vec::new(),
        }
    }

    /// Looks for nodes of the data directory's other chains as well.
    #[must_use]
    pub(crate) fn beside(mut self, data_dir: &DataDir) -> Self {
        let others = Chain::ALL
            .into_iter()
            .filter(|chain| *chain != data_dir.chain);
        let listens = |chain: &Chain| {
            let socket = DataDir::new(&data_dir.base, *chain).socket(None);
            socket.is_ok_and(|socket| listens(&socket))
        };
        self.others = others.filter(listens).collect();
        self
    }

    /// Returns the failure to connect, with what to do about it.
    pub(crate) fn failure(&self) -> Failure {
        let Self {
            path,
            there,
            holder,
            others,
        } = self;
        let place = format!("nothing listens at {}", path.display());
        let directory = path.parent().unwrap_or(path).display();
        let failure = |reason: String, hint: String| {
            Failure::new(Kind::NoConnection, format!("{place}: {reason}")).hint(hint)
        };
        if let Some(Holder { pid, name }) = holder {
            return failure(
                format!("{name} (pid {pid}) runs with {directory}, without a socket there"),
                "start it with -ipcbind=unix".into(),
            );
        }
        if let Some(first) = others.first() {
            let names: Vec<_> = others.iter().map(|chain| chain.name()).collect();
            return failure(
                match names.as_slice() {
                    [name] => format!("a node of chain {name} listens in this data directory"),
                    names => format!(
                        "nodes of other chains listen in this data directory: {}",
                        names.join(", ")
                    ),
                },
                format!("name its chain: --chain={first}"),
            );
        }
        match there {
            There::Nothing => failure(
                "there is no such file".into(),
                "start a node with -ipcbind=unix, wait for one with --wait, or name another \
                 with --address, --chain or --datadir"
                    .into(),
            ),
            There::NoDirectory => failure(
                format!("there is no directory {directory}"),
                "name the node's with --datadir and --chain, start one with -ipcbind=unix, or wait \
                 for one with --wait"
                    .into(),
            ),
            There::Leftover => failure(
                "a node that has ended left its socket".into(),
                "start it again with -ipcbind=unix, or wait for it with --wait".into(),
            ),
        }
    }
}

/// Returns the failure for an error of connecting to the socket at `path`. `data_dir` is given where
/// the path is that of its chain.
pub(crate) fn explain(error: Error, data_dir: Option<&DataDir>) -> Failure {
    match &error {
        Error::NoListener { path, .. } => {
            let absence = Absence::at(path);
            match data_dir {
                Some(data_dir) => absence.beside(data_dir).failure(),
                None => absence.failure(),
            }
        }
        _ => Failure::connecting(error),
    }
}

/// Returns the process that has locked a file.
fn holder(lock: &Path) -> Option<Holder> {
    let file = File::open(lock).ok()?;
    let whole = Flock::from(FlockType::WriteLock);
    let held = fcntl_getlk(&file, &whole).ok()??;
    let pid = u32::try_from(held.pid?.as_raw_nonzero().get()).ok()?;
    Some(Holder {
        pid,
        name: name_of(pid).unwrap_or_else(|| "a process".into()),
    })
}

/// Returns the name that a process was started under, where the system tells it.
pub(crate) fn name_of(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let name = Path::new(OsStr::from_bytes(first)).file_name()?;
    Some(name.to_string_lossy().escape_debug().to_string())
}

/// Whether somebody accepts connections at a path.
fn listens(path: &Path) -> bool {
    let (sender, connected) = mpsc::channel();
    let path = path.to_owned();
    // A full queue would block for as long as it is full.
    let connect = move || {
        let _ = sender.send(UnixStream::connect(path).map(drop));
    };
    let started = thread::Builder::new().name("look".into()).spawn(connect);
    let timeout = || io::Error::from(io::ErrorKind::TimedOut);
    let looked = started.and_then(|_| connected.recv_timeout(PATIENCE).map_err(|_| timeout())?);
    // One that is too busy to accept is there.
    looked.map_or_else(|error| error.kind() == io::ErrorKind::TimedOut, |()| true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn told(absence: &Absence) -> String {
        let failure = absence.failure();
        assert_eq!(failure.kind, Kind::NoConnection);
        format!("{failure} / {}", failure.hint.as_deref().unwrap())
    }

    #[test]
    fn what_is_there_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(directory.path(), Chain::Main);
        let path = data_dir.socket(None).unwrap();
        let absence = || Absence::at(&path).beside(&data_dir);
        assert_eq!(absence().there, There::Nothing);
        assert!(told(&absence()).contains(": there is no such file / start a node"));

        let missing = directory.path().join("none/node.sock");
        let missing = Absence::at(&missing);
        assert_eq!(missing.there, There::NoDirectory);
        assert!(told(&missing).contains("there is no directory"));

        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(absence().there, There::Leftover);
        assert!(told(&absence()).contains("has ended left its socket"));

        let regtest = DataDir::new(directory.path(), Chain::Regtest);
        fs::create_dir(regtest.path()).unwrap();
        let listener = UnixListener::bind(regtest.socket(None).unwrap()).unwrap();
        assert_eq!(absence().others, [Chain::Regtest]);
        assert!(
            told(&absence())
                .contains("a node of chain regtest listens in this data directory / name its chain: --chain=regtest")
        );
        drop(listener);
        assert_eq!(absence().others, []);
    }

    #[test]
    fn a_lock_tells_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join(LOCK);
        fs::write(&lock, "").unwrap();
        assert_eq!(holder(&lock), None);
        assert_eq!(holder(&directory.path().join("none")), None);
        // A process is not told of its own locks, so another one takes it.
        let script = "import fcntl, sys\n\
                      f = open(sys.argv[1], 'w')\n\
                      fcntl.lockf(f, fcntl.LOCK_EX)\n\
                      print('locked', flush=True)\n\
                      sys.stdin.read()";
        let child = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&lock)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("SKIPPED: a lock's holder: there is no python3");
            return;
        };
        let mut line = String::new();
        io::BufRead::read_line(
            &mut io::BufReader::new(child.stdout.take().unwrap()),
            &mut line,
        )
        .unwrap();
        let found = holder(&lock);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found.as_ref().map(|holder| holder.pid), Some(child.id()));
        let absence = Absence {
            holder: found,
            ..Absence::at(&directory.path().join("node.sock"))
        };
        assert!(told(&absence).contains("start it with -ipcbind=unix"));
    }
}
