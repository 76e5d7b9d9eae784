//! The event loop that all connections of a process share: it reads their streams, runs their timers,
//! and has a thread on which objects are destroyed.
//!
//! Knows descriptors, timers and threads; nothing of messages. A [`Source`] knows what events on its
//! stream mean. The loop may have a thread of its own, but that only stands by: most of the time a
//! thread that waits for something drives it, see [`leader`]. Threads wait in [`waiter`].
//!
//! While a thread drives the loop, it runs no application code but the wakers of futures: it would hold
//! up every connection. [`EventLoop::check_not_on_loop`] rejects calls that must not be made then; a
//! value that must not be dropped then is an [`OffLoop`].

mod cleanup;
mod guard;
pub mod leader;
mod linger;
mod off_loop;
mod poller;
mod spawn;
mod stand_in;
mod this_thread;
mod timers;
pub mod waiter;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::cleanup::Cleanup;
pub use self::guard::run_guarded;
use self::leader::{Leadership, Loop, Standby};
pub use self::off_loop::OffLoop;
use self::poller::{Poller, Watch};
pub use self::poller::{Ready, Token};
pub use self::spawn::spawn_thread;
use self::spawn::start_thread;
pub use self::stand_in::StandIn;
pub use self::this_thread::is_on_loop;
use self::this_thread::{Driving, Gathering, driven};
pub use self::timers::Timer;
use self::timers::Timers;
use super::sync::{Mutex, Rank, lock};
use crate::error::{Error, Result};

/// The pause of a loop whose poll fails, so that it does not spin.
const REST: Duration = Duration::from_millis(10);

/// The size of the buffer that small messages are read into, in bytes; all connections share one.
const SCRATCH: usize = 64 * 1024;

/// A connection or a listener, whose descriptor the loop watches.
pub trait Source: Send + Sync {
    /// Handles an event of its descriptor. Returns whether there is more to do than should be done in
    /// one go. Must not block. `scratch` is a buffer to read into, up to its capacity.
    fn ready(self: Arc<Self>, ready: Ready, scratch: &mut Vec<u8>) -> bool;
    /// Writes the queued messages.
    fn flush(&self);
    /// Handles a panic of this source.
    fn failed(&self);
}

/// The event loop. It ends when the last reference is dropped; its sources keep references.
pub struct EventLoop(Arc<Core>);

/// The part of the event loop that the threads driving it share.
struct Core {
    leadership: Leadership,
    /// Locked only by the leader, as is `scratch`.
    poller: Mutex<Poller>,
    scratch: Mutex<Vec<u8>>,
    watch: Watch,
    sources: Mutex<BTreeMap<Token, Arc<dyn Source>>>,
    next: AtomicUsize,
    timers: Arc<Timers>,
    /// The sources with more to do.
    busy: Mutex<Vec<Token>>,
    unwritten: Mutex<Unwritten>,
    /// Set once the alarm has been raised since the leader began to wait.
    is_alarmed: AtomicBool,
    /// Set while the leader handles events; it flushes `unwritten` when it is done.
    at_work: AtomicBool,
    cleanup: Cleanup,
    /// Set if a thread stands by: the loop's own, or one that stands in for it.
    has_standby: Mutex<bool>,
    exe_name: String,
    requests: AtomicU64,
}

/// The sources that had messages queued while the loop was driven.
#[derive(Default)]
struct Unwritten {
    /// Flush at the end of this loop turn: a caller is blocked on it.
    soon: Vec<Token>,
    /// Flush before the loop sleeps; an earlier flush of the source takes it along.
    later: Vec<Token>,
}

/// The name of the standby thread, and in logs of whichever thread drives the loop: the name that Core
/// gives its own.
pub const THREAD: &str = "b-capnp-loop";

