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

/// The time after which the workers are checked for progress. Two checks find a worker stuck.
const LOOK: Duration = Duration::from_millis(2);
/// The time between checks once the connection has ended.
const LOOK_AT_END: Duration = Duration::from_millis(100);
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
    workers: Mutex<Vec<Worker>>,
    /// The number of workers.
    count: AtomicUsize,
    /// Set once the connection has ended.
    ended: AtomicBool,
    /// Set while a check for progress is scheduled.
    is_watched: AtomicBool,
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
    /// Counts the job among the worker's slow ones.
    _slow: Option<Slow>,
}

/// Counts a job among the slow ones of its worker, until it is dropped.
struct Slow {
    count: Arc<AtomicUsize>,
    errands: Weak<Errands>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(errands) = self.errands.upgrade()
            && errands.count.load(Ordering::SeqCst) > errands.most_idle()
        {
            errands.watch();
        }
    }
}

impl Worker {
    fn is_idle(&self) -> bool {
        self.is_free() && self.server.waiter.busy() == 0
    }

    /// Returns whether it has no job but quick ones.
    fn is_free(&self) -> bool {
        self.slow.load(Ordering::Relaxed) == 0
    }

    fn is(&self, server: Option<&Arc<ThreadServer>>) -> bool {
        server.is_some_and(|server| Arc::ptr_eq(server, &self.server))
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
            workers: Mutex::ranked(Rank::Pool, Vec::new()),
            count: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
        })
    }

    /// Chooses a worker for a job. `is_quick` tells whether the job is known to be quick; `from` names
    /// the peer's thread.
    ///
    /// # Errors
    /// Fails when every worker has a slow job and no other can be made: there are too many threads, or
    /// the operating system gives none. Fails when the connection has ended.
    pub fn choose(
        self: &Arc<Self>,
        is_quick: bool,
        from: impl FnOnce() -> String,
    ) -> Result<Errand> {
        let this = this_worker();
        let reads =
            |worker: &&Worker| worker.is(this.as_ref()) && !worker.server.waiter.is_inside();
        let mut workers = lock(&self.workers);
        if self.ended.load(Ordering::SeqCst) {
            return Err(gone());
        }
        let free = || {
            let mut free = workers.iter().filter(|worker| worker.is_free());
            free.clone().find(reads).or_else(|| free.next())
        };
        let found = match is_quick {
            true => free().map(|worker| self.errand(worker, true)),
            false => None,
        };
        let errand = match found {
            Some(errand) => errand,
            None => match self.idle_or_new(&mut workers, is_quick, from) {
                Ok(errand) => errand,
                // Nobody else can run it, and what it waits for is quick.
                Err(error) => match workers.iter().find(|worker| worker.is_free()) {
                    Some(worker) => self.errand(worker, is_quick),
                    None => return Err(error),
                },
            },
        };
        drop(workers);
        if errand.server.waiter.busy() > 0 {
            self.watch();
        }
        Ok(errand)
    }

    /// Takes an idle worker other than this thread, or makes one.
    fn idle_or_new(
        self: &Arc<Self>,
        workers: &mut Vec<Worker>,
        is_quick: bool,
        from: impl FnOnce() -> String,
    ) -> Result<Errand> {
        let this = this_worker();
        let is_other = |worker: &&Worker| worker.is_idle() && !worker.is(this.as_ref());
        if let Some(idle) = workers.iter().find(is_other) {
            return Ok(self.errand(idle, is_quick));
        }
        let worker = Worker {
            server: self.threads.worker(&from(), |server| WORKER.set(server))?,
            slow: Arc::default(),
            begun: 0,
        };
        let errand = self.errand(&worker, is_quick);
        workers.push(worker);
        self.count.store(workers.len(), Ordering::SeqCst);
        Ok(errand)
    }

    fn errand(self: &Arc<Self>, worker: &Worker, is_quick: bool) -> Errand {
        let slow = || {
            worker.slow.fetch_add(1, Ordering::Relaxed);
            Slow {
                count: worker.slow.clone(),
                errands: Arc::downgrade(self),
            }
        };
        Errand {
            server: worker.server.clone(),
            _slow: (!is_quick).then(slow),
        }
    }

    /// Releases the workers that have nothing to run; the others finish what they have. No request is
    /// taken from now on.
    pub fn end(self: &Arc<Self>) {
        self.ended.store(true, Ordering::SeqCst);
        self.look();
    }

    /// The number of idle workers that are kept.
    fn most_idle(&self) -> usize {
        match self.ended.load(Ordering::SeqCst) {
            true => 0,
            false => IDLE,
        }
    }

    /// Schedules a check for progress, unless one is scheduled.
    fn watch(self: &Arc<Self>) {
        if self.is_watched.swap(true, Ordering::SeqCst) {
            return;
        }
        let weak = Arc::downgrade(self);
        let after = match self.ended.load(Ordering::SeqCst) {
            true => LOOK_AT_END,
            false => LOOK,
        };
        let Some(time) = Instant::now().checked_add(after) else {
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
    /// [`IDLE`], or all of them once the connection has ended.
    fn look(self: &Arc<Self>) {
        let mut stranded = Vec::new();
        let most = self.most_idle();
        let mut is_unsettled = false;
        let mut workers = lock(&self.workers);
        for worker in workers.iter_mut() {
            let waiter = &worker.server.waiter;
            let begun = waiter.begun();
            if std::mem::replace(&mut worker.begun, begun) == begun {
                let jobs = waiter.take_alone();
                stranded.extend(jobs.into_iter().map(|job| (worker.server.clone(), job)));
            }
            // At the end nothing else tells that a quick job is done.
            is_unsettled |= waiter.has_waiting() || (most == 0 && worker.is_free());
        }
        let mut idle = 0;
        let is_kept = |worker: &Worker| {
            idle += usize::from(worker.is_idle());
            !worker.is_idle() || idle <= most
        };
        let (kept, released) = std::mem::take(&mut *workers).into_iter().partition(is_kept);
        *workers = kept;
        let is_empty = workers.is_empty();
        self.count.store(workers.len(), Ordering::SeqCst);
        drop(workers);
        drop::<Vec<Worker>>(released);
        if !stranded.is_empty() || (is_unsettled && !is_empty) {
            self.watch();
        }
        for (from, job) in stranded {
            self.pass_on(&from, job);
        }
    }

    /// Posts a job to an idle or a new worker, or back to the worker that it was taken from if there is
    /// none.
    fn pass_on(self: &Arc<Self>, from: &Arc<ThreadServer>, mut job: Job) {
        let errand = self.idle_or_new(&mut lock(&self.workers), false, || from.name());
        let to = match errand {
            Ok(errand) => {
                let to = errand.server.clone();
                job.guard = Some(Box::new(errand));
                to
            }
            Err(_) => from.clone(),
        };
        if let Err((refused, job)) = to.waiter.post(job) {
            job.work.refuse(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::super::accounts::Accounts;
    use super::*;
    use crate::limits::Limits;

    fn errands(limits: Limits) -> Arc<Errands> {
        let event_loop = EventLoop::new("test").unwrap();
        let account = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
        let threads = OwnThreads::new(&event_loop, &limits, &account);
        Errands::new(&event_loop, &threads)
    }

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..2000 {
            if condition() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{what}");
    }

    #[test]
    fn workers_that_many_slow_jobs_needed_end() {
        let errands = errands(Limits::default());
        let choose = || errands.choose(false, || "a thread".to_owned()).unwrap();
        let slow: Vec<_> = (0..40).map(|_| choose()).collect();
        assert_eq!(lock(&errands.workers).len(), 40);
        drop(slow);
        eventually("most have ended", || lock(&errands.workers).len() <= IDLE);
        assert_eq!(lock(&errands.workers).len(), IDLE);
        errands.end();
        assert_eq!(lock(&errands.workers).len(), 0);
        assert!(errands.choose(true, || "a thread".to_owned()).is_err());
    }

    #[test]
    fn nothing_is_checked_beside_a_slow_job_that_nothing_waits_for() {
        let errands = errands(Limits::default());
        let slow = errands.choose(false, || "a thread".to_owned()).unwrap();
        let quick = errands.choose(true, || "a thread".to_owned()).unwrap();
        assert!(!Arc::ptr_eq(&slow.server, &quick.server));
        assert!(!errands.is_watched.load(Ordering::SeqCst));
    }
}
