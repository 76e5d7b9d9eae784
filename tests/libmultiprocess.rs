//! libmultiprocess's tests, ported under their names: `test/mp/test/test.cpp` and
//! `listen_tests.cpp`. (`SpawnProcess does not run callback in child` is in `src/process`.)

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod foo {
    bitcoin_ipc::include_schema!("foo");

    #[path = "../foo/mod.rs"]
    pub mod implementation;
}

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::rt::capnp;
use bitcoin_ipc::rt::wire::proxy_capnp::{thread, thread_map};
use bitcoin_ipc::{Error, Limits, RemoteKind};
use capnp_rpc::rpc_twoparty_capnp::Side;
use futures::AsyncReadExt;

use foo::implementation::{Foo, Setup, eventually, timed};
use foo::interfaces::foo::*;
use foo::wire::foo_capnp::foo_interface;
use tokio_util::compat::TokioAsyncReadCompatExt;

const INTERRUPTED: &str = "IPC client method call interrupted by disconnect";
const AFTER: &str = "IPC client method called after disconnect";

fn assert_disconnected<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    match result {
        Err(Error::Disconnected(got)) => assert!(got.starts_with(text), "{got}"),
        other => panic!("expected a disconnection, got {other:?}"),
    }
}

/// A callback that expects `expect` and answers `answer`.
struct Callback {
    expect: i32,
    answer: i32,
}

impl FooCallback for Callback {
    fn call(&self, arg: i32) -> Result<i32, Error> {
        assert_eq!(arg, self.expect);
        Ok(self.answer)
    }
}

impl ExtendedCallback for Callback {
    fn call_extended(&self, arg: i32) -> Result<i32, Error> {
        assert_eq!(arg, self.expect + 10);
        Ok(self.answer + 10)
    }
}

fn callback(expect: i32, answer: i32) -> Option<Arc<dyn FooCallback>> {
    Some(Arc::new(Callback { expect, answer }))
}

