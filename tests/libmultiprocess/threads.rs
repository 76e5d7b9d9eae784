//! The threads that a client makes on a server, of `test.cpp`, and what they refuse.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bitcoin_ipc::Limits;
use bitcoin_ipc::rt::capnp;
use bitcoin_ipc::rt::wire::proxy_capnp::thread;

use crate::SHORT;
use crate::foo;
use crate::raw::{make_thread, raw};
use crate::support::{Foo, timed};

#[test]
fn make_simultaneous_ipc_calls_on_single_remote_thread() {
    timed(|| {
        let expected = Arc::new(AtomicI32::new(100));
        let foo = Arc::new(Foo::default());
        let counting = expected.clone();
        foo.set_int_fn(move |n| {
            assert_eq!(n, counting.fetch_add(100, Ordering::SeqCst));
            n
        });
        raw(Limits::default(), foo, |client, map| async move {
            let thread = make_thread(&map, "one").await;
            let calls = [100, 200, 300].map(|arg| {
                let mut request = client.call_int_fn_async_request();
                let mut params = request.get();
                params.reborrow().init_context().set_thread(thread.clone());
                params.set_arg(arg);
                request.send().promise
            });
            for (call, arg) in futures::future::join_all(calls)
                .await
                .into_iter()
                .zip([100, 200, 300])
            {
                assert_eq!(call.unwrap().get().unwrap().get_result(), arg);
            }
        });
        assert_eq!(expected.load(Ordering::SeqCst), 400);
    });
}

#[test]
fn call_async_ipc_method_dispatched_to_pool_thread() {
    timed(|| {
        let foo = Arc::new(Foo::default());
        foo.set_int_fn(|n| n * 2);
        raw(Limits::default(), foo, |client, map| async move {
            let mut request = map.make_pool_request();
            request.get().set_count(2);
            request.send().promise.await.unwrap();
            let calls = [1, 2, 3].map(|arg| {
                let mut request = client.call_int_fn_async_request();
                let mut params = request.get();
                params.reborrow().init_context();
                params.set_arg(arg);
                request.send().promise
            });
            for (call, arg) in futures::future::join_all(calls).await.into_iter().zip(1..) {
                assert_eq!(call.unwrap().get().unwrap().get_result(), arg * 2);
            }
            let mut again = map.make_pool_request();
            again.get().set_count(1);
            let error = again.send().promise.await.err().unwrap();
            let text = "makePool called on connection with existing pool";
            assert!(error.extra.contains(text), "{error}");
        });
    });
}

#[test]
fn call_async_ipc_method_without_thread_or_pool_errors_correctly() {
    timed(|| {
        raw(Limits::default(), Arc::default(), |client, _| async move {
            let mut request = client.call_fn_async_request();
            request.get().init_context();
            let error = request.send().promise.await.err().unwrap();
            let text = "no thread specified and no pool configured";
            assert!(error.extra.contains(text), "{error}");
        });
    });
}

#[test]
fn a_thread_handle_of_somebody_else_is_invalid() {
    timed(|| {
        raw(Limits::default(), Arc::default(), |client, _| async move {
            struct NotTheirs;
            impl thread::Server for NotTheirs {}
            let mut request = client.call_fn_async_request();
            let mut context = request.get().init_context();
            context.set_thread(capnp_rpc::new_client(NotTheirs));
            let error = request.send().promise.await.err().unwrap();
            assert!(error.extra.contains("invalid thread handle"), "{error}");
        });
    });
}

