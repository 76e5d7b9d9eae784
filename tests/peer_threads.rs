//! The peer's threads, which are made with the first call that names them, and servers that treat
//! them as ours does not, made with capnp-rpc.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::{self, sleep};
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::rt::wire::echo_capnp::echo;
use bitcoin_ipc::rt::wire::init_capnp::init;
use bitcoin_ipc::rt::wire::proxy_capnp::{thread as server_thread, thread_map};
use bitcoin_ipc::{CallOptions, Error, Ipc, Result};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use futures::FutureExt;
use futures::executor::block_on;

/// The time limit of any call.
const LIMIT: Duration = Duration::from_secs(30);

/// The server's response to a request for a thread.
#[derive(Clone, Copy, PartialEq)]
enum Makes {
    /// Makes it as soon as a call has come that names it.
    WhenNamed,
    /// Refuses the first ones, this many.
    AfterRefusing(usize),
    /// Answers calls without it, and refuses it.
    Nothing,
    /// Answers calls without it, and then makes it.
    Late,
    /// Answers calls without it, and never for it.
    Never,
}

struct Server {
    makes: Makes,
    asked: Arc<AtomicUsize>,
    calls: Rc<Cell<usize>>,
}

struct Shared(Rc<Server>);

impl init::Server for Shared {
    async fn construct(
        self: Rc<Self>,
        _: init::ConstructParams,
        mut results: init::ConstructResults,
    ) -> capnp::Result<()> {
        results
            .get()
            .set_thread_map(new_client(Self(self.0.clone())));
        Ok(())
    }

    async fn make_echo(
        self: Rc<Self>,
        params: init::MakeEchoParams,
        mut results: init::MakeEchoResults,
    ) -> capnp::Result<()> {
        let thread = params.get()?.get_context()?.get_thread()?;
        self.0.call(thread).await?;
        results.get().set_result(new_client(Self(self.0.clone())));
        Ok(())
    }
}

impl echo::Server for Shared {
    async fn echo(
        self: Rc<Self>,
        params: echo::EchoParams,
        mut results: echo::EchoResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        self.0.call(params.get_context()?.get_thread()?).await?;
        results.get().set_result(params.get_echo()?);
        Ok(())
    }

    async fn destroy(
        self: Rc<Self>,
        _: echo::DestroyParams,
        _: echo::DestroyResults,
    ) -> capnp::Result<()> {
        Ok(())
    }
}

impl Server {
    /// Handles a call that names a thread. Core waits for the thread.
    async fn call(&self, thread: server_thread::Client) -> capnp::Result<()> {
        self.calls.set(self.calls.get() + 1);
        if let Makes::Nothing | Makes::Late | Makes::Never = self.makes {
            return Ok(());
        }
        thread.get_name_request().send().promise.await.map(drop)
    }
}

