//! An application thread that stands by in place of the loop's own.
//!
//! Knows when it may and for how long; nothing of what driving the loop consists of.

use super::super::sync::lock;
use super::EventLoop;

/// A guard held by a thread that stands by in place of the loop's own.
#[must_use = "dropping it has the loop's own thread stand by, if there is anything to look after"]
pub struct StandIn<'a>(&'a EventLoop);

impl<'a> StandIn<'a> {
    /// Reserves the loop's standby for this thread, unless another thread has it. Sources may be added
    /// before [`StandIn::until`], and the loop starts no thread of its own for them.
    pub fn new(event_loop: &'a EventLoop) -> Option<Self> {
        let has_standby = std::mem::replace(&mut *lock(&event_loop.0.has_standby), true);
        (!has_standby).then(|| Self(event_loop))
    }

    /// Stands by until `over` returns true, which is checked after [`EventLoop::relieve`].
    pub fn until(self, over: impl Fn() -> bool) {
        self.0.attend();
        self.0.0.stand_by(&over);
    }
}

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        let core = &self.0.0;
        *lock(&core.has_standby) = false;
        if !lock(&core.sources).is_empty() || core.timers.next().is_some() {
            self.0.look_after();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::super::{Ready, Source, THREAD};
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A source that reports the name of the thread that reads it.
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
        let stand_in = StandIn::new(&event_loop).unwrap();
        assert!(StandIn::new(&event_loop).is_none(), "one is enough");

        let (stream, mut peer) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let watched = stream.try_clone().unwrap();
        let (told, by) = mpsc::channel();
        let token = event_loop.token();
        let source = Arc::new(Told(stream, told));
        event_loop.add(token, watched.as_fd(), source).unwrap();

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
        event_loop.remove(token, watched.as_fd());
    }

    /// It was not, where the leader had been alarmed before: it slept on.
    #[test]
    fn a_thread_that_has_just_looked_whether_it_is_over_is_relieved() {
        let event_loop = EventLoop::new("test").unwrap();
        let stand_in = StandIn::new(&event_loop).unwrap();
        let (alarmed, over) = (AtomicBool::new(false), AtomicBool::new(false));
        let (ended, end) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                stand_in.until(|| {
                    // As if another thread did so right after the look.
                    if alarmed.load(Ordering::SeqCst) && !over.swap(true, Ordering::SeqCst) {
                        event_loop.relieve();
                        return false;
                    }
                    over.load(Ordering::SeqCst)
                });
                ended.send(()).unwrap();
            });
            thread::sleep(Duration::from_millis(50));
            alarmed.store(true, Ordering::SeqCst);
            // Ends the leader's wait.
            let _timer = event_loop.after(LONG, || ());
            let is_over = end.recv_timeout(LONG);
            // For the scope to end in any case.
            event_loop.0.watch.alarm();
            is_over.unwrap();
        });
    }
}
