//! The upkeep of a connection that is made again whenever it ends.
//!
//! Knows how long to pause and whom to tell; nothing of what is followed over the connection.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Client, ClientBuilder};
use crate::call::{CallOptions, CancelToken, Registration};
use crate::error::{Error, Result};
use crate::generation::Generation;

/// The pause before a second attempt. Each later one is twice as long as the one before it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The age up to which a node of Core 30 is left alone, and the time for which it is left alone after a
/// connection has ended: one that shuts down ends its connections, takes new ones, and aborts when its
/// chain is asked for after it has let go of that.
const WARM_UP: Duration = Duration::from_secs(5);
/// The time within which a new peer must have told its generation.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that the end of a connection waits for the calls of followers.
const STOP: Duration = Duration::from_secs(2);
/// The number of events that are kept for a receiver that does not read them. Later ones are left out.
const EVENTS: usize = 256;

/// Keeps a connection. Clones keep the same one.
#[derive(Clone)]
pub struct Supervisor(Arc<Shared>);

struct Shared {
    builder: ClientBuilder,
    state: Mutex<State>,
    /// Told of every change of the state.
    changed: Condvar,
    stop: CancelToken,
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// Set while a thread connects, or pauses before the next attempt.
    connecting: bool,
    /// The number of followers that call the node right now.
    running: usize,
    /// The number of attempts that failed in a row.
    failures: u32,
    /// The generation of the last node.
    generation: Option<Generation>,
    /// The time at which the last connection was lost.
    lost: Option<Instant>,
    observers: Vec<SyncSender<Event>>,
}

/// An event in the life of a connection that is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// There is a connection to a node of this generation.
    Connected(Generation),
    /// The connection has ended, or was given up, for this reason.
    Disconnected(Error),
    /// There is no connection, for this reason; the next attempt is made after the pause.
    Failed {
        /// The reason.
        error: Error,
        /// The pause.
        pause: Duration,
    },
}

impl Supervisor {
    /// Keeps a connection to the node that `builder` names; makes none yet.
    pub fn new(builder: ClientBuilder) -> Self {
        Self(Arc::new(Shared {
            builder,
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: CancelToken::new(),
        }))
    }

    /// Returns the connection. Where there is none, blocks until there is.
    ///
    /// # Errors
    /// Returns [`Error::Cancelled`] after [`Supervisor::stop`], and what trying again does not mend:
    /// errors that are not [retryable](Error::is_retryable).
    pub fn client(&self) -> Result<Client> {
        self.client_until(&self.0.stop)
    }

    /// Ends whatever follows the node, and the connection. No other is made. Waits up to two seconds for
    /// the calls of followers to come to their end in the node.
    pub fn stop(&self) {
        self.0.stop.cancel();
        let deadline = Instant::now() + STOP;
        let mut state = self.0.state();
        while state.running > 0 && Instant::now() < deadline {
            state = self.0.wait(state, Some(deadline));
        }
        let client = state.client.take();
        state.observers.clear();
        drop(state);
        self.0.changed.notify_all();
        if let Some(client) = client {
            client.disconnect();
        }
    }

    /// Returns what happens to the connection from now on, until [`Supervisor::stop`]. Events that
    /// nobody reads are kept up to a number of 256.
    pub fn events(&self) -> Receiver<Event> {
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let mut state = self.0.state();
        if !self.0.stop.is_cancelled() {
            state.observers.push(sender);
        }
        events
    }

    /// Returns a token for a follower of the node: it is cancelled with all others, or alone.
    pub fn token(&self) -> (CancelToken, Registration) {
        let token = CancelToken::new();
        let own = token.clone();
        let registration = self.0.stop.listen(move || own.cancel());
        (token, registration)
    }

    /// Returns the connection, as [`Supervisor::client`] does; gives up when `token` is cancelled.
    pub fn client_until(&self, token: &CancelToken) -> Result<Client> {
        let shared = &self.0;
        let _registration = shared.wakes(token);
        let mut state = shared.state();
        loop {
            if token.is_cancelled() || shared.stop.is_cancelled() {
                return Err(Error::Cancelled("connecting to the node".into()));
            }
            if let Some(client) = &state.client {
                if client.is_connected() {
                    return Ok(client.clone());
                }
                let gone = client.clone();
                drop(state);
                self.lost(&gone, None);
                state = shared.state();
                continue;
            }
            if state.connecting {
                state = shared.wait(state, None);
                continue;
            }
            state.connecting = true;
            let rest = state.rest();
            state = shared.pause(state, rest, token);
            if token.is_cancelled() {
                state.connecting = false;
                shared.changed.notify_all();
                continue;
            }
            drop(state);
            let connecting = AssertUnwindSafe(|| shared.connect(token));
            let panicked = |_| Err(Error::failed("connecting has panicked"));
            let connected = std::panic::catch_unwind(connecting).unwrap_or_else(panicked);
            state = shared.state();
            let mut outcome = Ok(());
            // Dropped without the lock.
            let mut unused = None;
            match connected {
                Ok((client, generation)) => {
                    let young = shared.warms_up(generation);
                    state = shared.pause(state, young, token);
                    // Otherwise too late, or too early for others: the next one finds out anew.
                    if token.is_cancelled() || shared.stop.is_cancelled() {
                        unused = Some(client);
                    } else {
                        state.failures = 0;
                        state.generation = Some(generation);
                        state.client = Some(client);
                        state.tell(&Event::Connected(generation));
                    }
                }
                Err(_) if token.is_cancelled() => {}
                Err(error) if !error.is_retryable() => outcome = Err(error),
                Err(error) => {
                    let pause = pause(state.failures);
                    state.failures = state.failures.saturating_add(1);
                    state.tell(&Event::Failed { error, pause });
                    state = shared.pause(state, pause, token);
                }
            }
            state.connecting = false;
            shared.changed.notify_all();
            if unused.is_some() {
                drop(state);
                drop(unused);
                state = shared.state();
            }
            outcome?;
        }
    }

