//! Calls a process of Bitcoin Core with `capnp-rpc` on `async-std`. The library starts the process, or
//! checks who serves at its socket and connects, and hands over a stream; all that is said over that
//! stream is this program's.
//!
//! `plain-capnp` starts itself as the child that it calls, `plain-capnp exec:bitcoin-node` another program,
//! and `plain-capnp unix:/path/node.sock` calls a node that listens there.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "generated, and more than is called"
)]
mod messages {
    capnp::generated_code!(pub mod common_capnp);
    capnp::generated_code!(pub mod echo_capnp);
    capnp::generated_code!(pub mod init_capnp);
    capnp::generated_code!(pub mod mining_capnp);
    capnp::generated_code!(pub mod proxy_capnp, "mp/proxy_capnp.rs");
    capnp::generated_code!(pub mod rpc_capnp);
}

use std::os::{fd::AsFd, unix::net::UnixStream};
use std::{env, error::Error, process::ExitCode};

use async_std::task;
use bitcoin_ipc::transport::{self, Chain, DataDir, Trust};
use bitcoin_ipc::{Address, Ipc, Program, interfaces, process, roles::Role};
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use messages::init_capnp::init;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<_> = env::args_os().collect();
    if process::check_spawned(&args)?.is_some() {
        // The child: a process of the library's, which knows nothing of async-std.
        let ipc = Ipc::<dyn interfaces::init::Init>::new("plain-capnp", Role::Node.init())?;
        return Ok(ipc.start_spawned(&args, || ())?.unwrap_or_default().into());
    }
    let address = match args.get(1) {
        Some(address) => Address::parse(address)?,
        None => Address::Exec(env::current_exe()?),
    };
    if let Address::Exec(program) = address {
        let (stream, child) = process::spawn(Program::new(program))?;
        println!("a child answers {}", task::block_on(echo(stream, "hi"))?);
        println!("it ends with {}", child.wait()?);
    } else {
        let data_dir = DataDir::new(".", Chain::Main);
        let stream = transport::connect(&address, &data_dir, &Trust::new())?;
        let stream = stream.ok_or("nothing listens there")?;
        let stream = UnixStream::from(stream.as_fd().try_clone_to_owned()?);
        println!("a node answers {}", task::block_on(echo(stream, "hi"))?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Calls `Echo.echo` of the process at the other end, and disconnects.
async fn echo(stream: UnixStream, text: &str) -> capnp::Result<String> {
    let stream = async_std::os::unix::net::UnixStream::from(stream);
    let network = VatNetwork::new(stream.clone(), stream, Side::Client, Default::default());
    let mut rpc = RpcSystem::new(Box::new(network), None);
    let init = rpc.bootstrap(Side::Server);
    let disconnect = rpc.get_disconnector();
    let calls = async {
        let answer = call(init, text).await;
        disconnect.await.and(answer)
    };
    let (ended, answer) = futures::join!(rpc, calls);
    answer.and_then(|answer| ended.map(|()| answer))
}

async fn call(init: init::Client, text: &str) -> capnp::Result<String> {
    // The first call swaps thread maps. This side gives none: Echo calls nothing back.
    let response = init.construct_request().send().promise.await?;
    let threads = response.get()?.get_thread_map()?;

    // A call with a context runs on a thread of the peer's, which lives as long as its handle.
    let mut request = threads.make_thread_request();
    request.get().set_name("plain-capnp");
    let response = request.send().promise.await?;
    let thread = response.get()?.get_result()?;

    let mut request = init.make_echo_request();
    request.get().init_context().set_thread(thread.clone());
    let response = request.send().promise.await?;
    let echo = response.get()?.get_result()?;

    let mut request = echo.echo_request();
    request.get().set_echo(text);
    request.get().init_context().set_thread(thread.clone());
    let response = request.send().promise.await?;
    let answer = response.get()?.get_result()?.to_string()?;

    // The peer frees the object now, and not some time after the last reference.
    let mut request = echo.destroy_request();
    request.get().init_context().set_thread(thread);
    request.send().promise.await?;
    Ok(answer)
}
