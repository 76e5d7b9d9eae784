//! Tests of finding declarations in schemas, and of the errors of malformed schemas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::model::Kind;
use super::*;

const EVERY: &[u8] = include_bytes!("../../../schema/every/compiled.bin");
const FOO: &[u8] = include_bytes!("../../../schema/test/compiled.bin");

fn core() -> Registry {
    Registry::core(Generation::Core32).unwrap()
}

#[test]
fn each_generation_is_built_in() {
    let ordinal = |generation, name| {
        let registry = Registry::core(generation).unwrap();
        registry.find_method(name, &[]).map(|method| method.ordinal)
    };
    assert_eq!(ordinal(Generation::Core30, "init.makeMining").unwrap(), 2);
    assert_eq!(ordinal(Generation::Core31, "Init.makeMining").unwrap(), 3);
    assert_eq!(
        ordinal(Generation::Core32, "BLOCKTEMPLATE.submitSolution").unwrap(),
        10
    );
    assert!(ordinal(Generation::Core31, "Init.makeRpc").is_err());
}

#[test]
fn comments_defaults_and_types_are_there() {
    let registry = core();
    let node = registry.find_type("BlockCreateOptions").unwrap();
    assert_eq!(node.docs, "How to make a template.");
    let (_, body) = registry.structure(node.id).unwrap();
    let field = body.field("blockReservedWeight").unwrap();
    assert!(field.docs.starts_with("Weight units"), "{}", field.docs);
    let Place::Slot { ty, default, .. } = &field.place else {
        panic!("a group");
    };
    assert_eq!(registry.type_name(ty), "UInt64");
    assert_eq!(*default, model::Value::UInt(8000));
    let file = registry.node(node.file).unwrap();
    assert_eq!(file.kind, Kind::File);
    assert!(file.name.ends_with("mining.capnp"), "{}", file.name);
}

