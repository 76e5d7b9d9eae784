//! The lines of `watch`: printed, and handed to a command.
//!
//! Knows lines, how many are wanted, and processes; nothing of where the lines come from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyre::Result;
use serde_json::Value as Json;

use crate::calls::shell::Shell;
use crate::context::Context;

/// The beginning of the names of a line's fields in a command's environment.
const PREFIX: &str = "WATCH_";

/// The longest variable that a command gets, in bytes: Linux takes 128 KiB.
const MAX_VARIABLE: usize = 100_000;

/// Prints lines, and runs a command for each. Clones count together.
#[derive(Clone)]
pub(crate) struct Teller {
    context: Context,
    exec: Option<String>,
    /// Held while a command runs, so that there is one at a time.
    left: Arc<Mutex<Option<u64>>>,
    end: Option<Instant>,
}

impl Teller {
    /// Begins: `count` lines and `time` from now on are enough.
    pub(crate) fn new(
        context: &Context,
        exec: Option<String>,
        count: Option<u64>,
        time: Option<Duration>,
    ) -> Self {
        Self {
            context: context.clone(),
            exec,
            left: Arc::new(Mutex::new(count)),
            // A time beyond what the clock can tell is none.
            end: time.and_then(|time| Instant::now().checked_add(time)),
        }
    }

    /// When it is enough, if that was said.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Returns how many lines are still wanted, if that was said.
    pub(crate) fn wanted(&self) -> Option<u64> {
        *self.left()
    }

    /// Whether it is enough.
    pub(crate) fn is_over(&self) -> bool {
        *self.left() == Some(0) || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Prints a line, and waits for the command that is run for it.
    pub(crate) fn tell(&self, line: &Json) -> Result<()> {
        let mut left = self.left();
        if *left == Some(0) {
            return Ok(());
        }
        self.context.output.json_line(line)?;
        *left = left.map(|left| left - 1);
        if let Some(command) = &self.exec {
            Shell::apart(&self.context, command)
                .variables(variables(line))
                .run()?;
        }
        Ok(())
    }

    fn left(&self) -> MutexGuard<'_, Option<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the environment of a command for a line: the whole, and the fields of an object, text as
/// it is and anything else as JSON.
fn variables(line: &Json) -> Vec<(String, String)> {
    let mut all = vec![(format!("{PREFIX}JSON"), line.to_string())];
    if let Json::Object(fields) = line {
        for (name, value) in fields {
            let name = name.chars().map(|c| match c.is_ascii_alphanumeric() {
                true => c.to_ascii_uppercase(),
                false => '_',
            });
            let value = match value {
                Json::String(text) => text.clone(),
                value => value.to_string(),
            };
            all.push((format!("{PREFIX}{}", name.collect::<String>()), value));
        }
    }
    // An environment holds no NUL, and not everything.
    all.retain(|(_, value)| !value.contains('\0') && value.len() <= MAX_VARIABLE);
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_variables() {
        let line = json!({ "height": 7, "hash": "00ff", "inner": { "a": null }, "JSON": "x", "nul": "\0" });
        let named = |name: &str| {
            let all = variables(&line);
            all.into_iter()
                .find(|(other, _)| other == name)
                .map(|(_, value)| value)
        };
        assert_eq!(named("WATCH_HEIGHT").unwrap(), "7");
        assert_eq!(named("WATCH_HASH").unwrap(), "00ff");
        assert_eq!(named("WATCH_INNER").unwrap(), r#"{"a":null}"#);
        assert_eq!(named("WATCH_JSON").unwrap(), line.to_string());
        assert_eq!(named("WATCH_NUL"), None);
        let long = variables(&json!("x".repeat(MAX_VARIABLE)));
        assert_eq!(long, []);
    }
}
