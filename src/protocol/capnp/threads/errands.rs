//! The threads for those of the peer's calls that no thread of the peer waits for.
//!
//! Knows workers, and how busy each is; nothing of methods or messages.
//!
//! A call that a thread of the peer waits for runs on the thread that stands for that one. An async call
//! is free to run anywhere. So quick ones, which are most, run one after the other on one worker: the
//! one that reads them, if it is one of these. What is known to be slow, or not known yet, gets a worker
//! of its own. A quick call may turn out to wait for something, and even for a call behind it: so it is
//! looked after a while whether a worker has got on, and what waits behind it is given to others.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::super::event_loop::EventLoop;
use super::super::event_loop::waiter::Job;
use super::super::sync::{Mutex, Rank, lock};
use super::own_threads::{OwnThreads, ThreadServer, gone};
use crate::error::Result;

/// After what time it is looked whether workers have got on.
const LOOK: Duration = Duration::from_millis(2);
/// How many workers are kept that have nothing to do.
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
    /// It will be looked whether workers have got on.
    is_watched: AtomicBool,
}

#[derive(Default)]
struct Workers {
    all: Vec<Worker>,
    /// The connection has ended.
    ended: bool,
}

struct Worker {
    server: Arc<ThreadServer>,
    /// How many of its jobs are slow.
    slow: Arc<AtomicUsize>,
    /// How many jobs it had begun when it was looked last.
    begun: u64,
}

/// A worker that was chosen for a job, until that is done.
pub struct Errand {
    /// The worker.
    pub server: Arc<ThreadServer>,
    /// Counted as long as the job is there.
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

/// The worker that this thread is, if it is one.
pub fn this_worker() -> Option<Arc<ThreadServer>> {
    WORKER.try_with(|worker| worker.borrow().upgrade()).ok()?
}

impl Errands {
    /// No workers yet.
    pub fn new(event_loop: &Arc<EventLoop>, threads: &Arc<OwnThreads>) -> Arc<Self> {
        Arc::new(Self {
            event_loop: event_loop.clone(),
            threads: threads.clone(),
            workers: Mutex::ranked(Rank::Pool, Workers::default()),
            is_watched: AtomicBool::new(false),
        })
    }

    /// Chooses a worker for a job that is known to be quick, or is not. `from` names the peer's thread.
    ///
    /// # Errors
    /// When there are too many threads, or the operating system gives none; when the connection has
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

    /// Sees to it that it is looked whether workers get on.
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

    /// Gives what waits behind a job that does not end to other workers, and lets some go where many
    /// have nothing to do.
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

    /// Gives a job to a worker that has nothing to do, or back to the one that it was taken from where
    /// there is none.
    fn pass_on(self: &Arc<Self>, from: &Arc<ThreadServer>, job: Job) {
        let worker = self.choose(false, || from.name());
        let to = worker.as_ref().map_or(from, |worker| &worker.server);
        if let Err((refused, job)) = to.waiter.post(job) {
            job.work.refuse(refused);
        }
    }
}
