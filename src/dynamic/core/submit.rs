//! The call of `submitSolution` on a peer that has 32's `Init`: builds between 31 and 32 have it at 31's
//! ordinal, and only the answer to a call tells.

use std::sync::Arc;

use serde_json::Value as Json;

use super::way::Way;
use crate::dynamic::call::{Objects, Step};
use crate::dynamic::schema::Registry;
use crate::error::{Error, Result};
use crate::generation::Generation;

/// The method whose ordinal has changed.
const METHOD: &str = "BlockTemplate.submitSolution";

/// A solution to submit to a template.
pub struct Submit {
    objects: Objects,
    /// Core 31's schema.
    older: Arc<Registry>,
    way: Way,
    submit: Step,
}

impl Submit {
    /// Prepares the call of the last of `steps`, if it is the method, by its full name, of a peer of a
    /// generation that may have it at another place. `maker` names the method before it.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] without a step.
    pub fn of(
        generation: Option<Generation>,
        method: &str,
        objects: &Objects,
        steps: &[Step],
        maker: String,
    ) -> Result<Option<Self>> {
        if generation != Some(Generation::Core32) || method != METHOD {
            return Ok(None);
        }
        let (way, submit) = Way::of(steps, maker)?;
        Ok(Some(Self {
            objects: objects.clone(),
            older: Arc::new(Registry::core(Generation::Core31)?),
            way,
            submit,
        }))
    }

    /// Submits the solution to the template that the call's other methods make, or that `handle`
    /// is. Both ordinals of the method are tried on the same template.
    ///
    /// # Errors
    /// Returns the errors of the calls.
    pub fn run(self, handle: &str) -> Result<Json> {
        self.way
            .with_object(&self.objects, handle, |template| self.submit_to(template))
    }

    fn submit_to(&self, template: &str) -> Result<Json> {
        let steps = std::slice::from_ref(&self.submit);
        match self.objects.chain(template, steps) {
            Err(Error::Unimplemented(_)) => {
                let older = self.objects.with_registry(self.older.clone());
                older.chain(template, steps)
            }
            answer => answer,
        }
    }
}

crate::opaque::opaque!(Submit, "Submit");
