//! The calls of methods that wait for a new tip or template. They are sent in slices, so that a wait
//! which is given up, also by a client that is killed, stays in the node no longer than a slice.
//!
//! Knows the names of Core's methods and of their fields; nothing of signals or of who gives up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::way::Way;
use crate::dynamic::call::{Objects, Step};
use crate::dynamic::json::milliseconds;
use crate::dynamic::schema::model::Brand;
use crate::error::{Error, Result};
use crate::generation::{Generation, SLICE};

/// The time by which a clock of the node may be behind ours at the end of a slice. What ends before that
/// was interrupted.
const EARLY: Duration = Duration::from_millis(20);

/// The methods that wait: the name, the field of the result that tells that nothing has changed, and the
/// method that interrupts them.
const WAITS: [(&str, Unchanged, &str); 2] = [
    ("Mining.waitTipChanged", Unchanged::Tip, "Mining.interrupt"),
    (
        "BlockTemplate.waitNext",
        Unchanged::Null,
        "BlockTemplate.interruptWait",
    ),
];

/// The answer of a wait in which nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unchanged {
    /// The tip that the caller knows.
    Tip,
    /// No template.
    Null,
}

/// Returns whether the answer of a method, by its full name, is that the wait was ended: the node shuts
/// down, or was told to interrupt it. It is no tip.
#[must_use]
pub fn was_ended(method: &str, answer: &Json) -> bool {
    let wait = WAITS.iter().find(|(name, ..)| *name == method);
    answer.is_null() && wait.is_some_and(|(_, unchanged, _)| *unchanged == Unchanged::Tip)
}

/// A call that waits.
pub struct Wait {
    objects: Objects,
    way: Way,
    step: Step,
    unchanged: Unchanged,
    /// The time that the caller asks for; `None` is for ever.
    timeout: Option<Duration>,
    stop: Stop,
}

/// Ends a wait. Clones end the same one.
#[derive(Clone)]
pub struct Stop {
    objects: Objects,
    interrupt: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// The object that is waited on.
    object: Option<String>,
}

impl Wait {
    /// Prepares the call of the last of `steps`, if it is a method, by its full name, of a peer of a
    /// generation, that waits. `maker` names the method before it.
    ///
    /// # Errors
    /// Returns [`Error::Conversion`] where the time to wait cannot be read.
    pub fn of(
        generation: Option<Generation>,
        method: &str,
        objects: &Objects,
        steps: &[Step],
        maker: String,
    ) -> Result<Option<Self>> {
        let wait = WAITS.iter().find(|(name, ..)| *name == method);
        let (Some((name, unchanged, interrupt)), Some(_)) = (wait, generation) else {
            return Ok(None);
        };
        let (way, step) = Way::of(steps, maker)?;
        let timeout = match timeout_of(&step.params, *unchanged) {
            Json::Null => f64::MAX,
            given => milliseconds(given)
                .map_err(|reason| Error::conversion(format!("{name}.timeout"), reason))?,
        };
        Ok(Some(Self {
            objects: objects.clone(),
            way,
            step,
            unchanged: *unchanged,
            // What no clock can tell is for ever.
            timeout: Duration::try_from_secs_f64(timeout.max(0.0) / 1000.0).ok(),
            stop: Stop {
                objects: objects.clone(),
                interrupt,
                state: Arc::default(),
            },
        }))
    }

    /// Returns what ends the wait.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits on what the call's other methods lead to from `handle`. A wait that was ended answers null.
    ///
    /// # Errors
    /// Returns the errors of the calls.
    pub fn run(self, handle: &str) -> Result<Json> {
        self.way.with_object(&self.objects, handle, |object| {
            if !self.stop.begin(object) {
                return Ok(Json::Null);
            }
            let answer = self.in_slices(object);
            self.stop.state().object = None;
            answer
        })
    }

