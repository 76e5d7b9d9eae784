//! Agreement with the `capnp` tool on the same values.
//!
//! Where the tool is missing nothing is compared, which is said aloud, and which fails in CI.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::arbitrary::{Random, count};
use super::*;

/// How many values are compared, unless `VALUES` says otherwise.
const VALUES: u64 = 400;

fn has_tool() -> bool {
    if Command::new("capnp").arg("--version").output().is_ok() {
        return true;
    }
    eprintln!("SKIPPED: no `capnp` tool here, values are not compared with what it makes of them");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI needs the `capnp` tool"
    );
    false
}

fn convert(formats: &str, input: Vec<u8>) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut child = Command::new("capnp")
        .args(["convert", "--short", "--quiet", formats])
        .arg(format!("-I{root}/schema/core32"))
        .arg(format!("{root}/schema/every/every.capnp"))
        .arg("Every")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "capnp convert {formats} failed");
    output.stdout
}

/// Between the tool's 64-bit integers, which are strings, and ours; by the type alone.
fn translate(json: &mut Json, ty: &Type, to_tool: bool) {
    match (ty, &mut *json) {
        (Type::Int64 | Type::UInt64, Json::Number(number)) if to_tool => {
            *json = number.to_string().into();
        }
        (Type::Int64 | Type::UInt64, Json::String(digits)) if !to_tool => {
            *json = serde_json::from_str(digits).unwrap();
        }
        (Type::Data, Json::String(digits)) if to_tool => {
            let bytes = scalar::unhex(digits).unwrap();
            *json = bytes.into();
        }
        (Type::List(element), Json::Array(values)) => {
            for value in values {
                translate(value, element, to_tool);
            }
        }
        (Type::Struct(id, brand), Json::Object(members)) => {
            let (_, layout) = registry().structure(*id).unwrap();
            // It takes no null for what is behind a pointer.
            members.retain(|name, value| match &layout.field(name).unwrap().place {
                Place::Slot { ty, .. } => !(to_tool && value.is_null() && ty.is_pointer()),
                Place::Group(_) => true,
            });
            for (name, value) in members.iter_mut() {
                let ty = match &layout.field(name).unwrap().place {
                    Place::Slot { ty, .. } => brand.close(ty),
                    Place::Group(id) => Type::Struct(*id, brand.clone()),
                };
                translate(value, &ty, to_tool);
            }
        }
        _ => {}
    }
}

/// Where two values differ first.
fn difference(a: &Json, b: &Json, path: &str) -> Option<String> {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) if a.keys().eq(b.keys()) => a
            .iter()
            .find_map(|(name, value)| difference(value, &b[name], &format!("{path}.{name}"))),
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => (0..a.len())
            .find_map(|index| difference(&a[index], &b[index], &format!("{path}[{index}]"))),
        _ if a == b => None,
        _ => Some(format!("{path}: {a} is not {b}")),
    }
}

fn values() -> Vec<Json> {
    let value = |seed| {
        let mut random = Random::new(seed);
        random.odd = false;
        random.value(&ty("Every"))
    };
    (0..count(VALUES)).map(value).collect()
}

#[test]
fn the_tool_reads_what_is_written() {
    if !has_tool() {
        return;
    }
    let values = values();
    let mut stream = Vec::new();
    for value in &values {
        let words = write("Every", value).unwrap();
        let size = u32::try_from(words.len() / 8).unwrap();
        stream.extend([0; 4]);
        stream.extend(size.to_le_bytes());
        stream.extend(words);
    }
    let output = convert("binary:json", stream);
    let lines = serde_json::Deserializer::from_slice(&output).into_iter::<Json>();
    let mut compared = 0;
    for (line, value) in lines.zip(&values) {
        let mut line = line.unwrap();
        translate(&mut line, &ty("Every"), false);
        // What it leaves out is null; reading gives it its default.
        assert_eq!(difference(&over("Every", line), value, ""), None);
        compared += 1;
    }
    assert_eq!(compared, values.len());
}

#[test]
fn what_the_tool_writes_is_read() {
    if !has_tool() {
        return;
    }
    let values = values();
    let mut stream = Vec::new();
    for value in &values {
        let mut value = value.clone();
        translate(&mut value, &ty("Every"), true);
        stream.extend(value.to_string().into_bytes());
        stream.push(b'\n');
    }
    let output = convert("json:binary", stream);
    let mut rest = output.as_slice();
    for value in &values {
        let options = capnp::message::ReaderOptions::new();
        let message = capnp::serialize::read_message(&mut rest, options).unwrap();
        let options = Options::default();
        let read = Converter::new(registry(), &options).read(
            message.get_root().unwrap(),
            &ty("Every"),
            &mut NoHandles,
            "Every",
        );
        assert_eq!(difference(&read.unwrap(), value, ""), None);
    }
    assert!(rest.is_empty());
}
