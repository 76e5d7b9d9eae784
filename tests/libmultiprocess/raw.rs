//! A plain Cap'n Proto client, which can say what a proxy never would.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bitcoin_ipc::Limits;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::rt::wire::proxy_capnp::{thread, thread_map};
use capnp_rpc::rpc_twoparty_capnp::Side;

use crate::foo::interfaces::foo::FooInterface;
use crate::foo::wire::foo_capnp::foo_interface;
use crate::support::Foo;

/// Runs `test` with a client of a server of `foo`, and the server's thread map.
pub fn raw<F: Future<Output = ()>>(
    setup_limits: Limits,
    foo: Arc<Foo>,
    test: impl FnOnce(foo_interface::Client, thread_map::Client) -> F + Send + 'static,
) {
    let server = Capnp::new("mptest-server", setup_limits).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || {
        Protocol::<dyn FooInterface>::serve(&server, theirs.into(), foo)
    });
    async_std::task::block_on(async move {
        let stream = async_std::os::unix::net::UnixStream::from(ours);
        let (reader, writer) = (stream.clone(), stream);
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

/// Makes a thread on the server.
pub async fn make_thread(map: &thread_map::Client, name: &str) -> thread::Client {
    let mut request = map.make_thread_request();
    request.get().set_name(name);
    let response = request.send().promise.await.unwrap();
    response.get().unwrap().get_result().unwrap()
}