/// A `destroy` that names no thread is refused. It took the object with it, to the event loop.
#[test]
fn a_destroy_that_is_refused_destroys_nothing_on_the_event_loop() {
    struct Dropped(mpsc::Sender<String>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let thread = std::thread::current();
            let _ = self.0.send(thread.name().unwrap_or_default().to_owned());
        }
    }
    timed(|| {
        let (dropped, drops) = mpsc::channel();
        let held = Dropped(dropped);
        let foo = Arc::new(Foo::default());
        *foo.handed_out.lock().unwrap() = Some(Arc::new(move |arg: i32| {
            let _ = &held;
            Ok(arg)
        }));
        raw(Limits::default(), foo, |client, map| async move {
            let thread = make_thread(&map, "one").await;
            let mut request = client.make_callbacks_request();
            request.get().init_context().set_thread(thread.clone());
            let response = request.send().promise.await.unwrap();
            let object = response.get().unwrap().get_first().unwrap();
            let mut request = object.destroy_request();
            request.get().init_context();
            let error = request.send().promise.await.err().unwrap();
            assert!(error.extra.contains("no thread specified"), "{error}");
        });
        assert_ne!(drops.recv().unwrap(), "b-capnp-loop");
    });
}

/// As in libmultiprocess, where `ProxyServer<Thread>::post` keeps the thread for what is queued.
#[test]
fn what_is_queued_on_a_thread_is_executed_also_when_its_handle_is_dropped() {
    timed(|| {
        let foo = Arc::new(Foo::default());
        foo.set_int_fn(|n| {
            std::thread::sleep(Duration::from_millis(20));
            n
        });
        raw(Limits::default(), foo, |client, map| async move {
            let thread = make_thread(&map, "one").await;
            let calls = [1, 2, 3].map(|arg| {
                let mut request = client.call_int_fn_async_request();
                let mut params = request.get();
                params.reborrow().init_context().set_thread(thread.clone());
                params.set_arg(arg);
                request.send().promise
            });
            drop(thread);
            for (call, arg) in futures::future::join_all(calls).await.into_iter().zip(1..) {
                assert_eq!(call.unwrap().get().unwrap().get_result(), arg);
            }
        });
    });
}

#[test]
fn a_thread_handle_may_be_a_promise() {
    timed(|| {
        let foo = Arc::new(Foo::default());
        foo.set_int_fn(|n| n);
        raw(Limits::default(), foo, |client, map| async move {
            let made = map.make_thread_request().send();
            let mut request = client.call_int_fn_async_request();
            let mut params = request.get();
            let mut context = params.reborrow().init_context();
            context.set_thread(made.pipeline.get_result());
            params.set_arg(5);
            let answer = request.send().promise.await.unwrap();
            assert_eq!(answer.get().unwrap().get_result(), 5);
        });
    });
}

/// A callback that has nowhere to run fails, and the call that made it.
#[test]
fn a_callback_without_a_thread_of_the_client_fails() {
    struct Never;
    impl foo::wire::foo_capnp::foo_fn::Server for Never {}
    timed(|| {
        raw(
            Limits::default(),
            Arc::default(),
            |client, map| async move {
                let thread = make_thread(&map, "one").await;
                // None at all, one of the server's own, and the very one that waits.
                let other = make_thread(&map, "two").await;
                for callback in [None, Some(other), Some(thread.clone())] {
                    let mut request = client.pass_fn_request();
                    let mut params = request.get();
                    let mut context = params.reborrow().init_context();
                    context.set_thread(thread.clone());
                    if let Some(callback) = callback {
                        context.set_callback_thread(callback);
                    }
                    params.set_fn(capnp_rpc::new_client(Never));
                    assert!(request.send().promise.await.is_err());
                }
                let mut request = client.add_request();
                request.get().set_a(1);
                assert!(request.send().promise.await.is_ok());
            },
        );
    });
}

