//! Listening for peers.
//!
//! # How a socket comes into being
//! Whoever can open the socket can do with a node what its owner can, so the file must never be
//! open to others, whatever the umask. The umask is no tool for that: it is the whole process's,
//! and setting it would change what other threads create. On Linux the file gets its mode from
//! the socket, so that is narrowed first and the file has mode 0600 from its first moment on.
//! Elsewhere the mode is set after bind and before listen, and a socket that does not listen yet
//! refuses everybody. (Binding under another name and renaming would do as well, but the system's
//! tools would then show the other name for ever, and it may not fit into `sun_path`.)
//!
//! A leftover of a process that died refuses connections; it is replaced. Between finding that
//! out and listening, nobody else may do the same, or the second would remove the first one's
//! socket. So all of it happens under a lock (`flock`) of the directory, which leaves nothing
//! behind. Core takes no lock and removes any socket; against it nothing helps.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::address::Address;
use super::datadir::DataDir;
use super::socket_file::SocketFile;
use super::stream::{Acceptor, Stream};
use crate::error::{Error, Result};
use crate::process;

/// How many peers may wait to be accepted.
const BACKLOG: i32 = 128;

/// How long another process may hold the directory's lock; it needs microseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A listening socket. When dropped it removes its file and is closed, in this order.
#[derive(Debug)]
pub struct Listener {
    file: Option<SocketFile>,
    socket: UnixListener,
}

/// Listens at `address`: a unix socket, whose missing parent directories are made with mode 0700
/// and whose file has mode 0600, or an inherited socket that listens already.
///
/// A socket that nobody listens at is replaced. Anything else at its path is left as it is.
///
/// # Errors
/// - [`Error::Address`] where another process listens at the path, something that is no socket is
///   there, the path is too long, or the address is none to listen at (`auto`, `0`, `exec:`).
/// - [`Error::Io`] where the operating system refuses, such as permissions.
/// - [`Error::Usage`] where the descriptor of [`Address::Fd`] is not a listening stream socket
///   that this process inherited.
pub fn bind(address: &Address, datadir: &DataDir) -> Result<Listener> {
    match address {
        Address::Unix(given) => {
            let path = datadir.socket(given.as_deref())?;
            let listener = bind_path(&path, &|reason| refused(address, reason))?;
            tracing::debug!(path = %path.display(), "listening");
            Ok(listener)
        }
        Address::Fd(fd) => Ok(Listener {
            file: None,
            socket: process::inherited_listener(*fd)?,
        }),
        Address::Off | Address::Auto | Address::Exec(_) => {
            Err(refused(address, "not an address to listen at".into()))
        }
    }
}

fn refused(address: &Address, reason: String) -> Error {
    Error::Address {
        address: address.to_string(),
        reason,
    }
}

fn bind_path(path: &Path, refused: &dyn Fn(String) -> Error) -> Result<Listener> {
    let failed = |errno: Errno| Error::io(format!("listen at {}", path.display()), errno);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Error::io(format!("make {}", directory.display()), error))?;

    let _lock = DirectoryLock::take(directory, refused)?;
    make_way(path, refused)?;
    let socket = new_socket().map_err(failed)?;
    // Only Linux can, and only there the file's mode comes from the socket.
    let _ = rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR);
    let name = SocketAddrUnix::new(path).map_err(failed)?;
    rustix::net::bind(&socket, &name).map_err(failed)?;
    let claimed = SocketFile::claim(path).and_then(|file| {
        let mode = fs::symlink_metadata(path)?.permissions().mode();
        if mode & 0o777 != 0o600 {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        Ok(file)
    });
    let file =
        claimed.map_err(|error| Error::io(format!("listen at {}", path.display()), error))?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed)?;
    Ok(Listener {
        file: Some(file),
        socket: socket.into(),
    })
}

/// Removes a socket that nobody listens at. Anything else at the path is an error.
fn make_way(path: &Path, refused: &dyn Fn(String) -> Error) -> Result<()> {
    let look = |error| Error::io(format!("look at {}", path.display()), error);
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => {
            return Err(refused(format!(
                "{} exists and is not a socket",
                path.display()
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(look(error)),
    }
    let probe = || {
        let socket = new_socket()?;
        // So that a listener whose queue is full does not hold us up.
        rustix::io::ioctl_fionbio(&socket, true)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    match probe() {
        // PROTOTYPE is a socket of another kind, in use.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE) => Err(refused(format!(
            "another process listens at {}",
            path.display()
        ))),
        Err(Errno::CONNREFUSED) => {
            tracing::debug!(path = %path.display(), "replacing a socket that nobody listens at");
            fs::remove_file(path)
                .map_err(|error| Error::io(format!("remove {}", path.display()), error))
        }
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(look(errno.into())),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Apple's systems have no way to do it in one step.
#[cfg(target_vendor = "apple")]
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::empty();
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::io::ioctl_fioclex(&socket)?;
    Ok(socket)
}

/// The lock under which one process at a time looks for a leftover and takes its place.
struct DirectoryLock(OwnedFd);

impl DirectoryLock {
    /// `None` where the directory cannot be locked, as on some network file systems: two that
    /// bind at the same moment are then on their own.
    fn take(directory: &Path, refused: &dyn Fn(String) -> Error) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::open(directory, flags, Mode::empty()) else {
            return Ok(None);
        };
        let started = Instant::now();
        loop {
            match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self(fd))),
                Err(Errno::WOULDBLOCK) if started.elapsed() < LOCK_PATIENCE => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(refused(format!(
                        "another process holds the lock of {}",
                        directory.display()
                    )));
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    tracing::debug!(directory = %directory.display(), %errno, "cannot be locked");
                    return Ok(None);
                }
            }
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Explicitly: a child that is just being forked has a copy of the descriptor.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Listener {
    /// Where its file is, absolute; an inherited socket has none of ours.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(SocketFile::path)
    }
}

