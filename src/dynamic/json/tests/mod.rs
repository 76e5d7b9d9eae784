//! Tests of each value that is not plain, and of the errors of rejected ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbitrary;
mod fuzz;
mod properties;
mod tool;

use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use super::*;
use crate::Generation;
use crate::dynamic::core::options as core_options;
use crate::dynamic::json::shape::ANY_KEY;
use crate::dynamic::schema::model::{Brand, Field, Kind, Place, Value};

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Registry::core(Generation::Core32).unwrap();
        let bytes = include_bytes!("../../../../schema/every/compiled.bin");
        registry.add(bytes, "every").unwrap();
        registry
    })
}

fn ty(name: &str) -> Type {
    Type::Struct(registry().find_type(name).unwrap().id, Brand::default())
}

fn write_with(options: &Options, name: &str, json: &Json) -> Result<Vec<u8>> {
    Converter::new(registry(), options).to_bytes(json, &ty(name), name)
}

fn read_with(options: &Options, name: &str, words: &[u8]) -> Result<Json> {
    Converter::new(registry(), options).from_bytes(words, &ty(name), name)
}

fn write(name: &str, json: &Json) -> Result<Vec<u8>> {
    write_with(&Options::default(), name, json)
}

fn read(name: &str, words: &[u8]) -> Json {
    read_with(&Options::default(), name, words).unwrap()
}

/// Returns the JSON after a round trip over the wire.
fn over(name: &str, json: Json) -> Json {
    read(name, &write(name, &json).unwrap())
}