#[test]
fn call_foo_interface_methods() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();

        assert_eq!(foo.add(1, 2).unwrap(), 3);
        assert_eq!(foo.add_out(3, 4).unwrap(), 7);
        assert_eq!(foo.add_in_out(3, 7).unwrap(), 10);
        let divided = foo.divide(17, 5).unwrap();
        assert_eq!((divided.quotient, divided.remainder), (3, 2));

        let value = FooStruct {
            name: "name".into(),
            set_int: vec![1, 2],
            vector_bool: vec![false, true, false],
            optional_int: Some(3),
            unordered_set_int: vec![1, 2],
            map_string_int: vec![
                StringIntPair {
                    first: "a".into(),
                    second: 1,
                },
                StringIntPair {
                    first: "b".into(),
                    second: 2,
                },
            ],
            custom: FooCustom {
                v1: "v1".into(),
                v2: 5,
            },
        };
        assert_eq!(foo.pass(&value).unwrap(), value);
        let without = FooStruct {
            optional_int: None,
            ..value.clone()
        };
        assert_eq!(foo.pass(&without).unwrap().optional_int, None);
        assert_eq!(foo.raise(&value).unwrap(), Err(value.clone()));
        assert_eq!(foo.raise_or(false, 4).unwrap(), Ok(4));
        assert_eq!(foo.raise_or(true, 4).unwrap(), Err("4".to_owned()));

        assert_eq!(foo.callback(callback(1, 2), 1).unwrap(), 2);
        assert_eq!(foo.callback_unique(callback(3, 4), 3).unwrap(), 4);
        assert_eq!(foo.callback_shared(callback(5, 6), 5).unwrap(), 6);
        let saved: Arc<dyn FooCallback> = Arc::new(Callback {
            expect: 7,
            answer: 8,
        });
        foo.save_callback(Some(saved.clone())).unwrap();
        assert!(Arc::strong_count(&saved) > 1);
        assert_eq!(foo.callback_saved(7).unwrap(), 8);
        foo.save_callback(None).unwrap();
        eventually("the saved callback is let go of", || {
            Arc::strong_count(&saved) == 1
        });
        let extended: Arc<dyn ExtendedCallback> = Arc::new(Callback {
            expect: 1,
            answer: 2,
        });
        assert_eq!(
            foo.callback_extended(Some(extended.clone()), 11).unwrap(),
            12
        );
        // What an interface inherits is there, too.
        let inherited: Arc<dyn FooCallback> = extended;
        assert_eq!(foo.callback(Some(inherited), 1).unwrap(), 2);

        let custom = FooCustom {
            v1: "v1".into(),
            v2: 5,
        };
        assert_eq!(foo.pass_custom(&custom).unwrap(), custom);
        foo.pass_empty(&FooEmpty {}).unwrap();
        assert!(foo.pass_data(&[]).unwrap().is_empty());
        assert_eq!(foo.pass_data(&[0, 255]).unwrap(), [0, 255]);
        assert_eq!(foo.pass_text("grüß").unwrap(), "grüß");
        let message = FooMessage {
            message: "init".into(),
        };
        assert_eq!(foo.pass_message(&message).unwrap().message, "init call");
        let mutable = FooMutable {
            message: "init".into(),
        };
        assert_eq!(foo.pass_mutable(&mutable).unwrap().message, "init call");
        assert_eq!(foo.pass_enum(FooEnum::Green).unwrap(), FooEnum::Green);
        assert_eq!(
            foo.pass_enum(FooEnum::Unknown(9)).unwrap(),
            FooEnum::Unknown(9)
        );
        assert_eq!(foo.pass_double(1.25).unwrap(), 1.25);
        foo.pass_void(()).unwrap();
        let numbers = FooNumbers::default();
        assert_eq!(foo.pass_numbers(&numbers).unwrap(), numbers);
        assert_eq!(numbers.int64, i64::MIN);
        let lists = FooLists {
            voids: vec![(); 3],
            bools: vec![true, false],
            int8s: vec![i8::MIN, i8::MAX],
            uint64s: vec![u64::MAX],
            float64s: vec![f64::INFINITY, -0.5],
            texts: vec!["".into(), "ä".into()],
            datas: vec![vec![], vec![1]],
            enums: vec![FooEnum::Blue, FooEnum::Unknown(77)],
            structs: vec![custom.clone()],
            lists_of_numbers: vec![vec![], vec![1, 2]],
            lists_of_lists_of_data: vec![vec![vec![vec![7]]]],
            ..FooLists::default()
        };
        assert_eq!(foo.pass_lists(&lists).unwrap(), lists);
        assert_eq!(foo.pass_optional(None).unwrap(), None);
        assert_eq!(foo.pass_optional(Some(0)).unwrap(), Some(0));
        let optionals = foo
            .pass_optionals(Some(""), None, Some(&["x".to_owned()]), Some(&custom))
            .unwrap();
        assert_eq!(optionals.text.as_deref(), Some(""));
        assert_eq!(optionals.data, None);
        assert_eq!(optionals.value, Some(custom));
        assert_eq!(
            foo.pass_data_pointers(&[b"Hi".to_vec(), vec![]]).unwrap(),
            [b"Hi".to_vec(), vec![]]
        );

        let ten: Arc<dyn FooFn> = Arc::new(|| Ok(10));
        assert_eq!(foo.pass_fn(Some(ten)).unwrap(), 10);
        let text_fn = |text: &str, data: &[u8], numbers: &[i32], _: &FooCustom| {
            Ok(format!("{text} {} {numbers:?}", data.len()))
        };
        assert_eq!(
            foo.pass_text_fn(Some(Arc::new(text_fn)), "t").unwrap(),
            "t 4 [1, 2]"
        );

        // Recursive calls.
        let recursive: Arc<dyn FooFn> = Arc::new({
            let foo = foo.clone();
            move || foo.pass_fn(Some(Arc::new(|| Ok(1))))
        });
        assert_eq!(foo.pass_fn(Some(recursive)).unwrap(), 1);

        // Objects as values.
        let made = foo.make_callbacks(5).unwrap();
        assert_eq!(made.first.clone().unwrap().call(2).unwrap(), 7);
        assert_eq!(made.second.clone().unwrap().call(2).unwrap(), 10);
        let back = foo
            .pass_callbacks(&[made.first, None, callback(1, 9)])
            .unwrap();
        assert_eq!(back[0].clone().unwrap().call(1).unwrap(), 6);
        assert!(back[1].is_none());
        assert_eq!(back[2].clone().unwrap().call(1).unwrap(), 9);
        let holder = foo
            .pass_holder(&FooHolder {
                name: "h".into(),
                one: callback(1, 4),
                many: vec![],
                holders: vec![],
            })
            .unwrap();
        assert_eq!(holder.one.unwrap().call(1).unwrap(), 4);

        // An error is the peer's exception, with its kind and its text.
        match foo.divide(1, 0) {
            Err(Error::Remote { kind, text }) => {
                assert_eq!(kind, RemoteKind::Failed);
                assert_eq!(text, "division by zero");
            }
            other => panic!("{other:?}"),
        }
        match foo.callback(Some(Arc::new(|_: i32| Err(Error::overloaded("busy")))), 1) {
            Err(Error::Remote { kind, text }) => {
                assert_eq!(kind, RemoteKind::Overloaded);
                assert_eq!(text, "busy");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_own_object_comes_back_as_itself() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let mine: Arc<dyn FooCallback> = Arc::new(Callback {
            expect: 1,
            answer: 2,
        });
        let back = foo.pass_callback(Some(mine.clone())).unwrap().unwrap();
        assert!(Arc::ptr_eq(&mine, &back));
    });
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