impl EventLoop {
    /// Makes a loop. `exe_name` is the name that peers see in thread names.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no descriptors.
    pub fn new(exe_name: &str) -> Result<Arc<Self>> {
        let failed = |error| Error::io("start the event loop", error);
        let (poller, watch) = poller::poller().map_err(failed)?;
        let core = Core {
            leadership: Leadership::default(),
            poller: Mutex::ranked(Rank::Poller, poller),
            scratch: Mutex::ranked(Rank::Scratch, Vec::with_capacity(SCRATCH)),
            watch,
            sources: Mutex::default(),
            next: AtomicUsize::new(Token::FIRST),
            timers: Arc::default(),
            busy: Mutex::default(),
            unwritten: Mutex::default(),
            is_alarmed: AtomicBool::new(false),
            at_work: AtomicBool::new(false),
            cleanup: Cleanup::new(),
            has_standby: Mutex::new(false),
            exe_name: exe_name.to_owned(),
            requests: AtomicU64::new(0),
        };
        Ok(Arc::new(Self(Arc::new(core))))
    }

    /// Returns the loop as waiters drive it.
    pub fn as_loop(&self) -> Arc<dyn Loop> {
        self.0.clone()
    }

    /// Returns the name that peers see in thread names.
    pub fn exe_name(&self) -> &str {
        &self.0.exe_name
    }

    /// Returns the next request's number, as Core counts them in its log.
    pub fn next_request(&self) -> u64 {
        self.0.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Fails on a thread that drives a loop: a blocking call there would wait for itself.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] on such a thread.
    pub fn check_not_on_loop(&self) -> Result<()> {
        match is_on_loop() {
            false => Ok(()),
            true => Err(Error::Usage(
                "a blocking call was made on the event loop, which it would wait for".into(),
            )),
        }
    }

    // ----- threads -----

    /// Starts the loop's own standby thread, unless a thread stands by.
    fn ensure_standby(&self) -> std::io::Result<()> {
        let mut has_standby = lock(&self.0.has_standby);
        if !*has_standby {
            let core = self.0.clone();
            start_thread(THREAD, move || core.stand_by(&|| false))?;
            *has_standby = true;
        }
        Ok(())
    }

    /// Has a thread stand by, as [`EventLoop::ensure_standby`] does; logs why if there is none.
    fn look_after(&self) {
        if let Err(error) = self.ensure_standby() {
            tracing::error!("the event loop is not looked after: {error}");
        }
    }

    /// Wakes the standby thread to check whether it is still to stand by.
    pub fn relieve(&self) {
        self.0.leadership.look();
        // In any case: the leader that was alarmed before may have looked already whether it is over.
        self.0.watch.alarm();
    }

    /// Runs `job` on the thread that destroys objects, after all jobs before it.
    pub fn clean_up(&self, job: impl FnOnce() + Send + 'static) {
        self.0.cleanup.run(job);
    }

    /// Blocks until all jobs given to [`EventLoop::clean_up`] so far have run.
    pub fn wait_cleaned_up(&self) {
        self.0.cleanup.wait();
    }

    // ----- sources -----

