//! An `Init` of any generation.
//!
//! Finds out which one when first needed, and knows which interfaces each generation's makes.

use std::sync::{Arc, OnceLock};

use super::forward::then;
use super::{Generation, core30, core31, core32};
use crate::call::CallOptions;
use crate::error::Result;
use crate::interfaces::echo::Echo;
use crate::interfaces::init::Init;
use crate::interfaces::mining::Mining;
use crate::interfaces::rpc::Rpc;
use crate::interfaces::{self, Call, Remote};

/// A peer's `Init`, whichever generation it is of.
pub(crate) struct AnyInit {
    clients: Clients,
    /// Shared with calls that find it out.
    generation: Arc<OnceLock<Generation>>,
}

/// The clients of one object, by the generation whose ordinals they use.
#[derive(Clone)]
struct Clients {
    core30: Arc<dyn interfaces::core30::init::Init>,
    core31: Arc<dyn interfaces::core31::init::Init>,
    core32: Arc<dyn Init>,
}

/// The generations have only `construct` and `makeEcho` in common.
impl AnyInit {
    /// Wraps the clients of one object.
    pub(crate) fn new(
        core30: Arc<dyn interfaces::core30::init::Init>,
        core31: Arc<dyn interfaces::core31::init::Init>,
        core32: Arc<dyn Init>,
    ) -> Self {
        Self {
            clients: Clients {
                core30,
                core31,
                core32,
            },
            generation: Arc::default(),
        }
    }

    /// Returns the peer's generation; asks for it the first time.
    fn generation(&self) -> Result<Generation> {
        if let Some(known) = self.generation.get() {
            return Ok(*known);
        }
        let found = Generation::of(&*self.clients.core32)?;
        Ok(*self.generation.get_or_init(|| found))
    }

    /// Makes a call that depends on the generation: at once where that is known, otherwise when it
    /// has been found out, with the options that the caller has now.
    fn then<T: Send + 'static>(&self, call: fn(&Clients, Generation) -> Call<T>) -> Call<T> {
        if let Some(known) = self.generation.get() {
            return call(&self.clients, *known);
        }
        let found = Generation::of_async(&*self.clients.core32);
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

/// Fails where a generation has no `makeRpc`.
fn has_rpc(generation: Generation) -> Result<()> {
    match generation {
        Generation::Core30 | Generation::Core31 => generation.lacks("makeRpc"),
        Generation::Core32 => Ok(()),
    }
}

/// Fails where a generation has another method at the ordinal of `makeMiningOld2`.
fn has_old2(generation: Generation) -> Result<()> {
    match generation {
        Generation::Core30 => generation.lacks("makeMiningOld2"),
        Generation::Core31 | Generation::Core32 => Ok(()),
    }
}

#[deny(clippy::missing_trait_methods)]
impl Init for AnyInit {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        self.clients.core32.make_echo()
    }

    fn make_echo_async(&self) -> Call<Option<Arc<dyn Echo>>> {
        self.clients.core32.make_echo_async()
    }

    fn make_mining_old2(&self) -> Result<()> {
        has_old2(self.generation()?)?;
        self.clients.core32.make_mining_old2()
    }

    fn make_mining_old2_async(&self) -> Call<()> {
        self.then(|clients, generation| match has_old2(generation) {
            Ok(()) => clients.core32.make_mining_old2_async(),
            error => interfaces::ready(error),
        })
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        let clients = &self.clients;
        match self.generation()? {
            Generation::Core30 => clients.core30.make_mining().map(core30::mining),
            Generation::Core31 => clients.core31.make_mining().map(core31::mining),
            Generation::Core32 => clients.core32.make_mining().map(core32::mining),
        }
    }

    fn make_mining_async(&self) -> Call<Option<Arc<dyn Mining>>> {
        self.then(|clients, generation| match generation {
            Generation::Core30 => then(clients.core30.make_mining_async(), |made| {
                made.map(core30::mining)
            }),
            Generation::Core31 => then(clients.core31.make_mining_async(), |made| {
                made.map(core31::mining)
            }),
            Generation::Core32 => then(clients.core32.make_mining_async(), |made| {
                made.map(core32::mining)
            }),
        })
    }

    fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
        has_rpc(self.generation()?)?;
        self.clients.core32.make_rpc()
    }

    fn make_rpc_async(&self) -> Call<Option<Arc<dyn Rpc>>> {
        self.then(|clients, generation| match has_rpc(generation) {
            Ok(()) => clients.core32.make_rpc_async(),
            Err(error) => interfaces::ready(Err(error)),
        })
    }

    fn remote(&self) -> Option<&dyn Remote> {
        self.clients.core32.remote()
    }
}
