//! The threads for the peer's calls that no thread of the peer waits for.
//!
//! Knows workers, and how busy each is; nothing of methods or messages.
//!
//! A call that a thread of the peer waits for runs on the thread that stands for that one. An async
//! call may run on any thread. So quick ones, which are most, run one after the other on one worker:
//! the one that reads them, if a worker does. A call that is known to be slow, or not known yet, gets a
//! worker of its own. A quick call may turn out to wait for something, even for a call queued behind
//! it: so after a while the workers are checked for progress, and the jobs queued behind a stuck one
//! are given to others.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::super::event_loop::EventLoop;
use super::super::event_loop::waiter::Job;
use super::super::sync::{Mutex, Rank, lock};
use super::own_threads::{OwnThreads, ThreadServer, gone};
use crate::error::Result;

/// The time after which the workers are checked for progress.
const LOOK: Duration = Duration::from_millis(2);
/// The number of idle workers that are kept.
const IDLE: usize = 8;

thread_local! {
    /// The worker that this thread is.
    static WORKER: RefCell<Weak<ThreadServer>> = const { RefCell::new(Weak::new()) };
}

/// The workers of one connection.
pub struct Errands {
    event_loop: Arc<EventLoop>,
    threads: Arc<OwnThreads>,
    workers: Mutex<Workers>,
    /// Set while a check for progress is scheduled.
    is_watched: AtomicBool,
}

#[derive(Default)]
struct Workers {
    all: Vec<Worker>,
    /// Set once the connection has ended.
    ended: bool,
}

struct Worker {
    server: Arc<ThreadServer>,
    /// The number of its jobs that are not known to be quick.
    slow: Arc<AtomicUsize>,
    /// The number of jobs that it had begun at the last check.
    begun: u64,
}

/// A worker that was chosen for a job, until the job is done.
pub struct Errand {
    /// The worker.
    pub server: Arc<ThreadServer>,
    /// The worker's `slow` count, which includes the job until this is dropped.
    slow: Option<Arc<AtomicUsize>>,
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(slow) = &self.slow {
            slow.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    fn is_idle(&self) -> bool {
        self.slow.load(Ordering::Relaxed) == 0 && self.server.waiter.busy() == 0
    }
}

/// Returns the worker that this thread is, if it is one.
pub fn this_worker() -> Option<Arc<ThreadServer>> {
    WORKER.try_with(|worker| worker.borrow().upgrade()).ok()?
}

impl Errands {
    /// Makes an empty set of workers.
    pub fn new(event_loop: &Arc<EventLoop>, threads: &Arc<OwnThreads>) -> Arc<Self> {
        Arc::new(Self {
            event_loop: event_loop.clone(),
            threads: threads.clone(),
            workers: Mutex::ranked(Rank::Pool, Workers::default()),
            is_watched: AtomicBool::new(false),
        })
    }

    /// Chooses a worker for a job. `is_quick` tells whether the job is known to be quick; `from` names
    /// the peer's thread.
    ///
    /// # Errors
    /// Fails when there are too many threads, the operating system gives none, or the connection has
    /// ended.
    pub fn choose(
        self: &Arc<Self>,
        is_quick: bool,
        from: impl FnOnce() -> String,
    ) -> Result<Errand> {
        let this = this_worker();
        let is_this = |worker: &Worker| {
            let this = this.as_ref();
            this.is_some_and(|this| Arc::ptr_eq(this, &worker.server))
        };
        let mut workers = lock(&self.workers);
        if workers.ended {
            return Err(gone());
        }
        let all = &workers.all;
        let found = match is_quick {
            true => {
                let reads = |worker: &&Worker| is_this(worker) && !worker.server.waiter.is_inside();
                let is_free = |worker: &&Worker| worker.slow.load(Ordering::Relaxed) == 0;
                all.iter().find(reads).or_else(|| all.iter().find(is_free))
            }
            false => all
                .iter()
                .find(|worker| worker.is_idle() && !is_this(worker)),
        };
        let (server, slow) = match found {
            Some(worker) => (worker.server.clone(), worker.slow.clone()),
            None => {
                let server = self.threads.worker(&from(), |server| WORKER.set(server))?;
                let slow = Arc::default();
                workers.all.push(Worker {
                    server: server.clone(),
                    slow: Arc::clone(&slow),
                    begun: 0,
                });
                (server, slow)
            }
        };
        let slow = (!is_quick).then(|| {
            slow.fetch_add(1, Ordering::Relaxed);
            slow
        });
        drop(workers);
        if is_quick && server.waiter.busy() > 0 {
            self.watch();
        }
        Ok(Errand { server, slow })
    }

    /// Ends the workers. None is made from now on.
    pub fn end(&self) {
        let mut workers = lock(&self.workers);
        workers.ended = true;
        let all = std::mem::take(&mut workers.all);
        drop(workers);
        drop(all);
    }

    /// Schedules a check for progress, unless one is scheduled.
    fn watch(self: &Arc<Self>) {
        if self.is_watched.swap(true, Ordering::SeqCst) {
            return;
        }
        let weak = Arc::downgrade(self);
        let Some(time) = Instant::now().checked_add(LOOK) else {
            return;
        };
        self.event_loop.certainly_at(time, move || {
            if let Some(this) = weak.upgrade() {
                this.is_watched.store(false, Ordering::SeqCst);
                this.look();
            }
        });
    }

    /// Moves the jobs queued behind a stuck one to other workers, and releases idle workers beyond
    /// [`IDLE`].
    fn look(self: &Arc<Self>) {
        let mut stranded = Vec::new();
        let mut workers = lock(&self.workers);
        let mut is_busy = false;
        for worker in &mut workers.all {
            let begun = worker.server.waiter.begun();
            if std::mem::replace(&mut worker.begun, begun) == begun {
                let jobs = worker.server.waiter.take_alone();
                stranded.extend(jobs.into_iter().map(|job| (worker.server.clone(), job)));
            }
            is_busy |= worker.server.waiter.busy() > 0;
        }
        let mut idle = 0;
        let (kept, dropped) = std::mem::take(&mut workers.all)
            .into_iter()
            .partition(|worker| {
                idle += usize::from(worker.is_idle());
                !worker.is_idle() || idle <= IDLE
            });
        workers.all = kept;
        drop(workers);
        drop::<Vec<Worker>>(dropped);
        for (from, job) in stranded {
            self.pass_on(&from, job);
        }
        if is_busy {
            self.watch();
        }
    }

    /// Posts a job to an idle or a new worker, or back to the worker that it was taken from if there is
    /// none.
    fn pass_on(self: &Arc<Self>, from: &Arc<ThreadServer>, job: Job) {
        let worker = self.choose(false, || from.name());
        let to = worker.as_ref().map_or(from, |worker| &worker.server);
        if let Err((refused, job)) = to.waiter.post(job) {
            job.work.refuse(refused);
        }
    }
}
