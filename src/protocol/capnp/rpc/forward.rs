//! Calls that are forwarded to the object of a peer: of another connection, for which this process
//! stands in, or of the caller itself, which had pipelined on what turned out to be its own object.
//!
//! Knows nothing of what is in them.

use std::sync::Arc;

use super::cap::{Ask, Cap, Import, Incoming, Param, Request, Results, Target};
use super::wire::cap_table::Caps;
use crate::error::Error;

/// The translation of capabilities in a forwarded call.
pub trait Passage: Send + 'static {
    /// Translates a capability among the parameters for the object's side.
    fn inward(&self, cap: Cap) -> Cap;

    /// Translates a capability among the results for the caller's side.
    fn outward(&self, cap: Cap) -> Cap;
}

/// A passage that leaves capabilities as they are.
struct Plain;

impl Passage for Plain {
    fn inward(&self, cap: Cap) -> Cap {
        cap
    }

    fn outward(&self, cap: Cap) -> Cap {
        cap
    }
}

/// Forwards a call, and returns its answer. Only the call's number is kept: its parameters are dropped
/// once the call is copied.
pub fn forward(import: &Arc<Import>, call: Incoming) {
    forward_through(import, call, Plain);
}

/// Forwards a call, and returns its answer; `passage` translates the capabilities in both.
pub fn forward_through(import: &Arc<Import>, mut call: Incoming, passage: impl Passage) {
    let request = Request::new(call.interface(), call.method(), |to, mut content| {
        let inward = |cap| Param::Cap(passage.inward(cap));
        to.take_over(call.caps().iter().cloned().map(|cap| cap.map(inward)));
        let copied = call.params(|params| content.set_as(params));
        copied.and_then(|copied| copied).map_err(malformed)
    });
    drop(call.take_params());
    let request = match request {
        Ok(request) => request,
        Err(error) => return call.fail(error),
    };
    let ask = Ask {
        target: Target::Import(import.clone()),
        request,
        done: Box::new(move |answer| {
            let results = answer.and_then(|response| {
                Results::of(call.question(), |to: &mut Caps<Cap>, mut content| {
                    let outward = |cap| passage.outward(cap);
                    to.take_over(response.caps().iter().cloned().map(|cap| cap.map(outward)));
                    let copied = response.read(|results| content.set_as(results));
                    copied.and_then(|copied| copied).map_err(malformed)
                })
            });
            match results {
                Ok(results) => call.answer(results),
                Err(error) => call.fail(error),
            }
        }),
    };
    import.owner().ask(&mut [ask].into_iter());
}

fn malformed(error: capnp::Error) -> Error {
    Error::failed(format!("a message to be forwarded: {error}"))
}
