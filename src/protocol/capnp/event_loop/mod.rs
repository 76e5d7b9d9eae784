//! The event loop that all connections of a process share: it reads their streams, runs their timers,
//! and has a thread on which objects are destroyed.
//!
//! Knows descriptors, timers and threads; nothing of messages. A [`Source`] knows what events on its
//! stream mean. The loop may have a thread of its own, but that only stands by: most of the time a
//! thread that waits for something drives it, see [`leader`]. [`waiter`] is where threads wait.
//!
//! No code of the application's runs while a thread drives the loop, but for the wakers of futures: it
//! would hold up every connection. What it must not do then, [`EventLoop::check_not_on_loop`] finds
//! out; what must not be dropped then is an [`OffLoop`].

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
use std::os::fd::AsRawFd;
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
use self::this_thread::{Driving, driven};
pub use self::timers::Timer;
use self::timers::Timers;
use super::sync::{Mutex, Rank, lock};
use crate::error::{Error, Result};

/// How long a loop rests that the system gives no news, so that it does not spin.
const REST: Duration = Duration::from_millis(10);

/// The memory that small messages are read into, in bytes; one for all connections.
const SCRATCH: usize = 64 * 1024;

/// A connection or a listener, whose descriptor the loop watches.
pub trait Source: Send + Sync {
    /// Its stream has news. Says whether there is more to do than should be done in one go. Does not
    /// block. `scratch` is memory to read into, as much as it has.
    fn ready(self: Arc<Self>, ready: Ready, scratch: &mut Vec<u8>) -> bool;
    /// Writes what waits to be written.
    fn flush(&self);
    /// It panicked.
    fn failed(&self);
}

/// The event loop. It ends when the last of these is gone, which its sources keep.
pub struct EventLoop(Arc<Core>);

/// The event loop, as those who drive it have it.
struct Core {
    leadership: Leadership,
    /// Only ever locked by the leader, and so is what it reads into.
    poller: Mutex<Poller>,
    scratch: Mutex<Vec<u8>>,
    watch: Watch,
    sources: Mutex<BTreeMap<Token, Arc<dyn Source>>>,
    next: AtomicUsize,
    timers: Arc<Timers>,
    /// Sources with more to do.
    busy: Mutex<Vec<Token>>,
    unwritten: Mutex<Unwritten>,
    /// The alarm has gone off since the leader began to wait.
    is_alarmed: AtomicBool,
    /// The leader is at work, and will write what there is when it is done.
    at_work: AtomicBool,
    cleanup: Cleanup,
    /// A thread stands by: the loop's own, or one that stands in for it.
    has_standby: Mutex<bool>,
    exe_name: String,
    requests: AtomicU64,
}

/// Sources that were given something to write while the loop was driven.
#[derive(Default)]
struct Unwritten {
    /// Someone waits for it.
    soon: Vec<Token>,
    /// It can be written together with what comes next, if that is soon.
    later: Vec<Token>,
}

/// The name of the thread that stands by, and in logs of whichever thread drives the loop: it is what
/// Core calls its own.
pub const THREAD: &str = "b-capnp-loop";

impl EventLoop {
    /// A loop. `exe_name` is what peers see in thread names.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no descriptors.
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

    /// The loop as waiters drive it.
    pub fn as_loop(&self) -> Arc<dyn Loop> {
        self.0.clone()
    }

    /// The name that peers see in thread names.
    pub fn exe_name(&self) -> &str {
        &self.0.exe_name
    }

