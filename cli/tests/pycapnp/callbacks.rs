//! Callbacks of pycapnp as the server of clients here: the threads that they run on, how they fail, and
//! how long they are kept.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin_ipc::{Error, Result};

use crate::foo::interfaces::foo::*;
use crate::servers::{failed, with_server};
use crate::support::eventually;

#[test]
fn callbacks_run_on_the_thread_that_waits() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        let this = thread::current().id();
        // A closure,
        let answer = foo.callback(
            Some(Arc::new(move |arg: i32| {
                assert_eq!(thread::current().id(), this);
                Ok(arg * 2)
            })),
            21,
        );
        assert_eq!(answer.unwrap(), 42);
        // an object,
        struct Adds(i32, thread::ThreadId);
        impl FooCallback for Adds {
            fn call(&self, arg: i32) -> Result<i32> {
                assert_eq!(thread::current().id(), self.1);
                Ok(arg + self.0)
            }
        }
        impl ExtendedCallback for Adds {
            fn call_extended(&self, arg: i32) -> Result<i32> {
                Ok(arg + 10 * self.0)
            }
        }
        assert_eq!(foo.callback(Some(Arc::new(Adds(3, this))), 4).unwrap(), 7);
        assert_eq!(
            foo.callback_extended(Some(Arc::new(Adds(3, this))), 4)
                .unwrap(),
            37
        );
        // and closures of other shapes.
        let answer = foo.pass_fn(Some(Arc::new(move || {
            assert_eq!(thread::current().id(), this);
            Ok(5)
        })));
        assert_eq!(answer.unwrap(), 5);
        let answer = foo.pass_text_fn(
            Some(Arc::new(
                |text: &str, data: &[u8], numbers: &[i32], custom: &FooCustom| {
                    Ok(format!(
                        "{text} {data:?} {numbers:?} {} {}",
                        custom.v1, custom.v2
                    ))
                },
            )),
            "t",
        );
        assert_eq!(answer.unwrap(), "t [0, 255] [1, 2] v 2");
    });
}

#[test]
fn nested_callbacks_run_on_the_same_thread() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        let this = thread::current().id();
        struct Nests {
            foo: Arc<dyn FooInterface>,
            thread: thread::ThreadId,
            depth: AtomicI32,
        }
        fn call(nests: &Arc<Nests>, arg: i32) -> Result<i32> {
            let next = nests.clone();
            let callback = move |arg: i32| {
                assert_eq!(thread::current().id(), next.thread);
                next.depth.fetch_add(1, Ordering::SeqCst);
                if arg == 0 {
                    Ok(0)
                } else {
                    Ok(1 + call(&next, arg - 1)?)
                }
            };
            nests.foo.callback(Some(Arc::new(callback)), arg)
        }
        let nests = Arc::new(Nests {
            foo,
            thread: this,
            depth: AtomicI32::new(0),
        });
        assert_eq!(call(&nests, 20).unwrap(), 20);
        assert_eq!(nests.depth.load(Ordering::SeqCst), 21);
        // One thread was made for all of it.
        assert_eq!(nests.foo.add(1, 2).unwrap(), 3);
    });
}

/// An error and a panic of a callback reach the caller of the method that called back.
pub fn callback_failures(foo: &dyn FooInterface) {
    let fails = |_: i32| -> Result<i32> { Err(Error::failed("not with me")) };
    let text = failed(foo.callback(Some(Arc::new(fails)), 1));
    assert!(text.contains("not with me"), "{text}");
    let panics = |_: i32| -> Result<i32> { panic!("as it was told to") };
    let text = failed(foo.callback(Some(Arc::new(panics)), 1));
    assert!(text.contains("panicked"), "{text}");
}

#[test]
fn callback_failures_come_back() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        callback_failures(&*foo);
        assert_eq!(
            foo.callback(Some(Arc::new(|arg: i32| Ok(arg))), 1).unwrap(),
            1
        );
    });
}

#[test]
fn callbacks_that_are_kept() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        let this = thread::current().id();
        let dropped = Arc::new(AtomicUsize::new(0));
        let called_on = Arc::new(Mutex::new(Vec::new()));
        let callback = |add: i32| {
            let noted = OnDrop(dropped.clone());
            let called_on = called_on.clone();
            Arc::new(move |arg: i32| {
                let _ = &noted;
                called_on.lock().unwrap().push(thread::current().id());
                Ok(arg + add)
            }) as Arc<dyn FooCallback>
        };
        foo.save_callback(Some(callback(1))).unwrap();
        assert_eq!(foo.callback_saved(1).unwrap(), 2);
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        // Let go of when another takes its place.
        foo.save_callback(Some(callback(2))).unwrap();
        assert_eq!(foo.callback_saved(1).unwrap(), 3);
        eventually("the first is dropped", || {
            dropped.load(Ordering::SeqCst) == 1
        });
        assert_eq!(*called_on.lock().unwrap(), [this, this]);
        // The server's own destroy frees it at once, on the thread that waits.
        assert_eq!(foo.callback_unique(Some(callback(3)), 9).unwrap(), 9);
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
        // On a thread that the server made here.
        assert_eq!(foo.callback_shared(Some(callback(4)), 5).unwrap(), 9);
        assert_ne!(called_on.lock().unwrap().last(), Some(&this));
        let made = server.line("made rust-").join(" ");
        assert!(made.ends_with("(from python-maker)"), "{made}");
    });
}

/// Counts that it was dropped.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn objects_come_back() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        // One of this process is itself.
        let mine: Arc<dyn FooCallback> = Arc::new(|arg: i32| Ok(arg));
        let back = foo.pass_callback(Some(mine.clone())).unwrap().unwrap();
        assert!(std::ptr::addr_eq(Arc::as_ptr(&mine), Arc::as_ptr(&back)));
        assert!(foo.pass_callback(None).unwrap().is_none());
        // The server's are handles to the same.
        let made = foo.make_callbacks(3).unwrap();
        let (first, second) = (made.first.unwrap(), made.second.unwrap());
        assert_eq!(first.call(4).unwrap(), 7);
        assert_eq!(second.call(4).unwrap(), 1);
        let back = foo.pass_callback(Some(first.clone())).unwrap().unwrap();
        assert_eq!(back.call(4).unwrap(), 7);
        // Called by the server, which knows its own.
        assert_eq!(foo.callback(Some(first), 5).unwrap(), 8);
    });
}
