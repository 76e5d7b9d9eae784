//! Descriptors that this process inherited, by the number that its command line gives.
//!
//! The only unsafe code of the library is here: a number becomes an owned descriptor.

use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Mutex, PoisonError};

use rustix::io::{Errno, FdFlags};
use rustix::net::SocketType;

use crate::error::{Error, Result};

/// Takes over the inherited descriptor `fd`, a connected stream socket of any family.
///
/// The descriptor is closed on exec from now on, so that no child of this process gets it.
/// Whether it blocks is left as it was: that belongs to the socket, which others may share.
///
/// # Errors
/// [`Error::Usage`], in one line that names the number, where it is one of the standard streams,
/// is not open, was opened (or taken over) by this process itself, is not a stream socket, or is
/// not connected.
pub fn inherited_stream(fd: RawFd) -> Result<UnixStream> {
    take(fd, |socket| match rustix::net::getpeername(socket) {
        Ok(_) => Ok(()),
        Err(_) if is_listening(socket) => Err("a listening socket, not a connected one".into()),
        Err(Errno::NOTCONN) => Err("a socket that is not connected".into()),
        Err(errno) => Err(format!("no usable peer: {errno}")),
    })
    .map(UnixStream::from)
}

/// Takes over the inherited descriptor `fd`, a listening stream socket of any family.
///
/// # Errors
/// As [`inherited_stream`], with "not listening" in place of "not connected".
pub fn inherited_listener(fd: RawFd) -> Result<UnixListener> {
    take(fd, |socket| {
        if is_listening(socket) {
            Ok(())
        } else {
            Err("a socket that is not listening".into())
        }
    })
    .map(UnixListener::from)
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false)
}

/// Apple's systems do not implement `SO_ACCEPTCONN`: a listening socket is one without a peer.
#[cfg(target_vendor = "apple")]
fn is_listening(socket: &OwnedFd) -> bool {
    rustix::net::getpeername(socket).is_err()
}

fn take(
    fd: RawFd,
    check: impl FnOnce(&OwnedFd) -> std::result::Result<(), String>,
) -> Result<OwnedFd> {
    // Two threads must not both find the same descriptor free to take.
    static TAKING: Mutex<()> = Mutex::new(());
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);

    let refused = |reason: &str| Error::Usage(format!("file descriptor {fd}: {reason}"));
    match fd {
        ..0 => return Err(refused("not a descriptor's number")),
        0..3 => return Err(refused("one of the standard streams")),
        _ => {}
    }
    #[allow(unsafe_code)]
    // SAFETY: an owned descriptor must be open and nobody else's. The value is not dropped
    // before both are known, so that until then it closes nothing, and asking for the flags of a
    // number that is not open is harmless. That it is nobody else's is told by FD_CLOEXEC: an
    // inherited descriptor cannot have it, or exec would have closed it, while whatever this
    // process opens through std or any well-kept crate has it from the start, as has a
    // descriptor that was taken here before. What remains is a descriptor that foreign code
    // opened without the flag; no check can tell that one from an inherited one, and the caller
    // names the number because the parent gave it.
    let socket = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) });

    let flags = rustix::io::fcntl_getfd(&*socket).map_err(|errno| match errno {
        Errno::BADF => refused("not open"),
        other => refused(&other.to_string()),
    })?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(refused("not inherited: this process uses it already"));
    }
    match rustix::net::sockopt::socket_type(&*socket) {
        Ok(SocketType::STREAM) => {}
        Ok(_) => return Err(refused("a socket, but not a stream")),
        Err(Errno::NOTSOCK) => return Err(refused("not a socket")),
        Err(errno) => return Err(refused(&errno.to_string())),
    }
    check(&socket).map_err(|reason| refused(&reason))?;
    rustix::io::fcntl_setfd(&*socket, flags | FdFlags::CLOEXEC)
        .map_err(|errno| refused(&errno.to_string()))?;
    Ok(ManuallyDrop::into_inner(socket))
}

#[cfg(test)]
mod tests {
    use super::super::tests::inherited;
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, IntoRawFd};

    fn reason<T>(result: Result<T>) -> String {
        result.err().expect("refused").to_string()
    }

    #[test]
    fn a_connected_stream_is_taken_once() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let fd = inherited(&theirs, 3).into_raw_fd();
        drop(theirs);
        let mut stream = inherited_stream(fd).unwrap();
        assert_eq!(
            reason(inherited_stream(fd)),
            format!("file descriptor {fd}: not inherited: this process uses it already")
        );
        stream.write_all(b"hi").unwrap();
        drop(stream);
        let mut said = String::new();
        (&ours).read_to_string(&mut said).unwrap();
        assert_eq!(said, "hi", "and closed when dropped");
    }

    #[test]
    fn a_stream_whose_peer_is_gone_is_still_a_stream() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        inherited_stream(inherited(&theirs, 3).into_raw_fd()).unwrap();
    }

    #[test]
    fn anything_else_is_refused_by_its_number_and_left_open() {
        for (fd, why) in [
            (-1, "not a descriptor's number"),
            (0, "one of the standard streams"),
            (2, "one of the standard streams"),
            (9999, "not open"),
        ] {
            assert_eq!(
                reason(inherited_stream(fd)),
                format!("file descriptor {fd}: {why}")
            );
        }
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let (pair, _peer) = UnixStream::pair().unwrap();
        let datagram = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let refused: [(OwnedFd, &str, &str); 4] = [
            (
                inherited(File::open("/dev/null").unwrap(), 3),
                "not a socket",
                "not a socket",
            ),
            (
                inherited(datagram, 3),
                "a socket, but not a stream",
                "a socket, but not a stream",
            ),
            (
                inherited(listener, 3),
                "a listening socket, not a connected one",
                "",
            ),
            (inherited(pair, 3), "", "a socket that is not listening"),
        ];
        for (fd, as_stream, as_listener) in refused {
            let number = fd.as_raw_fd();
            let expected = |why: &str| format!("file descriptor {number}: {why}");
            if !as_stream.is_empty() {
                assert_eq!(reason(inherited_stream(number)), expected(as_stream));
            }
            if !as_listener.is_empty() {
                assert_eq!(reason(inherited_listener(number)), expected(as_listener));
            }
            assert!(
                rustix::io::fcntl_getfd(&fd).unwrap().is_empty(),
                "untouched"
            );
        }
    }

    #[test]
    fn a_listening_socket_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let theirs = UnixListener::bind(&path).unwrap();
        let listener = inherited_listener(inherited(theirs, 3).into_raw_fd()).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
    }
}
