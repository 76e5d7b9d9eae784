//! The exit status of a child, and the exit code of a shell for it.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process;

use crate::error::Error;

/// The way a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(process::ExitStatus);

impl ExitStatus {
    /// Whether it exited by itself with 0.
    pub fn success(self) -> bool {
        self.0.success()
    }

    /// Returns its exit code, unless a signal ended it.
    pub fn code(self) -> Option<i32> {
        self.0.code()
    }

    /// Returns the number of the signal that ended it, if one did.
    pub fn signal(self) -> Option<i32> {
        self.0.signal()
    }

    /// Returns the status as a shell sees it: the exit code, or 128 + n when signal n ended it.
    pub fn shell_code(self) -> u8 {
        let code = match self.signal() {
            Some(signal) => 128_i32.saturating_add(signal),
            None => self.code().unwrap_or(1),
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

impl From<process::ExitStatus> for ExitStatus {
    fn from(status: process::ExitStatus) -> Self {
        Self(status)
    }
}

/// Formats as `exit status: 3`, or `signal: 9 (SIGKILL)`.
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns a shell's exit code for an error of starting a program: 127 where the program was not
/// found, 126 where it could not be started for another reason. Returns `None` for an error that is
/// not about starting a program.
pub fn exec_failure_code(error: &Error) -> Option<u8> {
    match error {
        Error::Spawn {
            source: Some(source),
            ..
        } => Some(match source.kind() {
            io::ErrorKind::NotFound => 127,
            _ => 126,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_codes() {
        let status = |raw| ExitStatus(process::ExitStatus::from_raw(raw));
        assert_eq!(status(0).shell_code(), 0);
        assert_eq!(status(3 << 8).shell_code(), 3);
        assert_eq!(status(255 << 8).shell_code(), 255);
        assert_eq!(status(9).shell_code(), 137);
        // With the core-dumped bit.
        assert_eq!(status(6 | 0x80).shell_code(), 134);
        assert_eq!(status(9).to_string(), "signal: 9 (SIGKILL)");
        assert!(status(0).success() && !status(9).success());
    }

    #[test]
    fn only_a_failure_to_start_has_a_code() {
        assert_eq!(exec_failure_code(&Error::Usage("x".into())), None);
        let ended = Error::Spawn {
            program: "x".into(),
            reason: "ended before it answered".into(),
            source: None,
        };
        assert_eq!(exec_failure_code(&ended), None);
    }
}
