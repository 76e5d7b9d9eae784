//! The library's promises to its users, over a socketpair within one process and over channels that the
//! tests bring.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod asked;
mod async_calls;
mod channels;
mod lines;
mod pair;
mod records;
mod several;
mod tcp;
mod threads;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::Remote;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::{CallOptions, CancelToken, Error, Ipc, Limits};
use bitcoin_ipc_foo::{foo, implementation as support};

use foo::interfaces::foo::*;
use support::{Setup, eventually, timed};

#[test]
fn everything_is_send_and_sync() {
    fn check<T: Send + Sync + ?Sized>() {}
    check::<Ipc<dyn bitcoin_ipc::interfaces::init::Init>>();
    check::<bitcoin_ipc::Spawned<dyn FooInterface>>();
    check::<bitcoin_ipc::Listener>();
    check::<bitcoin_ipc::rt::Object>();
    check::<bitcoin_ipc::protocol::capnp::Capnp>();
    check::<bitcoin_ipc::protocol::capnp::Relay>();
    check::<bitcoin_ipc::process::Child>();
    check::<foo::proxies::foo::FooInterfaceClient>();
    check::<dyn FooInterface>();
    check::<dyn Remote>();
    check::<Error>();
    check::<CallOptions>();
    check::<CancelToken>();
    fn sends<T: Send>() {}
    sends::<bitcoin_ipc::interfaces::Call<i32>>();
}

#[test]
fn a_call_without_an_answer_times_out() {
    timed(|| {
        let setup = Setup::new();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        setup.foo.set_fn(move || {
            let _ = released.lock().unwrap().recv();
        });
        let foo = setup.client();
        let limit = Duration::from_millis(50);
        let options = CallOptions::new().timeout(limit);
        match options.clone().run(|| foo.call_fn_async_()) {
            Err(Error::Timeout { what, after }) => {
                assert_eq!(what, "FooInterface.callFnAsync");
                assert_eq!(after, limit);
            }
            other => panic!("{other:?}"),
        }
        let call = options.run(|| foo.call_fn_async_async());
        assert!(matches!(
            futures::executor::block_on(call),
            Err(Error::Timeout { .. })
        ));
        // This thread's next call is not behind the one that was given up.
        setup.foo.set_int_fn(|n| n);
        assert_eq!(foo.call_int_fn_async(5).unwrap(), 5);
        release.send(()).unwrap();
        release.send(()).unwrap();
    });
}

#[test]
fn a_call_can_be_cancelled() {
    timed(|| {
        let setup = Setup::new();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let (begun, begins) = mpsc::channel();
        let begun = Mutex::new(begun);
        setup.foo.set_fn(move || {
            begun.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        });
        let foo = setup.client();
        let token = CancelToken::new();
        let cancelling = thread::spawn({
            let token = token.clone();
            move || {
                begins.recv().unwrap();
                token.cancel();
            }
        });
        let options = CallOptions::new().cancel(&token);
        let cancelled = options.clone().run(|| foo.call_fn_async_());
        assert!(matches!(cancelled, Err(Error::Cancelled(_))));
        cancelling.join().unwrap();
        // And none is begun any more.
        let cancelled = options.run(|| foo.add(1, 2));
        assert!(matches!(cancelled, Err(Error::Cancelled(_))));
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        release.send(()).unwrap();
    });
}

