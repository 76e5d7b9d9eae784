//! The context of every command: the options, where to print, and the signals.
//!
//! Knows the pieces; nothing of what commands do with them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bitcoin_ipc::transport::{DataDir, Trust};
use bitcoin_ipc::{Address, CallOptions, Limits};

use crate::args::settings::{Environment, Settings};
use crate::args::{Options, Target};
use crate::ui::errors::Failure;
use crate::ui::output::Output;
use crate::ui::signals::Signals;

/// The context of a command. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) output: Output,
    pub(crate) signals: Signals,
    settings: Arc<OnceLock<Result<Settings, Failure>>>,
}

impl Context {
    pub(crate) fn new(options: Options, output: Output, signals: Signals) -> Self {
        Self {
            options,
            output,
            signals,
            settings: Arc::default(),
        }
    }

    /// Returns what says which node is meant. Reads bitcoin.conf the first time.
    pub(crate) fn settings(&self) -> Result<&Settings, Failure> {
        let settings = self.settings.get_or_init(|| {
            let settings = Settings::read(&self.options.peer, Environment::read())?;
            for warning in &settings.warnings {
                self.output.note(&format!("warning: {warning}"));
            }
            Ok(settings)
        });
        settings.as_ref().map_err(Clone::clone)
    }

    /// Returns the address of words or the environment. Reads no file.
    pub(crate) fn given_address(&self) -> Result<Option<Target>, Failure> {
        match &self.options.peer.address {
            Some(address) => Ok(Some(address.clone())),
            None => Ok(Environment::read().address()?),
        }
    }

    /// Returns the data directory that `address` is relative to.
    pub(crate) fn data_dir_for(&self, address: &Address) -> Result<DataDir, Failure> {
        Ok(self.settings()?.data_dir_for(address)?)
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
