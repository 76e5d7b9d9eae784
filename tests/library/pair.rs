//! `pair`: an implementor and its remote object in one process.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin_ipc::{Error, pair};

use crate::foo::interfaces::foo::*;
use crate::support::{Foo, eventually, timed};

fn served(foo: &Arc<Foo>) -> Arc<dyn FooInterface> {
    pair::<dyn FooInterface>(foo.clone()).unwrap()
}

#[test]
fn a_pair_is_remote_and_calls_back_and_forth() {
    timed(|| {
        let foo = Arc::new(Foo::default());
        let remote = served(&foo);
        assert!(remote.remote().unwrap().is_connected());
        assert_eq!(remote.add(1, 2).unwrap(), 3);
        let error = remote.divide(1, 0).unwrap_err();
        assert!(matches!(error, Error::Remote { .. }), "{error:?}");

        // The callback runs on the thread that waits for the call, and calls the server meanwhile.
        let here = thread::current().id();
        let again = remote.clone();
        let callback = move |arg: i32| {
            assert_eq!(thread::current().id(), here);
            again.add(arg, 10)
        };
        let answer = remote.callback(Some(Arc::new(callback)), 1);
        assert_eq!(answer.unwrap(), 11);

        // The server makes objects as well.
        let made = remote.make_callbacks(3).unwrap();
        let (plus, times) = (made.first.unwrap(), made.second.unwrap());
        assert_eq!((plus.call(4).unwrap(), times.call(4).unwrap()), (7, 12));
    });
}

/// A callback that counts how many of its kind are alive.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl FooCallback for Counted {
    fn call(&self, arg: i32) -> Result<i32, Error> {
        Ok(arg)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn the_serving_end_destroys_an_object_whose_handle_is_dropped() {
    timed(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let foo = Arc::new(Foo::default());
        *foo.handed_out.lock().unwrap() = Some(Arc::new(Counted::new(&alive)));
        let remote = served(&foo);
        let object = remote.make_callbacks(0).unwrap().first.unwrap();
        assert_eq!(object.call(5).unwrap(), 5);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        drop(object);
        eventually("it is destroyed", || alive.load(Ordering::SeqCst) == 0);
        // And the connection goes on.
        assert_eq!(remote.add(1, 2).unwrap(), 3);

        // So it is with the client's objects.
        let counted: Arc<dyn FooCallback> = Arc::new(Counted::new(&alive));
        remote.save_callback(Some(counted)).unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        remote.save_callback(None).unwrap();
        eventually("it is destroyed", || alive.load(Ordering::SeqCst) == 0);
    });
}

#[test]
fn any_object_keeps_the_connection_and_the_last_ends_it() {
    timed(|| {
        let alive = Arc::new(AtomicUsize::new(1));
        let mut foo = Foo::default();
        foo.alive = Some(alive.clone());
        let remote = pair::<dyn FooInterface>(Arc::new(foo)).unwrap();
        let object = remote.make_callbacks(2).unwrap().first.unwrap();
        let ended = Arc::new(Mutex::new(false));
        let ends = ended.clone();
        let noted = move || *ends.lock().unwrap() = true;
        assert!(bitcoin_ipc::ipc::add_cleanup(object.remote(), noted));
        drop(remote);
        assert_eq!(object.call(1).unwrap(), 3);
        assert!(!*ended.lock().unwrap());
        drop(object);
        eventually("the object is cleaned up", || *ended.lock().unwrap());
        eventually("the implementor is released", || {
            alive.load(Ordering::SeqCst) == 0
        });
    });
}

/// Names the process in which nothing but the next test runs.
const ALONE: &str = "PAIR_ALONE";

/// Counts threads and descriptors of the whole process, so it runs in one of its own.
#[test]
#[cfg(target_os = "linux")]
fn a_pair_leaves_no_thread_and_no_descriptor() {
    if std::env::var_os(ALONE).is_none() {
        let test = "pair::a_pair_leaves_no_thread_and_no_descriptor";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ALONE, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stdout}\n{stderr}");
        assert!(stdout.contains("1 passed"), "{stdout}");
        return;
    }
    timed(|| {
        let entries = |of| std::fs::read_dir(of).unwrap().count();
        let level = || (entries("/proc/self/task"), entries("/proc/self/fd"));
        let before = level();
        let foo = Arc::new(Foo::default());
        for round in 0..10 {
            let remote = served(&foo);
            let callback = |arg: i32| Ok(arg + 1);
            let answer = remote.callback(Some(Arc::new(callback)), round);
            assert_eq!(answer.unwrap(), round + 1);
            let while_connected = level();
            assert!(while_connected.0 > before.0 && while_connected.1 > before.1);
            drop(remote);
        }
        eventually("all is as before", || level() == before);
    });
}