/// Server objects are destroyed in the order in which they are released.
#[test]
fn objects_are_destroyed_in_order() {
    struct Noted(usize, Arc<Mutex<Vec<usize>>>);
    impl FooCallback for Noted {
        fn call(&self, arg: i32) -> Result<i32, Error> {
            Ok(arg)
        }
    }
    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    timed(|| {
        let setup = Setup::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        let foo = setup.client();
        for number in 0..20 {
            // Saving the next releases the one before.
            let noted: Arc<dyn FooCallback> = Arc::new(Noted(number, order.clone()));
            foo.save_callback(Some(noted)).unwrap();
        }
        foo.save_callback(None).unwrap();
        eventually("all are destroyed", || order.lock().unwrap().len() == 20);
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn cleanup_runs_once_when_the_object_goes() {
    timed(|| {
        let setup = Setup::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let made = setup.client().make_callbacks(1).unwrap();
        let (first, second) = (made.first.unwrap(), made.second.unwrap());
        for object in [&first, &second] {
            let ran = ran.clone();
            assert!(bitcoin_ipc::ipc::add_cleanup(object.remote(), move || {
                ran.fetch_add(1, Ordering::SeqCst);
            }));
        }
        drop(first);
        eventually("the first has gone", || ran.load(Ordering::SeqCst) == 1);
        setup.client_disconnect()();
        eventually("the connection has gone", || {
            ran.load(Ordering::SeqCst) == 2
        });
        drop(second);
        let local: Arc<dyn FooFn> = Arc::new(|| Ok(1));
        assert!(!bitcoin_ipc::ipc::add_cleanup(local.remote(), || ()));
    });
}

#[test]
fn a_method_that_panics_fails_its_call_alone() {
    timed(|| {
        let setup = Setup::new();
        setup.foo.set_fn(|| panic!("expected by the test"));
        let foo = setup.client();
        match foo.call_fn_async_() {
            Err(Error::Remote { text, .. }) => assert!(text.contains("panicked"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(foo.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn a_message_beyond_the_limit_is_refused_before_it_is_sent() {
    timed(|| {
        let setup = Setup::with_limits(Limits::default().message_bytes(1 << 20));
        let foo = setup.client();
        // Too large to be sent by this side's own limit of 64 MiB.
        let large = vec![0; 65 << 20];
        match foo.pass_data(&large) {
            Err(Error::Conversion { field, reason }) => {
                assert_eq!(field, "FooInterface.passData");
                assert!(reason.contains("limit"), "{reason}");
            }
            other => panic!("{:?}", other.map(|data| data.len())),
        }
        assert_eq!(foo.pass_data(&[1; 1000]).unwrap().len(), 1000);
        // Beyond the other side's.
        assert!(foo.pass_data(&[1; 2 << 20]).unwrap_err().is_disconnected());
    });
}

#[test]
fn a_blocked_call_ends_with_its_connection_within_a_second() {
    timed(|| {
        let setup = Setup::new();
        let (begun, begins) = mpsc::channel();
        let begun = Mutex::new(begun);
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        setup.foo.set_fn(move || {
            begun.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        });
        let foo = setup.client();
        let calling = thread::spawn(move || foo.call_fn_async_());
        begins.recv().unwrap();
        let start = Instant::now();
        setup.server_disconnect()();
        assert!(calling.join().unwrap().unwrap_err().is_disconnected());
        assert!(start.elapsed() < Duration::from_secs(1));
        release.send(()).unwrap();
    });
}

/// Tells the name of the thread on which it is dropped.
struct Dropped(mpsc::Sender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let thread = thread::current();
        let _ = self.0.send(thread.name().unwrap_or_default().to_owned());
    }
}

const LOOP: &str = "b-capnp-loop";

/// Regression: arguments of a call that failed before it was sent were dropped by the event loop,
/// and with them the application's objects.
#[test]
fn arguments_of_a_call_that_fails_are_not_destroyed_on_the_event_loop() {
    timed(|| {
        // The peer gives no thread, so the call ends between the caller and the wire.
        let setup = Setup::with_limits(Limits::default().threads_per_connection(0));
        let (dropped, drops) = mpsc::channel();
        let callback = || -> Option<Arc<dyn FooFn>> {
            let held = Dropped(dropped.clone());
            Some(Arc::new(move || {
                let _ = &held;
                Ok(1)
            }))
        };
        let foo = setup.client();
        assert!(foo.pass_fn(callback()).is_err());
        assert_ne!(drops.recv().unwrap(), LOOP);
        assert!(futures::executor::block_on(foo.pass_fn_async(callback())).is_err());
        assert_ne!(drops.recv().unwrap(), LOOP);
    });
}

/// Regression: the `Init` of a listener was kept, and dropped, by the event loop.
#[test]
fn what_a_listener_serves_is_not_destroyed_on_the_event_loop() {
    timed(|| {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let (dropped, drops) = mpsc::channel();
        let held = Dropped(dropped);
        let foo = support::Foo::default();
        foo.set_fn(move || {
            let _ = &held;
        });
        let init: Arc<dyn FooInterface> = Arc::new(foo);
        let server = Capnp::new("mptest-server", Limits::default()).unwrap();
        drop(server.listen(listener.into(), init).unwrap());
        assert_ne!(drops.recv().unwrap(), LOOP);
    });
}

/// Regression: a limit beyond the range of the clock made the call panic.
#[test]
fn a_time_limit_can_be_as_long_as_one_likes() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let options = CallOptions::new().timeout(Duration::MAX);
        assert_eq!(options.clone().run(|| foo.add(1, 2)).unwrap(), 3);
        let call = options.run(|| foo.add_async(1, 2));
        assert_eq!(futures::executor::block_on(call).unwrap(), 3);
        setup.client_disconnect()();
        assert!(foo.remote().unwrap().wait_disconnected(Some(Duration::MAX)));
    });
}

/// They ran in any order when it was the connection that ended.
#[test]
fn cleanup_runs_in_the_order_of_the_objects() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut objects = Vec::new();
        for number in 0..20 {
            let object = foo.make_callbacks(1).unwrap().first.unwrap();
            let order = order.clone();
            bitcoin_ipc::ipc::add_cleanup(object.remote(), move || {
                order.lock().unwrap().push(number);
            });
            objects.push(object);
        }
        setup.client_disconnect()();
        eventually("all have run", || order.lock().unwrap().len() == 20);
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    });
}

/// A peer whose `Init` is no object: its connection may be of no use, but every other is.
#[test]
fn a_bootstrap_that_gives_no_object_harms_nobody_else() {
    use bitcoin_ipc::rt::capnp::{message::Builder, serialize};
    use capnp_rpc::rpc_capnp::message;

    /// Answers the handshake; `content` writes what is in place of the `Init`.
    fn answer(mut stream: &UnixStream, content: fn(bitcoin_ipc::rt::capnp::any_pointer::Builder)) {
        while let Ok(received) = serialize::read_message(&mut stream, Default::default()) {
            let root: message::Reader = received.get_root().unwrap();
            let mut builder = Builder::new_default();
            let mut answer = builder.init_root::<message::Builder>().init_return();
            match root.which().unwrap() {
                message::Bootstrap(bootstrap) => {
                    answer.set_answer_id(bootstrap.unwrap().get_question_id());
                    content(answer.init_results().init_content());
                }
                message::Call(call) => {
                    answer.set_answer_id(call.unwrap().get_question_id());
                    // Has no methods except `construct`, and so is of no use.
                    answer.init_results();
                }
                _ => continue,
            }
            if serialize::write_message(&mut stream, &builder).is_err() {
                return;
            }
        }
    }

    timed(|| {
        let good = Setup::new();
        for content in [
            (|_| ()) as fn(bitcoin_ipc::rt::capnp::any_pointer::Builder),
            |mut content| content.set_as("no object").unwrap(),
        ] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let peer = thread::spawn(move || answer(&theirs, content));
            let connected: Result<Arc<dyn FooInterface>, Error> =
                good.protocol.connect(ours.into());
            if let Ok(foo) = connected {
                // Any result is allowed: the peer chooses its answers, also to these.
                let _ = foo.add(1, 2);
                let _ = futures::executor::block_on(foo.add_async(1, 2));
                // It gave no way to make a thread.
                assert!(foo.call_fn_async_().is_err());
            }
            peer.join().unwrap();
        }
        assert_eq!(good.client().add(1, 2).unwrap(), 3);
    });
}
