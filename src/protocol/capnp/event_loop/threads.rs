//! The threads that an event loop has of its own, which start when they are first needed: one that
//! stands by, unless another does in its place, and one that destroys objects.
//!
//! Knows when they are needed; nothing of what driving the loop consists of, nor of who leads.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use super::super::sync::lock;
use super::leader::Standby;
use super::{EventLoop, THREAD, is_on_loop};
use crate::error::{Error, Result};

/// What is run on the thread that destroys objects.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The threads that stand by and that destroy objects, which start when they are first needed.
pub(super) struct Threads {
    /// A thread stands by.
    standby: bool,
    /// A thread destroys objects.
    cleanup: bool,
    /// What that one is to do.
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
}

impl Threads {
    /// None yet. Objects are to be destroyed by these jobs.
    pub(super) fn new(jobs: mpsc::Receiver<Job>) -> Self {
        Self {
            standby: false,
            cleanup: false,
            jobs: Arc::new(Mutex::new(jobs)),
        }
    }
}

impl EventLoop {
    /// Sees to it that a thread stands by.
    pub(super) fn ensure_standby(&self) -> std::io::Result<()> {
        let mut threads = lock(&self.0.threads);
        if !threads.standby {
            let core = self.0.clone();
            start_thread(THREAD, move || {
                let drive = |standby: &Standby<'_>| core.drive(standby);
                core.leadership.stand_by(&|| false, drive);
            })?;
            threads.standby = true;
        }
        Ok(())
    }

    /// Has this thread stand by, unless another does. What it is for can be added first, and so the
    /// other needs not be started.
    pub fn stand_in(&self) -> Option<StandIn<'_>> {
        let before = std::mem::replace(&mut lock(&self.0.threads).standby, true);
        (!before).then(|| StandIn(self))
    }

    /// Has the thread that stands by look whether it still is to.
    pub fn relieve(&self) {
        self.0.leadership.look();
        self.interrupt();
    }

    /// Runs `job` on the thread that destroys objects, after all that was given to it before.
    pub fn clean_up(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.0.cleanup.send(Box::new(job));
        self.ensure_cleanup();
    }

    /// Sees to it that a thread destroys objects: one, so that it is done in the order in which they
    /// were let go of.
    fn ensure_cleanup(&self) {
        let mut threads = lock(&self.0.threads);
        if !threads.cleanup {
            let jobs = threads.jobs.clone();
            let started = start_thread("b-ipc-cleanup", move || {
                for job in lock(&jobs).iter() {
                    run_guarded("an object's destructor", job);
                }
            });
            match started {
                Ok(()) => threads.cleanup = true,
                // The next object tries again.
                Err(error) => tracing::error!("objects wait to be destroyed: {error}"),
            }
        }
    }

    /// Waits until all that was given to [`EventLoop::clean_up`] so far has run.
    pub fn wait_cleaned_up(&self) {
        if !lock(&self.0.threads).cleanup {
            return;
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.clean_up(move || {
            let _ = sender.send(());
        });
        let _ = receiver.recv();
    }
}

/// Held by a thread that stands by in place of the loop's own.
#[must_use = "dropping it has the loop's own thread stand by again"]
pub struct StandIn<'a>(&'a EventLoop);

impl StandIn<'_> {
    /// Stands by until this comes true, which is looked at after [`EventLoop::relieve`].
    pub fn until(self, over: impl Fn() -> bool) {
        let Self(EventLoop(core)) = &self;
        core.leadership.attend();
        core.leadership
            .stand_by(&over, |standby| core.drive(standby));
    }
}

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        let Self(event_loop) = self;
        let core = &event_loop.0;
        lock(&core.threads).standby = false;
        if !lock(&core.sources).is_empty()
            && let Err(error) = event_loop.ensure_standby()
        {
            tracing::error!("the event loop is not looked after: {error}");
        }
    }
}

/// Something of the application's that passes through the event loop. If it ends there, on
/// whatever path, its destructor still does not run there.
pub struct OffLoop<T: Send + 'static> {
    /// There until this is dropped.
    value: Option<T>,
    event_loop: Arc<EventLoop>,
}

impl<T: Send + 'static> OffLoop<T> {
    /// `value` on its way through `event_loop`.
    pub fn new(event_loop: &Arc<EventLoop>, value: T) -> Self {
        Self {
            value: Some(value),
            event_loop: event_loop.clone(),
        }
    }

    /// The value.
    pub fn get(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("only the drop takes the value"),
        }
    }
}

impl<T: Send + 'static> Drop for OffLoop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take()
            && is_on_loop()
        {
            self.event_loop.clean_up(move || drop(value));
        }
    }
}

/// Starts a named thread.
///
/// # Errors
/// [`Error::Io`] when the operating system gives no thread.
pub fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    start_thread(name, body).map_err(|error| Error::io(format!("start the thread {name}"), error))
}

fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(body).map(drop)
}

/// Runs what an application wrote; its panic is logged and ends nothing else.
pub fn run_guarded<R>(what: impl fmt::Display, f: impl FnOnce() -> R) -> Option<R> {
    match std::panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!("{what} panicked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::super::{Ready, Source};
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Tells which thread reads what comes.
    struct Told(UnixStream, mpsc::Sender<Option<String>>);

    impl Source for Told {
        fn ready(self: Arc<Self>, _: Ready, _: &mut Vec<u8>) -> bool {
            while matches!((&self.0).read(&mut [0; 8]), Ok(count) if count > 0) {
                let name = thread::current().name().map(ToOwned::to_owned);
                self.1.send(name).unwrap();
            }
            false
        }

        fn flush(&self) {}

        fn failed(&self) {}
    }

    #[test]
    fn a_thread_stands_in_for_the_own_one_until_it_is_over() {
        let event_loop = EventLoop::new("test").unwrap();
        let stand_in = event_loop.stand_in().unwrap();
        assert!(event_loop.stand_in().is_none(), "one is enough");

        let (stream, mut peer) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let watched = stream.try_clone().unwrap();
        let (told, by) = mpsc::channel();
        let token = event_loop.token();
        let source = Arc::new(Told(stream, told));
        event_loop.add(token, &watched, source).unwrap();

        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let serves = thread::Builder::new().name("serves".into());
            let until = || stand_in.until(|| over.load(Ordering::SeqCst));
            let serves = serves.spawn_scoped(scope, until).unwrap();
            peer.write_all(b"1").unwrap();
            let reader = by.recv_timeout(LONG).unwrap();
            assert_eq!(reader.as_deref(), Some("serves"));
            over.store(true, Ordering::SeqCst);
            event_loop.relieve();
            serves.join().unwrap();
        });

        // There is still something to read for.
        peer.write_all(b"2").unwrap();
        let reader = by.recv_timeout(LONG).unwrap();
        assert_eq!(reader.as_deref(), Some(THREAD));
        event_loop.remove(token, &watched);
    }

    #[test]
    fn what_is_destroyed_is_waited_for() {
        let event_loop = EventLoop::new("test").unwrap();
        event_loop.wait_cleaned_up();
        let destroyed = Arc::new(AtomicBool::new(false));
        let told = destroyed.clone();
        event_loop.clean_up(move || told.store(true, Ordering::SeqCst));
        event_loop.wait_cleaned_up();
        assert!(destroyed.load(Ordering::SeqCst));
    }
}
