//! What to tell somebody whose call takes long.
//!
//! Knows which of Core's methods wait for what; nothing of when that is told.

use super::Call;

const METHOD: &str = "Mining.createNewBlock";
const PARAM: &str = "cooldown";

impl Call {
    /// A line for people, where it may wait for longer than they expect.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let mut steps = self.plan.methods.iter().zip(&self.plan.steps);
        let waits = steps.any(|(method, step)| {
            let has_param = method.params.iter().any(|param| param.name == PARAM);
            has_param && method.full_name() == METHOD && step.params[PARAM] != false
        });
        waits.then_some(
            "a node that is behind, or in initial block download, answers only after that: \
         Mining.createNewBlock with cooldown=false answers at once",
        )
    }
}
