//! Tests of whole schemas: the generated text of a small one, and the errors of rejected ones.
//!
//! `UPDATE_GOLDEN=1 cargo test -p bitcoin-ipc-codegen` writes the expected texts anew.

use std::fs;
use std::path::PathBuf;

use crate::builder::{Generated, generate};
use crate::error::Error;
use crate::layout::Layout;
use crate::request::Request;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(data(name)).unwrap_or_default()
}

fn generated(name: &str, layout: &Layout) -> Result<Generated, Error> {
    let bytes = fs::read(data(name)).map_err(|e| Error::io(format!("read {name}"), e))?;
    let request = Request::read(&bytes, name)?;
    generate(&request.index(name)?, layout)
}

fn user() -> Layout {
    Layout::user("::bitcoin_ipc", "crate::small").expect("a module's path")
}

#[test]
fn the_text_of_a_small_schema() {
    let generated = generated("small.bin", &user()).expect("a schema without anything special");
    for (name, text) in [
        ("small.interfaces.rs", &generated.interfaces),
        ("small.proxies.rs", &generated.proxies),
    ] {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(data(name), text).expect("write the expected text");
        }
        let expected = read(name);
        let differs = expected
            .lines()
            .zip(text.lines())
            .position(|(expected, text)| expected != text)
            .unwrap_or_else(|| expected.lines().count().min(text.lines().count()));
        assert!(
            expected == *text,
            "{name}:{} differs; it should read\n{}",
            differs + 1,
            text.lines()
                .skip(differs)
                .take(10)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// Wrapping a client changes nothing else, and a client that does not exist cannot be wrapped.
#[test]
fn a_client_is_wrapped() {
    let mut layout = user();
    let plain = generated("small.bin", &layout).expect("a schema");
    layout.wraps = vec![("Counter".to_owned(), "crate::wrapped".to_owned())];
    let wrapped = generated("small.bin", &layout).expect("a schema");
    assert_eq!(plain.interfaces, wrapped.interfaces);
    let differing: Vec<(&str, &str)> = plain
        .proxies
        .lines()
        .zip(wrapped.proxies.lines())
        .map(|(plain, wrapped)| (plain.trim(), wrapped.trim()))
        .filter(|(plain, wrapped)| plain != wrapped)
        .collect();
    let was = "Arc::new(CounterClient { object })";
    assert!(
        matches!(differing[..], [(plain, wrapped)] if plain == was && wrapped
            .starts_with("crate::wrapped(CounterClient { object: object.clone() }, object)")),
        "{differing:?}"
    );
    layout.wraps = vec![("Nothing".to_owned(), "crate::wrapped".to_owned())];
    assert!(generated("small.bin", &layout).is_err());
}

/// A field that is not there was passed over, and so a name with a mistake in it did nothing.
#[test]
fn fields_that_are_said_to_mean_something_are_there() {
    let mut layout = user();
    for field in ["Failure.text", "Counter.add.by"] {
        layout.values = vec![(field.to_owned(), "crate::Value".to_owned())];
        let error = generated("small.bin", &layout).err();
        assert!(error.is_some_and(|e| e.to_string().contains("neither Data nor Float64")));
    }
    for field in ["Failure.txt", "Counter.add.bye", "Counter.by"] {
        layout.values = vec![(field.to_owned(), "crate::Number".to_owned())];
        let error = generated("small.bin", &layout).err();
        assert!(
            error.is_some_and(|e| e.to_string().contains(field)),
            "{field}"
        );
    }
    layout.values.clear();
    layout.nullable = vec!["Counter.add.stat".to_owned()];
    assert!(generated("small.bin", &layout).is_err());
}

#[test]
fn refused_schemas_name_the_place() {
    let mut cases = 0;
    for entry in fs::read_dir(data("rejected")).expect("the folder of refused schemas") {
        let name = entry
            .expect("its entry")
            .file_name()
            .into_string()
            .expect("a plain name");
        let Some(case) = name.strip_suffix(".capnp") else {
            continue;
        };
        let source = read(&format!("rejected/{name}"));
        let expected = source
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# error: "));
        let error = generated(&format!("rejected/{case}.bin"), &user()).err();
        assert_eq!(error.map(|e| e.to_string()).as_deref(), expected, "{name}");
        cases += 1;
    }
    assert!(cases > 10, "the refused schemas are there");
}

#[test]
fn damaged_requests_are_errors() {
    // One byte changed at a time: an error or a schema, never a panic.
    let bytes = fs::read(data("small.bin")).expect("the compiled schema");
    for (at, change) in (0..bytes.len())
        .step_by(5)
        .zip([0x01, 0x10, 0x80, 0xff].into_iter().cycle())
    {
        let mut damaged = bytes.clone();
        if let Some(byte) = damaged.get_mut(at) {
            *byte ^= change;
        }
        let _ = Request::read(&damaged, "damaged")
            .and_then(|request| generate(&request.index("damaged")?, &user()).map(drop));
    }
}
