//! Connecting to a listener.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use super::address::Address;
use super::datadir::DataDir;
use super::stream::Stream;
use super::trust::Trust;
use crate::error::{Error, Result};
use crate::process;

/// Connects to `address`. `None` where that is no connection: for [`Address::Off`], and for
/// [`Address::Auto`] where no node can be listening, as in Core's `connectAddress`: the path is
/// missing, refuses, or is too long.
///
/// Blocks while the queue of a listener that accepts nobody is full.
///
/// # Errors
/// - [`Error::NoListener`] where nobody listens at the path.
/// - [`Error::Io`] where the operating system refuses for another reason, such as permissions.
/// - [`Error::Untrusted`] where a user that `trust` does not include serves, or could do so.
/// - [`Error::Address`] where the path is too long or not a socket's, or for [`Address::Exec`]: a
///   program is started, not connected to.
/// - [`Error::Usage`] where the descriptor of [`Address::Fd`] is not a connected stream socket
///   that this process inherited.
pub fn connect(
    address: &Address,
    datadir: &DataDir,
    trust: &Trust,
) -> Result<Option<Box<dyn Stream>>> {
    let opened = |path: &Path| open(address, path, trust).map(|stream| Some(stream.into()));
    match address {
        Address::Off => Ok(None),
        Address::Auto => match datadir.socket(None) {
            Err(_) => Ok(None),
            Ok(path) => match opened(&path) {
                Err(error) if error.is_no_listener() => Ok(None),
                result => result,
            },
        },
        Address::Unix(given) => opened(&datadir.socket(given.as_deref())?),
        Address::Fd(fd) => Ok(Some(process::inherited_stream(*fd)?.into())),
        Address::Exec(_) => Err(Error::Address {
            address: address.to_string(),
            reason: "a program is started, not connected to".into(),
        }),
    }
}

/// Connects to a socket that only a trusted user can have put there.
fn open(address: &Address, path: &Path, trust: &Trust) -> Result<UnixStream> {
    let refused = |reason| Error::Untrusted {
        path: path.to_owned(),
        reason,
    };
    trust.check_path(path).map_err(refused)?;
    let stream = UnixStream::connect(path).map_err(|error| failed(address, path, error))?;
    trust.check_peer(&stream.peer()).map_err(refused)?;
    Ok(stream)
}

/// Whether the path is missing, or what is there accepts nobody.
fn is_no_listener(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused
    )
}

fn failed(address: &Address, path: &Path, error: io::Error) -> Error {
    // A plain file refuses connections too.
    if error.kind() == io::ErrorKind::ConnectionRefused
        && fs::metadata(path).is_ok_and(|file| !file.file_type().is_socket())
    {
        return Error::Address {
            address: address.to_string(),
            reason: format!("{} is not a socket", path.display()),
        };
    }
    if is_no_listener(&error) {
        return Error::NoListener {
            path: path.to_owned(),
            source: Arc::new(error),
        };
    }
    Error::io(format!("connect to {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::super::datadir::Chain;
    use super::*;
    use std::io::{IoSlice, Read, Write};
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn datadir() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let datadir = DataDir::new(directory.path(), Chain::Main);
        (directory, datadir)
    }

    #[test]
    fn a_listener_is_reached_by_each_of_its_names() {
        let (_directory, datadir) = datadir();
        let listener = UnixListener::bind(datadir.socket(None).unwrap()).unwrap();
        let absolute = format!("unix:{}/node.sock", datadir.base.display());
        for address in ["unix", "auto", "unix:node.sock", absolute.as_str()] {
            let stream = connect(&address.parse().unwrap(), &datadir, &Trust::new())
                .unwrap()
                .unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"x").unwrap();
            assert_eq!(stream.receive(&mut Vec::with_capacity(1)).unwrap(), 1);
        }
        assert!(
            connect(&Address::Off, &datadir, &Trust::new())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn no_listener_is_told_apart_and_is_no_node_for_auto() {
        let (directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        let nobody = || {
            let error = connect(&Address::Unix(None), &datadir, &Trust::new()).unwrap_err();
            assert!(error.is_no_listener(), "{error:?}");
            let start = format!("nothing listens at {}: ", path.display());
            assert!(error.to_string().starts_with(&start), "{error}");
            assert!(
                connect(&Address::Auto, &datadir, &Trust::new())
                    .unwrap()
                    .is_none()
            );
        };
        nobody();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a leftover");
        nobody();

        fs::write(directory.path().join("file"), "").unwrap();
        let below = DataDir::new(directory.path().join("file"), Chain::Main);
        assert!(
            connect(&Address::Unix(None), &below, &Trust::new())
                .unwrap_err()
                .is_no_listener()
        );
        assert!(
            connect(&Address::Auto, &below, &Trust::new())
                .unwrap()
                .is_none()
        );

        let long = DataDir::new("/".repeat(200), Chain::Main);
        assert!(matches!(
            connect(&Address::Unix(None), &long, &Trust::new()),
            Err(Error::Address { .. })
        ));
        assert!(
            connect(&Address::Auto, &long, &Trust::new())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn other_failures_say_what_is_there() {
        let (_directory, datadir) = datadir();
        let path = datadir.socket(None).unwrap();
        fs::write(&path, "precious").unwrap();
        let error = connect(&Address::Unix(None), &datadir, &Trust::new())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("address \"unix\": {} is not a socket", path.display())
        );

        fs::remove_file(&path).unwrap();
        let _datagram = UnixDatagram::bind(&path).unwrap();
        let error = connect(&Address::Auto, &datadir, &Trust::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("connect to {}: ", path.display())),
            "{error}"
        );

        let error = connect(&Address::Exec("x".into()), &datadir, &Trust::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("exec:x"), "{error}");
    }

    #[test]
    fn a_forbidden_socket_is_an_error_also_for_auto() {
        let (directory, datadir) = datadir();
        let _listener = UnixListener::bind(datadir.socket(None).unwrap()).unwrap();
        let set = |mode| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o000);
        let result = connect(&Address::Auto, &datadir, &Trust::new());
        set(0o700);
        // Root is refused nothing.
        if !rustix::process::geteuid().is_root() {
            assert!(
                result
                    .unwrap_err()
                    .to_string()
                    .contains("Permission denied")
            );
        }
    }

    #[test]
    fn an_inherited_descriptor_is_an_address() {
        let (_directory, datadir) = datadir();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let fd = process::tests::inherited(&theirs, 3).into_raw_fd();
        let stream = connect(&Address::Fd(fd), &datadir, &Trust::new())
            .unwrap()
            .unwrap();
        assert_eq!(stream.send(&[IoSlice::new(b"x")]).unwrap(), 1);
        ours.read_exact(&mut [0]).unwrap();
        let error = connect(&Address::Fd(9999), &datadir, &Trust::new())
            .unwrap_err()
            .to_string();
        assert_eq!(error, "file descriptor 9999: not open");
    }
}
