//! The context of every command: the options, where to print, and the signals.
//!
//! Knows the pieces; nothing of what commands do with them.

use std::path::PathBuf;
use std::time::Duration;

use bitcoin_ipc::transport::{DataDir, Trust};
use bitcoin_ipc::{CallOptions, Limits};

use crate::args::Options;
use crate::ui::output::Output;
use crate::ui::signals::Signals;

/// The context of a command. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) output: Output,
    pub(crate) signals: Signals,
}

impl Context {
    /// Returns the data directory of the chain: `--datadir`, or Core's default in the user's home.
    pub(crate) fn data_dir(&self) -> DataDir {
        let home = || {
            std::env::var_os("HOME")
                .map(PathBuf::from)
                .unwrap_or_default()
        };
        let base = match &self.options.datadir {
            Some(directory) => PathBuf::from(directory),
            None => DataDir::default_base(&home()),
        };
        DataDir::new(base, self.options.chain)
    }

    /// Returns the users whose sockets are connected to: with those of `--peer-uid`.
    pub(crate) fn trust(&self) -> Trust {
        let uids = self.options.peer_uid.iter();
        uids.fold(Trust::new(), |trust, uid| trust.uid(*uid))
    }

    /// Returns the time limit of `--timeout`, if it sets one.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.options.timeout.and_then(|limit| limit.0)
    }

    /// Returns the library's limits, with `--timeout` for the handshake.
    pub(crate) fn limits(&self) -> Limits {
        let limits = Limits::default();
        match self.options.timeout {
            None => limits,
            // The clock must not overflow.
            Some(limit) => limits.handshake_time(limit.0.unwrap_or(FOREVER)),
        }
    }

    /// Runs `f` with calls that end with `--timeout` and with a signal.
    pub(crate) fn calling<R>(&self, f: impl FnOnce() -> R) -> R {
        let mut options = CallOptions::new().cancel(self.signals.token());
        if let Some(timeout) = self.timeout() {
            options = options.timeout(timeout);
        }
        options.run(f)
    }
}

const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
