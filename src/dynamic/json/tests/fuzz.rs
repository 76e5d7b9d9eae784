//! Fuzz tests with spoiled texts and messages, as many as there is time for: nothing panics, and an
//! accepted value can be written and read again.
//!
//! `FUZZ_SECONDS` in the environment sets how many seconds each test runs.

use std::time::{Duration, Instant};

use super::arbitrary::Random;
use super::*;

/// The types that are tried.
const TYPES: [&str; 9] = [
    "Every",
    "Lists",
    "Holder",
    "Box",
    "Twice",
    "Old",
    "New",
    "CoinbaseTx",
    "Point",
];

/// The tokens that are put into a text.
const TOKENS: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "[[],[]]",
    "\"\"",
    "\"NaN\"",
    "\"-Infinity\"",
    "\"0g\"",
    "\"00\"",
    "-0",
    "1e400",
    "1e-400",
    "1.5",
    "65536",
    "-9223372036854775809",
    "18446744073709551616",
    "\"\\ud800\"",
    "{\"$union\":9}",
    "{\"$text\":\"ff\"}",
    "{\"anyPointer\":\"0000000000000000\"}",
    "{\"anyPointer\":\"fcffffff01000000\"}",
    "\"value\":",
    ",",
];

/// Prints the test case when a panic unwinds through it.
struct Case(&'static str, u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} of seed {}", self.0, self.1);
        }
    }
}

/// Tries with another seed and type until the time is over.
fn fuzz(test: &str, try_one: impl Fn(&mut Random, &'static str)) {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    // Other seeds each time, when there is time to find something.
    let first = match seconds {
        1 => 0,
        _ => u64::from(std::process::id()) << 32,
    };
    let mut tried = 0;
    while Instant::now() < end {
        let seed = first + tried;
        let mut random = Random::new(seed);
        let name = TYPES[random.below(TYPES.len() as u64) as usize];
        let case = Case(name, seed);
        try_one(&mut random, name);
        drop(case);
        tried += 1;
    }
    eprintln!("{test}: {tried} in {seconds} s");
}

fn options() -> Options {
    // Below the default bounds, which a value that is made to be large would use up.
    let bounds = Bounds::default()
        .json_bytes(1 << 22)
        .wire_bytes(1 << 22)
        .list(50_000);
    Options::default().bounds(bounds)
}

/// Overwrites, removes, repeats or inserts some bytes.
fn spoil(bytes: &mut Vec<u8>, unit: usize, inserted: &[u8], random: &mut Random) {
    let units = (bytes.len() / unit) as u64;
    let mut place = || unit * random.below(units) as usize;
    let (a, b) = (place(), place());
    let (from, to) = (a.min(b), a.max(b));
    let some = to.min(from + 4 * unit);
    match random.below(6) {
        0 if !bytes.is_empty() => {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        1 => drop(bytes.drain(from..some)),
        2 => {
            let copy = bytes[from..some].to_vec();
            bytes.splice(a..a, copy);
        }
        3 => bytes.truncate(to),
        4 => {
            let end = (from + inserted.len()).min(bytes.len());
            bytes.splice(from..end, inserted.iter().copied());
        }
        _ => drop(bytes.splice(from..from, inserted.iter().copied())),
    }
}

/// Checks that a value read from a message can be written, and is then the same.
fn returns(name: &str, json: &Json) {
    let words = write_with(&options(), name, json);
    // Data behind two pointers is written twice, which may be beyond the bound.
    let Ok(words) = words else {
        let words = write(name, json);
        assert!(words.is_ok(), "{name}: {words:?} for {json}");
        return;
    };
    if let Ok(again) = read_with(&options(), name, &words) {
        assert_eq!(again, *json, "{name}");
    }
}

#[test]
fn fuzz_json_reader() {
    fuzz("fuzz_json_reader", |random, name| {
        let mut text = random.value(&ty(name)).to_string().into_bytes();
        for _ in 0..=random.below(4) {
            let token = TOKENS[random.below(TOKENS.len() as u64) as usize];
            spoil(&mut text, 1, token.as_bytes(), random);
        }
        let Ok(json) = serde_json::from_slice::<Json>(&text) else {
            return;
        };
        let _ = write_with(&core_options(), name, &json);
        if let Ok(words) = write_with(&options(), name, &json) {
            let read = read_with(&Options::default(), name, &words).map_err(|e| e.to_string());
            // Many lists of `Void` are together more than is read of one message.
            let is_right = match &read {
                Ok(_) => true,
                Err(error) => error.contains("Read limit exceeded"),
            };
            assert!(is_right, "{name}: {read:?} for {json}");
        }
    });
}

#[test]
fn fuzz_wire_reader() {
    fuzz("fuzz_wire_reader", |random, name| {
        // Some are nested too deeply.
        let Ok(mut words) = write(name, &random.value(&ty(name))) else {
            return;
        };
        for _ in 0..=random.below(6) {
            // Pointers to near places are more often right than any bits.
            let offset = random.below(64) << 2;
            let word = match random.below(6) {
                0 => random.next(),
                1 => offset | random.below(8) << 32 | random.below(8) << 48,
                2 => 1 | offset | random.below(8) << 32 | random.below(80) << 35,
                3 => 2 | random.below(2) << 2 | offset << 1 | random.below(2) << 32,
                4 => 1 | 7 << 32 | offset | random.next() << 35,
                _ => 3 | random.below(4) << 32,
            };
            spoil(&mut words, 8, &word.to_le_bytes(), random);
        }
        // In part of a word nothing is read.
        let whole = words.len() / 8 * 8;
        let _ = read_with(&options(), name, &words);
        let core = core_options().bounds(options().bounds);
        let _ = read_with(&core, name, &words[..whole]);
        if let Ok(json) = read_with(&options(), name, &words[..whole]) {
            returns(name, &json);
        }
    });
}
