//! The lead of the loop: threads that come and go, and the standby thread. Time never passes here,
//! so an answer arrives because some thread leads, and not because of a tick.

use loom::thread;

use super::*;

/// Starts a thread that stands by until its model is over.
fn stand_by(events: &Arc<Events>) -> thread::JoinHandle<()> {
    stand_by_until(events, || false)
}

fn stand_by_until(
    events: &Arc<Events>,
    over: impl Fn() -> bool + Send + 'static,
) -> thread::JoinHandle<()> {
    let events = events.clone();
    thread::spawn(move || {
        events.leadership.stand_by(&over, |standby| {
            while !standby.has_ended() {
                events.wait(None);
                events.process();
                // As soon as it may.
                if !standby.is_wanted() {
                    return;
                }
            }
        });
    })
}

fn end(events: &Arc<Events>) {
    events.leadership.end();
    events.interrupt();
}

/// The thread that waits drives the loop, and so reads its own answer.
#[test]
fn a_thread_that_waits_reads_its_answer() {
    model(|| {
        let events = Events::new();
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let peer = {
            let (events, waiter, slot) = (events.clone(), waiter.clone(), slot.clone());
            thread::spawn(move || events.tell(move || slot.fill(&waiter, 1)))
        };
        assert_eq!(wait(&events, &waiter, &slot), Waited::Done(1));
        assert!(!events.leadership.is_led());
        peer.join().unwrap();
    });
}

/// Two threads wait. Whichever leads, and in whatever order the answers come: when the leader has
/// its own, the standby thread reads the other's.
#[test]
fn a_follower_is_not_left_alone() {
    model(|| {
        let events = Events::new();
        let standby = stand_by(&events);
        let waiters = [(); 2].map(|()| Arc::new(Waiter::new(false, 8)));
        let slots = [(); 2].map(|()| Arc::new(Slot::default()));
        let other = {
            let (events, waiter, slot) = (events.clone(), waiters[1].clone(), slots[1].clone());
            thread::spawn(move || {
                let (news, waiter) = (slot.clone(), waiter);
                let told = waiter.clone();
                events.tell(move || news.fill(&told, 2));
                assert_eq!(wait(&events, &waiter, &slot), Waited::Done(2));
            })
        };
        let (waiter, slot) = (waiters[0].clone(), slots[0].clone());
        let (told, news) = (waiter.clone(), slot.clone());
        events.tell(move || news.fill(&told, 1));
        assert_eq!(wait(&events, &waiter, &slot), Waited::Done(1));
        other.join().unwrap();
        assert!(!events.leadership.is_wanted());
        end(&events);
        standby.join().unwrap();
    });
}

/// A thread comes to wait while the standby thread leads, or is about to leave.
#[test]
fn who_comes_while_the_standby_thread_leaves_is_not_left_alone() {
    model(|| {
        let events = Events::new();
        let standby = stand_by(&events);
        events.leadership.expect();
        let settling = events.clone();
        events.tell(move || settling.leadership.settle());
        let waiter = Arc::new(Waiter::new(false, 8));
        let slot = Arc::new(Slot::default());
        let peer = {
            let (events, waiter, slot) = (events.clone(), waiter.clone(), slot.clone());
            thread::spawn(move || events.tell(move || slot.fill(&waiter, 1)))
        };
        assert_eq!(wait(&events, &waiter, &slot), Waited::Done(1));
        peer.join().unwrap();
        end(&events);
        standby.join().unwrap();
    });
}

/// An event that no thread waits for is processed all the same.
#[test]
fn what_is_due_is_seen_to_by_the_thread_that_stands_by() {
    model(|| {
        let events = Events::new();
        let standby = stand_by(&events);
        let seen = loom::sync::Arc::new((Mutex::new(false), Condvar::new()));
        events.leadership.expect();
        let news = {
            let (events, seen) = (events.clone(), seen.clone());
            move || {
                events.leadership.settle();
                *sync::lock(&seen.0) = true;
                seen.1.notify_all();
            }
        };
        events.tell(news);
        let mut state = sync::lock(&seen.0);
        while !*state {
            state = sync::wait(&seen.1, state);
        }
        drop(state);
        end(&events);
        standby.join().unwrap();
    });
}

/// A thread that stands by only until it has other work is relieved, whether it sleeps or has just
/// looked.
#[test]
fn a_thread_that_stands_by_is_relieved() {
    relieved(|_| {});
}

/// A thread that stands by may lead when it is relieved, also where the loop must not be left
/// alone.
#[test]
fn a_thread_that_leads_is_relieved() {
    relieved(|events| events.leadership.attend());
    relieved(|events| {
        events.leadership.expect();
    });
}

fn relieved(before: impl Fn(&Events) + Send + Sync + 'static) {
    model(move || {
        let events = Events::new();
        let is_over = counter();
        let over = is_over.clone();
        let stand_in = stand_by_until(&events, move || over.load(Ordering::SeqCst) > 0);
        before(&events);
        is_over.store(1, Ordering::SeqCst);
        events.leadership.look();
        if events.leadership.is_led() {
            events.interrupt();
        }
        stand_in.join().unwrap();
        assert!(!events.leadership.is_led());
    });
}

/// A server thread that leads gets its job from itself, and leaves the lead to run it. An event
/// that then comes for another thread is read by the next leader.
#[test]
fn a_server_thread_reads_its_own_requests() {
    model(|| {
        let events = Events::new();
        let waiter = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let server = {
            let (events, waiter) = (events.clone(), waiter.clone());
            thread::spawn(move || {
                let on: Arc<dyn Loop> = events;
                waiter.serve(&on);
            })
        };
        for _ in 0..2 {
            let (told, counter) = (waiter.clone(), ran.clone());
            events.tell(move || assert!(told.post(counting(&counter)).is_ok()));
        }
        let ending = waiter.clone();
        events.tell(move || drop(ending.close()));
        server.join().unwrap();
        // Jobs that came together with the end come back.
        assert!(ran.load(Ordering::SeqCst) <= 2);
        assert!(!events.leadership.is_led());
    });
}

/// A server thread leads while it is idle. When it reads a request for another one it leaves the
/// lead to that one, which reads its next request itself. An event for the first one then wakes it
/// all the same.
#[test]
fn an_idle_server_thread_leaves_the_lead_to_the_one_it_woke() {
    model(|| {
        let events = Events::new();
        let idle = Arc::new(Waiter::new(true, 8));
        let called = Arc::new(Waiter::new(true, 8));
        let ran = counter();
        let serve = |waiter: &Arc<Waiter>| {
            let (on, waiter): (Arc<dyn Loop>, _) = (events.clone(), waiter.clone());
            thread::spawn(move || waiter.serve(&on))
        };
        let threads = [serve(&idle), serve(&called)];
        let (next, waiters, count) = (events.clone(), (idle, called), ran.clone());
        events.tell(move || {
            let (idle, called) = waiters;
            let answering = called.clone();
            // Once it is answered, the peer calls the other thread.
            let answers = job(move || {
                count.fetch_add(1, Ordering::SeqCst);
                next.tell(move || {
                    let count = count.clone();
                    let closing = idle.clone();
                    let ends = job(move || {
                        count.fetch_add(1, Ordering::SeqCst);
                        drop((closing.close(), answering.close()));
                    });
                    assert!(idle.post(ends).is_ok());
                });
            });
            assert!(called.post(answers).is_ok());
        });
        join(threads);
        assert_eq!(ran.load(Ordering::SeqCst), 2);
    });
}
