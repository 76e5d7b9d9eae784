//! The rate of log lines about one process.
//!
//! Knows times and numbers; nothing of what the lines say, nor of where they are written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of lines about one process that go to the log within any [`LOG_TIME`].
const LOG_LINES: usize = 10;
const LOG_TIME: Duration = Duration::from_secs(1);

/// The lines about a process in the log.
#[derive(Debug, Default)]
pub struct LogRate {
    /// The times of the last lines written, at most [`LOG_LINES`].
    written: VecDeque<Instant>,
    /// The number of lines left out since.
    pub left_out: u64,
    /// Set while a timer is pending that fires when the last line is [`LOG_TIME`] old. It keeps the
    /// account alive, so that a process without a connection for a moment does not get a new one.
    pub is_timed: bool,
}

impl LogRate {
    /// Counts a line; returns whether it may be written. Once a line is left out, so are all others
    /// until [`LogRate::summary`] counts them.
    pub fn add(&mut self, now: Instant) -> bool {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= LOG_TIME;
        while self.written.front().is_some_and(is_old) {
            self.written.pop_front();
        }
        let is_free = self.left_out == 0 && self.written.len() < LOG_LINES;
        match is_free {
            true => self.written.push_back(now),
            false => self.left_out += 1,
        }
        is_free
    }

    /// Returns the time at which the last line is [`LOG_TIME`] old, if that is in the future.
    pub fn busy_until(&self, now: Instant) -> Option<Instant> {
        let end = self.written.back()?.checked_add(LOG_TIME)?;
        (end > now).then_some(end)
    }

    /// Returns how many lines were left out, if any, and counts the line that reports it.
    pub fn summary(&mut self, now: Instant) -> Option<u64> {
        let left_out = std::mem::take(&mut self.left_out);
        let is_some = left_out > 0;
        is_some.then(|| {
            self.add(now);
            left_out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_are_logged_and_the_others_counted() {
        let (mut log, begin) = (LogRate::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        let written: Vec<_> = (0..25).filter(|n| log.add(at(n * 30))).collect();
        assert_eq!(written, Vec::from_iter(0..10));
        // The first ones are old enough, but the lines left out have to be reported first.
        assert_eq!(log.busy_until(at(1100)), Some(at(1270)));
        assert!(!log.add(at(1100)));
        assert_eq!(log.busy_until(at(1270)), None);
        assert_eq!(log.summary(at(1270)), Some(16));
        assert_eq!((1..20).filter(|n| log.add(at(1270 + n))).count(), 9);
        assert_eq!(log.summary(at(3000)), Some(10));
        assert_eq!(log.summary(at(4000)), None);
    }
}
