//! Clients and servers of the built-in interfaces, generated from `schema/`: those of the newest
//! generation, and of older ones what has other ordinals or values there.
//!
//! One object can be called by the ordinals of any generation. Which are right is for
//! [`crate::generation`] to know: it is given the clients of all that the object may be.

use std::sync::Arc;

use super::rt::{Interface, Object};
pub use super::wire;
use crate::generation::{AnyInit, Clients};
use crate::interfaces;

include!(concat!(env!("OUT_DIR"), "/newest/proxies.rs"));
include!(concat!(env!("OUT_DIR"), "/older_proxies.rs"));

/// Makes the `Init` that callers get for a peer's: it has a client of every generation.
fn any_init(newest: init::InitClient, object: Object) -> Arc<dyn interfaces::init::Init> {
    Arc::new(AnyInit::new(clients(newest, object)))
}

/// Makes the `BlockTemplate` that callers get for one of a peer whose `Mining` is of the newest
/// generation.
fn any_block_template(
    newest: mining::BlockTemplateClient,
    object: Object,
) -> Arc<dyn interfaces::mining::BlockTemplate> {
    crate::generation::any_block_template(Interface::client(object), Arc::new(newest))
}
