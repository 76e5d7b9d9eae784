//! Parts of results, and results that count as failures.
//!
//! Knows JSON; nothing of how results are made or printed.

use eyre::Result;
use serde_json::Value as Json;

use crate::args::Pick;
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::{Output, Shown};

impl Pick {
    /// Prints the part of a result that is wanted.
    ///
    /// # Errors
    /// Fails where the result has no such part, and after printing it where it counts as a failure.
    pub(crate) fn print(
        &self,
        output: &Output,
        shown: Shown,
        of: &str,
        one_of_many: bool,
    ) -> Result<()> {
        let checked = self.check(shown.value(), of);
        output.result(&self.part(shown)?, one_of_many)?;
        Ok(checked?)
    }

    /// Returns the part of a result that is wanted.
    ///
    /// # Errors
    /// Fails where the result has no such part, and where it counts as a failure.
    pub(crate) fn of(&self, shown: Shown, of: &str) -> Result<Shown, Failure> {
        self.check(shown.value(), of)?;
        self.part(shown)
    }

    /// Whether the result is to be printed as it is and counts as a success whatever it is.
    pub(crate) fn is_all(&self) -> bool {
        self.get.is_none() && !self.fail
    }

    /// Returns the part of a result that is wanted.
    ///
    /// # Errors
    /// Fails where the result has no such part, naming those that it has.
    fn part(&self, shown: Shown) -> Result<Shown, Failure> {
        let Some(path) = &self.get else {
            return Ok(shown);
        };
        let mut value = shown.into_value();
        let mut before = String::new();
        for name in path.split('.') {
            let found = match &mut value {
                Json::Object(fields) => fields.get_mut(name),
                Json::Array(elements) => {
                    name.parse().ok().and_then(|at: usize| elements.get_mut(at))
                }
                _ => None,
            };
            let Some(found) = found else {
                return Err(missing(&value, name, &before));
            };
            value = found.take();
            before = format!("{before}{name}.");
        }
        Ok(Shown::of(value))
    }

    /// Fails where the result counts as a failure.
    fn check(&self, value: &Json, of: &str) -> Result<(), Failure> {
        let says_no = |value: &Json| matches!(value, Json::Null | Json::Bool(false));
        let of_struct = |value: &Json| value.get("result").is_some_and(says_no);
        if self.fail && (says_no(value) || of_struct(value)) {
            let shown = value.to_string();
            let shown = crate::calls::values::shortened(&shown);
            return Err(Failure::new(Kind::Failed, format!("{of} answered {shown}"))
                .hint("--fail has a result that is false or null count as a failure"));
        }
        Ok(())
    }
}

fn missing(value: &Json, name: &str, before: &str) -> Failure {
    let place = match before.strip_suffix('.') {
        None => "the result".to_owned(),
        Some(before) => format!("{before} of the result"),
    };
    let failure = Failure::new(Kind::Failed, format!("{place} has no {name:?}"));
    match value {
        Json::Object(fields) => {
            let names: Vec<_> = fields.keys().map(String::as_str).collect();
            failure.hint(format!("it has {}", names.join(", ")))
        }
        Json::Array(elements) => failure.hint(match elements.len() {
            0 => "it is an empty list".to_owned(),
            1 => "it is a list of one element, 0".to_owned(),
            count => format!("it is a list with the elements 0 to {}", count - 1),
        }),
        Json::Null => failure.hint("it is null"),
        _ => failure.hint("it is a single value, which --get is not needed for"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn get(path: &str, value: Json) -> Result<Json, String> {
        let pick = Pick {
            get: Some(path.into()),
            fail: false,
        };
        match pick.part(Shown::of(value)) {
            Ok(shown) => Ok(shown.into_value()),
            Err(failure) => Err(format!(
                "{failure} ({})",
                failure.hint.as_deref().unwrap_or("")
            )),
        }
    }

    #[test]
    fn parts_are_named_by_their_way() {
        let value = json!({ "hash": "00", "outputs": [{ "value": 5 }, { "value": 7 }] });
        assert_eq!(get("hash", value.clone()), Ok("00".into()));
        assert_eq!(get("outputs.1.value", value.clone()), Ok(7.into()));
        assert_eq!(get("outputs.0", value.clone()), Ok(json!({ "value": 5 })));
        for (path, message) in [
            (
                "height",
                "the result has no \"height\" (it has hash, outputs)",
            ),
            (
                "outputs.2",
                "outputs of the result has no \"2\" (it is a list with the elements 0 to 1)",
            ),
            (
                "hash.x",
                "hash of the result has no \"x\" (it is a single value, which --get is not needed for)",
            ),
        ] {
            assert_eq!(get(path, value.clone()), Err(message.into()));
        }
        assert_eq!(
            get("x", Json::Null),
            Err("the result has no \"x\" (it is null)".into())
        );
    }

    #[test]
    fn what_is_false_or_null_fails_on_demand() {
        let fail = Pick {
            get: None,
            fail: true,
        };
        for (value, fails) in [
            (json!(null), true),
            (json!(false), true),
            (json!({ "result": false, "reason": "high-hash" }), true),
            (json!({ "result": null }), true),
            (json!({ "result": true }), false),
            (json!(0), false),
            (json!(""), false),
            (json!({}), false),
            (json!([]), false),
        ] {
            assert_eq!(fail.check(&value, "x").is_err(), fails, "{value}");
            assert!(Pick::default().check(&value, "x").is_ok());
        }
    }
}