    /// The next request's number, as Core counts them in its log.
    pub fn next_request(&self) -> u64 {
        self.0.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Fails on a thread that drives a loop: a blocking call there would wait for itself.
    ///
    /// # Errors
    /// [`Error::Usage`], then.
    pub fn check_not_on_loop(&self) -> Result<()> {
        match is_on_loop() {
            false => Ok(()),
            true => Err(Error::Usage(
                "a blocking call was made on the event loop, which it would wait for".into(),
            )),
        }
    }

    // ----- threads -----

    /// Starts the thread that stands by, unless one does.
    fn ensure_standby(&self) -> std::io::Result<()> {
        let mut has_standby = lock(&self.0.has_standby);
        if !*has_standby {
            let core = self.0.clone();
            start_thread(THREAD, move || core.stand_by(&|| false))?;
            *has_standby = true;
        }
        Ok(())
    }

    /// Keeps the loop from starting a thread that stands by, since the caller is about to. Returns
    /// false when a thread stands by already.
    fn reserve_standby(&self) -> bool {
        !std::mem::replace(&mut lock(&self.0.has_standby), true)
    }

    /// Stands by until `over` comes true.
    fn stand_by(&self, over: &dyn Fn() -> bool) {
        self.0.leadership.attend();
        self.0.stand_by(over);
    }

    /// Ends what [`EventLoop::reserve_standby`] began. The loop's own thread stands by from now on.
    fn return_standby(&self) {
        *lock(&self.0.has_standby) = false;
        if !lock(&self.0.sources).is_empty()
            && let Err(error) = self.ensure_standby()
        {
            tracing::error!("the event loop is not looked after: {error}");
        }
    }

    /// Has the thread that stands by look whether it still is to.
    pub fn relieve(&self) {
        self.0.leadership.look();
        self.interrupt();
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

    /// A number for a source.
    pub fn token(&self) -> Token {
        Token(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Reads for `source` from `descriptor` from now on, and keeps it.
    ///
    /// # Errors
    /// The error of the operating system, when it cannot watch the descriptor or gives no thread.
    pub fn add(
        &self,
        token: Token,
        descriptor: &impl AsRawFd,
        source: Arc<dyn Source>,
    ) -> std::io::Result<()> {
        lock(&self.0.sources).insert(token, source);
        let added = self.0.watch.add(descriptor, token);
        added.and_then(|()| self.ensure_standby()).inspect_err(|_| {
            self.remove(token, descriptor);
        })
    }

    /// Has the thread that stands by lead, since nobody here is about to wait for an answer.
    pub fn attend(&self) {
        self.0.leadership.attend();
    }

    /// Watches for room to write as well, or no longer.
    ///
    /// # Errors
    /// The error of the operating system, when it cannot watch the descriptor.
    pub fn watch_writable(
        &self,
        token: Token,
        descriptor: &impl AsRawFd,
        writable: bool,
    ) -> std::io::Result<()> {
        self.0.watch.writable(descriptor, token, writable)
    }

    /// Reads no more for a source, and lets go of it.
    pub fn remove(&self, token: Token, descriptor: &impl AsRawFd) {
        self.0.watch.remove(descriptor);
        let source = lock(&self.0.sources).remove(&token);
        drop(source);
    }

    /// Tells a source, as if the system had, that there is something to read.
    pub fn nudge(&self, token: Token) {
        lock(&self.0.busy).push(token);
        self.interrupt();
    }

    /// Something will come for which no thread waits; each of these is followed by one `settle`.
    /// Returns how many there are.
    pub fn expect(&self) -> usize {
        self.0.leadership.expect()
    }

    /// What was expected has come.
    pub fn settle(&self) {
        self.0.leadership.settle();
    }

    /// Whether some thread drives the loop that has not looked yet for what is to be written.
    pub fn is_busy(&self) -> bool {
        self.0.at_work.load(Ordering::SeqCst)
    }

    /// Has a source write what it was given while this thread drives the loop: as soon as it has
    /// dealt with the news that there are, or else `soon` is false, together with what comes next.
    pub fn write(&self, token: Token, soon: bool) {
        let mut unwritten = lock(&self.0.unwritten);
        match soon {
            true => unwritten.soon.push(token),
            false => unwritten.later.push(token),
        }
    }

    /// Has a source write what it was given, by whoever drives the loop next.
    pub fn write_soon(&self, token: Token) {
        self.write(token, true);
        self.interrupt();
    }

    // ----- times -----

    /// Runs `action` on the loop at a time. It must not block.
    pub fn at(&self, time: Instant, action: impl FnOnce() + Send + 'static) -> Timer {
        let timer = self.0.timers.add(time, action);
        self.interrupt();
        timer
    }

    /// Runs `action` on the loop at a time, as [`EventLoop::at`]; it cannot be stopped.
    pub fn certainly_at(&self, time: Instant, action: impl FnOnce() + Send + 'static) {
        self.0.timers.add_certain(time, action);
        self.interrupt();
    }

    /// Runs `action` on the loop after a time; never, if that is longer than a clock can tell.
    pub fn after(&self, time: Duration, action: impl FnOnce() + Send + 'static) -> Option<Timer> {
        let time = Instant::now().checked_add(time)?;
        Some(self.at(time, action))
    }

    /// Whether this thread gathers what it has to write: it is written when it no longer does, or by
    /// who drives the loop.
    pub fn is_gathering(&self) -> bool {
        this_thread::gathers(self.address())
    }

    /// Has who drives the loop write what `f` has this thread write, together with what others have.
    pub fn gather<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Ends it, also after a panic.
        struct Ends<'a>(&'a EventLoop);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                this_thread::gather(self.0.address(), false);
                self.0.interrupt();
            }
        }
        this_thread::gather(self.address(), true);
        let _ends = Ends(self);
        f()
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether this thread drives this loop at the moment.
    pub fn is_driven_here(&self) -> bool {
        driven() == self.address()
    }

    /// Has who waits for news look again.
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

    /// The standby thread leads, for as long as it is needed.
    fn drive(&self, standby: &Standby<'_>) {
        let before = standby.woken();
        while !standby.has_ended() {
            self.wait(None);
            self.process();
            // Left to who was woken.
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
        // First, so that who finds the alarm on is seen to here.
        self.is_alarmed.store(false, Ordering::SeqCst);
        // What ends while it is written may have more written, of others.
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
        // First, so that what was listed by those who found this at work is written.
        self.at_work.store(false, Ordering::SeqCst);
        self.write(self.take_unwritten(false));
    }

    fn interrupt(&self) {
        self.watch.alarm();
    }

    fn gather(&self, gathers: bool) {
        let address = std::ptr::from_ref(self).addr();
        if this_thread::gather(address, gathers) && !gathers {
            self.write(self.take_unwritten(false));
        }
    }
}
