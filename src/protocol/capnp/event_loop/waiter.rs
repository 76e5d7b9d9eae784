//! A thread that waits, and meanwhile runs the jobs that its peer sends it.
//!
//! Knows queues, one condition variable, and which thread leads the event loop; nothing of messages,
//! connections beyond their number, or what the jobs do. Model-checked with loom in `tests/loom`.
//!
//! The threading model: every application thread that makes calls, and every server thread made for a
//! peer, has one [`Waiter`]. A blocking call sends its request and then waits here, and drives the
//! event loop meanwhile if no other thread does. If the peer's method calls back, the thread that
//! drives the loop posts a [`Job`] to this same waiter, so the callback runs on the thread that waits
//! for the outer call, exactly where it would run if both sides were one process; it may make more
//! calls, to any depth. A server thread is nothing but a waiter that waits for jobs until it is closed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::super::sync::{Condvar, Mutex, MutexGuard, Rank, lock, wait, wait_timeout};
use super::leader::Loop;

/// Identifies a connection within its process.
pub type ConnectionId = u64;

/// Something to run on a thread that waits.
pub struct Job {
    /// The connection it came over.
    pub connection: ConnectionId,
    /// Set if the job is known to be slow. The event loop is not left alone while it runs.
    pub slow: bool,
    /// Set if the job runs only when no other job does, and not inside one that waits.
    pub alone: bool,
    /// Set if the job is known to be quick, and runs alone.
    pub quick: bool,
    /// The work of the job.
    pub work: Box<dyn Work>,
    /// Dropped once the job has run.
    pub guard: Option<Box<dyn Send>>,
}

/// Work that a thread runs for its peer. Dropped when the thread ends before it is run.
pub trait Work: Send {
    /// Runs the work. `followed` tells whether this thread runs another such job at once, so that what
    /// there is to write may be left to that.
    fn run(self: Box<Self>, followed: &dyn Fn() -> bool);
    /// Handles a refusal: no thread takes the job, for the reason `why`.
    fn refuse(self: Box<Self>, why: Refused);
}

/// The reason that a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The thread is ending, or is not waiting for a call on this connection.
    NotWaiting,
    /// Calls back and forth are nested too deeply.
    TooDeep,
}

/// The result of a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<R> {
    /// The value that was waited for.
    Done(R),
    /// The deadline passed first.
    TimedOut,
    /// The `stopped` condition of [`Waiter::wait`] became true first.
    Stopped,
}

/// The slot for the value that a thread waits for.
pub struct Slot<R>(Mutex<Option<R>>);

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<R> Slot<R> {
    /// Stores the value and wakes the thread that waits for it.
    pub fn fill(&self, waiter: &Waiter, value: R) {
        *lock(&self.0) = Some(value);
        waiter.wake();
    }

    fn take(&self) -> Option<R> {
        lock(&self.0).take()
    }
}

struct State {
    jobs: VecDeque<Job>,
    /// The connections whose calls this thread waits for, innermost last.
    calls: Vec<ConnectionId>,
    /// Set for a server thread, which takes jobs of its connection at any time; an application thread
    /// takes them only inside a call.
    serves: bool,
    closed: bool,
    /// The number of jobs begun and not finished: the depth of nested calls between the two sides.
    depth: usize,
    /// The number of jobs begun so far.
    begun: u64,
    /// Set by a wake until this thread checks for jobs and its value again.
    woken: bool,
    rest: Rest,
}

/// The state of a thread that has nothing to do.
enum Rest {
    /// The thread is not at rest.
    Awake,
    /// The thread sleeps while another thread leads this loop. The flag is set if it waits for an
    /// answer.
    Follows(Arc<dyn Loop>, bool),
    /// The thread leads this loop and waits for its events.
    Leads(Arc<dyn Loop>),
}

/// The place where one thread waits for answers and jobs; see the module's documentation.
pub struct Waiter {
    state: Mutex<State>,
    wakeup: Condvar,
    max_depth: usize,
}

impl Waiter {
    /// Makes a waiter for an application's thread (`serves` false) or a server thread (`serves` true)
    /// that nests at most `max_depth` jobs. The length of the queue is not bounded here.
    pub fn new(serves: bool, max_depth: usize) -> Self {
        Self {
            state: Mutex::ranked(
                Rank::Waiter,
                State {
                    jobs: VecDeque::new(),
                    calls: Vec::new(),
                    serves,
                    closed: false,
                    depth: 0,
                    begun: 0,
                    woken: false,
                    rest: Rest::Awake,
                },
            ),
            wakeup: Condvar::new(),
            max_depth,
        }
    }

