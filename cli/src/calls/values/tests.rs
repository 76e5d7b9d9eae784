//! How the words of calls are read.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::args::Cli;
use crate::schema::choice::Schemas;
use bitcoin_ipc::dynamic::core;
use clap::Parser;

fn bound(method: &str, words: &[&str]) -> Result<Json, String> {
    let cli = Cli::parse_from(["bitcoin-ipc", "man"]);
    let schema = Schemas::load(&cli.options).unwrap().assumed().unwrap();
    let (_, method) = schema.named(method).unwrap();
    let objects = Objects::new(schema.registry, core::options());
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let bound = Words::new(&words, false).bind(&[method], 0, &objects);
    let bound = bound.map_err(|failure| failure.message)?;
    Ok(Json::Object(bound.params))
}

/// A line's words on top of those of the command line.
fn lined(words: &[&str], line: &str) -> Result<Option<Json>, String> {
    let cli = Cli::parse_from(["bitcoin-ipc", "man"]);
    let schema = Schemas::load(&cli.options).unwrap().assumed().unwrap();
    let (_, method) = schema.named("waitTipChanged").unwrap();
    let objects = Objects::new(schema.registry, core::options());
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let words = Words::new(&words, false).with_line(line);
    let Some(mut words) = words.map_err(|failure| failure.message)? else {
        return Ok(None);
    };
    let bound = words.bind(&[method], 0, &objects);
    let bound = bound.map_err(|failure| failure.message)?;
    Ok(Some(Json::Object(bound.params)))
}

/// Returns a text with a whole hash for each `00`.
fn with_hash(text: &str) -> String {
    text.replace("00", &"00".repeat(32))
}

#[test]
fn a_line_adds_to_the_command_line_and_wins() {
    use serde_json::json;

    for (words, line, params) in [
        (
            &["00"][..],
            "1s",
            json!({"currentTip": "00", "timeout": "1s"}),
        ),
        (
            &["timeout=1s"],
            "00",
            json!({"timeout": "1s", "currentTip": "00"}),
        ),
        (
            &["00", "1s"],
            "timeout=2s",
            json!({"currentTip": "00", "timeout": "2s"}),
        ),
        (
            &[],
            " {\"currentTip\": \"00\"} ",
            json!({"currentTip": "00"}),
        ),
        (
            &["00", "1s"],
            "{\"timeout\":5}",
            json!({"currentTip": "00", "timeout": 5}),
        ),
        (
            &["{\"timeout\":5}"],
            "'00'",
            json!({"timeout": 5, "currentTip": "00"}),
        ),
        (&["00"], "{}", json!({"currentTip": "00"})),
    ] {
        let params = serde_json::from_str(&with_hash(&params.to_string())).unwrap();
        let words: Vec<String> = words.iter().map(|word| with_hash(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lined = lined(&words, &with_hash(line));
        assert_eq!(lined, Ok(Some(params)), "{words:?} {line}");
    }
    for line in ["", "  \t", "# nothing"] {
        assert_eq!(lined(&[&with_hash("00")], line), Ok(None));
    }
    for (words, line, part) in [
        (&["00"][..], "1s 2s", "no parameter is left"),
        (&[], "timeout=1s", "parameter currentTip (Data) is missing"),
        (&[], "{\"currentTip\":", "no JSON object"),
        (&[], "'00", "a quote is not closed"),
        (&[], "00 currentTip=00", "given twice"),
    ] {
        let words: Vec<String> = words.iter().map(|word| with_hash(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let message = lined(&words, &with_hash(line)).unwrap_err();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

fn text(words: &[&str]) -> Result<String, String> {
    Ok(bound("Echo.echo", words)?["echo"]
        .as_str()
        .unwrap()
        .to_owned())
}

#[test]
fn values_are_read_by_their_types() {
    use serde_json::json;

    let hash = "00".repeat(32);
    assert_eq!(
        bound("waitTipChanged", &[&hash, "200ms"]).unwrap(),
        json!({ "currentTip": hash, "timeout": "200ms" })
    );
    // What was named before is not waited for.
    assert_eq!(
        bound("waitTipChanged", &[&with_hash("currentTip=00"), "1s"]).unwrap(),
        json!({ "currentTip": hash, "timeout": "1s" })
    );
    assert_eq!(
        bound("createNewBlock", &["cooldown=0"]).unwrap(),
        json!({ "cooldown": false })
    );
    assert_eq!(
        bound("BlockTemplate.submitSolution", &["1", "2", "3", "00ff"]).unwrap(),
        json!({ "version": 1, "timestamp": 2, "nonce": 3, "coinbase": "00ff" })
    );
    for (method, words, part) in [
        (
            "waitTipChanged",
            &["zz"][..],
            "parameter currentTip (Data) cannot be \"zz\"",
        ),
        (
            "waitTipChanged",
            &[&hash, "5y"],
            "parameter timeout (Float64) cannot be \"5y\"",
        ),
        (
            "createNewBlock",
            &["{\"cooldown\":2}"],
            "parameter cooldown (Bool) cannot be \"2\"",
        ),
        (
            "createNewBlock",
            &["options={\"useMempol\":true}"],
            "useMempol",
        ),
        (
            "BlockTemplate.submitSolution",
            &["4294967296", "2", "3", "00"],
            "parameter version (UInt32) cannot be \"4294967296\"",
        ),
        ("BlockTemplate.submitSolution", &["0x1"], "no whole number"),
    ] {
        let message = bound(method, words).unwrap_err();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn every_form_of_a_value_is_read() {
    for words in ["hi", "echo=hi", "echo:=\"hi\"", "{\"echo\":\"hi\"}"] {
        assert_eq!(text(&[words]).unwrap(), "hi");
    }
    assert_eq!(text(&["echo=a=b"]).unwrap(), "a=b");
    assert_eq!(text(&["a b=c"]).unwrap(), "a b=c");
    assert_eq!(text(&["{open"]).unwrap(), "{open");
    assert_eq!(text(&["echo={x}"]).unwrap(), "{x}");
}

#[test]
fn what_is_wrong_is_named() {
    for (words, message) in [
        (&[][..], "Echo.echo: parameter echo (Text) is missing"),
        (
            &["a", "b"],
            "Echo.echo: no parameter is left for the value \"b\"",
        ),
        (&["a", "echo=b"], "Echo.echo: parameter echo is given twice"),
        (&["ecko=b"], "Echo.echo has no parameter \"ecko\""),
        (
            &["echo:=5"],
            "Echo.echo: parameter echo (Text) cannot be \"5\": Text: 5 is no string",
        ),
        (
            &["-"],
            "Echo.echo: parameter echo (Text) cannot be \"-\": the input is in use already",
        ),
    ] {
        assert_eq!(text(words).unwrap_err(), message);
    }
    assert!(
        text(&["{\"echo\":1}"])
            .unwrap_err()
            .contains("cannot be \"1\"")
    );
    assert!(text(&["{bad}"]).unwrap_err().contains("no JSON object"));
    assert!(
        text(&["echo:=x"])
            .unwrap_err()
            .contains("no JSON: expected")
    );
}
