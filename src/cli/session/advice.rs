//! What to tell somebody whose call takes long.
//!
//! Knows which of Core's methods wait for what; nothing of when that is told.

use super::Plan;

const METHOD: &str = "Mining.createNewBlock";
const PARAM: &str = "cooldown";

/// A line for people, where the call is one that may wait for longer than they expect.
pub(super) fn of(plan: &Plan) -> Option<&'static str> {
    let mut steps = plan.methods.iter().zip(&plan.steps);
    let waits = steps.any(|(method, step)| {
        let has_param = method.params.iter().any(|param| param.name == PARAM);
        has_param && method.full_name() == METHOD && step.params[PARAM] != false
    });
    waits.then_some(
        "a node that is behind, or in initial block download, answers only after that: \
         Mining.createNewBlock with cooldown=false answers at once",
    )
}
