//! Tests of the names that methods are found by.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::schema::choice::NEWEST;

fn steps(path: &str) -> Result<Vec<String>, Failure> {
    let (_, steps) = Schema::of_core(NEWEST).resolve(path, None)?;
    Ok(steps.iter().map(Method::full_name).collect())
}

#[test]
fn paths_are_resolved() {
    assert_eq!(steps("echo").unwrap(), ["Echo.echo"]);
    assert_eq!(steps("eCHO.echo").unwrap(), ["Echo.echo"]);
    assert_eq!(
        steps("Init.makeEcho/echo").unwrap(),
        ["Init.makeEcho", "Echo.echo"]
    );
    assert_eq!(
        steps("mining.createNewBlock/waitNext/getBlock").unwrap(),
        [
            "Mining.createNewBlock",
            "BlockTemplate.waitNext",
            "BlockTemplate.getBlock"
        ]
    );
}

#[test]
fn unknown_names_come_with_the_nearest() {
    for (path, message, hint) in [
        (
            "Ecko.echo",
            "unknown interface \"Ecko\"",
            "did you mean Echo?",
        ),
        (
            "Echo.ecco",
            "Echo has no method \"ecco\"",
            "did you mean echo?",
        ),
        (
            "makeEhco",
            "unknown method \"makeEhco\"",
            "did you mean makeEcho?",
        ),
        (
            "getBlock",
            "Init makes no BlockTemplate",
            "call it on what makes one: Mining.createNewBlock/getBlock",
        ),
    ] {
        let failure = steps(path).unwrap_err();
        assert_eq!(
            (failure.message.as_str(), failure.hint.as_deref()),
            (message, Some(hint))
        );
    }
    assert!(steps("Echo.echo/echo").is_err());
    assert!(steps("Echo.destroy").is_err());
    assert!(steps("Init.construct").is_err());
    assert!(steps("").is_err());
}

#[test]
fn generations_have_their_ordinals() {
    let ordinal = |generation, name| {
        let schema = Schema::of_core(generation);
        let method = schema.named(name).map(|(_, method)| method.info.ordinal);
        method.ok()
    };
    assert_eq!(ordinal(Generation::Core30, "makeMining"), Some(2));
    assert_eq!(ordinal(Generation::Core31, "makeMining"), Some(3));
    assert_eq!(ordinal(Generation::Core30, "submitBlock"), None);
    let submit = "BlockTemplate.submitSolution";
    assert_eq!(ordinal(Generation::Core30, submit), Some(9));
    assert_eq!(ordinal(Generation::Core31, submit), Some(7));
    assert_eq!(ordinal(Generation::Core32, submit), Some(10));
}
