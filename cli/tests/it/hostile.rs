//! Clients that speak the protocol and break its rules, against `serve --listen`: what our own
//! client cannot send is sent with capnp-rpc itself.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Running, Sandbox};
use async_std::future::timeout;
use async_std::os::unix::net::UnixStream;
use async_std::task;
use bitcoin_ipc::rt::wire::echo_capnp::echo;
use bitcoin_ipc::rt::wire::init_capnp::init;
use bitcoin_ipc::rt::wire::proxy_capnp::{context, thread, thread_map};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures::future::{Either, select};
use futures::{AsyncRead, FutureExt};
use rustix::process::Signal;

fn serve(sandbox: &Sandbox) -> (Running, String) {
    let address = format!("unix:{}", sandbox.path("s").display());
    let running = sandbox.start(sandbox.ipc(&["serve", "--listen", &address]));
    running.wait_for("listening at ");
    (running, address)
}

/// A reader that goes deaf.
struct Ears<R> {
    reader: R,
    deaf: Rc<Cell<bool>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Ears<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf.get() {
            return Poll::Pending;
        }
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

/// Runs `attack` as a client; gives false when the connection ended before it was done.
fn attack(address: &str, attack: impl AsyncFnOnce(init::Client, Rc<Cell<bool>>)) -> bool {
    task::block_on(async {
        let path = address.strip_prefix("unix:").unwrap();
        let stream = UnixStream::connect(path).await.unwrap();
        let (reader, writer) = (stream.clone(), stream);
        let deaf = Rc::new(Cell::new(false));
        let ears = Ears {
            reader,
            deaf: deaf.clone(),
        };
        let network = twoparty::VatNetwork::new(ears, writer, Side::Client, Default::default());
        let mut rpc = RpcSystem::new(Box::new(network), None);
        let init: init::Client = rpc.bootstrap(Side::Server);
        let attacking = attack(init, deaf).boxed_local();
        match timeout(crate::common::LIMIT, select(rpc, attacking))
            .await
            .unwrap()
        {
            Either::Left(_) => false,
            Either::Right(_) => true,
        }
    })
}

async fn construct(init: &init::Client) -> thread_map::Client {
    let response = init.construct_request().send().promise.await.unwrap();
    response.get().unwrap().get_thread_map().unwrap()
}

async fn make_thread(map: &thread_map::Client) -> capnp::Result<thread::Client> {
    let mut request = map.make_thread_request();
    request.get().set_name("attacker");
    request.send().promise.await?.get()?.get_result()
}

async fn make_echo(init: &init::Client, thread: &thread::Client) -> echo::Client {
    let mut request = init.make_echo_request();
    set(request.get().init_context(), thread);
    request
        .send()
        .promise
        .await
        .unwrap()
        .get()
        .unwrap()
        .get_result()
        .unwrap()
}

fn set(mut context: context::Builder<'_>, thread: &thread::Client) {
    context.set_thread(thread.clone());
}

#[test]
fn a_call_after_destroy_is_an_error_and_no_more() {
    let sandbox = Sandbox::new();
    let (running, address) = serve(&sandbox);
    let done = attack(&address, async |init, _| {
        let thread = make_thread(&construct(&init).await).await.unwrap();
        let echo = make_echo(&init, &thread).await;
        let mut request = echo.destroy_request();
        set(request.get().init_context(), &thread);
        request.send().promise.await.unwrap();
        for _ in 0..2 {
            let mut request = echo.echo_request();
            set(request.get().init_context(), &thread);
            request.get().set_echo("hi");
            let error = request.send().promise.await.err().unwrap();
            assert_ne!(error.kind, capnp::ErrorKind::Disconnected, "{error}");
        }
        let other = make_echo(&init, &thread).await;
        let mut request = other.echo_request();
        set(request.get().init_context(), &thread);
        request.get().set_echo("hi");
        request.send().promise.await.unwrap();
    });
    assert!(done, "{}", running.stderr());
    sandbox
        .run(&["-a", &address, "call", "echo", "hi"])
        .expect(0, "hi\n");
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
}

#[test]
fn threads_without_end_are_refused_at_the_limit() {
    let sandbox = Sandbox::new();
    let (running, address) = serve(&sandbox);
    let limit = bitcoin_ipc::Limits::default().threads_per_connection;
    let done = attack(&address, async |init, _| {
        let map = construct(&init).await;
        let mut threads = Vec::new();
        let refused = loop {
            match make_thread(&map).await {
                Ok(thread) => threads.push(thread),
                Err(error) => break error,
            }
            assert!(threads.len() <= limit, "no limit");
        };
        assert_ne!(refused.kind, capnp::ErrorKind::Disconnected, "{refused}");
        // Others are served meanwhile.
        sandbox
            .run(&["-a", &address, "call", "echo", "hi"])
            .expect(0, "hi\n");
        // And so is the client itself, with the threads that it has.
        make_echo(&init, &threads[0]).await;
    });
    assert!(done, "{}", running.stderr());
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
}

#[test]
fn a_client_that_calls_and_never_reads_is_disconnected() {
    let sandbox = Sandbox::new();
    let (running, address) = serve(&sandbox);
    let reason = || running.stderr().contains("peer does not read");
    attack(&address, async |init, deaf| {
        let thread = make_thread(&construct(&init).await).await.unwrap();
        let echo = make_echo(&init, &thread).await;
        deaf.set(true);
        let text = "x".repeat(1 << 20);
        let mut calls = Vec::new();
        while !reason() {
            assert!(calls.len() < 400, "no limit: {}", running.stderr());
            let mut request = echo.echo_request();
            set(request.get().init_context(), &thread);
            request.get().set_echo(&text[..]);
            calls.push(request.send().promise);
            task::sleep(Duration::from_millis(10)).await;
            if calls.len() % 50 == 0 {
                sandbox
                    .run(&["-a", &address, "call", "echo", "hi"])
                    .expect(0, "hi\n");
            }
        }
    });
    assert!(reason(), "{}", running.stderr());
    sandbox
        .run(&["-a", &address, "call", "echo", "hi"])
        .expect(0, "hi\n");
    running.signal(Signal::TERM);
    running.wait().expect(143, "");
}
