//! Tail calls, promises and pipelined calls of pycapnp, as the server of clients here and as the
//! client of a server here. The server is in `peers/promises.py`, the client in
//! `peers/promising.py`. None of it ends a connection, and calls on an object stay in order.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::call::CallOptions;
use bitcoin_ipc::{Error, Result};
use futures::executor::block_on;
use futures::future::join_all;

use crate::callbacks::callback_failures;
use crate::clients::scenarios;
use crate::foo::interfaces::foo::*;
use crate::servers::{Server, failed, with_server};
use crate::support::eventually;

/// How many calls are sent at once.
const CALLS: i32 = 50;

/// Runs a test against a server that makes tail calls and gives promises.
fn with_promises(test: impl FnOnce(&mut Server, Arc<dyn FooInterface>) + Send + 'static) {
    with_server("promises", |server| {
        let (_init, foo) = server.foo();
        test(server, foo.clone());
        // Whatever it was, the connection goes on.
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        drop((foo, _init));
        server.line("disconnected");
    });
}

/// A callback that adds one, on the thread that makes it.
fn on_this_thread() -> Option<Arc<dyn FooCallback>> {
    let this = thread::current().id();
    Some(Arc::new(move |arg: i32| {
        assert_eq!(thread::current().id(), this);
        Ok(arg + 1)
    }))
}

#[test]
fn tail_calls_are_answered_by_the_callers_object() {
    with_promises(|_, foo| {
        for number in 0..CALLS {
            assert_eq!(foo.callback(on_this_thread(), number).unwrap(), number + 1);
        }
    });
}

#[test]
fn nested_tail_calls_run_on_the_thread_that_waits() {
    fn call(foo: &Arc<dyn FooInterface>, this: thread::ThreadId, depth: i32) -> Result<i32> {
        let next = foo.clone();
        let callback = move |arg: i32| {
            assert_eq!(thread::current().id(), this);
            match arg {
                0 => Ok(0),
                _ => Ok(1 + call(&next, this, arg - 1)?),
            }
        };
        foo.callback(Some(Arc::new(callback)), depth)
    }
    with_promises(|_, foo| {
        assert_eq!(call(&foo, thread::current().id(), 20).unwrap(), 20);
    });
}

#[test]
fn failures_come_back_through_a_tail_call() {
    with_promises(|_, foo| callback_failures(&*foo));
}

#[test]
fn async_calls_are_answered_by_tail_calls() {
    with_promises(|_, foo| {
        let calls = (0..CALLS).map(|number| {
            let callback: Arc<dyn FooCallback> = Arc::new(move |arg: i32| Ok(arg + number));
            foo.callback_async(Some(callback), number)
        });
        let answers = block_on(join_all(calls.collect::<Vec<_>>()));
        for (number, answer) in (0..CALLS).zip(answers) {
            assert_eq!(answer.unwrap(), 2 * number);
        }
    });
}

/// The caller has left when its own object answers: nobody takes that answer.
#[test]
fn a_tail_call_of_a_call_that_is_given_up() {
    with_promises(|_, foo| {
        let limit = Duration::from_millis(100);
        let (sender, receiver) = std::sync::mpsc::channel();
        let (give_up, given_up) = std::sync::mpsc::channel::<()>();
        let given_up = Mutex::new(given_up);
        // On a thread that is made here, so that the caller is free to leave.
        let callback: Arc<dyn FooCallback> = Arc::new(move |arg: i32| {
            given_up.lock().unwrap().recv().unwrap();
            sender.send(arg).unwrap();
            Ok(arg)
        });
        let options = CallOptions::new().timeout(limit);
        let result = options.run(|| foo.callback_shared(Some(callback), 7));
        assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
        give_up.send(()).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)).unwrap(), 7);
    });
}

#[test]
fn a_server_calls_on_threads_that_are_not_made_yet() {
    with_promises(|_, foo| {
        let this = thread::current().id();
        let elsewhere = move |arg: i32| {
            assert_ne!(thread::current().id(), this);
            Ok(arg + 1)
        };
        assert_eq!(
            foo.callback_shared(Some(Arc::new(elsewhere)), 5).unwrap(),
            6
        );
        // Many at once, which arrive in order.
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = seen.clone();
        let notes = move |arg: i32| {
            noted.lock().unwrap().push(arg);
            Ok(arg)
        };
        foo.save_callback(Some(Arc::new(notes))).unwrap();
        let sum = (0..CALLS).sum::<i32>();
        assert_eq!(foo.callback_saved(CALLS).unwrap(), sum);
        assert_eq!(*seen.lock().unwrap(), (0..CALLS).collect::<Vec<_>>());
    });
}

/// The arguments that the server's callbacks were called with so far.
fn called(server: &Server) -> Vec<i32> {
    let lines = server.process.lines().into_iter();
    lines
        .filter_map(|line| line.strip_prefix("called ")?.parse().ok())
        .collect()
}

/// The arguments of so many calls, once the line of the last has come, which may be later than its answer.
fn called_up_to(server: &Server, calls: i32) -> Vec<i32> {
    let last = format!("called {}", calls - 1);
    server.process.wait_line(&last, |line| line == last);
    called(server)
}

