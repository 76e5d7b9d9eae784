//! `connect`: shows the peer, then makes a call for each line of input.
//!
//! Prints the peer's description to stderr: stdout is for the calls' results.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::Brand;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Error, Generation};
use eyre::Result;
use serde_json::json;

use crate::calls::lines;
use crate::calls::session::Session;
use crate::context::Context;
use crate::peer::target::{Link, OwnChild};
use crate::schema::choice::INIT;

/// The number of echoes whose median is the round trip's time.
const ECHOES: usize = 5;

pub(crate) fn run(context: &Context) -> Result<u8> {
    let mut session = Session::new(context)?;
    session.open(OwnChild::Allowed)?;
    if session.link()?.init.is_some() {
        let link = session.link()?;
        let peer = context.calling(|| Peer::ask(link));
        context.signals.check()?;
        let peer = peer?;
        show(context, link, &peer);
        session.speak(peer.generation)?;
    } else {
        let name = &session.link()?.name;
        let init = &session.schema().root.name;
        context
            .output
            .note(&format!("connected to {name}, which serves {init}"));
    }
    let done = lines::run(context, &mut session);
    session.end();
    done
}

/// The description of a peer: its generation, what its `Init` offers, and the round trip's time.
pub(crate) struct Peer {
    generation: Generation,
    offers: [(&'static str, Offer); 3],
    round_trip: Option<Duration>,
}

/// Whether the peer's `Init` makes an object of an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It made one.
    Made,
    /// It has the method, which was not run.
    Implemented,
    Null,
    Unimplemented,
}

impl Offer {
    /// Returns the offer that a maker's result stands for, and the object that it made.
    fn of_made<T>(made: Result<Option<T>, Error>) -> Result<(Self, Option<T>), Error> {
        match made {
            Ok(Some(object)) => Ok((Self::Made, Some(object))),
            Ok(None) => Ok((Self::Null, None)),
            Err(Error::Unimplemented(_)) => Ok((Self::Unimplemented, None)),
            Err(Error::Remote { .. }) => Ok((Self::Implemented, None)),
            Err(error) => Err(error),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Made => "yes",
            Self::Implemented => "implemented",
            Self::Null => "no (null)",
            Self::Unimplemented => "not implemented",
        }
    }
}

impl Peer {
    /// Asks the peer. Runs `makeEcho`; the other makers only in a role of our own. Elsewhere their
    /// presence is asked for without running them: a Core 31.99 node that is not fully started, as
    /// a spawned one never is, exits when its `makeMining` runs.
    pub(crate) fn ask(link: &Link) -> Result<Self, Error> {
        let init = link.init.as_ref();
        let init = &**init.ok_or_else(|| Error::Usage("the peer has no Init of Core's".into()))?;
        let (echo, echoer) = Offer::of_made(init.make_echo())?;
        let generation = Generation::of(init)?;
        let (mining, rpc) = if link.own_role {
            let (mining, _) = Offer::of_made(init.make_mining())?;
            let (rpc, _) = Offer::of_made(init.make_rpc())?;
            (mining, rpc)
        } else {
            let offers = |maker| offer_of(init, generation, maker);
            (offers("makeMining")?, offers("makeRpc")?)
        };
        Ok(Self {
            generation,
            offers: [("Echo", echo), ("Mining", mining), ("Rpc", rpc)],
            round_trip: echoer.map(|echo| round_trip(&*echo)).transpose()?,
        })
    }

    /// Returns the interfaces that the peer offers.
    pub(crate) fn offered(&self) -> Vec<&'static str> {
        let made = self
            .offers
            .iter()
            .filter(|(_, offer)| matches!(offer, Offer::Made | Offer::Implemented));
        made.map(|(name, _)| *name).collect()
    }
}

/// Asks whether the peer has a maker, where its generation does, without running it.
fn offer_of(init: &dyn Init, generation: Generation, maker: &str) -> Result<Offer, Error> {
    let Some(remote) = init.remote() else {
        return Ok(Offer::Implemented);
    };
    let registry = Arc::new(Registry::core(generation)?);
    let id = registry.find_interface(INIT)?.id;
    let has = registry.method_of(id, &Brand::default(), maker).is_ok();
    let objects = Objects::new(registry, core::options());
    let handle = objects.adopt(remote, INIT)?;
    match has && objects.implements(&handle, maker)? {
        true => Ok(Offer::Implemented),
        false => Ok(Offer::Unimplemented),
    }
}

fn round_trip(echo: &dyn Echo) -> Result<Duration, Error> {
    // The first call creates the server thread.
    echo.echo("")?;
    let mut times = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let start = Instant::now();
        echo.echo("")?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[ECHOES / 2])
}

fn show(context: &Context, link: &Link, peer: &Peer) {
    let output = &context.output;
    let micros = peer.round_trip.map(|time| time.as_micros());
    if output.is_json() {
        let offers: serde_json::Map<_, _> = peer
            .offers
            .iter()
            .map(|(name, offer)| ((*name).to_owned(), offer.words().into()))
            .collect();
        let shown = json!({ "peer": {
            "name": link.name,
            "generation": peer.generation.number(),
            "offers": offers,
            "round_trip_us": micros.and_then(|micros| u64::try_from(micros).ok()),
        }});
        return output.note(&shown.to_string());
    }
    output.note(&format!("connected to {}", link.name));
    output.note(&format!("generation  {}", peer.generation));
    for (name, offer) in &peer.offers {
        output.note(&format!("{name:<10}  {}", offer.words()));
    }
    if let Some(micros) = micros {
        output.note(&format!("round trip  {micros} µs (median of {ECHOES})"));
    }
}
