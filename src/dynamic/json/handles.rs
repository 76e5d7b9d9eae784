//! Handles: the names that stand for capabilities in JSON.
//!
//! Knows capabilities and JSON; nothing of how the values around them are converted.

use capnp::private::capability::ClientHook;
use serde_json::Value as Json;

use crate::dynamic::schema::model::Brand;
use crate::error::{Error, Result};

/// Converts between capabilities and the handles that stand for them in JSON.
#[doc(hidden)]
pub trait Handles {
    /// The JSON for a capability that was read. `interface` is its id and what its type parameters
    /// are bound to, where the schema tells.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming `field`, when nothing can stand for it.
    fn import(
        &mut self,
        hook: Box<dyn ClientHook>,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json>;

    /// The capability that JSON stands for; `None` for none.
    ///
    /// # Errors
    /// [`Error::Conversion`], naming `field`, when the JSON stands for no such capability.
    fn export(
        &mut self,
        handle: &Json,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>>;
}

/// For values without capabilities: any is an error.
#[derive(Debug, Clone, Copy, Default)]
#[doc(hidden)]
pub struct NoHandles;

impl Handles for NoHandles {
    fn import(
        &mut self,
        _hook: Box<dyn ClientHook>,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json> {
        Err(Error::conversion(field, "an object cannot be shown here"))
    }

    fn export(
        &mut self,
        _handle: &Json,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        Err(Error::conversion(field, "an object cannot be given here"))
    }
}