/// Requests queued on one thread, each of which waits for a callback that is never answered, ran
/// one inside the other however many there were, until the thread's stack was full.
#[test]
fn requests_queued_on_a_thread_nest_only_so_deep() {
    struct Never;
    impl foo::wire::foo_capnp::foo_fn::Server for Never {
        async fn call(
            self: std::rc::Rc<Self>,
            _: foo::wire::foo_capnp::foo_fn::CallParams,
            _: foo::wire::foo_capnp::foo_fn::CallResults,
        ) -> capnp::Result<()> {
            std::future::pending().await
        }
    }
    timed(|| {
        let foo = Arc::new(Foo::default());
        let (queued, ready) = mpsc::channel::<()>();
        let ready = std::sync::Mutex::new(ready);
        foo.set_fn(move || {
            let _ = ready.lock().unwrap().recv();
        });
        raw(Limits::default(), foo, |client, map| async move {
            let thread = make_thread(&map, "one").await;
            let mut request = client.call_fn_async_request();
            request.get().init_context().set_thread(thread.clone());
            let first = request.send().promise;
            let callback: foo::wire::foo_capnp::foo_fn::Client = capnp_rpc::new_client(Never);
            let nested: Vec<_> = (0..900)
                .map(|_| {
                    let mut request = client.pass_fn_request();
                    let mut params = request.get();
                    let mut context = params.reborrow().init_context();
                    context.set_thread(thread.clone());
                    context.set_callback_thread(thread.clone());
                    params.set_fn(callback.clone());
                    request.send().promise
                })
                .collect();
            // Answered behind them, so they have arrived.
            assert!(client.add_request().send().promise.await.is_ok());
            queued.send(()).unwrap();
            first.await.unwrap();
            async_std::task::sleep(SHORT).await;
            // The process is there, and so is the connection.
            assert!(client.add_request().send().promise.await.is_ok());
            drop(nested);
        });
    });
}

#[test]
fn threads_beyond_the_limit_are_refused() {
    timed(|| {
        let limits = Limits::default().threads_per_connection(3);
        raw(limits, Arc::default(), |client, map| async move {
            let mut held = Vec::new();
            for _ in 0..3 {
                held.push(make_thread(&map, "t").await);
            }
            let error = map
                .make_thread_request()
                .send()
                .promise
                .await
                .err()
                .unwrap();
            assert_eq!(error.kind, capnp::ErrorKind::Overloaded, "{error}");
            // The connection goes on.
            let mut request = client.add_request();
            request.get().set_a(1);
            assert_eq!(
                request
                    .send()
                    .promise
                    .await
                    .unwrap()
                    .get()
                    .unwrap()
                    .get_result(),
                1
            );
        });
    });
}

#[test]
fn a_method_that_does_not_exist_is_unimplemented() {
    timed(|| {
        raw(Limits::default(), Arc::default(), |client, _| async move {
            use capnp::capability::FromClientHook;
            let request = capnp::capability::Client::new(client.into_client_hook())
                .new_call::<capnp::any_pointer::Owned, capnp::any_pointer::Owned>(
                0xffff_0000_ffff_0000,
                99,
                None,
            );
            let error = request.send().promise.await.err().unwrap();
            assert_eq!(error.kind, capnp::ErrorKind::Unimplemented, "{error}");
        });
    });
}

/// A thread that the peer named as its own callback thread kept itself, beyond the connection.
#[test]
fn a_thread_named_as_its_own_callback_thread_ends_with_the_connection() {
    struct Ends(mpsc::Sender<()>);
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local! {
        static ENDS: std::cell::RefCell<Option<Ends>> = const { std::cell::RefCell::new(None) };
    }
    timed(|| {
        let foo = Arc::new(Foo::default());
        let (sender, ended) = mpsc::channel();
        foo.set_fn(move || {
            ENDS.with_borrow_mut(|ends| _ = ends.get_or_insert_with(|| Ends(sender.clone())));
        });
        raw(Limits::default(), foo, |client, map| async move {
            let threads = [
                make_thread(&map, "one").await,
                make_thread(&map, "two").await,
            ];
            // Each is the other's, and then its own.
            for callback in [1, 0] {
                for (number, thread) in threads.iter().enumerate() {
                    let mut request = client.call_fn_async_request();
                    let mut context = request.get().init_context();
                    context.set_thread(thread.clone());
                    context.set_callback_thread(threads[(number + callback) % 2].clone());
                    request.send().promise.await.unwrap();
                }
            }
        });
        for _ in 0..2 {
            ended.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    });
}
