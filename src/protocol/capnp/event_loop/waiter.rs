//! A thread that waits, and meanwhile runs what its peer sends it.
//!
//! Knows queues, one condition variable, and who leads the event loop; nothing of messages,
//! connections beyond their number, or what the jobs do. Model-checked with loom in `tests/loom`.
//!
//! The threading model, once: every application thread that makes calls, and every server thread
//! made for a peer, has one [`Waiter`]. A blocking call sends its request and then waits here, and
//! drives the event loop meanwhile if no other thread does. If the peer's method calls back, who
//! drives the loop posts a [`Job`] to this same waiter, so the callback runs on the thread that waits
//! for the outer call, exactly where it would run if both sides were one process; inside it more
//! calls may be made, to any depth. A server thread is nothing but a waiter that waits for jobs until
//! it is closed.

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
    /// Whether it is known to take its time. The event loop is not left alone while it runs.
    pub slow: bool,
    /// Whether it runs only where no other job does, and not within one that waits. Those that are not
    /// slow may follow each other closely.
    pub alone: bool,
    /// What to run.
    pub work: Box<dyn Work>,
}

/// What a thread runs for its peer. Dropped when the thread ends before it is run.
pub trait Work: Send {
    /// Does it.
    fn run(self: Box<Self>);
    /// It was not taken, and this is why.
    fn refuse(self: Box<Self>, why: Refused);
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The thread is ending, or is not waiting for a call on this connection.
    NotWaiting,
    /// Calls back and forth are nested too deeply.
    TooDeep,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<R> {
    /// The value that was waited for.
    Done(R),
    /// The deadline passed first.
    TimedOut,
    /// What [`Waiter::wait`] was told to stop for came true first.
    Stopped,
}

/// Where the value that a thread waits for is put.
pub struct Slot<R>(Mutex<Option<R>>);

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<R> Slot<R> {
    /// Puts the value in and wakes the thread that waits for it.
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
    /// A server thread takes jobs of its connection at any time; an application thread only
    /// inside a call.
    serves: bool,
    closed: bool,
    /// Jobs begun and not finished: the depth of calls back and forth.
    depth: usize,
    /// How many jobs have begun so far.
    begun: u64,
    /// Something has come that this thread has not looked at.
    woken: bool,
    rest: Rest,
}

/// What a thread does that has nothing to do.
enum Rest {
    /// It has something to do.
    Awake,
    /// It sleeps, because another thread leads this loop. It waits for an answer if so marked.
    Follows(Arc<dyn Loop>, bool),
    /// It leads this loop, and waits for what comes.
    Leads(Arc<dyn Loop>),
}

/// See the module's documentation.
pub struct Waiter {
    state: Mutex<State>,
    wakeup: Condvar,
    max_depth: usize,
}

impl Waiter {
    /// A waiter for an application's thread (`serves` false) or a server thread (`serves` true)
    /// that nests at most `max_depth` jobs. How many are queued is not bounded here.
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
    /// The job comes back with the reason when the thread is not there for it.
    pub fn post(&self, job: Job) -> Result<(), (Refused, Job)> {
        let mut state = lock(&self.state);
        // A server thread that is closed may still wait for a call on another connection.
        let serves = state.serves && !state.closed;
        if !(serves || state.calls.contains(&job.connection)) {
            return Err((Refused::NotWaiting, job));
        }
        if state.depth >= self.max_depth {
            return Err((Refused::TooDeep, job));
        }
        state.jobs.push_back(job);
        self.wake_up(state);
        Ok(())
    }

    /// How many jobs run or wait here.
    pub fn busy(&self) -> usize {
        let state = lock(&self.state);
        state.depth + state.jobs.len()
    }

    /// Whether a job runs.
    pub fn is_inside(&self) -> bool {
        lock(&self.state).depth > 0
    }

    /// How many jobs have begun so far.
    pub fn begun(&self) -> u64 {
        lock(&self.state).begun
    }

    /// Takes back the jobs that wait for the one that runs.
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

    /// Makes the thread look again.
    pub fn wake(&self) {
        self.wake_up(lock(&self.state));
    }

    fn wake_up(&self, mut state: MutexGuard<'_, State>) {
        state.woken = true;
        // Without the lock, which who is woken would wait for at once.
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

    /// Ends a server thread once the job it runs is done. The queued jobs that it does not wait
    /// for itself come back, for the caller to drop where their contents may be dropped.
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

    /// Runs jobs until [`Waiter::close`]: the body of a server thread. The loop is that of its
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

    /// Waits for `slot`, running jobs meanwhile. A job that is queued runs before a value that is
    /// there is taken: a callback's effects come before the return of the call that made it. The
    /// loop is that of the connection.
    pub fn wait<R>(
        &self,
        on: &Arc<dyn Loop>,
        connection: ConnectionId,
        slot: &Slot<R>,
        deadline: Option<Instant>,
        stopped: impl Fn() -> bool,
    ) -> Waited<R> {
        on.gather(false);
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

    /// Leads the loop, or follows who does, until this thread is woken or the deadline has passed.
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
                    // A server thread that leads only because it is idle leaves the lead to the one that
                    // it woke, so that this one reads its next request itself.
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
        // Unless who woke it has done so.
        if let Rest::Follows(..) = std::mem::replace(&mut state.rest, Rest::Awake) {
            on.leadership().stop_following(waits, false);
        }
        state
    }

    /// Says that this thread is about to send a call over `connection` and wait for it, so that a
    /// callback that is faster than the wait is taken. Every `enter` is followed by one `wait`.
    pub fn enter(&self, connection: ConnectionId) {
        lock(&self.state).calls.push(connection);
    }

    /// The other end of [`Waiter::enter`]: gives the jobs that nobody will run any more.
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

    /// Runs what is queued. At the full depth it stays queued, until a job that runs is done: it may
    /// have been queued when the depth was less.
    fn run_jobs<'a>(
        &'a self,
        on: &Arc<dyn Loop>,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        while state.depth < self.max_depth
            && let Some(job) = state.next_job()
        {
            state.depth += 1;
            state.begun += 1;
            // What those that follow each other answer goes out together.
            let next = state.jobs.front();
            let gathers = job.alone && next.is_some_and(|next| next.alone && !next.slow);
            drop(state);
            on.gather(gathers);
            job.work.run();
            state = lock(&self.state);
            state.depth -= 1;
        }
        state
    }
}

impl State {
    /// Takes out the next job to run.
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