    /// Counts a follower that calls the node.
    pub fn running(&self) -> Running<'_> {
        self.0.state().running += 1;
        Running(&self.0)
    }

    /// Gives up a connection, if it is still the one: it has ended, or it fails with `error`.
    pub fn lost(&self, client: &Client, error: Option<Error>) {
        let mut state = self.0.state();
        let current = state.client.take_if(|current| current.is(client));
        let Some(current) = current else {
            return;
        };
        let ended = current.disconnected().and_then(|end| end.reason());
        let unknown = || Error::Disconnected("the connection has ended".into());
        let reason = ended.or(error).unwrap_or_else(unknown);
        state.lost = Some(Instant::now());
        state.tell(&Event::Disconnected(reason));
        // Others may be in a wait over it, and a node may abort where a connection ends during a wait.
        let deadline = Instant::now() + STOP;
        while current.is_connected() && state.running > 0 && Instant::now() < deadline {
            state = self.0.wait(state, Some(deadline));
        }
        drop(state);
        self.0.changed.notify_all();
        current.disconnect();
    }

    /// Pauses, unless `token` is cancelled meanwhile.
    pub fn pause(&self, pause: Duration, token: &CancelToken) {
        let _registration = self.0.wakes(token);
        drop(self.0.pause(self.0.state(), pause, token));
    }
}

/// Returns the time that a node which listens at a path must still be left alone before its `Mining` is
/// used. A node of Core 30 aborts when its chain is asked for before it has begun to load it, which is some
/// tenths of a second after it listens; its socket is as old as it is. Later generations wait themselves.
#[must_use]
pub fn warm_up(generation: Generation, socket: &Path) -> Duration {
    let listens_since = || socket.metadata().ok()?.modified().ok();
    match (generation, listens_since()) {
        (Generation::Core30, Some(since)) => {
            // A clock that went back tells nothing.
            let age = since.elapsed().unwrap_or(WARM_UP);
            WARM_UP.saturating_sub(age)
        }
        _ => Duration::ZERO,
    }
}

/// Returns the pause after a failure, by the number of those before it.
pub fn pause(failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// A follower that calls the node, until this is dropped.
pub struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, and finds out to what.
    fn connect(&self, token: &CancelToken) -> Result<(Client, Generation)> {
        let client = self.builder.connect()?;
        let options = CallOptions::new().timeout(PATIENCE).cancel(token);
        let generation = options.run(|| client.generation())?;
        Ok((client, generation))
    }

    /// Returns the time that the node must still be left alone.
    fn warms_up(&self, generation: Generation) -> Duration {
        let socket = self.builder.socket();
        socket.map_or(Duration::ZERO, |socket| warm_up(generation, &socket))
    }

    /// Wakes all threads that wait for a change when `token` is cancelled.
    fn wakes(self: &Arc<Self>, token: &CancelToken) -> Registration {
        let shared = Arc::downgrade(self);
        token.listen(move || {
            if let Some(shared) = shared.upgrade() {
                // Orders the wake-up after the last look of a thread that is about to wait.
                drop(shared.state());
                shared.changed.notify_all();
            }
        })
    }

    /// Waits for a change, or until `deadline`.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.changed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Waits until `pause` has passed, `token` is cancelled, or all is over.
    fn pause<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        pause: Duration,
        token: &CancelToken,
    ) -> MutexGuard<'a, State> {
        let deadline = Instant::now() + pause;
        while !(token.is_cancelled() || self.stop.is_cancelled()) && Instant::now() < deadline {
            state = self.wait(state, Some(deadline));
        }
        state
    }
}

impl State {
    /// Returns the time for which nothing must be asked after the loss of the last connection.
    fn rest(&self) -> Duration {
        match (self.generation, self.lost) {
            (Some(Generation::Core30), Some(lost)) => WARM_UP.saturating_sub(lost.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// Tells an event to all who listen and have room for it.
    fn tell(&mut self, event: &Event) {
        self.observers.retain(|observer| {
            let told = observer.try_send(event.clone());
            !matches!(told, Err(mpsc::TrySendError::Disconnected(_)))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds() {
        let pauses: Vec<_> = (0..9).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(
            pauses,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
