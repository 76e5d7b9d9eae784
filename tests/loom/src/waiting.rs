//! Waiting for answers and jobs, on a loop that nobody else drives.

use std::time::Duration;

use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::*;

/// An answer wakes the thread that waits for it, whichever is first.
#[test]
fn an_answer_is_never_missed() {
    model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let answers = {
            let (waiter, slot) = (waiter.clone(), slot.clone());
            thread::spawn(move || slot.fill(&waiter, 7))
        };
        assert_eq!(wait(&Events::new(), &waiter, &slot), Waited::Done(7));
        answers.join().unwrap();
    });
}

/// A callback that comes before the answer runs before the call returns, also when it is faster
/// than the wait.
#[test]
fn a_callback_runs_before_its_call_returns() {
    model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let ran = counter();
        let on: Arc<dyn Loop> = Events::new();
        waiter.enter(CONNECTION);
        let peer = {
            let (waiter, slot, ran) = (waiter.clone(), slot.clone(), ran.clone());
            thread::spawn(move || {
                assert!(waiter.post(counting(&ran)).is_ok());
                slot.fill(&waiter, ());
            })
        };
        assert_eq!(
            waiter.wait(&on, CONNECTION, &slot, None, || false),
            Waited::Done(())
        );
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        peer.join().unwrap();
    });
}

/// A callback that makes a call of its own, whose answer comes from elsewhere.
#[test]
fn a_nested_call_is_answered() {
    model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let outer = Arc::new(Slot::default());
        let inner = Arc::new(Slot::default());
        let events = Events::new();
        let on: Arc<dyn Loop> = events.clone();
        waiter.enter(CONNECTION);
        let nested = job({
            let (events, waiter, inner) = (events.clone(), waiter.clone(), inner.clone());
            move || assert_eq!(wait(&events, &waiter, &inner), Waited::Done(1))
        });
        let peer = {
            let (waiter, outer, inner) = (waiter.clone(), outer.clone(), inner.clone());
            thread::spawn(move || {
                assert!(waiter.post(nested).is_ok());
                inner.fill(&waiter, 1);
                outer.fill(&waiter, 2);
            })
        };
        assert_eq!(
            waiter.wait(&on, CONNECTION, &outer, None, || false),
            Waited::Done(2)
        );
        peer.join().unwrap();
    });
}

/// A job that races the end of the last call either runs or is dropped, never kept for a later
/// call that has nothing to do with it.
#[test]
fn a_late_callback_does_not_stay() {
    model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let ran = counter();
        let on: Arc<dyn Loop> = Events::new();
        slot.fill(&waiter, ());
        waiter.enter(CONNECTION);
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || match waiter.post(counting(&ran)) {
                Ok(()) => (),
                Err((refused, _)) => assert_eq!(refused, Refused::NotWaiting),
            })
        };
        assert_eq!(
            waiter.wait(&on, CONNECTION, &slot, None, || false),
            Waited::Done(())
        );
        peer.join().unwrap();
        assert_eq!(waiter.busy(), 0);
        assert!(ran.load(Ordering::SeqCst) <= 1);
    });
}

/// A server thread and its loop, which it alone drives.
fn serve(waiter: &Arc<Waiter>) -> thread::JoinHandle<()> {
    let waiter = waiter.clone();
    thread::spawn(move || {
        let on: Arc<dyn Loop> = Events::new();
        waiter.serve(&on);
    })
}

/// A server thread ends when it is closed; each job ran, or came back, exactly once.
#[test]
fn closing_a_server_thread_loses_no_job() {
    model(|| {
        let waiter = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let server = serve(&waiter);
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || usize::from(waiter.post(counting(&ran)).is_err()))
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
    model(|| {
        let waiter = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let server = serve(&waiter);
        let peer = {
            let (waiter, ran) = (waiter.clone(), ran.clone());
            thread::spawn(move || assert!(waiter.post(counting(&ran)).is_ok()))
        };
        assert!(waiter.post(counting(&ran)).is_ok());
        peer.join().unwrap();
        let dropped = waiter.close().len();
        server.join().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst) + dropped, 2);
    });
}

/// Cancelling wakes the thread, whichever is first.
#[test]
fn a_cancelled_call_returns() {
    model(|| {
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot: Slot<()> = Slot::default();
        let stop = loom::sync::Arc::new(AtomicBool::new(false));
        let on: Arc<dyn Loop> = Events::new();
        waiter.enter(CONNECTION);
        let canceller = {
            let (waiter, stop) = (waiter.clone(), stop.clone());
            thread::spawn(move || {
                stop.store(true, Ordering::SeqCst);
                waiter.wake();
            })
        };
        let stopped = || stop.load(Ordering::SeqCst);
        let waited = waiter.wait(&on, CONNECTION, &slot, None, stopped);
        assert_eq!(waited, Waited::Stopped);
        canceller.join().unwrap();
    });
}

/// A deadline that has passed ends the wait although nobody answers.
#[test]
fn a_deadline_ends_the_wait() {
    model(|| {
        let waiter = Waiter::new(false, 8);
        let slot: Slot<()> = Slot::default();
        let on: Arc<dyn Loop> = Events::new();
        waiter.enter(CONNECTION);
        let past = Instant::now() - Duration::from_secs(1);
        let waited = waiter.wait(&on, CONNECTION, &slot, Some(past), || false);
        assert_eq!(waited, Waited::TimedOut);
        let refused = waiter.post(counting(&counter()));
        assert!(matches!(refused, Err((Refused::NotWaiting, _))));
    });
}
