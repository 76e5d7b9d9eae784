//! How long a caller waits, and how long the node does.
//!
//! Knows slices, limits and interrupts; nothing of what is waited for. A wait is passed to a node in
//! slices, so that what its caller gave up, by a time limit, a cancellation or a dropped future, or by
//! being killed, stays in the node no longer than a slice: Core 30 cannot exit while a wait runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::interfaces::Call;

/// The longest wait that is passed to a node at once. Core looks at the fees once in this time.
pub(crate) const SLICE: Duration = Duration::from_secs(1);
/// The time by which a slice in the node is longer than the time limit of its caller: the caller is told
/// that its time is over, and not that nothing has changed.
const MORE: Duration = Duration::from_millis(50);
/// The time by which a clock of the node may be behind ours at the end of a slice. What ends before that
/// was interrupted.
const EARLY: Duration = Duration::from_millis(20);

/// The interrupts of an object's waits.
#[derive(Default)]
pub(super) struct Interrupts {
    /// The number of interrupts that callers asked for.
    asked: AtomicU64,
    /// Whether the node was interrupted for a caller who had given up. It remembers that until a wait
    /// sees it.
    given_up: AtomicBool,
}

impl Interrupts {
    /// Records that a caller interrupts the waits.
    pub(super) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// Records that the node is interrupted for a caller who has given up.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }
}

/// A wait of a caller.
pub(super) struct Wait {
    interrupts: Arc<Interrupts>,
    asked: u64,
    options: CallOptions,
    begun: Instant,
    /// The timeout that the caller asks for.
    timeout: Duration,
    /// When the current slice began, and how long it is; `None` before the first, which begins with the
    /// wait.
    slice: Option<(Instant, Duration)>,
}

