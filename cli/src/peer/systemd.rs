//! The part of a service manager's protocol that `serve` speaks: sockets that it passes
//! (`sd_listen_fds`), and messages of this process's state (`sd_notify`).
//!
//! Knows systemd's variables and the numbers of descriptors; nothing of what is served. Own code,
//! as both are a few lines of the standard library; the crates for them take over descriptors with
//! `unsafe`, which the library does in one place already.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

use crate::ui::errors::{Failure, Kind};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

/// A socket that the service manager passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) fd: i32,
    /// Its `FileDescriptorName=`, which is the unit's name by default.
    pub(crate) name: Option<String>,
}

/// Returns the sockets that were passed to this process; none where the variables are another
/// process's.
pub(crate) fn sockets() -> Result<Vec<Passed>, Failure> {
    let variable = |name: &str| env::var(name).ok();
    let names = variable("LISTEN_FDNAMES");
    passed(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        names.as_deref(),
        std::process::id(),
    )
}

fn passed(
    pid: Option<&str>,
    number: Option<&str>,
    names: Option<&str>,
    own: u32,
) -> Result<Vec<Passed>, Failure> {
    let (Some(pid), Some(number)) = (pid, number) else {
        return Ok(Vec::new());
    };
    let refused = |variable: &str, value: &str| {
        Failure::usage(format!(
            "{variable} is {value:?}, which is no number of its kind"
        ))
        .hint("the service manager sets it; unset LISTEN_FDS where there is none")
    };
    let of: u32 = pid.parse().map_err(|_| refused("LISTEN_PID", pid))?;
    if of != own {
        return Ok(Vec::new());
    }
    // More descriptors than a process has by default are none.
    let number: u16 = number.parse().map_err(|_| refused("LISTEN_FDS", number))?;
    let mut names = names.unwrap_or_default().split(':');
    let sockets = (FIRST..FIRST + i32::from(number)).map(|fd| Passed {
        fd,
        name: names.next().filter(|name| !name.is_empty()).map(Into::into),
    });
    Ok(sockets.collect())
}

/// Tells the service manager this process's state, such as `READY=1`, where there is one. Returns
/// why that failed.
pub(crate) fn notify(state: &str) -> Result<(), Failure> {
    let Some(place) = env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
        return Ok(());
    };
    send(&place, state).map_err(|error| {
        Failure::new(
            Kind::Failed,
            format!("NOTIFY_SOCKET {}: {error}", place.display()),
        )
        .hint("the service manager sets it; unset NOTIFY_SOCKET where there is none")
    })
}

fn send(place: &OsStr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match place.as_encoded_bytes() {
        [b'/', ..] => socket.send_to(state.as_bytes(), place),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "neither an absolute path nor an abstract name",
        )),
    }
    .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_those_of_this_process() {
        let passed = |pid, number, names| passed(pid, number, names, 7);
        let socket = |fd, name: Option<&str>| Passed {
            fd,
            name: name.map(Into::into),
        };
        assert_eq!(passed(None, Some("1"), None).unwrap(), []);
        assert_eq!(passed(Some("7"), None, None).unwrap(), []);
        assert_eq!(passed(Some("8"), Some("1"), None).unwrap(), []);
        assert_eq!(passed(Some("7"), Some("0"), None).unwrap(), []);
        assert_eq!(
            passed(Some("7"), Some("3"), Some("a.socket::c")).unwrap(),
            [
                socket(3, Some("a.socket")),
                socket(4, None),
                socket(5, Some("c"))
            ]
        );
        assert_eq!(
            passed(Some("7"), Some("1"), None).unwrap(),
            [socket(3, None)]
        );
        for (pid, number) in [("x", "1"), ("7", "-1"), ("7", "99999"), ("7", "")] {
            let failure = passed(Some(pid), Some(number), None).unwrap_err();
            assert!(failure.message.contains("LISTEN_"), "{failure:?}");
        }
    }
}