impl thread_map::Server for Shared {
    async fn make_thread(
        self: Rc<Self>,
        _: thread_map::MakeThreadParams,
        mut results: thread_map::MakeThreadResults,
    ) -> capnp::Result<()> {
        let asked = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        match self.0.makes {
            Makes::WhenNamed => {
                while self.0.calls.get() < asked {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            Makes::AfterRefusing(count) if asked <= count => {
                return Err(capnp::Error::failed("no thread today".into()));
            }
            Makes::Nothing => return Err(capnp::Error::failed("no thread ever".into())),
            Makes::Late => sleep(Duration::from_millis(200)).await,
            Makes::Never => std::future::pending().await,
            Makes::AfterRefusing(_) => {}
        }
        results.get().set_result(new_client(NamedThread));
        Ok(())
    }
}

struct NamedThread;

impl server_thread::Server for NamedThread {
    async fn get_name(
        self: Rc<Self>,
        _: server_thread::GetNameParams,
        mut results: server_thread::GetNameResults,
    ) -> capnp::Result<()> {
        results.get().set_result("a thread");
        Ok(())
    }
}

/// Runs `test` with the `Init` of such a server, and a count of the requests for threads.
fn with_server(makes: Makes, test: impl FnOnce(&dyn Init, &AtomicUsize)) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let serving = thread::spawn(move || serve(theirs, makes, counting));
    let ipc = Ipc::<dyn Init>::new("test", Role::Node.init()).unwrap();
    let options = CallOptions::new().timeout(LIMIT);
    options.run(|| {
        let init = ipc.connect_stream(ours).unwrap();
        test(&*init, &asked);
    });
    serving.join().unwrap();
}

fn serve(stream: UnixStream, makes: Makes, asked: Arc<AtomicUsize>) {
    task::block_on(async {
        let stream = async_std::os::unix::net::UnixStream::from(stream);
        let (reader, writer) = (stream.clone(), stream);
        let server = Shared(Rc::new(Server {
            makes,
            asked,
            calls: Rc::default(),
        }));
        let network = twoparty::VatNetwork::new(reader, writer, Side::Server, Default::default());
        let init: init::Client = new_client(server);
        let system = RpcSystem::new(Box::new(network), Some(init.client));
        let ended = timeout(LIMIT, system.map(drop));
        ended.await.unwrap();
    });
}

fn make_echo_and_call(init: &dyn Init) -> Result<String> {
    init.make_echo()?.unwrap().echo("hi")
}

/// The call takes one round trip, and none before it to make the thread.
#[test]
fn a_thread_is_made_with_the_first_call_that_names_it() {
    with_server(Makes::WhenNamed, |init, asked| {
        assert_eq!(make_echo_and_call(init).unwrap(), "hi");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let other = || make_echo_and_call(init).unwrap();
        thread::scope(|scope| {
            let made = scope.spawn(|| CallOptions::new().timeout(LIMIT).run(other));
            assert_eq!(made.join().unwrap(), "hi");
        });
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn so_it_is_for_async_calls_and_kept_for_the_next() {
    with_server(Makes::WhenNamed, |init, asked| {
        let echo = block_on(init.make_echo_async()).unwrap().unwrap();
        for text in ["one", "two"] {
            assert_eq!(block_on(echo.echo_async(text)).unwrap(), text);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        drop(echo);
    });
}

#[test]
fn a_call_whose_thread_is_not_made_fails_with_that_and_the_next_asks_again() {
    with_server(Makes::AfterRefusing(2), |init, asked| {
        let error = make_echo_and_call(init).unwrap_err();
        assert!(error.to_string().contains("no thread today"), "{error}");
        let error = block_on(init.make_echo_async()).err().unwrap();
        assert!(error.to_string().contains("no thread today"), "{error}");
        assert_eq!(make_echo_and_call(init).unwrap(), "hi");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn an_answer_counts_that_came_without_the_thread() {
    with_server(Makes::Nothing, |init, asked| {
        let echo = init.make_echo().unwrap().unwrap();
        assert_eq!(echo.echo("hi").unwrap(), "hi");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        // Its destroy asks once more.
        drop(echo);
    });
}

/// Cap'n Proto does not promise that a call is answered after the thread that it waits for.
#[test]
fn the_next_call_waits_for_a_thread_that_is_still_being_made() {
    with_server(Makes::Late, |init, asked| {
        assert_eq!(make_echo_and_call(init).unwrap(), "hi");
        let echo = block_on(init.make_echo_async()).unwrap().unwrap();
        assert_eq!(block_on(echo.echo_async("hi")).unwrap(), "hi");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        drop(echo);
    });
}

#[test]
fn it_does_not_wait_longer_than_it_may_nor_outlives_the_connection() {
    with_server(Makes::Never, |init, asked| {
        let echo = init.make_echo().unwrap().unwrap();
        let limited = CallOptions::new().timeout(Duration::from_millis(100));
        let error = limited.run(|| echo.echo("hi")).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        // That thread is given up.
        assert_eq!(echo.echo("hi").unwrap(), "hi");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        drop(echo);
    });
}