    /// Returns a token for a new source.
    pub fn token(&self) -> Token {
        Token(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Watches `descriptor` for `source`, and keeps the source until [`EventLoop::remove`].
    ///
    /// # Errors
    /// Returns the error of the operating system when it cannot watch the descriptor or gives no
    /// thread.
    pub fn add(
        &self,
        token: Token,
        descriptor: BorrowedFd<'_>,
        source: Arc<dyn Source>,
    ) -> std::io::Result<()> {
        lock(&self.0.sources).insert(token, source);
        let added = self.0.watch.add(descriptor, token);
        added.and_then(|()| self.ensure_standby()).inspect_err(|_| {
            self.remove(token, descriptor);
        })
    }

    /// Summons the standby thread to lead if no thread does, since the caller is not about to wait for
    /// an answer.
    pub fn attend(&self) {
        self.0.leadership.attend();
    }

    /// Watches a descriptor for room to write as well, or no longer.
    ///
    /// # Errors
    /// Returns the error of the operating system when it cannot watch the descriptor.
    pub fn watch_writable(
        &self,
        token: Token,
        descriptor: BorrowedFd<'_>,
        writable: bool,
    ) -> std::io::Result<()> {
        self.0.watch.writable(descriptor, token, writable)
    }

    /// Stops watching a source's descriptor, and releases the source.
    pub fn remove(&self, token: Token, descriptor: BorrowedFd<'_>) {
        self.0.watch.remove(descriptor);
        let source = lock(&self.0.sources).remove(&token);
        drop(source);
    }

    /// Queues a readable event for a source, as if the operating system had reported it.
    pub fn nudge(&self, token: Token) {
        lock(&self.0.busy).push(token);
        self.interrupt();
    }

    /// Marks an event that no blocked thread will read, such as an async answer. Balance with
    /// [`EventLoop::settle`]. Returns the number of such events.
    pub fn expect(&self) -> usize {
        self.0.leadership.expect()
    }

    /// Balances one [`EventLoop::expect`]: the event has arrived.
    pub fn settle(&self) {
        self.0.leadership.settle();
    }

    /// Returns whether the leader handles events and has not flushed yet: it will flush what is listed
    /// now.
    pub fn is_busy(&self) -> bool {
        self.0.at_work.load(Ordering::SeqCst)
    }

    /// Lists a source to be flushed by the thread that drives the loop: at the end of this loop turn,
    /// or, if `soon` is false, before the loop sleeps. Wakes no thread.
    pub fn write(&self, token: Token, soon: bool) {
        let mut unwritten = lock(&self.0.unwritten);
        match soon {
            true => unwritten.soon.push(token),
            false => unwritten.later.push(token),
        }
    }

    /// Lists a source to be flushed at the end of this loop turn, and wakes the thread that drives the
    /// loop.
    pub fn write_soon(&self, token: Token) {
        self.write(token, true);
        self.interrupt();
    }

    // ----- times -----

    /// Runs `action` on the loop at `time`, unless the timer is dropped before. It must not block.
    pub fn at(&self, time: Instant, action: impl FnOnce() + Send + 'static) -> Timer {
        let timer = self.0.timers.add(time, action);
        self.look_after();
        self.interrupt();
        timer
    }

    /// Runs `action` on the loop at `time`, as [`EventLoop::at`] does; it cannot be stopped.
    pub fn certainly_at(&self, time: Instant, action: impl FnOnce() + Send + 'static) {
        self.0.timers.add_certain(time, action);
        self.look_after();
        self.interrupt();
    }

    /// Runs `action` on the loop after `time`; never, if the clock cannot represent that.
    pub fn after(&self, time: Duration, action: impl FnOnce() + Send + 'static) -> Option<Timer> {
        let time = Instant::now().checked_add(time)?;
        Some(self.at(time, action))
    }

    /// Returns whether this thread gathers its writes: they are flushed by the thread that drives the
    /// loop, or by this one when it has no more of them.
    pub fn is_gathering(&self) -> bool {
        this_thread::gathers(self.address())
    }

    /// Runs `f` and leaves the writes that it queues to the thread that drives the loop, which flushes
    /// them together with those of other threads. `f` must not block.
    pub fn gather<R>(&self, f: impl FnOnce() -> R) -> R {
        let gathering = Gathering::begin(self.address());
        let result = f();
        drop(gathering);
        self.interrupt();
        result
    }

    /// Runs `f` and leaves the writes that it queues to the next job of this thread, whose writes go
    /// out with them. `f` must not block.
    pub fn gather_for_next(&self, f: impl FnOnce()) {
        let gathering = Gathering::begin(self.address());
        f();
        drop(gathering);
        this_thread::set_gathered(self.address());
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Returns whether this thread drives this loop at the moment.
    pub fn is_driven_here(&self) -> bool {
        driven() == self.address()
    }

    /// Wakes the thread blocked in poll.
    fn interrupt(&self) {
        let is_needed = || !self.is_driven_here() && self.0.leadership.is_led();
        // One alarm is enough until the leader begins to wait anew.
        if is_needed() && !self.0.is_alarmed.swap(true, Ordering::SeqCst) {
            self.0.watch.alarm();
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.0.leadership.end();
        self.0.watch.alarm();
    }
}

impl Core {
    fn stand_by(&self, over: &dyn Fn() -> bool) {
        self.leadership
            .stand_by(over, |standby| self.drive(standby));
    }

    /// Drives the loop on the standby thread for as long as it is needed.
    fn drive(&self, standby: &Standby<'_>) {
        let before = standby.woken();
        while !standby.has_ended() {
            self.wait(None);
            self.process();
            // The woken thread leads next.
            if standby.woken() != before && !standby.is_wanted() {
                return;
            }
        }
    }

    fn write(&self, tokens: Vec<Token>) {
        for token in tokens {
            if let Some(source) = self.source(token)
                && run_guarded("the event loop", || source.flush()).is_none()
            {
                Self::failed(&*source);
            }
        }
    }

    fn source(&self, token: Token) -> Option<Arc<dyn Source>> {
        lock(&self.sources).get(&token).cloned()
    }

    fn tell(&self, ready: Ready, scratch: &mut Vec<u8>) {
        let Some(source) = self.source(ready.token) else {
            return;
        };
        let told = source.clone();
        match run_guarded("the event loop", move || told.ready(ready, scratch)) {
            Some(false) => {}
            Some(true) => lock(&self.busy).push(ready.token),
            None => Self::failed(&*source),
        }
    }

    fn failed(source: &dyn Source) {
        run_guarded("the event loop", || source.failed());
    }

    fn take_unwritten(&self, later: bool) -> Vec<Token> {
        let mut unwritten = lock(&self.unwritten);
        let mut tokens = std::mem::take(&mut unwritten.soon);
        if later {
            tokens.append(&mut unwritten.later);
        }
        tokens
    }
}

impl Loop for Core {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn wait(&self, until: Option<Instant>) {
        let _driving = Driving::begin(std::ptr::from_ref(self).addr());
        // First, so that this turn sees to a thread that finds the alarm set.
        self.is_alarmed.store(false, Ordering::SeqCst);
        // A connection that ends during its flush may queue messages of others.
        loop {
            let unwritten = self.take_unwritten(true);
            if unwritten.is_empty() {
                break;
            }
            self.write(unwritten);
        }
        let until = match (until, self.timers.next()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let timeout = match lock(&self.busy).is_empty() {
            true => until.map(|until| until.saturating_duration_since(Instant::now())),
            false => Some(Duration::ZERO),
        };
        if let Err(error) = lock(&self.poller).wait(timeout) {
            tracing::error!("the event loop gets no news: {error}");
            thread::sleep(REST);
        }
    }

    fn process(&self) {
        let _driving = Driving::begin(std::ptr::from_ref(self).addr());
        self.at_work.store(true, Ordering::SeqCst);
        let busy = std::mem::take(&mut *lock(&self.busy));
        let mut scratch = lock(&self.scratch);
        let mut poller = lock(&self.poller);
        for ready in poller.news() {
            self.tell(ready, &mut scratch);
        }
        poller.forget();
        for token in busy {
            self.tell(Ready::again(token), &mut scratch);
        }
        self.timers.run();
        // First, so that sources listed by threads that found this at work are flushed.
        self.at_work.store(false, Ordering::SeqCst);
        self.write(self.take_unwritten(false));
    }

    fn interrupt(&self) {
        self.watch.alarm();
    }

    fn has_gathered(&self) -> bool {
        this_thread::has_gathered(std::ptr::from_ref(self).addr())
    }

    fn flush_gathered(&self) {
        if this_thread::take_gathered(std::ptr::from_ref(self).addr()) {
            self.write(self.take_unwritten(false));
        }
    }
}
