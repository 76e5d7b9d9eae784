//! The bounded queue of the log's lines, and the thread that writes them. A thread that logs never
//! waits for the reader of the log: lines that do not fit are dropped and counted.
//!
//! Knows threads and how a line of the log looks; nothing of where the lines go.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Limit of the bytes that are queued, which are some ten thousand lines.
const CAPACITY: usize = 1 << 20;

/// Time that [`Queue::flush`] waits for the next line to be written.
const PATIENCE: Duration = Duration::from_millis(200);

/// Time that it waits in all, where the reader is slow.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Wakes the writer when a line is queued.
    queued: Condvar,
    /// Wakes threads that flush when a line is written.
    written: Condvar,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// The cost of `lines`.
    bytes: usize,
    /// Lines that were dropped since the last one was queued.
    dropped: u64,
    /// Lines that were ever queued, and those of them that were written.
    accepted: u64,
    written: u64,
    /// The value of `written` at which a flush gave up.
    stuck_at: Option<u64>,
    has_writer: bool,
}

impl Queue {
    /// Makes a queue. Its thread starts with the first line and calls `write` with each in turn.
    pub(crate) fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            queued: Condvar::new(),
            written: Condvar::new(),
            write: Box::new(write),
        }))
    }

    /// Queues a line, or drops it when the queue is full. Does not block.
    pub(crate) fn push(&self, line: String) {
        let mut state = self.state();
        state.push(line);
        self.start(&mut state);
        self.0.queued.notify_one();
    }

    /// Waits until the lines that were queued before are written. Gives up after [`PATIENCE`] without
    /// progress, and returns at once from then on until another line is written.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        // After a drop, the line after those that are queued says how many lines are missing.
        let goal = state.accepted + u64::from(state.dropped > 0);
        let end = Instant::now() + FLUSH_LIMIT;
        while state.written < goal && self.start(&mut state) {
            let before = state.written;
            let left = end.saturating_duration_since(Instant::now()).min(PATIENCE);
            if left.is_zero() || state.stuck_at == Some(before) {
                return;
            }
            state = self
                .0
                .written
                .wait_timeout_while(state, left, |state| state.written == before)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if state.written == before {
                state.stuck_at = Some(before);
            }
        }
    }

    /// Starts the writer unless it runs. Returns false when the system has no thread for it.
    fn start(&self, state: &mut State) -> bool {
        if !state.has_writer {
            let this = self.clone();
            let thread = thread::Builder::new().name("log".into());
            // After a failure, the next line tries again.
            state.has_writer = thread.spawn(move || this.write_lines()).is_ok();
        }
        state.has_writer
    }

    fn write_lines(&self) {
        let mut state = self.state();
        loop {
            let Some(line) = state.pop() else {
                let woken = self.0.queued.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            (self.0.write)(&line);
            state = self.state();
            state.written += 1;
            self.0.written.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, line: String) {
        // After a drop, lines are dropped until half of the queue is free: one gap, not many.
        let limit = match self.dropped {
            0 => CAPACITY,
            _ => CAPACITY / 2,
        };
        if self.bytes + cost(&line) > limit {
            self.dropped += 1;
            return;
        }
        self.tell_dropped();
        self.accept(line);
    }

    /// Takes the next line to write. At the end of the queue that is the number of dropped lines.
    fn pop(&mut self) -> Option<String> {
        if self.lines.is_empty() {
            self.tell_dropped();
        }
        let line = self.lines.pop_front()?;
        self.bytes -= cost(&line);
        Some(line)
    }

    /// Queues a line that says how many were dropped, if any were.
    fn tell_dropped(&mut self) {
        let lines = match std::mem::take(&mut self.dropped) {
            0 => return,
            1 => "1 line was".to_owned(),
            dropped => format!("{dropped} lines were"),
        };
        self.accept(format!(
            "[log:warning] {{log}} {lines} dropped: the log was not read in time"
        ));
    }

    fn accept(&mut self, line: String) {
        self.bytes += cost(&line);
        self.lines.push_back(line);
        self.accepted += 1;
    }
}

/// Bytes of memory that a line takes.
fn cost(line: &str) -> usize {
    line.len() + size_of::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A queue whose writer hands each line over once the receiver takes it.
    fn read_by_hand() -> (Queue, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::sync_channel(0);
        let queue = Queue::new(move |line| {
            let _ = sender.send(line.to_owned());
        });
        (queue, receiver)
    }

    fn kilobyte(number: usize) -> String {
        format!("{number:01024}")
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let (queue, lines) = read_by_hand();
        for number in 0..500 {
            queue.push(number.to_string());
        }
        for number in 0..500 {
            assert_eq!(lines.recv_timeout(LIMIT), Ok(number.to_string()));
        }
        drop(lines);
        queue.flush();
        assert_eq!(queue.state().written, 500);
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_counted_where_they_are_missing() {
        let (queue, lines) = read_by_hand();
        for number in 0..5000 {
            queue.push(kilobyte(number));
        }
        assert!(queue.state().bytes <= CAPACITY);
        let dropped = queue.state().dropped;
        let kept = 5000 - usize::try_from(dropped).unwrap();
        assert!((500..1100).contains(&kept), "{kept}");
        for number in 0..kept {
            assert_eq!(lines.recv_timeout(LIMIT), Ok(kilobyte(number)));
        }
        // The gap is told of without another line, and the next one follows it.
        queue.push("next".into());
        let gap = lines.recv_timeout(LIMIT).unwrap();
        let words = format!("[log:warning] {{log}} {dropped} lines were dropped: ");
        assert!(gap.starts_with(&words), "{gap}");
        assert_eq!(lines.recv_timeout(LIMIT), Ok("next".into()));
    }

    #[test]
    fn a_gap_is_told_of_before_the_first_line_after_it() {
        let mut state = State::default();
        let mut number = 0;
        while state.dropped < 2 {
            state.push(kilobyte(number));
            number += 1;
        }
        // With less than half of the queue free, the gap grows.
        state.pop();
        state.push(kilobyte(number));
        assert_eq!(state.dropped, 3);
        while state.bytes > CAPACITY / 3 {
            state.pop();
        }
        state.push("after".into());
        let left: Vec<_> = std::iter::from_fn(|| state.pop()).collect();
        let [.., gap, after] = &left[..] else {
            panic!("{left:?}");
        };
        assert!(gap.contains(" 3 lines were dropped"), "{gap}");
        assert_eq!(
            (after.as_str(), state.dropped, state.bytes),
            ("after", 0, 0)
        );
    }

    #[test]
    fn the_end_of_the_log_tells_of_lines_that_were_dropped() {
        let mut state = State::default();
        state.push("x".repeat(CAPACITY));
        let gap = state.pop().unwrap();
        assert!(gap.contains(" 1 line was dropped"), "{gap}");
        assert_eq!(state.pop(), None);
    }

    #[test]
    fn a_flush_waits_for_a_reader_and_gives_up_without_one() {
        let (queue, lines) = read_by_hand();
        let start = Instant::now();
        queue.flush();
        queue.push("one".into());
        queue.push("two".into());
        queue.flush();
        assert!(start.elapsed() >= PATIENCE);
        // What has given up does not wait again.
        let start = Instant::now();
        for _ in 0..1000 {
            queue.flush();
        }
        assert!(start.elapsed() < LIMIT);
        let reader = thread::spawn(move || {
            let first = lines.recv_timeout(LIMIT);
            thread::sleep(PATIENCE / 4);
            (first, lines.recv_timeout(LIMIT))
        });
        while queue.state().written == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        queue.flush();
        let read = reader.join().unwrap();
        assert_eq!(read, (Ok("one".into()), Ok("two".into())));
    }
}