#[test]
fn a_promised_object_takes_calls_in_order() {
    with_promises(|server, foo| {
        let made = foo.make_callbacks(3).unwrap();
        let (first, second) = (made.first.unwrap(), made.second.unwrap());
        let early: Vec<_> = (0..CALLS).map(|number| first.call_async(number)).collect();
        // Answered behind them, so they have arrived; nothing has been called.
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        assert!(called(server).is_empty());
        foo.call_fn().unwrap();
        let late: Vec<_> = (CALLS..2 * CALLS)
            .map(|number| first.call_async(number))
            .collect();
        let answers = block_on(join_all(early.into_iter().chain(late)));
        for (number, answer) in (0..2 * CALLS).zip(answers) {
            assert_eq!(answer.unwrap(), number + 3);
        }
        assert_eq!(
            called_up_to(server, 2 * CALLS),
            (0..2 * CALLS).collect::<Vec<_>>()
        );
        assert_eq!(second.call(10).unwrap(), 7);
        // It can be passed, called there and given back.
        let back = foo.pass_callback(Some(first.clone())).unwrap().unwrap();
        assert_eq!(back.call(1).unwrap(), 4);
        foo.save_callback(Some(first.clone())).unwrap();
        assert_eq!(foo.callback_saved(2).unwrap(), 3 + 4);
        foo.save_callback(None).unwrap();
        drop((first, back));
        eventually("destroyed", || {
            server.process.count(|line| line.starts_with("destroy")) > 0
        });
    });
}

#[test]
fn a_promise_that_is_broken_fails_its_calls() {
    with_promises(|_, foo| {
        let first = foo.make_callbacks(-1).unwrap().first.unwrap();
        let early = first.call_async(1);
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        foo.call_fn().unwrap();
        let text = failed(block_on(early));
        assert!(text.contains("no such callbacks"), "{text}");
        let text = failed(first.call(1));
        assert!(text.contains("no such callbacks"), "{text}");
    });
}

/// Such a call comes back with a thread of the server's, on which an object here cannot run.
#[test]
fn a_promise_that_becomes_the_callers_own_object() {
    with_promises(|_, foo| {
        let mine: Arc<dyn FooCallback> = Arc::new(|arg: i32| Ok(arg));
        let back = foo.pass_callback(Some(mine.clone())).unwrap().unwrap();
        let early: Vec<_> = (0..CALLS).map(|number| back.call_async(number)).collect();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        foo.call_fn().unwrap();
        for answer in block_on(join_all(early)) {
            let text = failed(answer);
            assert!(text.contains("invalid thread handle"), "{text}");
        }
        failed(back.call(1));
        drop(back);
        eventually("the server lets go of it", || Arc::strong_count(&mine) == 1);
    });
}

#[test]
fn a_promise_that_becomes_an_object_which_makes_tail_calls() {
    with_promises(|server, foo| {
        foo.save_callback(Some(Arc::new(|arg: i32| Ok(arg))))
            .unwrap();
        let mine: Arc<dyn FooCallback> = Arc::new(|arg: i32| Ok(2 * arg));
        let back = foo.pass_callback(Some(mine)).unwrap().unwrap();
        let early: Vec<_> = (0..CALLS).map(|number| back.call_async(number)).collect();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        foo.call_fn().unwrap();
        for (number, answer) in (0..CALLS).zip(block_on(join_all(early))) {
            assert_eq!(answer.unwrap(), 2 * number);
        }
        assert_eq!(called_up_to(server, CALLS), (0..CALLS).collect::<Vec<_>>());
        assert_eq!(back.call(30).unwrap(), 60);
    });
}

#[test]
fn a_made_thread_is_a_promise_of_the_clients_own() {
    with_promises(|server, foo| {
        thread::Builder::new()
            .name("lends".into())
            .spawn(move || {
                let this = thread::current().id();
                let answer = foo.pass_fn(Some(Arc::new(move || {
                    assert_eq!(thread::current().id(), this);
                    Ok(5)
                })));
                assert_eq!(answer.unwrap(), 5);
            })
            .unwrap()
            .join()
            .unwrap();
        let on = server.line("on rust-").join(" ");
        assert!(on.ends_with("(from python-lends)"), "{on}");
    });
}

#[test]
fn a_server_that_dies_before_its_promise_is_kept() {
    with_server("promises", |server| {
        let (_init, foo) = server.foo();
        let first = foo.make_callbacks(3).unwrap().first.unwrap();
        let early: Vec<_> = (0..CALLS).map(|number| first.call_async(number)).collect();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        server.process.kill();
        for answer in block_on(join_all(early)) {
            assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
        }
    });
}

scenarios! {
    "promising.py"
    promised_parameters_keep_the_order
    embargoed_calls_keep_the_order
    pipelined_calls_keep_the_order
    callbacks_end_in_tail_calls
    a_made_thread_is_a_promise_of_the_servers_own
    a_thread_map_is_a_promise_of_the_servers_own
    callbacks_that_are_promises
}
