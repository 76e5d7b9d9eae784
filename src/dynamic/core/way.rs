//! The object that a chain's last method is called on.

use serde_json::Value as Json;

use crate::dynamic::call::{Objects, Step};
use crate::error::{Error, Result};

/// The methods of a chain before its last one.
pub(super) struct Way {
    steps: Vec<Step>,
    /// The last of them, for errors.
    maker: String,
}

impl Way {
    /// Splits a chain. `maker` names the method before its last one.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] without a step.
    pub(super) fn of(steps: &[Step], maker: String) -> Result<(Self, Step)> {
        let Some((last, way)) = steps.split_last() else {
            return Err(Error::Usage("no method to call".into()));
        };
        let steps = way.to_vec();
        Ok((Self { steps, maker }, last.clone()))
    }

    /// Calls `f` with the object that the methods lead to from `handle`, and releases it afterwards,
    /// unless it was held before.
    ///
    /// # Errors
    /// Returns the errors of the calls and of `f`.
    pub(super) fn with_object(
        &self,
        objects: &Objects,
        handle: &str,
        f: impl FnOnce(&str) -> Result<Json>,
    ) -> Result<Json> {
        if self.steps.is_empty() {
            return f(handle);
        }
        let held = objects.handles();
        let Json::String(object) = objects.chain(handle, &self.steps)? else {
            let maker = &self.maker;
            return Err(Error::failed(format!(
                "{maker} answered null: nothing to call on"
            )));
        };
        let answer = f(&object);
        if held.iter().all(|(name, _)| *name != object) {
            objects.release(&object);
        }
        answer
    }
}
