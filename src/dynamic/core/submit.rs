//! The call of `submitSolution`, whose answer is that of the newest generation whatever the peer's is. A
//! peer that has 32's `Init` may have it at 31's ordinal, as builds between 31 and 32 do, and only the
//! answer to a call tells.

use std::sync::Arc;

use serde_json::{Value as Json, json};

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
    /// Core 31's schema, where the peer may have the method at its ordinal.
    older: Option<Arc<Registry>>,
    way: Way,
    submit: Step,
}

impl Submit {
    /// Prepares the call of the last of `steps`, if it is the method, by its full name, of a peer of a
    /// generation. `maker` names the method before it. `certain` is that the peer has it where its
    /// generation does.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] without a step.
    pub fn of(
        generation: Option<Generation>,
        method: &str,
        objects: &Objects,
        steps: &[Step],
        maker: String,
        certain: bool,
    ) -> Result<Option<Self>> {
        if generation.is_none() || method != METHOD {
            return Ok(None);
        }
        let (way, submit) = Way::of(steps, maker)?;
        Ok(Some(Self {
            objects: objects.clone(),
            older: match generation {
                Some(Generation::Core32) if !certain => {
                    Some(Arc::new(Registry::core(Generation::Core31)?))
                }
                _ => None,
            },
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
        let answer = match (self.objects.chain(template, steps), &self.older) {
            (Err(Error::Unimplemented(_)), Some(older)) => {
                let older = self.objects.with_registry(older.clone());
                older.chain(template, steps)
            }
            (answer, _) => answer,
        };
        answer.map(newest_shape)
    }
}

/// Returns an answer in the newest generation's shape: older ones answer whether the block was taken,
/// without a reason.
fn newest_shape(answer: Json) -> Json {
    match answer {
        Json::Bool(result) => json!({ "reason": "", "debug": "", "result": result }),
        answer => answer,
    }
}

crate::opaque::opaque!(Submit, "Submit");
