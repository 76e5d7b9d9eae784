//! Async calls, which any thread of the server may run: quick ones share one, and one that waits
//! keeps no other from running.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Limits;

use futures::executor::block_on;
use futures::future::join_all;

use crate::foo::interfaces::foo::*;
use crate::support::{Foo, Setup, eventually, timed};

/// Makes the server take a method for quick.
fn warm(setup: &Setup) {
    setup.foo.set_int_fn(|n| n);
    for _ in 0..20 {
        block_on(setup.client().call_int_fn_async_async(1)).unwrap();
    }
}

/// Makes this many calls at once; their arguments are their numbers.
fn call(setup: &Setup, count: i32) {
    let foo = setup.client();
    let answers = block_on(join_all((0..count).map(|n| foo.call_int_fn_async_async(n))));
    for (n, answer) in (0..).zip(answers) {
        assert_eq!(answer.unwrap(), n);
    }
}

#[test]
fn async_calls_run_at_once_and_call_back() {
    timed(|| {
        let setup = Setup::new();
        let gate = Arc::new(Barrier::new(8));
        setup.foo.set_int_fn(move |n| {
            // Passes only when all eight are being executed.
            gate.wait();
            n
        });
        let foo = setup.client();
        let calls = (0..8).map(|n| foo.call_int_fn_async_async(n));
        let answers = block_on(join_all(calls));
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n as i32);
        }
        let callback: Arc<dyn FooFn> = Arc::new(|| Ok(7));
        let answer = block_on(foo.pass_fn_async(Some(callback)));
        assert_eq!(answer.unwrap(), 7);
    });
}

#[test]
fn a_local_object_answers_async_calls_too() {
    let local: Arc<dyn FooInterface> = Arc::new(Foo::default());
    assert!(local.remote().is_none());
    assert_eq!(block_on(local.add_async(1, 2)).unwrap(), 3);
}

#[test]
fn quick_calls_share_a_thread() {
    timed(|| {
        let setup = Setup::new();
        warm(&setup);
        let threads: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let seen = threads.clone();
        setup.foo.set_int_fn(move |n| {
            let id = format!("{:?}", thread::current().id());
            seen.lock().unwrap().insert(id);
            n
        });
        // On a busy machine a quick one may take long, and the next have its own. Not each time.
        let counts: Vec<_> = (0..100)
            .map(|_| {
                threads.lock().unwrap().clear();
                call(&setup, 32);
                threads.lock().unwrap().len()
            })
            .collect();
        let fewest = counts.iter().min().unwrap();
        assert!(*fewest < 8, "{counts:?}");
    });
}

#[test]
fn a_call_may_wait_for_one_behind_it() {
    timed(|| {
        let setup = Setup::new();
        warm(&setup);
        let (last, first) = mpsc::channel();
        let (last, first) = (Mutex::new(last), Mutex::new(first));
        setup.foo.set_int_fn(move |n| {
            match n {
                0 => first.lock().unwrap().recv().unwrap(),
                31 => last.lock().unwrap().send(()).unwrap(),
                _ => {}
            }
            n
        });
        call(&setup, 32);
    });
}

#[test]
fn calls_that_were_quick_may_all_wait_for_each_other() {
    timed(|| {
        let setup = Setup::new();
        for _ in 0..3 {
            warm(&setup);
            let gate = Barrier::new(20);
            setup.foo.set_int_fn(move |n| {
                gate.wait();
                n
            });
            call(&setup, 20);
        }
    });
}

#[test]
fn what_a_callback_calls_runs_on_the_thread_that_waits_for_it() {
    timed(|| {
        let setup = Setup::new();
        warm(&setup);
        let threads: Arc<Mutex<Vec<_>>> = Arc::default();
        let seen = threads.clone();
        setup.foo.set_int_fn(move |n| {
            seen.lock().unwrap().push((n, thread::current().id()));
            n
        });
        let callback = |number: i32| -> Option<Arc<dyn FooFn>> {
            let foo = setup.client();
            Some(Arc::new(move || {
                foo.call_int_fn_async(number)?;
                foo.add(1, 2)?;
                foo.call_int_fn_async(number)
            }))
        };
        let foo = setup.client();
        for _ in 0..5 {
            let calls = (0..20).map(|number| foo.pass_fn_async(callback(number)));
            for (number, answer) in (0..).zip(block_on(join_all(calls))) {
                assert_eq!(answer.unwrap(), number);
            }
            let mut seen = std::mem::take(&mut *threads.lock().unwrap());
            seen.sort_by_key(|(number, _)| *number);
            for pair in seen.chunks(2) {
                assert_eq!(pair[0], pair[1]);
            }
        }
    });
}

