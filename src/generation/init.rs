//! An `Init` of any generation, and the older generations behind the newest interfaces.
//!
//! Finds out the generation when first needed. What each method is in each generation is generated from
//! the schemas.

use std::sync::{Arc, OnceLock};

use super::Generation;
use super::by_hand::then;
use crate::call::CallOptions;
use crate::error::Result;
use crate::interfaces::{Call, Remote, ready};

/// A peer's `Init`, whichever generation it is of.
pub(crate) struct AnyInit {
    clients: Clients,
    /// Shared with calls that find it out.
    generation: Arc<OnceLock<Generation>>,
}

impl AnyInit {
    /// Wraps the clients of one object.
    pub(crate) fn new(clients: Clients) -> Self {
        Self {
            clients,
            generation: Arc::default(),
        }
    }

    /// Returns the peer's generation; asks for it the first time.
    fn generation(&self) -> Result<Generation> {
        if let Some(known) = self.generation.get() {
            return Ok(*known);
        }
        let found = Generation::of(&**self.clients.newest())?;
        Ok(*self.generation.get_or_init(|| found))
    }

    /// Makes a call that depends on the generation: at once where that is known, otherwise when it
    /// has been found out, with the options that the caller has now.
    fn later<T: Send + 'static>(&self, call: fn(&Clients, Generation) -> Call<T>) -> Call<T> {
        if let Some(known) = self.generation.get() {
            return call(&self.clients, *known);
        }
        let found = Generation::of_async(&**self.clients.newest());
        let (clients, generation) = (self.clients.clone(), self.generation.clone());
        let options = CallOptions::current();
        Box::pin(async move {
            let found = found.await?;
            let found = *generation.get_or_init(|| found);
            let call = options.run(|| call(&clients, found));
            // The future must not keep the connection for longer than its call.
            drop(clients);
            call.await
        })
    }
}

/// An object that a layer stands before.
pub(super) struct Layered<L>(pub(super) L);

include!(concat!(env!("OUT_DIR"), "/adapters.rs"));