impl Acceptor for Listener {
    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Acceptor::accept(&self.socket)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::super::datadir::Chain;
    use super::super::trust::Trust;
    use super::*;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    const UNIX: Address = Address::Unix(None);

    fn datadir() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let datadir = DataDir::new(directory.path(), Chain::Regtest);
        (directory, datadir)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_listener_makes_its_directories_and_removes_its_file() {
        let (_directory, datadir) = datadir();
        let address: Address = "unix:a/b/c.sock".parse().unwrap();
        let listener = bind(&address, &datadir).unwrap();
        let path = listener.path().unwrap().to_owned();
        assert_eq!(path, datadir.path().join("a/b/c.sock"));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&datadir.path().join("a")), 0o700);
        assert_eq!(mode(&datadir.path().join("a/b")), 0o700);

        let _stream = connect(&address, &datadir, &Trust::new()).unwrap().unwrap();
        let peer = listener.accept().unwrap().peer();
        let peer = peer.credentials().unwrap();
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        drop(listener);
        assert!(!path.exists());
        assert!(
            connect(&address, &datadir, &Trust::new())
                .unwrap_err()
                .is_no_listener()
        );
    }

    #[test]
    fn a_leftover_is_replaced_and_a_listener_is_not() {
        let (_directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        let listener = bind(&UNIX, &datadir).unwrap();
        assert_eq!(mode(&path), 0o600);

        let error = bind(&UNIX, &datadir).unwrap_err().to_string();
        let expected = format!("another process listens at {}", path.display());
        assert!(error.ends_with(&expected), "{error}");
        let _stream = connect(&UNIX, &datadir, &Trust::new()).unwrap().unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn a_listener_with_a_full_queue_is_one() {
        let (_directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let socket = new_socket().unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _waiting = UnixStream::connect(&path).unwrap();
        let error = bind(&UNIX, &datadir).unwrap_err().to_string();
        assert!(error.contains("another process listens"), "{error}");
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let (directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let error = || bind(&UNIX, &datadir).unwrap_err().to_string();
        fs::write(&path, "precious").unwrap();
        assert!(error().contains("exists and is not a socket"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");

        fs::remove_file(&path).unwrap();
        let leftover = directory.path().join("leftover");
        drop(UnixListener::bind(&leftover).unwrap());
        std::os::unix::fs::symlink(&leftover, &path).unwrap();
        assert!(error().contains("exists and is not a socket"));
        assert!(leftover.exists());
    }

    #[test]
    fn only_its_own_file_is_removed() {
        let (_directory, datadir) = datadir();
        let listener = bind(&UNIX, &datadir).unwrap();
        let path = listener.path().unwrap().to_owned();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn of_many_that_bind_at_once_one_listens() {
        let (_directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for _ in 0..20 {
            drop(UnixListener::bind(&path).unwrap());
            let barrier = Barrier::new(8);
            let listeners: Vec<_> = thread::scope(|scope| {
                let binding: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            bind(&UNIX, &datadir)
                        })
                    })
                    .collect();
                binding.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let (won, lost): (Vec<_>, Vec<_>) = listeners.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1);
            for error in lost {
                let error = error.unwrap_err().to_string();
                assert!(error.contains("another process listens"), "{error}");
            }
            let _stream = connect(&UNIX, &datadir, &Trust::new()).unwrap().unwrap();
            won.into_iter().next().unwrap().unwrap().accept().unwrap();
        }
    }

    /// The umask is the whole process's, so this has one of its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_is_never_open_to_others_whatever_the_umask() {
        let name = "transport::listener::tests::\
                    a_socket_is_never_open_to_others_whatever_the_umask";
        if !process::tests::in_own_process(name) {
            return;
        }
        let (_directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for umask in [0o000, 0o777] {
            rustix::process::umask(Mode::from_raw_mode(umask));
            let (done, looks, open) = <(AtomicBool, AtomicU32, AtomicU32)>::default();
            let start = Instant::now();
            let in_time = || start.elapsed() < Duration::from_secs(20);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) && in_time() {
                        if let Ok(file) = fs::symlink_metadata(&path) {
                            looks.fetch_add(1, Ordering::Relaxed);
                            open.fetch_or(file.permissions().mode() & 0o177, Ordering::Relaxed);
                        }
                    }
                });
                let mut rounds = 0;
                while (rounds < 200 || looks.load(Ordering::Relaxed) == 0) && in_time() {
                    let listener = bind(&UNIX, &datadir).unwrap();
                    assert_eq!(mode(&path), 0o600);
                    drop(listener);
                    rounds += 1;
                }
                done.store(true, Ordering::Relaxed);
            });
            assert!(looks.into_inner() > 0);
            assert_eq!(open.into_inner(), 0, "open to others");
        }
        rustix::process::umask(Mode::from_raw_mode(0o022));
    }

    #[test]
    fn an_inherited_socket_is_listened_at() {
        let (directory, datadir) = datadir();
        let path = directory.path().join("s");
        let theirs = UnixListener::bind(&path).unwrap();
        let fd = process::tests::inherited(&theirs, 3).into_raw_fd();
        let listener = bind(&Address::Fd(fd), &datadir).unwrap();
        let _stream = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        assert_eq!(listener.path(), None);
        drop((listener, theirs));
        assert!(path.exists(), "not ours");
    }

    #[test]
    fn addresses_that_none_can_listen_at_are_named() {
        let (_directory, datadir) = datadir();
        for address in ["auto", "0", "exec:x"] {
            let error = bind(&address.parse().unwrap(), &datadir).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("address {address:?}: not an address to listen at")
            );
        }
    }
}
