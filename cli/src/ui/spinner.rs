//! The line at a terminal's end that says what is under way and since when.
//!
//! Knows a terminal and time; nothing of what is under way. Must not be shown where there is no
//! terminal, which is [`crate::ui::output`]'s to know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The delay before a spinner says that something is under way.
const SPINNER_AFTER: Duration = Duration::from_millis(500);

/// The further delay before a line of advice.
const ADVICE_AFTER: Duration = Duration::from_millis(4500);

/// The time between two pictures of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// The spinner that is shown, if any, which every line on the terminal must make way for. Clones share
/// it.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<ProgressBar>>>);

impl Slot {
    /// Runs `write` while no spinner is shown.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.shown() {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, about: String, since: Instant) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            .with_elapsed(since.elapsed())
            .with_message(about);
        *self.shown() = Some(bar.clone());
        bar.enable_steady_tick(TICK);
        bar
    }

    fn clear(&self, bar: &ProgressBar) {
        self.shown().take();
        bar.finish_and_clear();
    }

    /// Shows a spinner once `about` takes long, and calls `advise` once it takes very long, until the
    /// result is dropped. Shows nothing where another one is shown, or `shows` is false.
    pub(super) fn spin(
        &self,
        shows: bool,
        about: String,
        advise: Option<impl FnOnce() + Send + 'static>,
    ) -> Spinner {
        if !shows || self.shown().is_some() {
            return Spinner(None);
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let (slot, since) = (self.clone(), Instant::now());
        let spin = move || {
            let is_over = |wait| stopped.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout);
            if is_over(SPINNER_AFTER) {
                return;
            }
            let bar = slot.show(about, since);
            match advise {
                Some(_) if is_over(ADVICE_AFTER) => {}
                advise => {
                    if let Some(advise) = advise {
                        advise();
                    }
                    let _ = stopped.recv();
                }
            }
            slot.clear(&bar);
        };
        let thread = thread::Builder::new().spawn(spin).ok();
        Spinner(thread.map(|thread| (stop, thread)))
    }

    /// Counts things that are done, and shows how many and how fast once that takes long.
    pub(super) fn count(&self, shows: bool, things: &'static str) -> Counter {
        Counter {
            slot: self.clone(),
            shows,
            things,
            since: Instant::now(),
            done: 0,
            failed: 0,
            bar: None,
        }
    }
}

/// Ends the spinner when dropped.
pub(crate) struct Spinner(Option<(mpsc::Sender<()>, JoinHandle<()>)>);

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// The number of things that are done.
pub(crate) struct Counter {
    slot: Slot,
    shows: bool,
    things: &'static str,
    since: Instant,
    done: u64,
    failed: u64,
    bar: Option<ProgressBar>,
}

impl Counter {
    /// Counts one more.
    pub(crate) fn add(&mut self, failed: bool) {
        self.done += 1;
        self.failed += u64::from(failed);
        if !self.shows || self.since.elapsed() < SPINNER_AFTER {
            return;
        }
        let about = self.about(self.since.elapsed());
        match &self.bar {
            Some(bar) => bar.set_message(about),
            None => self.bar = Some(self.slot.show(about, self.since)),
        }
    }

    fn about(&self, took: Duration) -> String {
        // Precision beyond 2^53 does not matter here.
        #[allow(clippy::cast_precision_loss)]
        let rate = self.done as f64 / took.as_secs_f64();
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!("{} {}, {rate:.0}/s{failed}", self.done, self.things)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            self.slot.clear(bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_a_rate() {
        let mut counter = Slot::default().count(false, "lines");
        for failed in [false, true, false, false, true] {
            counter.add(failed);
        }
        assert_eq!(
            counter.about(Duration::from_secs(2)),
            "5 lines, 2/s, 2 failed"
        );
        counter.failed = 0;
        assert_eq!(counter.about(Duration::from_millis(5)), "5 lines, 1000/s");
    }
}
