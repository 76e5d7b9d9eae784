//! Model checks of `src/protocol/capnp/waiter.rs`: every interleaving of a few threads, with
//! loom's locks in place of the standard library's. The file under test is the library's own.

#![cfg(test)]
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../../../src/protocol/capnp/waiter.rs"]
mod waiter;

mod sync {
    pub use loom::sync::{Condvar, Mutex, MutexGuard};

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use waiter::{Job, Refused, Slot, Waited, Waiter};

const CONNECTION: u64 = 1;

/// Loom's own reference counts, so that it sees who holds what.
type Counter = loom::sync::Arc<AtomicUsize>;

fn counter() -> Counter {
    loom::sync::Arc::new(AtomicUsize::new(0))
}

fn job(counter: &Counter) -> Job {
    let counter = counter.clone();
    Job {
        connection: CONNECTION,
        run: Box::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        }),
    }
}

/// An answer wakes the thread that waits for it, whichever is first.
#[test]
fn an_answer_is_never_missed() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        waiter.enter(CONNECTION);
        let answers = {
            let (waiter, slot) = (waiter.clone(), slot.clone());
            thread::spawn(move || slot.fill(&waiter, 7))
        };
        assert_eq!(
            waiter.wait(CONNECTION, &slot, None, || false),
            Waited::Done(7)
        );
        answers.join().unwrap();
    });
}

/// A callback that comes before the answer runs before the call returns, also when it is faster
/// than the wait.
#[test]
fn a_callback_runs_before_its_call_returns() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let ran = counter();
        waiter.enter(CONNECTION);
        let peer = {
            let (waiter, slot, ran) = (waiter.clone(), slot.clone(), ran.clone());
            thread::spawn(move || {
                assert!(waiter.post(job(&ran)).is_ok());
                slot.fill(&waiter, ());
            })
        };
        assert_eq!(
            waiter.wait(CONNECTION, &slot, None, || false),
            Waited::Done(())
        );
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        peer.join().unwrap();
    });
}

/// A callback that makes a call of its own, whose answer comes from elsewhere.
#[test]
fn a_nested_call_is_answered() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let outer = Arc::new(Slot::default());
        let inner = Arc::new(Slot::default());
        waiter.enter(CONNECTION);
        let nested = Job {
            connection: CONNECTION,
            run: {
                let (waiter, inner) = (waiter.clone(), inner.clone());
                Box::new(move || {
                    waiter.enter(CONNECTION);
                    let got = waiter.wait(CONNECTION, &inner, None, || false);
                    assert_eq!(got, Waited::Done(1));
                })
            },
        };
        let peer = {
            let (waiter, outer, inner) = (waiter.clone(), outer.clone(), inner.clone());
            thread::spawn(move || {
                assert!(waiter.post(nested).is_ok());
                inner.fill(&waiter, 1);
                outer.fill(&waiter, 2);
            })
        };
        assert_eq!(
            waiter.wait(CONNECTION, &outer, None, || false),
            Waited::Done(2)
        );
        peer.join().unwrap();
    });
}

/// A job that races the end of the last call either runs or is dropped, never kept for a later
/// call that has nothing to do with it.
#[test]
fn a_late_callback_does_not_stay() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let ran = counter();
        slot.fill(&waiter, ());
        waiter.enter(CONNECTION);
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || match waiter.post(job(&ran)) {
                Ok(()) => (),
                Err((refused, _)) => assert_eq!(refused, Refused::NotWaiting),
            })
        };
        assert_eq!(
            waiter.wait(CONNECTION, &slot, None, || false),
            Waited::Done(())
        );
        peer.join().unwrap();
        assert_eq!(waiter.busy(), 0);
        assert!(ran.load(Ordering::SeqCst) <= 1);
    });
}

/// A server thread ends when it is closed; each job ran, or came back, exactly once.
#[test]
fn closing_a_server_thread_loses_no_job() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let server = {
            let waiter = waiter.clone();
            thread::spawn(move || waiter.serve())
        };
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || usize::from(waiter.post(job(&ran)).is_err()))
        };
        let dropped = waiter.close().len();
        let refused = peer.join().unwrap();
        server.join().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst) + dropped + refused, 1);
    });
}

/// Two jobs posted at once to one server thread each run, or come back, exactly once.
#[test]
fn simultaneous_jobs_run_once() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let server = {
            let waiter = waiter.clone();
            thread::spawn(move || waiter.serve())
        };
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || assert!(waiter.post(job(&ran)).is_ok()))
        };
        assert!(waiter.post(job(&ran)).is_ok());
        peer.join().unwrap();
        let dropped = waiter.close().len();
        server.join().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst) + dropped, 2);
    });
}

/// Cancelling wakes the thread, whichever is first.
#[test]
fn a_cancelled_call_returns() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot: Slot<()> = Slot::default();
        let stop = loom::sync::Arc::new(AtomicBool::new(false));
        waiter.enter(CONNECTION);
        let canceller = {
            let (waiter, stop) = (waiter.clone(), stop.clone());
            thread::spawn(move || {
                stop.store(true, Ordering::SeqCst);
                waiter.wake();
            })
        };
        let waited = waiter.wait(CONNECTION, &slot, None, || stop.load(Ordering::SeqCst));
        assert_eq!(waited, Waited::Stopped);
        canceller.join().unwrap();
    });
}

/// A deadline that has passed ends the wait although nobody answers.
#[test]
fn a_deadline_ends_the_wait() {
    loom::model(|| {
        let waiter = Waiter::new(false, 8);
        let slot: Slot<()> = Slot::default();
        waiter.enter(CONNECTION);
        let past = Instant::now() - Duration::from_secs(1);
        let waited = waiter.wait(CONNECTION, &slot, Some(past), || false);
        assert_eq!(waited, Waited::TimedOut);
        let refused = waiter.post(job(&counter()));
        assert!(matches!(refused, Err((Refused::NotWaiting, _))));
    });
}
