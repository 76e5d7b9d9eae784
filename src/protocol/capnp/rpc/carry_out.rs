//! The step that carries out the effects of decisions: it delivers calls to objects and answers to
//! callers.
//!
//! Knows capabilities and forwarding; nothing of streams, nor of how a connection ends.

use super::cap::Cap;
use super::forward::forward;
use super::state::{Effect, Effects, State};
use super::wire::reason::CloseReason;

/// An effect that only the owner of the stream can carry out.
pub enum Ending {
    /// The connection is over, and no pending call has failed yet.
    Closing(CloseReason),
    /// All pending calls have failed.
    Closed,
}

/// Carries an effect out, or returns it if it ends the connection. `update` makes a decision of its
/// own, whose effects come after this one.
pub fn carry_out(
    effect: Effect,
    update: impl FnOnce(&mut dyn FnMut(&mut State, &mut Effects)),
) -> Option<Ending> {
    match effect {
        Effect::Deliver(Cap::Own(host), call) => host.call(call),
        Effect::Deliver(Cap::Import(import), call) => forward(&import, call),
        Effect::Fail(call, error) => call.fail(error),
        Effect::Tell(done, answer, about) => {
            drop(about);
            done(answer);
        }
        Effect::Loopback { import, embargo } => {
            update(&mut |state, effects| state.loopback(import, embargo, effects));
        }
        Effect::Drop(dropped) => drop(dropped),
        Effect::Closing(reason) => return Some(Ending::Closing(reason)),
        Effect::Closed => return Some(Ending::Closed),
    }
    None
}
