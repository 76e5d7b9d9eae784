//! Tests of the rules between two generations: what they convert, and the errors of what they do not.

use std::fs;
use std::path::PathBuf;

use crate::layout::Layout;
use crate::model::adapt::{Adapters, Convert, How, Older, Said, adapt};
use crate::model::{self, Model};
use crate::request::Request;

fn model(name: &str, layout: &Layout) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/generations");
    let bytes = fs::read(path.join(name)).expect("a compiled schema");
    let request = Request::read(&bytes, name).expect("a request");
    let index = request.index(name).expect("an index");
    model::build(&index, layout).expect("a model")
}

fn adapted(said: &Said) -> Result<Adapters, String> {
    let newest = model("newer.bin", &Layout::library());
    let older = model("older.bin", &Layout::older("shop1"));
    adapt(&newest, &older, "shop1", said).map_err(|error| error.to_string())
}

/// All that has to be said of the two: the list it belongs to, its place, and what is wrong without it.
const SAID: [(&str, &str, &str); 5] = [
    ("lacking", "Order.colour", "only one of the two has it"),
    (
        "lacking",
        "Shop.sell.gift",
        "the older method has no such parameter",
    ),
    ("lacking", "Receipt.shop", "only one of the two has it"),
    ("by hand", "Shop.tell", "its type is another"),
    (
        "gone",
        "Shop.close",
        "the newest interface has no such method",
    ),
];

fn said<'a>(places: impl Iterator<Item = &'a (&'a str, &'a str, &'a str)>) -> Said {
    let mut said = Said::default();
    for (list, place, _) in places {
        let list = match *list {
            "lacking" => &mut said.lacking,
            "by hand" => &mut said.by_hand,
            _ => &mut said.gone,
        };
        list.push((*place).to_owned());
    }
    said
}

#[test]
fn what_no_rule_maps_is_an_error_that_names_it() {
    for (left, (_, place, reason)) in SAID.iter().enumerate() {
        let others = SAID.iter().enumerate().filter(|(at, _)| *at != left);
        let error = adapted(&said(others.map(|(_, said)| said))).expect_err(place);
        let expected = format!("shop1: {place}: {reason}, for which there is no rule");
        assert!(error.starts_with(&expected), "{error}");
    }
    let adapters = adapted(&said(SAID.iter())).expect("all is said");
    let heeded: Vec<&str> = adapters.heeded.iter().map(String::as_str).collect();
    let mut all: Vec<&str> = SAID.iter().map(|(_, place, _)| *place).collect();
    all.sort_unstable();
    assert_eq!(heeded, all);
}

fn how<'a>(adapters: &'a Adapters, method: &str) -> &'a How {
    let [shop] = &adapters.interfaces[..] else {
        panic!("one interface");
    };
    let mut methods = shop.methods.iter();
    let found = methods.find(|adapted| adapted.method.schema == method);
    &found.expect(method).how
}

fn older<'a>(adapters: &'a Adapters, method: &str) -> &'a Older {
    match how(adapters, method) {
        How::Call(older) => older,
        How::Lacking => panic!("{method} is lacking"),
    }
}

/// Returns the name of the struct or interface by which a value is converted.
fn converted(convert: &Convert) -> (&str, &str) {
    match convert {
        Convert::Same => ("same", ""),
        Convert::Struct(named) => ("struct", &named.schema),
        Convert::Wrap(named) => ("wrap", &named.schema),
        Convert::Each(each) => ("each", converted(each).1),
    }
}

#[test]
fn methods_and_values_are_converted_by_their_names() {
    let adapters = adapted(&said(SAID.iter())).expect("all is said");
    // In the older method's order.
    let sell = older(&adapters, "sell");
    let params: Vec<_> = sell
        .params
        .iter()
        .map(|(param, convert)| (param.schema.as_str(), converted(convert)))
        .collect();
    assert_eq!(
        params,
        [("order", ("struct", "Order")), ("count", ("same", ""))]
    );
    let answer = |method| older(&adapters, method).answer.as_ref().map(converted);
    assert_eq!(answer("sell"), Some(("struct", "Receipt")));
    assert_eq!(answer("list"), Some(("each", "Receipt")));
    assert_eq!(answer("open"), Some(("wrap", "Shop")));
    assert_eq!(answer("tell"), None);
    assert!(matches!(how(&adapters, "greet"), How::Lacking));

    let [order] = &adapters.older[..] else {
        panic!("one struct is sent");
    };
    let fields: Vec<&str> = order
        .fields
        .iter()
        .map(|(field, _)| field.schema.as_str())
        .collect();
    assert_eq!((fields, order.has_more), (vec!["item", "old"], false));
    let [receipt] = &adapters.newest[..] else {
        panic!("one struct is answered");
    };
    let fields: Vec<&str> = receipt
        .fields
        .iter()
        .map(|(field, _)| field.schema.as_str())
        .collect();
    assert_eq!((fields, receipt.has_more), (vec!["price"], true));
}

/// A call by the newest ordinals would be another one: its parameters swap places, or it has no thread.
#[test]
fn a_method_is_not_the_same_where_its_message_is_not() {
    let adapters = adapted(&said(SAID.iter())).expect("all is said");
    let swap = older(&adapters, "swap");
    assert!(
        swap.params
            .iter()
            .all(|(_, convert)| *convert == Convert::Same)
    );
    assert_eq!(swap.answer, Some(Convert::Same));
    assert!(!swap.is_same);
    assert!(older(&adapters, "peek").is_same);
    assert!(!older(&adapters, "poke").is_same);
}