    /// Queues a job for this thread.
    ///
    /// # Errors
    /// Returns the job with the reason when the thread does not take it.
    pub fn post(&self, job: Job) -> Result<(), (Refused, Job)> {
        let mut state = lock(&self.state);
        // A server thread that is closed may still wait for a call on another connection.
        let serves = state.serves && !state.closed;
        if !(serves || state.calls.contains(&job.connection)) {
            return Err((Refused::NotWaiting, job));
        }
        // A job that runs alone never runs inside another.
        if !job.alone && state.depth >= self.max_depth {
            return Err((Refused::TooDeep, job));
        }
        state.jobs.push_back(job);
        self.wake_up(state);
        Ok(())
    }

    /// Returns the number of jobs that run or are queued.
    pub fn busy(&self) -> usize {
        let state = lock(&self.state);
        state.depth + state.jobs.len()
    }

    /// Returns whether a job that runs alone is queued.
    pub fn has_waiting(&self) -> bool {
        lock(&self.state).jobs.iter().any(|job| job.alone)
    }

    /// Returns whether a job runs.
    pub fn is_inside(&self) -> bool {
        lock(&self.state).depth > 0
    }

    /// Returns the number of jobs begun so far.
    pub fn begun(&self) -> u64 {
        lock(&self.state).begun
    }

    /// Removes and returns the queued `alone` jobs, if a job runs.
    pub fn take_alone(&self) -> VecDeque<Job> {
        let mut state = lock(&self.state);
        if state.depth == 0 {
            return VecDeque::new();
        }
        let (taken, kept) = std::mem::take(&mut state.jobs)
            .into_iter()
            .partition(|job| job.alone);
        state.jobs = kept;
        taken
    }

    /// Wakes the thread, which then checks for jobs and its value.
    pub fn wake(&self) {
        self.wake_up(lock(&self.state));
    }

    fn wake_up(&self, mut state: MutexGuard<'_, State>) {
        state.woken = true;
        // Without the lock: the woken thread takes it at once.
        match std::mem::replace(&mut state.rest, Rest::Awake) {
            Rest::Awake => {}
            Rest::Leads(on) => {
                drop(state);
                on.interrupt();
            }
            Rest::Follows(on, waits) => {
                let slow = state.jobs.front().is_some_and(|job| job.slow);
                drop(state);
                on.leadership().stop_following(waits, !slow);
                self.wakeup.notify_one();
            }
        }
    }

    /// Ends a server thread once the job it runs is done. Returns the queued jobs, except those of
    /// calls that the thread itself waits for; the caller must drop them where their destructors may
    /// run.
    #[must_use = "dropping a job may run an application's destructor"]
    pub fn close(&self) -> VecDeque<Job> {
        let mut guard = lock(&self.state);
        guard.closed = true;
        let state = &mut *guard;
        let (kept, dropped) = std::mem::take(&mut state.jobs)
            .into_iter()
            .partition(|job| state.calls.contains(&job.connection));
        state.jobs = kept;
        self.wake_up(guard);
        dropped
    }

    /// Runs jobs until [`Waiter::close`]: the body of a server thread. `on` is the loop of its
    /// connection.
    pub fn serve(&self, on: &Arc<dyn Loop>) {
        let mut state = lock(&self.state);
        loop {
            state.woken = false;
            state = self.run_jobs(on, state);
            if state.closed {
                return;
            }
            state = self.rest(on, state, None, false);
        }
    }

    /// Waits for `slot`, running jobs meanwhile. Queued jobs run before a value in the slot is taken: a
    /// callback's effects come before the return of the call that made it. `on` is the loop of the
    /// connection.
    pub fn wait<R>(
        &self,
        on: &Arc<dyn Loop>,
        connection: ConnectionId,
        slot: &Slot<R>,
        deadline: Option<Instant>,
        stopped: impl Fn() -> bool,
    ) -> Waited<R> {
        on.flush_gathered();
        let mut state = lock(&self.state);
        let outcome = loop {
            state.woken = false;
            state = self.run_jobs(on, state);
            if let Some(value) = slot.take() {
                break Waited::Done(value);
            }
            if stopped() {
                break Waited::Stopped;
            }
            if has_passed(deadline) {
                break Waited::TimedOut;
            }
            state = self.rest(on, state, deadline, true);
        };
        let dropped = Self::leave(&mut state, connection);
        drop(state);
        drop(dropped);
        outcome
    }

