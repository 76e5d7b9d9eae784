//! Clients and servers of the built-in interfaces, generated from `schema/`: those of the newest
//! generation, and of older ones what has other ordinals or values there.
//!
//! One object can be called by the ordinals of any generation. Which are right is for
//! [`crate::generation`] to know: it is given the clients of all that the object may be.

use std::sync::Arc;

use super::rt::{Interface, Object};
pub use super::wire;
use crate::generation::{AnyBlockTemplate, AnyInit};
use crate::interfaces;

include!(concat!(env!("OUT_DIR"), "/core32/proxies.rs"));

/// The interfaces of Core 30.
pub mod core30 {
    /// The messages of Core 30.
    pub mod wire {
        include!(concat!(env!("OUT_DIR"), "/core30/wire.rs"));
    }

    include!(concat!(env!("OUT_DIR"), "/core30/proxies.rs"));
}

/// The interfaces of Core 31.
pub mod core31 {
    /// The messages of Core 31.
    pub mod wire {
        include!(concat!(env!("OUT_DIR"), "/core31/wire.rs"));
    }

    include!(concat!(env!("OUT_DIR"), "/core31/proxies.rs"));
}

/// Makes the `Init` that callers get for a peer's: it has a client of every generation.
fn any_init(newest: init::InitClient, object: Object) -> Arc<dyn interfaces::init::Init> {
    let core30 = Interface::client(object.clone());
    let core31 = Interface::client(object);
    Arc::new(AnyInit::new(core30, core31, Arc::new(newest)))
}

/// Makes the `BlockTemplate` that callers get for one of a peer whose `Mining` is of the newest
/// generation.
fn any_block_template(
    newest: mining::BlockTemplateClient,
    object: Object,
) -> Arc<dyn interfaces::mining::BlockTemplate> {
    let core31 = Interface::client(object);
    Arc::new(AnyBlockTemplate::new(core31, Arc::new(newest)))
}
