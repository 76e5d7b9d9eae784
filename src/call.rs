//! Options of the calls that a caller makes: how long they may take, and how to cancel them.
//!
//! Knows no protocol. The options of a thread apply to every call it makes inside
//! [`CallOptions::run`], also through trait objects, whose methods take no options.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Options for the calls made inside [`CallOptions::run`].
///
/// ```
/// # use std::time::Duration;
/// # use bitcoin_ipc::CallOptions;
/// let answer = CallOptions::new()
///     .timeout(Duration::from_secs(5))
///     .run(|| 6 * 7 /* echo.echo("hi") */);
/// assert_eq!(answer, 42);
/// ```
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    timeout: Option<Duration>,
    cancel: Option<CancelToken>,
}

thread_local! {
    static CURRENT: RefCell<CallOptions> = RefCell::new(CallOptions::default());
}

/// Replaces the options of this thread. Calls have none on a thread that is ending, whose
/// thread-local is gone.
fn replace(options: CallOptions) {
    let _ = CURRENT.try_with(|current| current.replace(options));
}

impl CallOptions {
    /// Creates options without a time limit or cancellation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes each call fail with [`crate::Error::Timeout`] when it has no answer after this time.
    ///
    /// The peer is not told: it finishes the method, and its answer is dropped when it comes,
    /// because a Core 30 node dies of a call that is cancelled while it runs. A method of Core's with
    /// a timeout of its own gets no more time than this.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes each call fail with [`crate::Error::Cancelled`] once `token` is cancelled. As with a
    /// time-out, the peer is not told.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Runs `f`. The calls that this thread makes in it have these options; an option that is not
    /// set here is taken from the enclosing `run`.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        let outer = Self::current();
        let options = Self {
            timeout: self.timeout.or(outer.timeout),
            cancel: self.cancel.or(outer.cancel),
        };
        options.alone(f)
    }

    /// Runs `f`. The calls that this thread makes in it have these options, and none of the enclosing
    /// `run`.
    pub(crate) fn alone<R>(self, f: impl FnOnce() -> R) -> R {
        /// Restores the outer options, also when `f` panics.
        struct Restore(Option<CallOptions>);
        impl Drop for Restore {
            fn drop(&mut self) {
                if let Some(outer) = self.0.take() {
                    replace(outer);
                }
            }
        }
        let _restore = Restore(Some(Self::current()));
        replace(self);
        f()
    }

    /// Returns the options in force on this thread.
    pub(crate) fn current() -> Self {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .unwrap_or_default()
    }

    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn token(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }
}

/// Cancels calls from another thread, such as a signal handler's.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Token>);

#[derive(Default)]
struct Token {
    cancelled: AtomicBool,
    next: AtomicU64,
    listeners: Mutex<HashMap<u64, Listener>>,
}

type Listener = Arc<dyn Fn() + Send + Sync>;

impl Token {
    fn listeners(&self) -> MutexGuard<'_, HashMap<u64, Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancelToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails every call that carries this token, now and later.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        // Not under the lock: what a listener wakes may end its registration at once.
        let listeners: Vec<_> = self.0.listeners().values().cloned().collect();
        for listener in listeners {
            listener();
        }
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Calls `listener` on cancellation, until the registration is dropped, or at once where the
    /// token is already cancelled. It may be called more than once, and must not block.
    pub(crate) fn listen(&self, listener: impl Fn() + Send + Sync + 'static) -> Registration {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let listener: Listener = Arc::new(listener);
        self.0.listeners().insert(id, listener.clone());
        // Checked after the insertion, so that either this or `cancel` calls it.
        if self.is_cancelled() {
            listener();
        }
        Registration {
            token: self.clone(),
            id,
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken")
            .field(&self.is_cancelled())
            .finish()
    }
}

/// Removes a listener when dropped.
pub(crate) struct Registration {
    token: CancelToken,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let listener = self.token.0.listeners().remove(&self.id);
        drop(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_options_inherit_and_end() {
        let token = CancelToken::new();
        CallOptions::new().cancel(&token).run(|| {
            CallOptions::new().timeout(Duration::from_secs(1)).run(|| {
                let options = CallOptions::current();
                assert_eq!(options.time_limit(), Some(Duration::from_secs(1)));
                token.cancel();
                assert!(options.token().is_some_and(CancelToken::is_cancelled));
            });
            assert_eq!(CallOptions::current().time_limit(), None);
            let alone = CallOptions::new().alone(CallOptions::current);
            assert!(alone.token().is_none());
            assert!(CallOptions::current().token().is_some());
        });
        assert!(CallOptions::current().token().is_none());
    }

    /// Regression: a call that began while its token was being cancelled was not cancelled.
    #[test]
    fn a_late_listener_is_told_at_once() {
        let token = CancelToken::new();
        token.cancel();
        let heard = Arc::new(AtomicU64::new(0));
        let counter = heard.clone();
        let _registration = token.listen(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }

    /// Regression: a listener was called under the lock that the end of its registration takes. A
    /// waker that polled at once, and so ended its call, deadlocked.
    #[test]
    fn a_listener_may_end_its_registration() {
        let token = CancelToken::new();
        let registration = Arc::new(Mutex::new(None));
        let own = registration.clone();
        let ending = token.listen(move || drop(own.lock().map(|mut own| own.take())));
        *registration.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
        token.cancel();
        assert!(token.0.listeners().is_empty());
    }

    #[test]
    fn a_dropped_registration_no_longer_listens() {
        let token = CancelToken::new();
        let heard = Arc::new(AtomicU64::new(0));
        let counter = heard.clone();
        let registration = token.listen(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        token.cancel();
        drop(registration);
        token.cancel();
        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }
}
