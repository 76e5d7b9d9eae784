//! The threads that calls and callbacks run on, and the end of these threads.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::{CallOptions, Error, Limits, RemoteKind};

use crate::foo::interfaces::foo::*;
use crate::support::{Setup, eventually, timed};

/// A thread here has one thread there: for all its calls, and for no other thread's.
#[test]
fn a_calling_thread_has_one_server_thread() {
    timed(|| {
        let setup = Setup::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ids = seen.clone();
        setup
            .foo
            .set_fn(move || ids.lock().unwrap().push(thread::current().id()));
        let foo = setup.client();
        for _ in 0..2 {
            let foo = foo.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    foo.call_fn_async_().unwrap();
                }
            })
            .join()
            .unwrap();
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0], seen[2]);
        assert_eq!(seen[3], seen[5]);
        assert_ne!(seen[0], seen[3]);
    });
}

/// A callback runs on the thread that waits, and its own calls run on the thread that called it,
/// to any depth.
#[test]
fn callbacks_nest_on_the_two_threads_of_a_call() {
    fn down(foo: &Arc<dyn FooInterface>, here: thread::ThreadId, depth: i32) -> Result<i32, Error> {
        assert_eq!(thread::current().id(), here);
        if depth == 0 {
            foo.call_fn_async_()?;
            return Ok(0);
        }
        let (inner, callback_depth) = (foo.clone(), depth - 1);
        let callback: Arc<dyn FooFn> =
            Arc::new(move || down(&inner, here, callback_depth).map(|n| n + 1));
        foo.pass_fn(Some(callback))
    }
    timed(|| {
        let setup = Setup::new();
        let there = Arc::new(Mutex::new(Vec::new()));
        let ids = there.clone();
        setup
            .foo
            .set_fn(move || ids.lock().unwrap().push(thread::current().id()));
        let foo = setup.client();
        foo.call_fn_async_().unwrap();
        assert_eq!(down(&foo, thread::current().id(), 20).unwrap(), 20);
        let there = there.lock().unwrap();
        assert_eq!(there[0], there[1]);
    });
}

#[test]
fn calls_nested_too_deeply_are_refused() {
    fn down(foo: &Arc<dyn FooInterface>) -> Result<i32, Error> {
        let inner = foo.clone();
        foo.pass_fn(Some(Arc::new(move || down(&inner))))
    }
    timed(|| {
        let setup = Setup::new();
        match down(&setup.client()) {
            Err(Error::Remote { kind, text }) => {
                assert_eq!(kind, RemoteKind::Overloaded);
                assert!(text.contains("nested"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(setup.client().add(1, 2).unwrap(), 3);
    });
}

/// Threads that end here end their server threads.
#[test]
fn a_server_thread_ends_with_its_client_thread() {
    timed(|| {
        let limits = Limits::default().threads_per_connection(4);
        let setup = Setup::with_limits(limits);
        setup.foo.set_fn(|| ());
        let foo = setup.client();
        for _ in 0..40 {
            let foo = foo.clone();
            let call = move || {
                // The thread before may still be ending.
                loop {
                    match foo.call_fn_async_() {
                        Err(Error::Remote {
                            kind: RemoteKind::Overloaded,
                            ..
                        }) => thread::sleep(Duration::from_millis(5)),
                        other => return other,
                    }
                }
            };
            thread::spawn(call).join().unwrap().unwrap();
        }
    });
}

/// Regression: the destructor of a thread-local runs when the library's own thread-locals may be
/// gone. A call from there ended the process, and would have left its server thread behind.
#[test]
fn a_thread_that_ends_may_still_call() {
    struct Last(Arc<dyn FooInterface>, mpsc::Sender<Result<i32, Error>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let options = CallOptions::new().timeout(Duration::from_secs(10));
            let callback: Arc<dyn FooFn> = Arc::new(|| Ok(7));
            let result = options.run(|| self.0.pass_fn(Some(callback)));
            let _ = self.1.send(result);
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    timed(|| {
        let setup = Setup::with_limits(Limits::default().threads_per_connection(4));
        for _ in 0..12 {
            let foo = setup.client();
            let (sender, results) = mpsc::channel();
            let ending = thread::spawn(move || {
                // Before the library's, and so it ends after them.
                LAST.set(Some(Last(foo.clone(), sender)));
                let _ = foo.pass_fn(Some(Arc::new(|| Ok(1))));
            });
            ending.join().unwrap();
            match results.recv().unwrap() {
                Ok(answer) => assert_eq!(answer, 7),
                // The threads before may still be ending, but they do end.
                Err(Error::Remote {
                    kind: RemoteKind::Overloaded,
                    ..
                }) => thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error}"),
            }
        }
        eventually("threads are free again", || {
            setup.client().pass_fn(Some(Arc::new(|| Ok(1)))).is_ok()
        });
    });
}
