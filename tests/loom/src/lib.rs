//! Model checks of the files that coordinate threads: every interleaving of a few threads, with loom's
//! locks in place of the standard library's. The files under test are the library's own.

#![cfg(test)]
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

mod event_loop;
mod rpc;
mod threads;

mod sync {
    pub use loom::sync::{Condvar, MutexGuard};
    use std::time::Duration;

    use loom::sync::atomic::{AtomicBool, Ordering};

    /// Loom's own, which does not know `const`.
    macro_rules! loom_thread_local {
        ($(#[$attribute:meta])* static $name:ident: $of:ty = const $value:block;) => {
            loom::thread_local! {
                $(#[$attribute])*
                static $name: $of = $value;
            }
        };
    }
    pub(crate) use loom_thread_local as thread_local;

    /// A cell that loom lacks: other threads may run before each access to it.
    pub struct OnceLock<T> {
        is_set: AtomicBool,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub fn new() -> Self {
            Self {
                is_set: AtomicBool::new(false),
                value: std::sync::OnceLock::new(),
            }
        }

        pub fn get(&self) -> Option<&T> {
            let is_set = self.is_set.load(Ordering::Acquire);
            is_set.then(|| self.value.get().unwrap())
        }

        pub fn set(&self, value: T) -> Result<(), T> {
            let set = self.value.set(value);
            self.is_set.store(true, Ordering::Release);
            set
        }
    }

    impl<T> From<T> for OnceLock<T> {
        fn from(value: T) -> Self {
            Self {
                is_set: AtomicBool::new(true),
                value: value.into(),
            }
        }
    }

    /// The ranks that the files under test name. The library's own tests check them.
    pub enum Rank {
        Decisions,
        Pending,
        Sink,
        Waiter,
    }

    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn ranked(_: Rank, value: T) -> Self {
            Self::new(value)
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.0.lock().unwrap()
    }

    pub fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap()
    }

    /// Time never passes here: a property that a model shows holds without the help of a clock.
    pub fn wait_timeout<'a, T>(
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        (wait(condvar, guard), false)
    }
}

mod calls;
mod leading;
mod order;
mod waiting;
mod writing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use loom::sync::Condvar;
use loom::sync::atomic::{AtomicUsize, Ordering};
use sync::Mutex;

use event_loop::leader::{Leadership, Loop};
use event_loop::waiter::{Job, Refused, Slot, Waited, Waiter, Work};

const CONNECTION: u64 = 1;

/// The number of times that a thread is interrupted where it need not be. Each further time
/// multiplies the number of interleavings; a lost wake-up takes two.
/// `PREEMPTIONS=4 cargo test --release -p bitcoin-ipc-loom` takes minutes.
const PREEMPTIONS: usize = 3;

/// Runs every interleaving of a model, with this many interruptions.
fn model(of: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let asked = std::env::var("PREEMPTIONS").ok();
    builder.preemption_bound = Some(asked.map_or(PREEMPTIONS, |bound| bound.parse().unwrap()));
    builder.check(of);
}

/// Waits until these threads have ended.
fn join(threads: impl IntoIterator<Item = loom::thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A counter that loom tracks, with loom's own reference count.
type Counter = loom::sync::Arc<AtomicUsize>;

fn counter() -> Counter {
    loom::sync::Arc::new(AtomicUsize::new(0))
}

/// The work of a job, as a closure.
struct Does<F>(F);

impl<F: FnOnce() + Send> Work for Does<F> {
    fn run(self: Box<Self>, _: &dyn Fn() -> bool) {
        (self.0)();
    }

    fn refuse(self: Box<Self>, _: Refused) {}
}

fn job(does: impl FnOnce() + Send + 'static) -> Job {
    Job {
        connection: CONNECTION,
        slow: false,
        alone: false,
        quick: false,
        guard: None,
        work: Box::new(Does(does)),
    }
}

fn counting(counter: &Counter) -> Job {
    let counter = counter.clone();
    job(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    })
}

/// A loop whose events are closures.
#[derive(Default)]
struct Events {
    leadership: Leadership,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    news: VecDeque<Box<dyn FnOnce() + Send>>,
    interrupted: bool,
}

impl Events {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Queues an event from outside, and wakes the loop.
    fn tell(&self, news: impl FnOnce() + Send + 'static) {
        sync::lock(&self.state).news.push_back(Box::new(news));
        self.changed.notify_all();
    }
}

impl Loop for Events {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn wait(&self, _: Option<Instant>) {
        let mut state = sync::lock(&self.state);
        while state.news.is_empty() && !state.interrupted {
            state = sync::wait(&self.changed, state);
        }
        state.interrupted = false;
    }

    fn process(&self) {
        loop {
            let news = sync::lock(&self.state).news.pop_front();
            match news {
                Some(news) => news(),
                None => return,
            }
        }
    }

    fn has_gathered(&self) -> bool {
        false
    }

    fn flush_gathered(&self) {}

    fn interrupt(&self) {
        sync::lock(&self.state).interrupted = true;
        self.changed.notify_all();
    }
}

/// Waits for a value on this thread.
fn wait<R>(events: &Arc<Events>, waiter: &Waiter, slot: &Slot<R>) -> Waited<R> {
    waiter.enter(CONNECTION);
    let on: Arc<dyn Loop> = events.clone();
    waiter.wait(&on, CONNECTION, slot, None, || false)
}