#[track_caller]
fn refused(name: &str, json: Json, words: &str) {
    let error = write(name, &json).unwrap_err().to_string();
    assert!(error.contains(words), "{error}\nhas not: {words}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let every = over("Every", json!({}));
    assert_eq!(every["int64"], json!(0));
    assert_eq!(every["text"], json!(""));
    // FAULTS H3: as a struct, which is told apart from an empty one.
    assert_eq!(every["data"], Json::Null);
    assert_eq!(over("Every", json!({ "data": "" }))["data"], json!(""));
    assert_eq!(every["enum"], json!("red"));
    assert_eq!(every["point"], Json::Null);
    assert_eq!(every["lists"], Json::Null);
    assert_eq!(every["nothing"], Json::Null);
    assert!(every.get("number").is_none(), "only the active member");
    assert_eq!(
        every["defaults"],
        json!({
            "bool": true, "int8": -128, "int16": -1600, "int32": -320_000, "int64": i64::MIN,
            "uint8": 255, "uint16": 65535, "uint32": u32::MAX, "uint64": u64::MAX,
            "float32": 1.5, "float64": "-Infinity", "text": "default", "data": "00ff22",
            "enum": "blue", "point": {"x": 1, "y": -2, "label": "there"}, "numbers": [1, 2, 3],
            "points": [{"x": 1, "y": 0, "label": ""}, {"x": 0, "y": 0, "label": "second"}],
        })
    );
    let zeros = json!({"defaults": {"bool": false, "int8": 0, "int64": 0, "uint64": 0,
        "float64": 0.0, "text": "", "data": "", "enum": "red", "numbers": []}});
    let zeros = over("Every", zeros);
    assert_eq!(zeros["defaults"]["bool"], json!(false));
    assert_eq!(zeros["defaults"]["uint64"], json!(0));
    assert_eq!(zeros["defaults"]["float64"], json!(0.0));
    assert_eq!(zeros["defaults"]["text"], json!(""));
    assert_eq!(zeros["defaults"]["numbers"], json!([]));
}

#[test]
fn fields_come_in_the_order_of_the_source() {
    let point = over("Point", json!({"label": "a", "y": 2, "x": 1}));
    assert_eq!(point.to_string(), r#"{"x":1,"y":2,"label":"a"}"#);
}

#[test]
fn unions_have_one_member() {
    for member in [
        json!({"number": -1}),
        json!({"word": "x"}),
        json!({"spot": {"x": 1, "y": 2, "label": "z"}}),
        json!({"pair": {"first": 3, "second": "4"}}),
        json!({"words": ["a", "b"]}),
        json!({"nothing": null}),
    ] {
        let every = over("Every", member.clone());
        let (name, value) = member.as_object().unwrap().iter().next().unwrap();
        assert_eq!(every[name], *value);
        let members = ["nothing", "number", "word", "spot", "pair", "words"];
        let count = members.iter().filter(|m| every.get(**m).is_some()).count();
        assert_eq!(count, 1, "{every}");
    }
    assert_eq!(over("Every", json!({"number": 7}))["number"], json!(7));
    let shape = over("Every", json!({"shape": {"square": 0.5}}));
    assert_eq!(shape["shape"], json!({"square": 0.5}));
    refused(
        "Every",
        json!({"word": "x", "number": 1}),
        "\"word\" and \"number\" are members of one union",
    );
}

#[test]
fn numbers_keep_every_bit() {
    let json = json!({
        "int64": i64::MIN, "uint64": u64::MAX, "float64": "NaN", "float32": "-Infinity",
        "defaults": {"int64": 9_007_199_254_740_993_i64, "float64": -0.0}
    });
    let every = over("Every", json.clone());
    assert_eq!(every["int64"], json["int64"]);
    assert_eq!(every["uint64"], json["uint64"]);
    assert_eq!(every["float64"], "NaN");
    assert_eq!(every["float32"], "-Infinity");
    assert_eq!(every["defaults"]["int64"], json["defaults"]["int64"]);
    assert_eq!(every["defaults"]["float64"].to_string(), "-0.0");
}

#[test]
fn text_that_is_no_utf8_is_kept() {
    let text = json!({"text": {"$text": "61ff00"}});
    assert_eq!(over("Every", text.clone())["text"], text["text"]);
}

#[test]
fn type_parameters_are_bound() {
    let boxes = json!({
        "box": {"value": {"x": 1, "y": 2, "label": "p"},
                "label": {"name": "n", "value": {"x": 3, "y": 4, "label": "q"}}},
        "texts": {"value": "t", "label": null},
        "nested": {"value": {"value": [1, 2], "label": null}, "label": null},
    });
    let every = over("Every", boxes.clone());
    for name in ["box", "texts", "nested"] {
        assert_eq!(every[name], boxes[name]);
    }
    refused(
        "Every",
        json!({"texts": {"value": 1}}),
        "Every.texts.value: Text: 1 is no string",
    );
}

#[test]
fn a_type_that_doubles_with_each_level_ends() {
    let mut json = json!({"value": null});
    for _ in 0..60 {
        json = json!({"next": json});
    }
    assert!(write("Twice", &json).is_ok());
    for _ in 0..60 {
        json = json!({"next": json});
    }
    refused("Twice", json, "nested too deeply");
}

#[test]
fn a_default_that_contains_itself_ends() {
    let endless = over("Endless", json!({"name": "a"}));
    let expected = json!({"name": "again", "next": null, "twice": null});
    assert_eq!(endless["next"], expected);
}

#[test]
fn any_pointers_are_canonical_messages() {
    let point = write("Point", &json!({"x": 5, "label": "any"})).unwrap();
    let any = json!({"anyPointer": scalar::hex(&point)});
    let holder = over("Holder", json!({"any": any, "unbound": {"value": any}}));
    assert_eq!(holder["any"], any);
    assert_eq!(holder["unbound"]["value"], any);
    assert_eq!(over("Holder", json!({}))["any"], Json::Null);
    for wrong in [
        json!({"anyPointer": "00"}),
        json!({"anyPointer": ""}),
        json!({"anyPointer": "ffffffffffffffff"}),
        json!({"any": 1}),
    ] {
        refused("Holder", json!({"any": wrong}), "Holder.any: AnyPointer");
    }
    refused(
        "Holder",
        json!({"any": "x"}),
        "an object cannot be given here",
    );
    refused(
        "Holder",
        json!({"keeper": "x"}),
        "Holder.keeper: an object cannot be given here",
    );
}

#[test]
fn a_newer_peers_values_are_seen() {
    let new = json!({"kind": "third", "three": 3, "more": "m"});
    let words = write("New", &new).unwrap();
    let old = read("Old", &words);
    assert_eq!(old, json!({"kind": 2, "$union": 2}));
    assert_eq!(over("Old", old.clone()), old);
    let back = read(
        "New",
        &write("Old", &json!({"kind": "second", "two": "t"})).unwrap(),
    );
    assert_eq!(back, json!({"kind": "second", "two": "t", "more": ""}));
    refused("Old", json!({"$union": 1}), "is the member \"two\"");
    refused(
        "Old",
        json!({"$union": 5, "one": 1}),
        "members of one union",
    );
    refused(
        "Point",
        json!({"$union": 1}),
        "for a union that is not there",
    );
}

#[test]
fn errors_name_the_field_its_type_and_the_value() {
    refused(
        "Every",
        json!({"lists": {"points": [{}, {"x": "1"}]}}),
        "Every.lists.points[1].x: Int32: \"1\" is no number",
    );
    refused(
        "Every",
        json!({"uint8": 256}),
        "Every.uint8: UInt8: 256 is out of range",
    );
    refused(
        "Every",
        json!({"bool": 1}),
        "Every.bool: Bool: 1 is not true or false",
    );
    refused(
        "Every",
        json!({"data": "0x00"}),
        "Every.data: Data: \"0x00\" has 'x' as character 2, which is no hex digit",
    );
    refused(
        "Every",
        json!({"enum": "bleu"}),
        "Colour: \"bleu\" is no value of it; did you mean \"blue\"? (one of ",
    );
    refused(
        "Every",
        json!({"nubmer": 1}),
        "Every.nubmer: Every has no field \"nubmer\"; did you mean \"number\"?",
    );
    refused(
        "Every",
        json!({"lists": {"cube": [[1]]}}),
        "Every.lists.cube[0][0]: List(Data): 1 is no array",
    );
    refused("Every", json!([]), "Every: Every: [] is no object");
    refused(
        "Every",
        json!({"int8": null}),
        "Every.int8: Int8: null is no number",
    );
    refused(
        "Every",
        json!({"void": 0}),
        "Every.void: Void: 0 is not null",
    );
    let long = "x".repeat(1000);
    assert!(
        write("Every", &json!({"data": long}))
            .unwrap_err()
            .to_string()
            .len()
            < 200
    );
}

#[test]
fn bounds_hold_both_ways() {
    let small = |bounds| Options::default().bounds(bounds);
    let lists = json!({"lists": {"voids": vec![(); 1000], "texts": ["a", "b", "c"]}});
    let words = write("Every", &lists).unwrap();
    for bounds in [
        Bounds::default().list(999),
        Bounds::default().json_bytes(50_000),
        Bounds::default().depth(1),
    ] {
        assert!(
            read_with(&small(bounds), "Every", &words).is_err(),
            "{bounds:?}"
        );
    }
    for bounds in [
        Bounds::default().list(999),
        Bounds::default().wire_bytes(300),
        Bounds::default().depth(1),
    ] {
        assert!(
            write_with(&small(bounds), "Every", &lists).is_err(),
            "{bounds:?}"
        );
    }
    let many = json!({"lists": {"points": vec![json!({}); 100_000]}});
    let bounds = Bounds::default().wire_bytes(1 << 20);
    assert!(write_with(&small(bounds), "Every", &many).is_err());
}

#[test]
fn core_fields_have_their_meaning() {
    let core = core_options();
    let (hash, reversed) = (["01", &"02".repeat(31)], [&"02".repeat(31), "01"]);
    let (hash, reversed) = (hash.concat(), reversed.concat());
    let block = json!({"hash": hash, "height": 1});
    let words = write_with(&core, "BlockRef", &block).unwrap();
    assert_eq!(read("BlockRef", &words)["hash"], reversed);
    let in_wire_order = core_options().meaning(|owner, field, ty| {
        match crate::dynamic::core::meaning(owner, field, ty) {
            Meaning::Hash => Meaning::WireHash,
            meaning => meaning,
        }
    });
    let words = write_with(&in_wire_order, "BlockRef", &block).unwrap();
    assert_eq!(read("BlockRef", &words)["hash"], hash);
    // A node would take the bytes that are there, or end.
    for (short, bytes) in [(&hash[2..], 31), ("", 0), (&format!("{hash}00"), 33)] {
        for options in [&core, &in_wire_order] {
            let error = write_with(options, "BlockRef", &json!({"hash": short})).unwrap_err();
            let expected = format!("has a length of {bytes} instead of the 32 bytes of a hash");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
    let wait = json!({"timeout": "5s"});
    let words = write_with(&core, "BlockWaitOptions", &wait).unwrap();
    assert_eq!(read("BlockWaitOptions", &words)["timeout"], json!(5000.0));
    let words = write_with(&core, "BlockWaitOptions", &json!({})).unwrap();
    let read = read_with(&core, "BlockWaitOptions", &words).unwrap();
    assert_eq!(read["timeout"], "forever");
}

#[test]
fn a_flag_and_its_field_are_one() {
    let (core, plain) = (core_options(), Options::default());
    let name = "TextKeeper.size$Results";
    for (short, long) in [
        (
            json!({"result": 5}),
            json!({"result": 5, "hasResult": true}),
        ),
        (
            json!({"result": null}),
            json!({"result": 0, "hasResult": false}),
        ),
    ] {
        let words = write_with(&core, name, &short).unwrap();
        assert_eq!(read_with(&core, name, &words).unwrap(), short);
        assert_eq!(read_with(&plain, name, &words).unwrap(), long);
    }
    let words = write_with(&core, name, &json!({"result": 5, "hasResult": false})).unwrap();
    assert_eq!(
        read_with(&core, name, &words).unwrap(),
        json!({"result": null})
    );
}

#[test]
fn templates_are_written_out_and_end() {
    let options = core_options();
    let converter = Converter::new(registry(), &options);
    let template = |name: &str| converter.template(&ty(name), name).unwrap();
    assert_eq!(
        template("Mining.createNewBlock$Params"),
        json!({
            "options": {
                "useMempool": true,
                "blockReservedWeight": 8000,
                "coinbaseOutputMaxAdditionalSigops": 400
            },
            "cooldown": true
        })
    );
    let every = template("Every");
    assert_eq!(every["child"], Json::Null);
    assert_eq!(every["box"]["value"], json!({"x": 0, "y": 0, "label": ""}));
    assert!(write_with(&options, "Every", &every).is_ok());
    assert_eq!(template("Twice")["next"], Json::Null);
}

#[test]
fn constants_have_their_values() {
    let constant = |name: &str| {
        let node = registry().find_type(name).unwrap();
        let Kind::Const(ty, value) = &node.kind else {
            panic!("{name} is no constant");
        };
        let options = Options::default();
        let converter = Converter::new(registry(), &options);
        converter.value(value, ty, name).unwrap()
    };
    assert_eq!(constant("answer"), json!(42));
    assert_eq!(
        constant("origin"),
        json!({"x": 0, "y": 0, "label": "origin"})
    );
}

/// Regression: the elements were counted as words when the list was written, and not when it was
/// read.
#[test]
fn lists_of_nothing_behind_any_pointer_go_both_ways() {
    // A struct of one pointer, to a list of 8192 `Void`s.
    let any = json!({"anyPointer": "00000000000001000100000000000100"});
    let holder = over("Holder", json!({ "any": any.clone() }));
    assert_eq!(holder["any"], any);
}
