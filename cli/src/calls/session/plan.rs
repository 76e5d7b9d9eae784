//! A call whose words have been read, what it comes to, and its answer.
//!
//! Knows methods, their parameters, and which of Core's methods wait for what; nothing of the
//! connection that the call is made on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin_ipc::Generation;
use bitcoin_ipc::dynamic::call::Step;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::model::Type;
use bitcoin_ipc::dynamic::schema::{MethodInfo, Registry};
use serde_json::Value as Json;

use crate::calls::values::Words;
use crate::schema::choice::{NEWEST, Schema, Schemas};
use crate::schema::methods::{Method, Start};
use crate::ui::errors::Failure;

/// A call whose words have been read.
pub(crate) struct Call {
    pub(super) path: String,
    pub(super) words: Words,
    pub(super) plan: Plan,
}

/// A call as one schema has it.
pub(super) struct Plan {
    pub(super) generation: Option<Generation>,
    pub(super) start: Start,
    pub(super) methods: Vec<Method>,
    pub(super) steps: Vec<Step>,
    /// The last one's parameters for which an object is hosted that prints its calls.
    pub(super) prints: BTreeMap<String, Type>,
}

/// The answer to a call.
pub(crate) struct Answer {
    pub(super) value: Json,
    pub(super) method: Option<MethodInfo>,
    pub(super) has_result: bool,
    pub(super) is_object: bool,
}

impl Answer {
    /// Returns a value that is equal for equal answers of the method: for an object only whether
    /// there is one, since each has a handle of its own.
    pub(crate) fn to_compare(&self) -> Json {
        match self.is_object {
            true => Json::Bool(!self.value.is_null()),
            false => self.value.clone(),
        }
    }
}

impl Call {
    /// Its method, or the whole chain, for people.
    pub(crate) fn name(&self) -> String {
        let mut methods = self.plan.methods.iter();
        let first = methods.next().map_or_else(String::new, Method::full_name);
        methods.fold(first, |name, method| format!("{name}/{}", method.name()))
    }

    /// Whether objects are hosted for it.
    pub(crate) fn hosts(&self) -> bool {
        !self.plan.prints.is_empty()
    }

    /// A line for people, where it may wait for longer than they expect.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let mut steps = self.plan.methods.iter().zip(&self.plan.steps);
        let waits = steps.any(|(method, step)| {
            let (slow, says) = core::SLOW;
            let has_param = method.params.iter().any(|param| param.name == says);
            let is_slow = core::is_core(method.info.interface.file) && method.full_name() == slow;
            has_param && is_slow && step.params[says] != false
        });
        waits.then_some(
            "a node that is behind, or in initial block download, answers only after that: \
         Mining.createNewBlock with cooldown=false answers at once",
        )
    }
}

/// Returns the methods as words name them, each with the schema that has it so: the words are those of the
/// newest generation, whatever the node's is, for every method that the newest has.
pub(super) fn named(
    schemas: &Schemas,
    schema: &Schema,
    methods: &[Method],
) -> Result<(Vec<Method>, Vec<Arc<Registry>>), Failure> {
    let newest = match schema.generation {
        Some(generation) if generation < NEWEST => Some(schemas.of(NEWEST)?),
        _ => None,
    };
    let of_newest = |method: &Method| {
        let newest = newest.as_ref()?;
        let found = newest.find(method.info.interface.id, method.name()).ok()?;
        Some((found, newest.registry.clone()))
    };
    let own = |method: &Method| (method.clone(), schema.registry.clone());
    let named = methods
        .iter()
        .map(|method| of_newest(method).unwrap_or_else(|| own(method)));
    Ok(named.unzip())
}
