//! Calls that are handed on to the object of a peer: of another connection, for which this process
//! stands, or of the caller itself, that had pipelined on what turned out to be its own.
//!
//! Knows nothing of what is in them. An object of one connection is given to another as one that hands
//! on what it is called with.

use std::sync::Arc;

use super::call::Incoming;
use super::cap::{Cap, Caps, Host, Import};
use super::questions::{Ask, Param, Request, Target};
use crate::error::Error;

/// An object of this process that is nothing but another's.
struct Forwarded(Arc<Import>);

impl Host for Forwarded {
    fn call(self: Arc<Self>, call: Incoming) {
        forward(&self.0, call);
    }

    fn stands_for(&self) -> Option<&Arc<Import>> {
        Some(&self.0)
    }
}

/// An object of this process that stands for a peer's.
pub fn host(import: &Arc<Import>) -> Arc<dyn Host> {
    Arc::new(Forwarded(import.clone()))
}

/// Hands a call on, and its answer back.
pub fn forward(import: &Arc<Import>, call: Incoming) {
    let request = Request::new(call.interface(), call.method(), |to, mut content| {
        to.take_over(call.caps().iter().cloned().map(|cap| cap.map(Param::Cap)));
        let copied = call.params(|params| content.set_as(params));
        copied.and_then(|copied| copied).map_err(malformed)
    });
    let request = match request {
        Ok(request) => request,
        Err(error) => return call.fail(error),
    };
    import.link().ask([Ask {
        target: Target::Import(import.clone()),
        request,
        done: Box::new(move |answer| {
            let results = answer.and_then(|response| {
                call.results(|to: &mut Caps<Cap>, mut content| {
                    to.take_over(response.caps().iter().cloned());
                    let copied = response.read(|results| content.set_as(results));
                    copied.and_then(|copied| copied).map_err(malformed)
                })
            });
            match results {
                Ok(results) => call.answer(results),
                Err(error) => call.fail(error),
            }
        }),
    }]);
}

fn malformed(error: capnp::Error) -> Error {
    Error::failed(format!("a message to be handed on: {error}"))
}