/// A plain Cap'n Proto client of the server's interface, which can say what a proxy never would.
fn raw<F: Future<Output = ()>>(
    setup_limits: Limits,
    foo: Arc<Foo>,
    test: impl FnOnce(foo_interface::Client, thread_map::Client) -> F + Send + 'static,
) {
    let server = Capnp::new("mptest-server", setup_limits).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving =
        std::thread::spawn(move || Protocol::<dyn FooInterface>::serve(&server, theirs, foo));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async move {
        ours.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(ours).unwrap();
        let (reader, writer) = stream.compat().split();
        let network =
            capnp_rpc::twoparty::VatNetwork::new(reader, writer, Side::Client, Default::default());
        let mut system = capnp_rpc::RpcSystem::new(Box::new(network), None);
        let client: foo_interface::Client = system.bootstrap(Side::Server);
        let body = async move {
            let request = client.init_thread_map_request();
            let response = request.send().promise.await.unwrap();
            let map = response.get().unwrap().get_thread_map().unwrap();
            test(client, map).await;
        };
        futures::future::select(system, Box::pin(body)).await;
    });
    serving.join().unwrap().unwrap();
}

async fn make_thread(map: &thread_map::Client, name: &str) -> thread::Client {
    let mut request = map.make_thread_request();
    request.get().set_name(name);
    let response = request.send().promise.await.unwrap();
    response.get().unwrap().get_result().unwrap()
}

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
            tokio::time::sleep(SHORT).await;
            // The process is there, and so is the connection.
            assert!(client.add_request().send().promise.await.is_ok());
            drop(nested);
        });
    });
}

