//! Compares values with pycapnp: those that it reads from messages made here from JSON, and those
//! that are read here from messages that it makes from the same JSON.
//!
//! Leaves out values that pycapnp cannot handle: text that is no UTF-8. It has no canonical
//! messages, so the target of an `AnyPointer` is passed to it as the `Point` that it is.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use bitcoin_ipc::dynamic::json::{Converter, NoHandles, Options};
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::{Brand, Field, Kind, Place, Type, Value};
use bitcoin_ipc::{Generation, Result};
use serde_json::{Value as Json, json};

use crate::python::{Process, pycapnp};

#[allow(dead_code, reason = "shared with the library's own tests")]
#[path = "../../../src/dynamic/json/tests/arbitrary.rs"]
mod arbitrary;
#[allow(dead_code, reason = "shared with the library")]
#[path = "../../../src/dynamic/json/scalar.rs"]
mod scalar;

use self::arbitrary::{Random, count};

/// The number of values that are compared, unless `VALUES` sets another.
const VALUES: u64 = 300;

/// The number of values for one process.
const BATCH: usize = 1000;

/// The time limit of a process.
const TIME: Duration = Duration::from_secs(60);

const ANY_KEY: &str = "anyPointer";

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Registry::core(Generation::Core32).unwrap();
        let bytes = include_bytes!("../../../schema/every/compiled.bin");
        registry.add(bytes, "every").unwrap();
        registry
    })
}

fn ty(name: &str) -> Type {
    Type::Struct(registry().find_type(name).unwrap().id, Brand::default())
}

fn write(name: &str, json: &Json) -> Result<Vec<u8>> {
    Converter::new(registry(), &Options::default()).to_bytes(json, &ty(name), name)
}

/// Reads a message as pycapnp writes it.
fn read_framed(name: &str, mut bytes: &[u8]) -> Json {
    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message(&mut bytes, options).unwrap();
    let options = Options::default();
    let root = message.get_root().unwrap();
    let read = Converter::new(registry(), &options).read(root, &ty(name), &mut NoHandles, name);
    read.unwrap()
}

fn framed(words: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(u32::try_from(words.len() / 8).unwrap().to_le_bytes());
    bytes.extend(words);
    bytes
}

/// Replaces every object of one member with this name by the result of `change` for that member.
fn replace(json: &mut Json, key: &str, change: &impl Fn(&str) -> Json) {
    let alone = json.as_object().filter(|object| object.len() == 1);
    if let Some(Json::String(digits)) = alone.and_then(|object| object.get(key)) {
        *json = change(digits);
        return;
    }
    match json {
        Json::Array(values) => values.iter_mut().for_each(|v| replace(v, key, change)),
        Json::Object(object) => object.values_mut().for_each(|v| replace(v, key, change)),
        _ => {}
    }
}

/// Replaces text that is no UTF-8.
fn readable(json: &mut Json) {
    replace(json, "$text", &|digits| {
        String::from_utf8_lossy(&scalar::unhex(digits).unwrap()).into()
    });
}

/// Returns the `Point` behind an `AnyPointer`.
fn point_of(digits: &str) -> Json {
    let words = scalar::unhex(digits).unwrap();
    let options = Options::default();
    let point = Converter::new(registry(), &options).from_bytes(&words, &ty("Point"), "any");
    point.unwrap()
}

/// Returns a random value that pycapnp can handle.
fn value(seed: u64, name: &str) -> Json {
    let mut value = Random::new(seed).value(&ty(name));
    readable(&mut value);
    replace(&mut value, ANY_KEY, &|digits| {
        let mut point = point_of(digits);
        readable(&mut point);
        json!({ ANY_KEY: scalar::hex(&write("Point", &point).unwrap()) })
    });
    value
}

/// Returns a value in the form that pycapnp takes and returns.
fn for_python(value: &Json) -> Json {
    let mut value = value.clone();
    replace(
        &mut value,
        ANY_KEY,
        &|digits| json!({ ANY_KEY: point_of(digits) }),
    );
    value
}

/// Returns the first difference of two values. Numbers are equal when they are written the same, so
/// that zeros keep their signs.
#[allow(clippy::cmp_owned, reason = "-0.0 and 0.0 are equal as values")]
fn difference(a: &Json, b: &Json, path: &str) -> Option<String> {
    match (a, b) {
        (Json::Object(a), Json::Object(b))
            if a.len() == b.len() && a.keys().all(|name| b.contains_key(name)) =>
        {
            a.iter()
                .find_map(|(name, value)| difference(value, &b[name], &format!("{path}.{name}")))
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => (0..a.len())
            .find_map(|index| difference(&a[index], &b[index], &format!("{path}[{index}]"))),
        _ if a.to_string() == b.to_string() => None,
        _ => Some(format!("{path}: {a} is not {b}")),
    }
}

/// Returns pycapnp's answer to each value.
fn ask(python: &std::path::Path, values: &[(&str, Json)]) -> Vec<Json> {
    let mut lines = String::new();
    for (name, value) in values {
        let wire = scalar::hex(&framed(&write(name, value).unwrap()));
        let line = json!({"type": name, "wire": wire, "json": for_python(value)});
        writeln!(lines, "{line}").unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let mut process = Process::script(python, "values.py", &[file.path().as_os_str()]);
    let status = process.wait(TIME).expect("pycapnp took too long");
    let (stdout, stderr) = process.output();
    drop(process);
    assert!(status.success(), "{stderr}");
    let answers = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    answers.collect()
}

#[test]
fn pycapnp_sees_the_same_values_and_writes_them_the_same() {
    let Some(python) = pycapnp() else { return };
    let values: Vec<(&str, Json)> = (0..count(VALUES))
        .map(|seed| {
            let name = if seed % 10 == 9 { "Holder" } else { "Every" };
            (name, value(seed, name))
        })
        .collect();
    for (batch, values) in values.chunks(BATCH).enumerate() {
        let answers = ask(python, values);
        assert_eq!(answers.len(), values.len());
        for (index, ((name, value), answer)) in values.iter().zip(&answers).enumerate() {
            let seed = batch * BATCH + index;
            let seen = difference(&answer["view"], &for_python(value), "");
            assert_eq!(seen, None, "{name} {seed}: what pycapnp read");
            let wire = scalar::unhex(answer["wire"].as_str().unwrap()).unwrap();
            let read = difference(&read_framed(name, &wire), value, "");
            assert_eq!(read, None, "{name} {seed}: what pycapnp wrote");
        }
    }
}