/// Answers that are ready are sent while another call still waits.
#[test]
fn answers_go_out_while_a_later_call_waits() {
    timed(|| {
        let setup = Setup::new();
        warm(&setup);
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        setup.foo.set_int_fn(move |n| {
            if n == 7 {
                released.lock().unwrap().recv().unwrap();
            }
            n
        });
        let foo = setup.client();
        let mut calls: Vec<_> = (0..10).map(|n| foo.call_int_fn_async_async(n)).collect();
        let waits = calls.remove(7);
        for answer in block_on(join_all(calls)) {
            answer.unwrap();
        }
        release.send(()).unwrap();
        assert_eq!(block_on(waits).unwrap(), 7);
    });
}

/// Calls that a method makes to another process are sent at once, not with its answers: it may wait
/// for them.
#[test]
fn calls_of_another_process_are_made_at_once() {
    timed(|| {
        let (setup, other) = (Setup::new(), Setup::new());
        warm(&setup);
        warm(&other);
        let elsewhere = other.client();
        setup.foo.set_int_fn(move |n| match n % 2 {
            0 => block_on(elsewhere.call_int_fn_async_async(n)).unwrap(),
            _ => elsewhere.call_int_fn_async(n).unwrap(),
        });
        for _ in 0..20 {
            call(&setup, 32);
        }
        setup.foo.set_int_fn(|n| n);
    });
}

/// A method's own calls are sent at once, even if its answer is to go out with others, and even if the
/// connection that it was called over has ended.
#[test]
fn a_method_that_outlives_its_connection_may_still_call_another() {
    timed(|| {
        let mut setup = Setup::new();
        let other = setup.another();
        other
            .save_callback(Some(Arc::new(|n: i32| Ok(n + 1))))
            .unwrap();
        let back = setup.foo.saved().unwrap();
        warm(&setup);
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (answer, answered) = mpsc::channel();
        let (begun, answer) = (Mutex::new(begun), Mutex::new(answer));
        let released = Mutex::new(released);
        setup.foo.set_int_fn(move |n| {
            if n == 0 {
                begun.lock().unwrap().send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
                let called = block_on(back.call_async(41));
                answer.lock().unwrap().send(called.unwrap()).unwrap();
            }
            n
        });
        let foo = setup.client();
        let calls: Vec<_> = (0..10).map(|n| foo.call_int_fn_async_async(n)).collect();
        begins.recv().unwrap();
        setup.client_disconnect()();
        for call in calls {
            let _ = block_on(call);
        }
        // Long enough for the workers to have been looked after for the last time.
        thread::sleep(Duration::from_millis(300));
        release.send(()).unwrap();
        assert_eq!(answered.recv().unwrap(), 42);
        // The hook holds an object of the other client.
        setup.foo.set_int_fn(|n| n);
    });
}

#[test]
fn what_came_before_the_end_of_a_connection_is_run() {
    timed(|| {
        for _ in 0..5 {
            let setup = Setup::new();
            warm(&setup);
            let (last, first) = mpsc::channel();
            let (last, first) = (Mutex::new(last), Mutex::new(first));
            let ended = Arc::new(AtomicBool::new(false));
            let ends = ended.clone();
            setup.foo.set_int_fn(move |n| {
                match n {
                    0 => {
                        first.lock().unwrap().recv().unwrap();
                        ends.store(true, Ordering::SeqCst);
                    }
                    31 => last.lock().unwrap().send(()).unwrap(),
                    _ => {}
                }
                n
            });
            let foo = setup.client();
            let calls: Vec<_> = (0..32).map(|n| foo.call_int_fn_async_async(n)).collect();
            // The server has read them once it answers a call after them.
            assert_eq!(foo.add(1, 2).unwrap(), 3);
            setup.client_disconnect()();
            drop(calls);
            eventually("the first ends", || ended.load(Ordering::SeqCst));
        }
    });
}

#[test]
fn calls_that_wait_for_a_worker_are_not_nested() {
    timed(|| {
        let setup = Setup::with_limits(Limits::default().callback_depth(1));
        warm(&setup);
        setup.foo.set_int_fn(|n| {
            if n == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            n
        });
        call(&setup, 16);
    });
}

#[test]
fn one_thread_is_enough_for_calls_one_after_the_other() {
    timed(|| {
        let setup = Setup::with_limits(Limits::default().threads_per_connection(1));
        setup.foo.set_int_fn(|n| {
            // Some are quick and some are not.
            if n % 3 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
            n
        });
        for n in 0..200 {
            let answer = block_on(setup.client().call_int_fn_async_async(n));
            assert_eq!(answer.unwrap(), n);
        }
    });
}
