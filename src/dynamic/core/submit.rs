//! The call of `submitSolution`, whose answer is that of the newest generation whatever the peer's is. A
//! peer that has 32's `Init` may have it at 31's ordinal, as builds between 31 and 32 do, and only the
//! answer to a call tells.

use std::sync::Arc;

use serde_json::{Value as Json, json};

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
    way: Vec<Step>,
    submit: Step,
    /// The method that makes the template, for errors.
    maker: String,
}

impl Submit {
    /// Returns whether a method, by its full name, is the one, of a peer of a generation.
    #[must_use]
    pub fn is_needed(generation: Option<Generation>, method: &str) -> bool {
        generation.is_some() && method == METHOD
    }

    /// Makes the call of the last of `steps`, on what the others lead to. `maker` is the last of those,
    /// by its name.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] without a step.
    pub fn new(objects: &Objects, steps: &[Step], maker: String) -> Result<Self> {
        let Some((submit, way)) = steps.split_last() else {
            return Err(Error::Usage("no method to call".into()));
        };
        Ok(Self {
            objects: objects.clone(),
            older: Arc::new(Registry::core(Generation::Core31)?),
            way: way.to_vec(),
            submit: submit.clone(),
            maker,
        })
    }

    /// Submits the solution to the template that the call's other methods make, or that `handle`
    /// is. Both ordinals of the method are tried on the same template.
    ///
    /// # Errors
    /// Returns the errors of the calls.
    pub fn run(self, handle: &str) -> Result<Json> {
        if self.way.is_empty() {
            return self.submit_to(handle);
        }
        let held = self.objects.handles();
        let Json::String(template) = self.objects.chain(handle, &self.way)? else {
            return Err(Error::failed(format!(
                "{} answered null: nothing to call on",
                self.maker
            )));
        };
        let answer = self.submit_to(&template);
        if held.iter().all(|(name, _)| *name != template) {
            self.objects.release(&template);
        }
        answer
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
        .map(newest_shape)
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
