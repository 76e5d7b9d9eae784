//! The description of a peer: its generation, the interfaces that its `Init` offers, the time of a
//! round trip.
//!
//! Knows Core's `Init` and what is safe to ask of one; nothing of how the description is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::Brand;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Error, Generation};

use crate::peer::target::Link;
use crate::schema::choice::INIT;

/// The number of echoes whose median is the round trip's time.
pub(crate) const ECHOES: usize = 5;

/// The description of a peer.
pub(crate) struct Peer {
    pub(crate) generation: Generation,
    /// The interfaces that an `Init` can make, in the order in which they are shown.
    pub(crate) offers: [(&'static str, Offer); 3],
    pub(crate) round_trip: Option<Duration>,
}

/// Whether the peer's `Init` makes an object of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Offered,
    /// The method is not implemented, or makes nothing.
    NotOffered,
    /// The interface came with a later generation than the peer's.
    Unknown,
}

impl Offer {
    /// Returns the words for people, and for programs in JSON.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::NotOffered => "not offered",
            Self::Unknown => "unknown to this generation",
        }
    }

    /// Returns the offer that a maker's result stands for, and the object that it made.
    fn of_made<T>(made: Result<Option<T>, Error>) -> Result<(Self, Option<T>), Error> {
        match made {
            Ok(Some(object)) => Ok((Self::Offered, Some(object))),
            Ok(None) | Err(Error::Unimplemented(_)) => Ok((Self::NotOffered, None)),
            Err(Error::Remote { .. }) => Ok((Self::Offered, None)),
            Err(error) => Err(error),
        }
    }
}

impl Peer {
    /// Asks the peer. Runs `makeEcho` and `makeRpc`. Runs `makeMining` only where `makeRpc` makes
    /// nothing, which is no node of Core's: a node that is not fully started, as a spawned one never
    /// is, exits when its `makeMining` runs. There the method's presence counts, which is asked for
    /// without running it.
    pub(crate) fn ask(link: &Link) -> Result<Self, Error> {
        let init = link.init.as_ref();
        let init = &**init.ok_or_else(|| Error::Usage("the peer has no Init of Core's".into()))?;
        let (echo, echoer) = Offer::of_made(init.make_echo())?;
        let generation = Generation::of(init)?;
        let (rpc, made) = match knows(generation, "makeRpc")? {
            true => Offer::of_made(init.make_rpc())?,
            false => (Offer::Unknown, None),
        };
        // The object tells by its interface: another program may make another one at this ordinal.
        let is_rpc = match made.as_ref().and_then(|rpc| rpc.remote()) {
            Some(remote) => remote.implements("executeRpc")?,
            None => true,
        };
        let mining = match rpc {
            Offer::NotOffered => Offer::of_made(init.make_mining())?.0,
            Offer::Offered | Offer::Unknown => offer_of(init, generation, "makeMining")?,
        };
        let rpc = if is_rpc { rpc } else { Offer::NotOffered };
        Ok(Self {
            generation,
            offers: [("Echo", echo), ("Mining", mining), ("Rpc", rpc)],
            round_trip: echoer.map(|echo| round_trip(&*echo)).transpose()?,
        })
    }

    /// Returns whether the peer offers an interface.
    pub(crate) fn offers(&self, interface: &str) -> bool {
        self.offered().contains(&interface)
    }

    /// Returns the interfaces that the peer offers.
    pub(crate) fn offered(&self) -> Vec<&'static str> {
        let offered = |(name, offer): &(_, Offer)| (*offer == Offer::Offered).then_some(*name);
        self.offers.iter().filter_map(offered).collect()
    }
}

/// Whether the `Init` of a generation has this method.
fn knows(generation: Generation, maker: &str) -> Result<bool, Error> {
    let registry = Registry::core(generation)?;
    let id = registry.find_interface(INIT)?.id;
    Ok(registry.method_of(id, &Brand::default(), maker).is_ok())
}

/// Asks whether the peer implements a maker, without running it.
fn offer_of(init: &dyn Init, generation: Generation, maker: &str) -> Result<Offer, Error> {
    if !knows(generation, maker)? {
        return Ok(Offer::Unknown);
    }
    let Some(remote) = init.remote() else {
        return Ok(Offer::Offered);
    };
    let objects = Objects::new(Arc::new(Registry::core(generation)?), core::options());
    let handle = objects.adopt(remote, INIT)?;
    Ok(match objects.implements(&handle, maker)? {
        true => Offer::Offered,
        false => Offer::NotOffered,
    })
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
