//! `connect`: shows the peer, then makes a call for each line of input.
//!
//! Prints the peer's description to stderr: stdout is for the calls' results.

use eyre::Result;
use serde_json::json;

use crate::calls::lines;
use crate::calls::session::Session;
use crate::context::Context;
use crate::peer::offers::{ECHOES, Peer};
use crate::peer::target::{Link, OwnChild};

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
    let done = lines::run(context, &mut session, &super::MANUAL);
    session.end();
    done
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
        return output.note_json(&shown);
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