    /// Leads the loop, or follows its leader, until this thread is woken or the deadline has passed.
    fn rest<'a>(
        &'a self,
        on: &Arc<dyn Loop>,
        state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        waits: bool,
    ) -> MutexGuard<'a, State> {
        if state.woken {
            return state;
        }
        drop(state);
        match on.leadership().lead_or_follow(waits) {
            Some(mut lead) => {
                let mut state = lock(&self.state);
                let mut has_passed_on = false;
                while !(has_passed_on || state.woken || has_passed(deadline)) {
                    state.rest = Rest::Leads(on.clone());
                    drop(state);
                    let turn = (!waits).then(|| lead.turn());
                    on.wait(deadline);
                    lock(&self.state).rest = Rest::Awake;
                    on.process();
                    // A server thread that leads only because it is idle leaves the lead to the thread
                    // that it woke, so that this one reads its next request itself.
                    has_passed_on = turn.is_some_and(|turn| lead.pass_on(turn));
                    state = lock(&self.state);
                }
                if state.jobs.front().is_some_and(|job| job.slow) {
                    lead.summon();
                }
                drop(state);
                drop(lead);
                let state = lock(&self.state);
                match has_passed_on {
                    true => self.follow(on, state, deadline, waits),
                    false => state,
                }
            }
            None => {
                let state = lock(&self.state);
                self.follow(on, state, deadline, waits)
            }
        }
    }

    /// Sleeps until this thread is woken or the deadline has passed.
    fn follow<'a>(
        &'a self,
        on: &Arc<dyn Loop>,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        waits: bool,
    ) -> MutexGuard<'a, State> {
        state.rest = Rest::Follows(on.clone(), waits);
        while !(state.woken || has_passed(deadline)) {
            state = match deadline {
                None => wait(&self.wakeup, state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    wait_timeout(&self.wakeup, state, left).0
                }
            };
        }
        // The thread that woke this one has done so already.
        if let Rest::Follows(..) = std::mem::replace(&mut state.rest, Rest::Awake) {
            on.leadership().stop_following(waits, false);
        }
        state
    }

    /// Announces that this thread is about to send a call over `connection` and wait for it, so that a
    /// callback that arrives before the wait is accepted. Every `enter` must be followed by one `wait`.
    pub fn enter(&self, connection: ConnectionId) {
        lock(&self.state).calls.push(connection);
    }

    /// Undoes [`Waiter::enter`]. Returns the jobs that will not run any more.
    fn leave(state: &mut State, connection: ConnectionId) -> Vec<Job> {
        state.calls.pop();
        let serves = state.serves && !state.closed;
        if serves || state.calls.contains(&connection) {
            return Vec::new();
        }
        let (dropped, kept) = std::mem::take(&mut state.jobs)
            .into_iter()
            .partition(|job| job.connection == connection);
        state.jobs = kept;
        Vec::from_iter::<VecDeque<Job>>(dropped)
    }

    /// Runs the queued jobs. At the maximum depth they stay queued until a running job is done: a job
    /// may have been queued when the depth was lower.
    fn run_jobs<'a>(
        &'a self,
        on: &Arc<dyn Loop>,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        loop {
            while state.depth < self.max_depth
                && let Some(job) = state.next_job()
            {
                state.depth += 1;
                state.begun += 1;
                drop(state);
                if !job.quick {
                    on.flush_gathered();
                }
                job.work.run(&|| lock(&self.state).is_followed());
                drop(job.guard);
                state = lock(&self.state);
                state.depth -= 1;
            }
            if !on.has_gathered() {
                return state;
            }
            // The job that was to follow may have been taken back meanwhile.
            drop(state);
            on.flush_gathered();
            state = lock(&self.state);
        }
    }
}

impl State {
    /// Returns whether a quick job runs as soon as the one that runs is done.
    fn is_followed(&self) -> bool {
        self.depth == 1 && self.jobs.front().is_some_and(|next| next.quick)
    }

    /// Removes and returns the next job to run.
    fn next_job(&mut self) -> Option<Job> {
        match self.depth {
            0 => self.jobs.pop_front(),
            _ => {
                let within = self.jobs.iter().position(|job| !job.alone)?;
                self.jobs.remove(within)
            }
        }
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// A shared waiter.
pub type SharedWaiter = Arc<Waiter>;