impl Wait {
    /// Begins a wait of this time, with the options that the caller has now.
    pub(super) fn new(interrupts: &Arc<Interrupts>, timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            interrupts: interrupts.clone(),
            asked: interrupts.asked.load(Ordering::SeqCst),
            options: CallOptions::current(),
            begun: now,
            timeout,
            slice: None,
        }
    }

    /// Calls in slices until one brings the answer of the whole, which `is_answer` tells. `call` gets the
    /// timeout of the slice.
    ///
    /// # Errors
    /// Returns the errors of the calls.
    pub(super) fn until<T>(
        mut self,
        mut call: impl FnMut(Duration) -> Result<T>,
        is_answer: impl Fn(&T, &Self) -> bool,
    ) -> Result<T> {
        loop {
            let answer = self.slice(&mut call);
            let answer = self.whole(answer)?;
            if is_answer(&answer, &self) {
                return Ok(answer);
            }
        }
    }

    /// The async form of [`until`](Self::until). The first call is made at once.
    pub(super) fn until_async<T: Send + 'static>(
        mut self,
        mut call: impl FnMut(Duration) -> Call<T> + Send + 'static,
        is_answer: impl Fn(&T, &Self) -> bool + Send + 'static,
    ) -> Call<T> {
        let mut under_way = self.slice(&mut call);
        Box::pin(async move {
            loop {
                let answer = under_way.await;
                let answer = self.whole(answer)?;
                if is_answer(&answer, &self) {
                    return Ok(answer);
                }
                under_way = self.slice(&mut call);
            }
        })
    }

    /// Makes the call of a slice, whose timeout it gets, with what is left of the caller's time limit.
    pub(super) fn slice<T>(&mut self, call: impl FnOnce(Duration) -> T) -> T {
        let now = Instant::now();
        let elapsed = match self.slice {
            None => Duration::ZERO,
            Some(_) => now.duration_since(self.begun),
        };
        let left = self.left(elapsed);
        let bound = left.map_or(SLICE, |left| SLICE.min(left.saturating_add(MORE)));
        let timeout = self.timeout.saturating_sub(elapsed).min(bound);
        self.slice = Some((now, timeout));
        self.within(left, || call(timeout))
    }

    /// Makes another call of the wait, with what is left of the caller's time limit.
    pub(super) fn rest<T>(&self, call: impl FnOnce() -> T) -> T {
        self.within(self.left(self.begun.elapsed()), call)
    }

    /// Returns what is left of the caller's time limit, if there is one.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let limit = self.options.time_limit()?;
        Some(limit.saturating_sub(elapsed))
    }

    /// Makes a call with the caller's options, but this time limit.
    fn within<T>(&self, limit: Option<Duration>, call: impl FnOnce() -> T) -> T {
        match limit {
            Some(limit) => self.options.clone().timeout(limit).run(call),
            None => self.options.clone().run(call),
        }
    }

    /// Returns whether the wait is over, of which the last slice has brought nothing new: its time has
    /// passed, or it was interrupted.
    pub(super) fn is_over(&self) -> bool {
        let is_early = self
            .slice
            .is_some_and(|(begun, length)| begun.elapsed() + EARLY < length);
        match is_early {
            true => self.is_interrupted(),
            false => self.is_asked_to_end() || self.begun.elapsed() >= self.timeout,
        }
    }

    /// Returns whether a caller has interrupted the waits since this one began.
    pub(super) fn is_asked_to_end(&self) -> bool {
        self.asked != self.interrupts.asked.load(Ordering::SeqCst)
    }

    /// Returns whether an interrupt that the node tells of was meant for this wait, and not for one that
    /// was given up, of which no other wait is told then.
    pub(super) fn is_interrupted(&self) -> bool {
        self.is_asked_to_end() || !self.interrupts.given_up.swap(false, Ordering::SeqCst)
    }

    /// Returns an error as the caller's: a time limit is the whole one, and not what a slice had left.
    pub(super) fn whole<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match (error, self.options.time_limit()) {
            (Error::Timeout { what, .. }, Some(after)) => Error::Timeout { what, after },
            (error, _) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(timeout: Duration) -> Wait {
        Wait::new(&Arc::default(), timeout)
    }

    #[test]
    fn a_slice_is_no_longer_than_what_is_asked_for_or_left() {
        let slice = |timeout| begin(timeout).slice(|timeout| timeout);
        assert_eq!(slice(Duration::MAX), SLICE);
        let short = Duration::from_millis(30);
        assert_eq!(slice(short), short);
        assert_eq!(slice(Duration::ZERO), Duration::ZERO);
        let limit = |limit| CallOptions::new().timeout(limit);
        limit(Duration::from_millis(100)).run(|| {
            assert_eq!(slice(Duration::MAX), Duration::from_millis(150));
            assert_eq!(slice(short), short);
        });
        limit(Duration::MAX).run(|| assert_eq!(slice(Duration::MAX), SLICE));
    }

    #[test]
    fn a_slice_has_what_is_left_of_the_time_limit() {
        let limit = Duration::from_secs(1000);
        let options = CallOptions::new().timeout(limit);
        let mut wait = options.run(|| begin(Duration::MAX));
        wait.slice(|_| ());
        wait.begun = wait.begun.checked_sub(Duration::from_secs(600)).unwrap();
        let left = wait.slice(|_| CallOptions::current().time_limit()).unwrap();
        assert!(left <= Duration::from_secs(400) && left > Duration::from_secs(100));
        let late = Error::Timeout {
            what: "Mining.waitTipChanged".into(),
            after: left,
        };
        match wait.whole::<()>(Err(late)) {
            Err(Error::Timeout { after, .. }) => assert_eq!(after, limit),
            other => panic!("{other:?}"),
        }
    }

    /// Regression: a slice of no time counted as none, and the next had the whole time again.
    #[test]
    fn a_slice_after_the_last_has_no_time() {
        let short = Duration::from_millis(30);
        let mut wait = begin(short);
        wait.begun = wait.begun.checked_sub(short).unwrap();
        assert_eq!(wait.slice(|timeout| timeout), short);
        assert_eq!(wait.slice(|timeout| timeout), Duration::ZERO);
        assert_eq!(wait.slice(|timeout| timeout), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_over_when_its_time_has_passed_or_it_was_interrupted() {
        // A whole slice has passed, and the wait goes on.
        let mut wait = begin(Duration::MAX);
        wait.slice(|_| ());
        wait.slice = Some((wait.begun.checked_sub(SLICE).unwrap(), SLICE));
        assert!(!wait.is_over());
        wait.interrupts.ask();
        assert!(wait.is_over());
        // A slice ended early: the node was interrupted, or shuts down.
        let mut wait = begin(Duration::MAX);
        wait.slice(|_| ());
        assert!(wait.is_over());
        // Once for each that was given up, the interrupt was not for this wait.
        wait.interrupts.give_up();
        assert!(!wait.is_over());
        assert!(wait.is_over());
        let mut wait = begin(Duration::from_millis(500));
        wait.slice(|_| ());
        wait.begun = wait.begun.checked_sub(Duration::from_millis(600)).unwrap();
        wait.slice(|_| ());
        assert!(wait.is_over());
    }
}
