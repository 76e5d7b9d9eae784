//! SIGINT, SIGTERM and SIGHUP: one thread that hears them, a token that cancels calls, and a way
//! for commands to end what they started. At a prompt SIGINT and SIGTSTP are about a call and not
//! the process.
//!
//! Knows signals and the library's cancel token; nothing of what commands do.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::{CancelToken, Error};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals as Incoming};

use crate::ui::errors::Failure;
use crate::ui::events::Events;

type Listener = Box<dyn FnMut(i32) + Send>;

/// The signals that this process has got.
#[derive(Clone)]
pub(crate) struct Signals(Arc<State>);

#[derive(Default)]
struct State {
    events: Events,
    token: CancelToken,
    first: AtomicI32,
    count: AtomicU32,
    listeners: Mutex<Vec<Listener>>,
    /// Adds to the signals that are heard.
    hearing: OnceLock<Handle>,
    /// Whether SIGINT ends a call only.
    prompting: AtomicBool,
    /// Whether SIGTSTP came, and whether it stops the process, as it does while no call runs.
    suspended: Arc<AtomicBool>,
    stops: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over: none of them ends the process by itself any more.
    pub(crate) fn install() -> Result<Self, Error> {
        let failed = |error| Error::io("handle signals", error);
        let ignored = ignored();
        let heeded: Vec<i32> = [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .filter(|signal| !ignored.has(*signal))
            .collect();
        let mut incoming = Incoming::new(heeded).map_err(failed)?;
        let this = Self(Arc::default());
        let _ = this.0.hearing.set(incoming.handle());
        let heard = this.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in incoming.forever() {
                    heard.hear(signal);
                }
            })
            .map_err(failed)?;
        Ok(this)
    }

    /// From now on SIGINT ends the call that runs and not the process.
    pub(crate) fn prompt(&self) {
        self.0.prompting.store(true, Ordering::SeqCst);
    }

    /// Hears SIGTSTP, which puts the call that runs into the background.
    pub(crate) fn hear_suspend(&self) -> Result<(), Error> {
        if ignored().has(SIGTSTP) {
            return Ok(());
        }
        let failed = |error| Error::io("handle signals", error);
        self.0.stops.store(true, Ordering::SeqCst);
        // In the handler itself: an editor has given the terminal back only while it sends itself
        // the signal.
        flag::register_conditional_default(SIGTSTP, self.0.stops.clone()).map_err(failed)?;
        flag::register(SIGTSTP, self.0.suspended.clone()).map_err(failed)?;
        // After the flag, since it rings.
        let hearing = self.0.hearing.get();
        hearing
            .map_or(Ok(()), |hearing| hearing.add_signal(SIGTSTP))
            .map_err(failed)
    }

    /// Whether a call runs that SIGTSTP is about.
    pub(crate) fn calling(&self, runs: bool) {
        self.0.suspended.store(false, Ordering::SeqCst);
        self.0.stops.store(!runs, Ordering::SeqCst);
    }

    /// Whether SIGTSTP has come since the call began.
    pub(crate) fn suspended(&self) -> bool {
        self.0.suspended.load(Ordering::SeqCst)
    }

    fn hear(&self, signal: i32) {
        let _ringer = self.0.events.ringer();
        if signal == SIGTSTP {
            return;
        }
        if signal == SIGINT && self.0.prompting.load(Ordering::SeqCst) {
            self.0.count.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let _ = self
            .0
            .first
            .compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.token.cancel();
        for listener in self.listeners().iter_mut() {
            listener(signal);
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `listener` for each signal from now on, and for the first one if that was before.
    pub(crate) fn on_signal(&self, mut listener: impl FnMut(i32) + Send + 'static) {
        let mut listeners = self.listeners();
        if let Some(signal) = self.received() {
            listener(signal);
        }
        listeners.push(Box::new(listener));
    }

    /// The first signal that came.
    pub(crate) fn received(&self) -> Option<i32> {
        Some(self.0.first.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// Whether a signal came again: the user does not want to wait.
    pub(crate) fn insisted(&self) -> bool {
        self.count() > 1
    }

    /// How many signals have come.
    pub(crate) fn count(&self) -> u32 {
        self.0.count.load(Ordering::SeqCst)
    }

    /// Fails with the signal once one has come.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.received()
            .map_or(Ok(()), |signal| Err(Failure::signal(signal)))
    }

    /// Waits for a signal.
    pub(crate) fn wait(&self) -> Failure {
        let (sender, receiver) = mpsc::channel();
        self.on_signal(move |signal| {
            let _ = sender.send(signal);
        });
        // The sender lives in this.
        Failure::signal(receiver.recv().unwrap_or(SIGTERM))
    }

    /// Cancels what runs as a signal would, where what was asked for is done before it has ended.
    pub(crate) fn stop(&self) {
        self.0.token.cancel();
        self.0.events.ring();
    }

    /// Returns the events of this process, of which signals are some.
    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    /// Whether [`Signals::stop`] was called, or a signal came.
    pub(crate) fn stopped(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancelToken {
        &self.0.token
    }

    /// Sleeps, but not beyond a signal.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<(), Failure> {
        // A time beyond what a clock can tell never comes.
        let end = Instant::now().checked_add(duration);
        loop {
            let seen = self.0.events.seen();
            self.check()?;
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(());
            }
            self.0.events.wait(seen, end);
        }
    }

    /// Runs what may block in the operating system on a thread of its own, and gives up on it
    /// when a signal comes. `None` is that `limit` has passed.
    pub(crate) fn interruptible<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> eyre::Result<Option<T>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let ringer = self.0.events.ringer();
        // A limit beyond what a clock can tell is none.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        thread::Builder::new()
            .name("connect".into())
            .spawn(move || {
                // Dropped after the sender, so that the end of a thread that panics is seen.
                let (_ringer, sender) = (ringer, sender);
                let _ = sender.send(f());
            })
            .map_err(|error| Error::io("start a thread", error))?;
        loop {
            let seen = self.0.events.seen();
            match receiver.try_recv() {
                Ok(result) => return Ok(Some(result)),
                Err(mpsc::TryRecvError::Empty) => {}
                Err(mpsc::TryRecvError::Disconnected) => {
                    return Err(eyre::eyre!("a thread that connects has panicked"));
                }
            }
            self.check()?;
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(None);
            }
            self.0.events.wait(seen, end);
        }
    }
}

/// The signals that this process ignores, a bit each.
struct Ignored(u64);

impl Ignored {
    fn has(&self, signal: i32) -> bool {
        self.0 & (1 << (signal - 1)) != 0
    }
}

/// Returns the signals that the parent had this process ignore, as `nohup` does with SIGHUP and a shell
/// with the SIGINT of what it runs in the background: they stay ignored.
#[cfg(target_os = "linux")]
fn ignored() -> Ignored {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    Ignored(mask.unwrap_or_default())
}

/// Elsewhere there is no way to ask without unsafe code.
#[cfg(not(target_os = "linux"))]
fn ignored() -> Ignored {
    Ignored(0)
}
