//! Other people's remote calls over the same kind of socket: capnp-rpc alone, with no threads
//! mapped, and tarpc. Each side runs on one thread of tokio. For capnp-rpc that is the only way; tarpc
//! takes longer for 1 and for 32 outstanding calls on tokio's runtime with several threads.

use std::os::unix::net::UnixStream;
use std::rc::Rc;

use capnp_rpc::{RpcSystem, pry, rpc_twoparty_capnp::Side, twoparty};
use eyre::{Result, ensure, eyre};
use futures::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::echo::TEXT;
use super::{Plan, Shared};
use crate::children::Peer;
use crate::measure::outstanding;
use crate::objects::wire::bench_capnp::plain;
use crate::peers;
use crate::placement::Placement;

/// 32 calls of tarpc outstanding.
pub const TARPC_OUTSTANDING: &str = "tarpc, 32 outstanding";

pub fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for (count, placement) in [
        (1, Placement::Free),
        (32, Placement::Free),
        (32, Placement::Together),
    ] {
        plans.push(plain_calls(count, placement));
        plans.push(tarpc_calls(count, placement));
    }
    plans
}

fn name(what: &str, count: usize) -> String {
    match count {
        1 => format!("{what}, 16 bytes"),
        _ => format!("{what}, {count} outstanding"),
    }
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

fn tokio_stream(stream: UnixStream) -> Result<tokio::net::UnixStream> {
    stream.set_nonblocking(true)?;
    Ok(tokio::net::UnixStream::from_std(stream)?)
}

type Network = twoparty::VatNetwork<tokio_util::compat::Compat<tokio::net::unix::OwnedReadHalf>>;

fn network(stream: UnixStream, side: Side) -> Result<Box<Network>> {
    let (reader, writer) = tokio_stream(stream)?.into_split();
    Ok(Box::new(twoparty::VatNetwork::new(
        reader.compat(),
        writer.compat_write(),
        side,
        capnp::message::ReaderOptions::new(),
    )))
}

fn plain_calls(count: usize, placement: Placement) -> Plan {
    let start = move |shared: &Shared| {
        let processor = shared.processors.server(placement);
        let peer = Peer::start(peers::PLAIN, &[""; 0], processor)?;
        let stream = peer.stream()?;
        let (runtime, local) = (runtime()?, LocalSet::new());
        let client: plain::Client = local.block_on(&runtime, async {
            let mut system = RpcSystem::new(network(stream, Side::Client)?, None);
            let client = system.bootstrap(Side::Server);
            tokio::task::spawn_local(system);
            Ok::<_, eyre::Report>(client)
        })?;
        Ok(move |budget| {
            let _peer = &peer;
            local.block_on(
                &runtime,
                outstanding(count, budget, || async {
                    let mut request = client.echo_request();
                    request.get().set_text(TEXT);
                    let answer = request.send().promise.await?;
                    ensure!(answer.get()?.get_result()? == TEXT, "wrong text");
                    Ok(())
                }),
            )
        })
    };
    Plan::calls(name("capnp-rpc alone", count), start).placed(placement)
}

struct Plain;

impl plain::Server for Plain {
    fn echo(
        self: Rc<Self>,
        params: plain::EchoParams,
        mut results: plain::EchoResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        let text = pry!(pry!(params.get()).get_text());
        results.get().set_result(text);
        capnp::capability::Promise::ok(())
    }
}

/// The other side with capnp-rpc.
pub fn serve_plain(stream: UnixStream) -> Result<()> {
    let plain: plain::Client = capnp_rpc::new_client(Plain);
    LocalSet::new().block_on(&runtime()?, async {
        let network = network(stream, Side::Server)?;
        Ok(RpcSystem::new(network, Some(plain.client)).await?)
    })
}

#[tarpc::service]
trait Texts {
    async fn echo(text: String) -> String;
}

fn tarpc_calls(count: usize, placement: Placement) -> Plan {
    let start = move |shared: &Shared| {
        let processor = shared.processors.server(placement);
        let peer = Peer::start(peers::TARPC, &[""; 0], processor)?;
        let stream = peer.stream()?;
        let runtime = runtime()?;
        let client = runtime.block_on(async {
            let framed = LengthDelimitedCodec::new().framed(tokio_stream(stream)?);
            let transport = tarpc::serde_transport::new(framed, Bincode::default());
            Ok::<_, eyre::Report>(TextsClient::new(Default::default(), transport).spawn())
        })?;
        Ok(move |budget| {
            let _peer = &peer;
            runtime.block_on(outstanding(count, budget, || async {
                let context = tarpc::context::current();
                let answer = client.echo(context, TEXT.to_owned()).await;
                let answer = answer.map_err(|error| eyre!("{error}"))?;
                ensure!(answer == TEXT, "wrong text");
                Ok(())
            }))
        })
    };
    Plan::calls(name("tarpc", count), start).placed(placement)
}

#[derive(Clone)]
struct Server;

impl Texts for Server {
    async fn echo(self, _: tarpc::context::Context, text: String) -> String {
        text
    }
}

/// The other side with tarpc.
pub fn serve_tarpc(stream: UnixStream) -> Result<()> {
    runtime()?.block_on(async {
        let framed = LengthDelimitedCodec::new().framed(tokio_stream(stream)?);
        let transport = tarpc::serde_transport::new(framed, Bincode::default());
        BaseChannel::with_defaults(transport)
            .execute(Server.serve())
            .for_each_concurrent(None, |answering| answering)
            .await;
        Ok(())
    })
}