#[test]
fn names_are_found_and_others_suggested() {
    let registry = core();
    let init = registry.find_interface("init").unwrap();
    let reachable = registry.reachable(init.id);
    let names: Vec<&str> = reachable.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["Init", "Echo", "Mining", "Rpc", "BlockTemplate"]);
    let method = registry.find_method("getTip", &reachable).unwrap();
    assert_eq!(method.full_name(), "Mining.getTip");
    for (name, words) in [
        ("getTpi", "did you mean \"getTip\"?"),
        (
            "Minig.getTip",
            "no interface is called \"Minig\"; did you mean \"Mining\"?",
        ),
        (
            "Mining.gettip",
            "Mining has no method \"gettip\"; did you mean \"getTip\"?",
        ),
        ("destroy", "BlockTemplate.destroy, Echo.destroy"),
    ] {
        let error = registry
            .find_method(name, &reachable)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn signatures_read_as_in_the_source() {
    let registry = core();
    let signature = |name: &str| {
        let method = registry.find_method(name, &[]).unwrap();
        let default = |_: &Type, value: &model::Value| {
            (!value.is_zero()).then(|| format!("{:?}", value.as_bool()))
        };
        registry.signature(&method, &default).unwrap()
    };
    assert_eq!(
        signature("Echo.echo"),
        "echo @1 (echo :Text) -> (result :Text)"
    );
    assert_eq!(
        signature("Mining.createNewBlock"),
        "createNewBlock @4 (options :BlockCreateOptions, cooldown :Bool = true) -> \
         (result :BlockTemplate)"
    );
    assert_eq!(
        signature("Init.construct"),
        "construct @0 (threadMap :ThreadMap) -> (threadMap :ThreadMap)"
    );
}

#[test]
fn methods_are_inherited_with_their_types_bound() {
    let mut registry = core();
    registry.add(EVERY, "every").unwrap();
    let keeper = registry.find_interface("TextKeeper").unwrap();
    let methods = registry.methods(keeper.id, &Brand::default()).unwrap();
    let names: Vec<String> = methods.iter().map(MethodInfo::full_name).collect();
    assert_eq!(
        names,
        [
            "TextKeeper.size",
            "Keeper.destroy",
            "Keeper.keep",
            "Keeper.other",
            "Named.name"
        ]
    );
    let keep = &methods[2];
    let (params, brand) = &keep.method.params;
    let brand = brand.within(&keep.brand);
    let (_, params) = registry.structure(*params).unwrap();
    let Place::Slot { ty, .. } = &params.field("value").unwrap().place else {
        panic!("a group");
    };
    assert_eq!(brand.close(ty), Type::Text);
}

#[test]
fn what_is_added_later_wins() {
    let mut registry = core();
    registry.add(FOO, "foo").unwrap();
    let callback = registry.find_interface("FooCallback").unwrap();
    // The same file in an older form: all that it no longer has is gone.
    let mut older = Registry::core(Generation::Core32).unwrap();
    assert!(older.find_method("Mining.submitBlock", &[]).is_ok());
    let bytes = include_bytes!("../../../schema/core30/compiled.bin");
    older.add(bytes, "30").unwrap();
    assert!(older.find_method("Mining.submitBlock", &[]).is_err());
    assert!(
        older.find_interface("Rpc").is_ok(),
        "its file was not in the request"
    );
    assert!(registry.node(callback.id).is_some());
    assert!(registry.find_interface("Mining").is_ok());
}

#[test]
fn what_is_no_schema_is_an_error() {
    let mut registry = Registry::new();
    for bytes in [&b""[..], b"interface Foo {}", &[0; 16], &[0xff; 64]] {
        let error = registry.add(bytes, "x.bin").unwrap_err().to_string();
        assert!(error.starts_with("x.bin: "), "{error}");
    }
    assert_eq!(registry.nodes().count(), 0);
}

#[test]
fn sources_are_compiled_with_what_they_import() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("mine.capnp");
    let text = "@0xb1c5a4e2f07d9777;\n\
        using Proxy = import \"/mp/proxy.capnp\";\n\
        using Cxx = import \"/capnp/c++.capnp\";\n\
        $Cxx.namespace(\"mine\");\n\
        interface Mine { get @0 (context :Proxy.Context) -> (result :Text); }\n";
    std::fs::write(&source, text).unwrap();
    let mut registry = core();
    let added = registry.add_path(&source);
    if std::process::Command::new("capnp")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: no `capnp` tool here to compile sources with");
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI needs `capnp`"
        );
        let error = added.unwrap_err().to_string();
        assert!(error.contains("compiled file"), "{error}");
        return;
    }
    added.unwrap();
    assert!(registry.find_method("Mine.get", &[]).is_ok());
    let mut other = core();
    other.add_path(folder.path()).unwrap();
    assert!(other.find_method("mine.get", &[]).is_ok());
    std::fs::write(&source, "nonsense").unwrap();
    let error = other.add_path(&source).unwrap_err().to_string();
    assert!(error.starts_with("capnp compile: "), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert!(other.add_path(empty.path()).is_err());
    assert!(other.add_path(&empty.path().join("none")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn spoiled_schemas_never_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..10),
        json: u64,
    ) {
        let mut bytes = EVERY.to_vec();
        for (place, bit) in places {
            bytes[place.index(EVERY.len())] ^= 1 << bit;
        }
        let mut registry = core();
        if registry.add(&bytes, "spoiled").is_ok() {
            use crate::dynamic::json::{Bounds, Converter, Options};
            let bounds = Bounds::default().json_bytes(1 << 22).wire_bytes(1 << 22);
            let options = Options::default().bounds(bounds);
            let converter = Converter::new(&registry, &options);
            let nodes: Vec<_> = registry.nodes().cloned().collect();
            for node in nodes {
                let methods = registry.methods(node.id, &Brand::default());
                for method in methods.unwrap_or_default() {
                    let _ = registry.signature(&method, &|_, _| None);
                }
                let _ = registry.reachable(node.id);
                let ty = Type::Struct(node.id, Brand::default());
                let _ = registry.type_name(&ty);
                let _ = registry.interfaces_in(&ty);
                let value = serde_json::json!({"int64": json, "text": "t", "lists": {"int8s": [1]},
                    "defaults": {"int8": 1, "text": "x"}, "number": 1, "x": 1});
                for value in [value, serde_json::json!({})] {
                    if let Ok(words) = converter.to_bytes(&value, &ty, "v") {
                        let _ = converter.from_bytes(&words, &ty, "v");
                    }
                }
            }
        }
    }
}
