//! Calls that a disconnection meets, of `test.cpp`: before, during and after.

use std::any::Any;
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use bitcoin_ipc::rt::capnp::capability::FromClientHook;
use bitcoin_ipc::rt::capnp::{self, ErrorKind};
use bitcoin_ipc::rt::wire::echo_capnp::echo;
use bitcoin_ipc::{Error, Limits, Several};

use crate::foo::interfaces::foo::*;
use crate::foo::wire::foo_capnp::foo_fn;
use crate::raw::{make_thread, raw};
use crate::support::{Foo, Setup, eventually, timed};

const INTERRUPTED: &str = "IPC client method call interrupted by disconnect";
const AFTER: &str = "IPC client method called after disconnect";

fn assert_disconnected<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    match result {
        Err(Error::Disconnected(got)) => assert!(got.starts_with(text), "{got}"),
        other => panic!("expected a disconnection, got {other:?}"),
    }
}

#[test]
fn call_ipc_method_after_client_connection_is_closed() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        setup.client_disconnect()();
        assert!(foo.remote().unwrap().wait_disconnected(None));
        assert_disconnected(foo.add(1, 2), AFTER);
        assert_disconnected(foo.call_fn_async_(), AFTER);
    });
}

#[test]
fn calling_ipc_method_after_server_connection_is_closed() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        setup.server_disconnect()();
        // Whether the client has noticed yet decides which of the two it says.
        match foo.add(1, 2) {
            Err(Error::Disconnected(text)) => {
                assert!(text.starts_with(INTERRUPTED) || text.starts_with(AFTER))
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn calling_ipc_method_and_disconnecting_during_the_call() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        let disconnect = setup.client_disconnect();
        setup.foo.set_fn(disconnect);
        assert_disconnected(foo.call_fn(), INTERRUPTED);
    });
}

#[test]
fn calling_ipc_method_disconnecting_and_blocking_during_the_call() {
    timed(|| {
        let (signal, signalled) = mpsc::channel::<()>();
        let signalled = std::sync::Mutex::new(signalled);
        let setup = Setup::new();
        let foo = setup.client();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        let disconnect = setup.client_disconnect();
        setup.foo.set_fn(move || {
            disconnect();
            let _ = signalled.lock().unwrap().recv();
        });
        assert_disconnected(foo.call_fn_async_(), INTERRUPTED);
        signal.send(()).unwrap();
    });
}

#[test]
fn worker_thread_destroyed_before_it_is_initialized() {
    timed(|| {
        for _ in 0..50 {
            let setup = Setup::new();
            let foo = setup.client();
            setup.foo.set_fn(|| ());
            let disconnect = setup.server_disconnect();
            let disconnecting = std::thread::spawn(disconnect);
            // The first call of a thread makes the worker; the disconnection races it.
            match std::thread::spawn(move || foo.call_fn_async_())
                .join()
                .unwrap()
            {
                Ok(()) | Err(Error::Disconnected(_)) => (),
                other => panic!("{other:?}"),
            }
            disconnecting.join().unwrap();
        }
    });
}

#[test]
fn calling_async_ipc_method_with_server_disconnect_racing_the_call() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let disconnect = setup.server_disconnect();
        setup.foo.set_fn(move || {
            disconnect();
            std::thread::sleep(Duration::from_millis(10));
        });
        assert_disconnected(foo.call_fn_async_(), INTERRUPTED);
    });
}

#[test]
fn calling_async_ipc_method_with_server_disconnect_after_cleanup() {
    timed(|| {
        for _ in 0..20 {
            let setup = Setup::new();
            let foo = setup.client();
            // Disconnects as the last thing, so that it meets the answer being sent.
            setup.foo.set_fn(setup.server_disconnect());
            match foo.call_fn_async_() {
                Ok(()) | Err(Error::Disconnected(_)) => (),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn destroying_proxy_client_with_destroy_method_after_peer_disconnect() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        // The server holds a client of this callback; it lets go of it with no one there.
        let mine: Arc<dyn FooCallback> = Arc::new(|arg: i32| Ok(arg));
        foo.save_callback(Some(mine.clone())).unwrap();
        setup.client_disconnect()();
        assert!(foo.remote().unwrap().wait_disconnected(None));
        eventually("the callback is let go of here", || {
            Arc::strong_count(&mine) == 1
        });
        setup.foo.save_callback(None).unwrap();
    });
}

#[test]
fn an_object_of_several_interfaces_is_destroyed_by_any_of_them() {
    timed(|| {
        let callback = Arc::new(|arg: i32| Ok(arg * 2));
        let number = Arc::new(|| Ok(7));
        let held: [Weak<dyn Any + Send + Sync>; 2] =
            [Arc::downgrade(&callback) as _, Arc::downgrade(&number) as _];
        let (callback, number): (Arc<dyn FooCallback>, Arc<dyn FooFn>) = (callback, number);
        let foo = Arc::new(Foo::default());
        let object = Several::new(callback).and(number);
        *foo.handed_out.lock().unwrap() = Some(Arc::new(object));
        raw(Limits::default(), foo, |client, map| async move {
            let thread = make_thread(&map, "one").await;
            let mut request = client.make_callbacks_request();
            request.get().init_context().set_thread(thread.clone());
            let made = request.send().promise.await.unwrap();
            let callback = made.get().unwrap().get_first().unwrap();
            let hook = || callback.client.hook.add_ref();
            let number: foo_fn::Client = FromClientHook::new(hook());
            let echo: echo::Client = FromClientHook::new(hook());

            let call = || async {
                let mut request = callback.call_request();
                request.get().init_context().set_thread(thread.clone());
                request.get().set_arg(4);
                let answer = request.send().promise.await?;
                Ok::<_, capnp::Error>(answer.get()?.get_result())
            };
            assert_eq!(call().await.unwrap(), 8);
            let mut request = number.call_request();
            request.get().init_context().set_thread(thread.clone());
            let answer = request.send().promise.await.unwrap();
            assert_eq!(answer.get().unwrap().get_result(), 7);
            let refused = echo.echo_request().send().promise.await.err().unwrap();
            assert_eq!(refused.kind, ErrorKind::Unimplemented);
            let text = "Requested interface not implemented.";
            assert!(refused.extra.ends_with(text), "{refused}");

            for outcome in [Ok(()), Err("FooCallback was called after its destroy")] {
                let mut request = number.destroy_request();
                request.get().init_context().set_thread(thread.clone());
                let answer = request.send().promise.await.map(drop);
                match (answer, outcome) {
                    (Ok(()), Ok(())) => {}
                    (Err(error), Err(text)) => assert!(error.extra.ends_with(text), "{error}"),
                    (answer, _) => panic!("{answer:?}"),
                }
                assert!(held.iter().all(|part| part.strong_count() == 0));
                assert!(call().await.is_err());
            }
        });
    });
}
