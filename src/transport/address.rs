//! The addresses that users write.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Where a peer is, or where to listen for peers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `0` or nothing: no connection.
    Off,
    /// `auto`: the chain's node if one listens, else none.
    Auto,
    /// `unix` or `unix:PATH`: a unix socket. The path is relative to the chain's data directory;
    /// without one it is the node's own.
    Unix(Option<PathBuf>),
    /// `fd:N`: a descriptor that this process inherited.
    Fd(RawFd),
    /// `exec:PROGRAM`: a program to start as a child.
    Exec(PathBuf),
}

impl Address {
    /// Reads an address. A path may have any bytes but NUL.
    ///
    /// # Errors
    /// [`Error::Address`], which names the address.
    pub fn parse(address: &OsStr) -> Result<Self> {
        let refused = |reason: &str| Error::Address {
            address: address.to_string_lossy().into_owned(),
            reason: reason.to_owned(),
        };
        let bytes = address.as_bytes();
        if bytes.contains(&0) {
            return Err(refused("has a NUL byte"));
        }
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        match bytes {
            b"" | b"0" => Ok(Self::Off),
            b"auto" => Ok(Self::Auto),
            // Core takes an empty path for none.
            b"unix" | b"unix:" => Ok(Self::Unix(None)),
            [b'u', b'n', b'i', b'x', b':', rest @ ..] => Ok(Self::Unix(Some(path(rest)))),
            [b'f', b'd', b':', rest @ ..] => match descriptor(rest) {
                Some(0..3) => Err(refused("is one of the standard streams")),
                Some(fd) => Ok(Self::Fd(fd)),
                None => Err(refused("the descriptor is not a number")),
            },
            b"exec:" => Err(refused("names no program")),
            [b'e', b'x', b'e', b'c', b':', rest @ ..] => Ok(Self::Exec(path(rest))),
            _ if bytes.contains(&b'/') && !bytes.contains(&b':') => {
                Err(refused("a socket's path is written unix:PATH"))
            }
            _ => Err(refused(
                "not one of auto, unix, unix:PATH, fd:N, exec:PROGRAM",
            )),
        }
    }
}

fn descriptor(digits: &[u8]) -> Option<RawFd> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| all_digits)?
        .parse()
        .ok()
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self> {
        Self::parse(OsStr::new(address))
    }
}

/// As it is written. A path that is not UTF-8 is shown with U+FFFD in it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::Auto => f.write_str("auto"),
            Self::Unix(None) => f.write_str("unix"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Fd(fd) => write!(f, "fd:{fd}"),
            Self::Exec(program) => write!(f, "exec:{}", program.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (text, address) in [
            ("0", Address::Off),
            ("auto", Address::Auto),
            ("unix", Address::Unix(None)),
            ("unix:a/b.sock", Address::Unix(Some("a/b.sock".into()))),
            ("unix:/a b:c", Address::Unix(Some("/a b:c".into()))),
            ("fd:3", Address::Fd(3)),
            ("exec:./node", Address::Exec("./node".into())),
        ] {
            assert_eq!(text.parse::<Address>().unwrap(), address);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("".parse::<Address>().unwrap(), Address::Off);
        assert_eq!("unix:".parse::<Address>().unwrap(), Address::Unix(None));
    }

    #[test]
    fn a_path_need_not_be_utf8() {
        let path = OsStr::from_bytes(b"/a\xff");
        assert_eq!(
            Address::parse(OsStr::from_bytes(b"unix:/a\xff")).unwrap(),
            Address::Unix(Some(path.into()))
        );
    }

    #[test]
    fn what_is_none_is_named() {
        for text in [
            "1",
            "Auto",
            "unix ",
            "tcp:1",
            "/run/node.sock",
            "fd:",
            "fd:x",
            "fd:-1",
            "fd:+3",
            "fd:1",
            "fd:99999999999",
            "exec:",
            "unix:a\0b",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        let error = "/run/node.sock".parse::<Address>().unwrap_err();
        assert!(error.to_string().contains("unix:PATH"));
    }
}
