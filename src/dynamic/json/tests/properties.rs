//! Properties of any value, any message and any JSON.

use proptest::prelude::*;

use super::arbitrary::{Random, spoil};
use super::*;
use crate::dynamic::json::options::DataFormat;

/// The types that are tried.
const TYPES: [&str; 9] = [
    "Every",
    "Lists",
    "Holder",
    "Box",
    "Twice",
    "Old",
    "New",
    "Point",
    "CoinbaseTx",
];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&TYPES[..])
}

/// Regression: a generated value was nested more deeply than is accepted.
#[test]
fn values_end() {
    let value = Random::new(13_553_267_748_837_694_946).value(&ty("Twice"));
    assert!(write("Twice", &value).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn json_to_wire_to_json_is_the_same(seed: u64, name in name()) {
        let value = Random::new(seed).value(&ty(name));
        let words = write(name, &value).unwrap();
        prop_assert_eq!(&read(name, &words), &value);
        let numbers = Options::default().data(DataFormat::Array);
        let shown = read_with(&numbers, name, &words).unwrap();
        prop_assert_eq!(write(name, &shown).unwrap(), words);
    }

    #[test]
    fn wire_to_json_to_wire_is_the_same(seed: u64, name in name()) {
        let words = write(name, &Random::new(seed).value(&ty(name))).unwrap();
        let json = read(name, &words);
        prop_assert_eq!(write(name, &json).unwrap(), words);
    }

    #[test]
    fn spoiled_messages_read_as_what_can_be_written_or_not_at_all(
        seed: u64, name in name(), changes in 1_u64..12,
    ) {
        let mut random = Random::new(seed);
        let mut words = write(name, &random.value(&ty(name))).unwrap();
        for _ in 0..changes {
            let place = random.below(words.len() as u64) as usize;
            let bit = random.below(8);
            words[place] ^= 1 << bit;
        }
        // Below the default bounds, which a value that is made to be large would use up.
        let bounds = Bounds::default().json_bytes(1 << 24).list(100_000);
        let options = Options::default().bounds(bounds);
        if let Ok(json) = read_with(&options, name, &words) {
            let written = write_with(&options, name, &json);
            prop_assert!(written.is_ok(), "{:?}", written);
            let again = read_with(&options, name, &written.unwrap()).unwrap();
            prop_assert_eq!(again, json);
        }
    }

    #[test]
    fn random_messages_never_panic(seed: u64, name in name(), size in 1_usize..40) {
        let mut random = Random::new(seed);
        // Pointers to near places are more often right than any bits.
        let mut words = Vec::new();
        for _ in 0..size {
            let word = match random.below(4) {
                0 => random.next(),
                1 => random.below(16) << 2 | random.below(4) << 32 | random.below(4) << 48,
                2 => 1 | random.below(16) << 2 | random.below(8) << 32 | random.below(40) << 35,
                _ => random.below(1 << 20),
            };
            words.extend(word.to_le_bytes());
        }
        let bounds = Bounds::default().json_bytes(1 << 24).list(100_000);
        let _ = read_with(&core_options().bounds(bounds), name, &words);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, name in name()) {
        let _ = read_with(&Options::default(), name, &bytes);
        if let Ok(json) = serde_json::from_slice(&bytes) {
            let _ = write(name, &json);
        }
    }

    #[test]
    fn random_json_never_panics(seed: u64, name in name(), spoils in 0..3) {
        let mut random = Random::new(seed);
        let mut value = random.value(&ty(name));
        for _ in 0..spoils {
            spoil(&mut value, &mut random);
        }
        let _ = write(name, &value);
        let _ = write_with(&core_options(), name, &value);
        let _ = write(name, &random.json(4));
    }
}