    fn in_slices(&self, object: &str) -> Result<Json> {
        let begun = Instant::now();
        // A time that is no longer than a slice goes out as it is.
        let mut left = self.timeout;
        loop {
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let mut step = self.step.clone();
            set_timeout(&mut step.params, self.unchanged, slice);
            let sliced = Instant::now();
            let answer = self.objects.chain(object, std::slice::from_ref(&step))?;
            let is_last = left.is_some_and(|left| left <= SLICE);
            if is_last || self.stop.state().stopped || !self.is_unchanged(&answer) {
                return Ok(answer);
            }
            // It was interrupted by somebody else.
            if self.unchanged == Unchanged::Null && sliced.elapsed() + EARLY < slice {
                return Ok(answer);
            }
            left = self
                .timeout
                .map(|timeout| timeout.saturating_sub(begun.elapsed()));
        }
    }

    fn is_unchanged(&self, answer: &Json) -> bool {
        match self.unchanged {
            Unchanged::Null => answer.is_null(),
            Unchanged::Tip => {
                let known = self.step.params["currentTip"].as_str();
                let found = answer["hash"].as_str();
                known
                    .zip(found)
                    .is_some_and(|(known, found)| known.eq_ignore_ascii_case(found))
            }
        }
    }
}

impl Stop {
    /// Returns the method that interrupts the wait, where the peer's schema has one. Elsewhere the wait ends
    /// with its slice.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        let (interface, method) = self.interrupt.rsplit_once('.')?;
        let registry = self.objects.registry();
        let id = registry.find_interface(interface).ok()?.id;
        let found = registry.method_of(id, &Brand::default(), method);
        found.is_ok().then_some(self.interrupt)
    }

    /// Ends the wait: by the method that interrupts it, where the peer has that, or with the slice that is
    /// under way.
    ///
    /// # Errors
    /// Returns the errors of the call.
    pub fn stop(&self) -> Result<Json> {
        let mut state = self.state();
        state.stopped = true;
        let object = state.object.clone();
        drop(state);
        let Some(object) = object else {
            return Ok(Json::Null);
        };
        let (_, method) = self.interrupt.rsplit_once('.').unwrap_or_default();
        match self.objects.call(&object, method, Json::Null) {
            // Not every build of Core 30 has it, and a schema of 30 may lack it.
            Err(Error::Unimplemented(_) | Error::Usage(_)) => Ok(Json::Null),
            answer => answer,
        }
    }

    /// Records the object that is waited on. Returns whether the wait may begin.
    fn begin(&self, object: &str) -> bool {
        let mut state = self.state();
        state.object = Some(object.to_owned());
        !state.stopped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time to wait among a method's parameters.
fn timeout_of(params: &Json, unchanged: Unchanged) -> &Json {
    match unchanged {
        Unchanged::Tip => &params["timeout"],
        Unchanged::Null => &params["options"]["timeout"],
    }
}

/// Sets the time to wait.
fn set_timeout(params: &mut Json, unchanged: Unchanged, timeout: Duration) {
    let millis = json!(timeout.as_secs_f64() * 1000.0);
    if !params.is_object() {
        *params = json!({});
    }
    match unchanged {
        Unchanged::Tip => params["timeout"] = millis,
        Unchanged::Null => {
            if !params["options"].is_object() {
                params["options"] = json!({});
            }
            params["options"]["timeout"] = millis;
        }
    }
}

crate::opaque::opaque!(Wait, "Wait");
crate::opaque::opaque!(Stop, "Stop");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_where_the_method_has_it() {
        let tip = json!({ "currentTip": "00", "timeout": "5s" });
        assert_eq!(timeout_of(&tip, Unchanged::Tip), "5s");
        assert_eq!(timeout_of(&json!(null), Unchanged::Null), &Json::Null);
        let slice = Duration::from_millis(1500);
        for (mut params, unchanged, expected) in [
            (
                tip,
                Unchanged::Tip,
                json!({ "currentTip": "00", "timeout": 1500.0 }),
            ),
            (
                json!(null),
                Unchanged::Null,
                json!({ "options": { "timeout": 1500.0 } }),
            ),
            (
                json!({ "options": { "feeThreshold": 7, "timeout": "forever" } }),
                Unchanged::Null,
                json!({ "options": { "feeThreshold": 7, "timeout": 1500.0 } }),
            ),
        ] {
            set_timeout(&mut params, unchanged, slice);
            assert_eq!(params, expected);
        }
    }
}