#[test]
fn threads_beyond_the_limit_are_refused() {
    timed(|| {
        let limits = Limits::default().with_threads_per_connection(3);
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

/// A listening server, and clients of it.
struct ListenSetup {
    protocol: Capnp,
    clients: Capnp,
    path: std::path::PathBuf,
    _listening: bitcoin_ipc::protocol::Listening,
    _dir: tempfile::TempDir,
}

impl ListenSetup {
    fn new(connections: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("listen.sock");
        let protocol = Capnp::new(
            "mptest-server",
            Limits::default().with_connections(connections),
        )
        .unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        let foo: Arc<dyn FooInterface> = Arc::new(Foo::default());
        Self {
            _listening: protocol.listen(listener, foo).unwrap(),
            clients: Capnp::new("mptest", Limits::default()).unwrap(),
            protocol,
            path,
            _dir: dir,
        }
    }

    fn client(&self) -> Arc<dyn FooInterface> {
        let stream = UnixStream::connect(&self.path).unwrap();
        self.clients.connect(stream).unwrap()
    }

    /// A client that may have to wait until it is served.
    fn client_later(&self) -> mpsc::Receiver<Arc<dyn FooInterface>> {
        let stream = UnixStream::connect(&self.path).unwrap();
        let clients = Capnp::new("mptest", Limits::default()).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(clients.connect(stream).unwrap()));
        receiver
    }

    fn connected(&self) -> usize {
        Protocol::<dyn FooInterface>::incoming(&self.protocol)
    }
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

#[test]
fn listen_connections_accepts_incoming_connections() {
    timed(|| {
        let server = ListenSetup::new(100);
        assert_eq!(server.connected(), 0);
        let client = server.client();
        assert_eq!(client.add(1, 2).unwrap(), 3);
        assert_eq!(server.connected(), 1);
        drop(client);
        eventually("the connection ends", || server.connected() == 0);
    });
}

#[test]
fn listen_connections_enforces_a_local_connection_limit() {
    timed(|| {
        let server = ListenSetup::new(1);
        let first = server.client();
        assert_eq!(first.add(1, 2).unwrap(), 3);
        let second = server.client_later();
        assert!(second.recv_timeout(SHORT).is_err());
        assert_eq!(server.connected(), 1);
        drop(first);
        let second = second.recv_timeout(LONG).unwrap();
        assert_eq!(second.add(2, 3).unwrap(), 5);
        drop(second);
        eventually("the connection ends", || server.connected() == 0);
        assert_eq!(server.client().add(3, 4).unwrap(), 7);
    });
}

#[test]
fn listen_connections_accepts_multiple_connections() {
    timed(|| {
        let server = ListenSetup::new(2);
        let first = server.client();
        let second = server.client();
        assert_eq!(first.add(1, 2).unwrap(), 3);
        assert_eq!(second.add(2, 3).unwrap(), 5);
        let third = server.client_later();
        assert!(third.recv_timeout(SHORT).is_err());
        assert_eq!(server.connected(), 2);
        drop(first);
        let third = third.recv_timeout(LONG).unwrap();
        assert_eq!(third.add(3, 4).unwrap(), 7);
    });
}

#[test]
fn listen_connections_handles_a_client_that_disconnects_before_being_accepted() {
    timed(|| {
        let server = ListenSetup::new(1);
        drop(UnixStream::connect(&server.path).unwrap());
        assert_eq!(server.client().add(1, 2).unwrap(), 3);
    });
}

#[test]
fn no_callback_is_run_in_a_forked_child() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let parent = std::process::id();
        let stop = Arc::new(AtomicBool::new(false));
        // Forks go on while callbacks run on several threads.
        let forking = std::thread::spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let (_, child) =
                        bitcoin_ipc::process::spawn(bitcoin_ipc::Program::new("/bin/true"))
                            .unwrap();
                    assert!(child.wait().unwrap().success());
                }
            }
        });
        let calling: Vec<_> = (0..4)
            .map(|_| {
                let foo = foo.clone();
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        let pid = foo
                            .pass_fn(Some(Arc::new(|| Ok(std::process::id().cast_signed()))))
                            .unwrap();
                        assert_eq!(pid.cast_unsigned(), parent);
                    }
                })
            })
            .collect();
        for thread in calling {
            thread.join().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        forking.join().unwrap();
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
