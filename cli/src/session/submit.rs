//! `BlockTemplate.submitSolution` on a node between two generations.
//!
//! Builds between Core 31 and 32 have 32's `Init` and 31's `BlockTemplate`: they lack 32's @10, and
//! their @7 is the method, where 32 has one that only refuses. Knows that one method; nothing of
//! others.

use std::sync::Arc;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::{Error, Generation};
use serde_json::Value as Json;

use super::Session;
use super::plan::Plan;

/// The method whose ordinal has changed.
const METHOD: &str = "BlockTemplate.submitSolution";

impl Session {
    /// Whether the call ends in `submitSolution` on a peer that looks like Core 32.
    pub(super) fn may_be_older(&self, plan: &Plan) -> bool {
        let last = plan.methods.last();
        self.schemas.fixed.is_none()
            && self.schema.generation == Some(Generation::Core32)
            && last.is_some_and(|method| method.full_name() == METHOD)
    }
}

/// A solution to submit.
pub(super) struct Submit {
    objects: Objects,
    /// Core 31's schema.
    older: Arc<Registry>,
    way: Vec<Step>,
    submit: Step,
    /// The method that makes the template.
    maker: String,
}

impl Submit {
    pub(super) fn new(objects: &Objects, older: Arc<Registry>, plan: &Plan) -> Result<Self, Error> {
        let Some((submit, way)) = plan.steps.split_last() else {
            return Err(Error::Usage("no method to call".into()));
        };
        let maker = plan.methods.iter().rev().nth(1);
        Ok(Self {
            objects: objects.clone(),
            older,
            way: way.to_vec(),
            submit: submit.clone(),
            maker: maker.map_or_else(String::new, super::Method::full_name),
        })
    }

    /// Submits the solution to the template that the call's other methods make, or that `handle`
    /// is. Both ordinals of the method are tried on the same template.
    pub(super) fn run(self, handle: &str) -> Result<Json, Error> {
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

    fn submit_to(&self, template: &str) -> Result<Json, Error> {
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
