//! Invalid pointers.

#![allow(clippy::unwrap_used)]

use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp_rpc::rpc_capnp::message;

use super::super::super::super::accounts::Charge;
use super::super::random::{Random, spoil};
use super::*;

const STRUCT: u64 = 0;
const LIST: u64 = 1;

fn object(kind: u64, offset: i64, data: u64, pointers: u64) -> u64 {
    kind | ((offset as u64) << 2) & 0xffff_ffff | data << 32 | pointers << 48
}

fn list(offset: i64, element: u64, count: u64) -> u64 {
    LIST | ((offset as u64) << 2) & 0xffff_ffff | element << 32 | count << 35
}

fn far(double: bool, segment: u64, at: u64) -> u64 {
    2 | u64::from(double) << 2 | at << 3 | segment << 32
}

fn frame(segments: &[&[u64]]) -> Frame {
    let mut words = Vec::new();
    let mut ends = Vec::new();
    for segment in segments {
        words.extend(segment.iter().flat_map(|word| word.to_le_bytes()));
        ends.push(words.len() / WORD);
    }
    ends.pop();
    Frame::new(words, ends, Charge::none())
}

fn verdict(segments: &[&[u64]]) -> Result<(), String> {
    check(&mut frame(segments), 64, &mut Trail::default())
}

#[track_caller]
fn wrong(segments: &[&[u64]], what: &str) {
    let error = verdict(segments).unwrap_err();
    assert!(error.contains(what), "{error}");
}

#[test]
fn plain_messages_pass() {
    verdict(&[&[0]]).unwrap();
    verdict(&[&[object(STRUCT, 0, 1, 1), 5, 3]]).unwrap();
    verdict(&[&[object(STRUCT, -1, 0, 0)]]).unwrap();
    verdict(&[&[list(0, 2, 9), 1, 2]]).unwrap();
    verdict(&[&[list(0, 6, 2), 0, 3]]).unwrap();
    verdict(&[&[list(0, 7, 4), object(STRUCT, 2, 1, 1), 1, 0, 2, 0]]).unwrap();
}

#[test]
fn what_lies_outside_is_refused() {
    wrong(&[], "without a root");
    wrong(&[&[]], "without a root");
    wrong(&[&[object(STRUCT, 0, 1, 0)]], "beyond its segment");
    wrong(&[&[object(STRUCT, -3, 1, 0)]], "before its segment");
    wrong(&[&[list(0, 5, 2), 1]], "beyond its segment");
    wrong(&[&[list(0, 6, (1 << 29) - 1)]], "beyond its segment");
    wrong(&[&[list(0, 7, 1), object(STRUCT, 1, 1, 1), 1]], "exceed");
    wrong(
        &[&[list(0, 7, 2), object(STRUCT, 1, 1, 1), 1]],
        "beyond its segment",
    );
    wrong(&[&[list(0, 7, 0), list(0, 2, 0)]], "tag");
    wrong(&[&[7]], "unknown kind");
}

#[test]
fn far_pointers_are_followed() {
    let inner = object(STRUCT, 0, 1, 0);
    verdict(&[&[far(false, 1, 0)], &[inner, 9]]).unwrap();
    verdict(&[&[far(true, 1, 0)], &[far(false, 2, 0), inner], &[9]]).unwrap();
    verdict(&[&[far(false, 1, 0)], &[3]]).unwrap();
    wrong(&[&[far(false, 1, 1)], &[inner, 9]], "beyond its segment");
    wrong(&[&[far(false, 2, 0)], &[inner, 9]], "segment 2");
    wrong(&[&[far(false, 0, 0)]], "landing pad");
    wrong(
        &[&[far(true, 1, 0)], &[far(true, 1, 0), inner]],
        "double-far",
    );
    wrong(
        &[&[far(true, 1, 0)], &[far(false, 1, 0)]],
        "beyond its segment",
    );
    wrong(
        &[&[far(true, 1, 0)], &[far(false, 2, 0), inner], &[]],
        "beyond its segment",
    );
    wrong(
        &[&[far(true, 1, 0)], &[far(false, 2, 0), 3], &[9]],
        "double-far",
    );
}

#[test]
fn nesting_has_the_limit_that_capnp_has() {
    for depth in 60..70 {
        let mut words = vec![object(STRUCT, 0, 0, 1); depth];
        words.push(0);
        assert_eq!(verdict(&[&words]).is_ok(), depth <= 64, "{depth}");
    }
    // A struct that contains itself.
    wrong(&[&[object(STRUCT, -1, 0, 1)]], "nested deeper than 64");
}

#[test]
fn aliased_pointers_cost_what_they_lead_to() {
    // A thousand pointers to the same list of eight kilobytes.
    let mut words = vec![list(0, 6, 1000)];
    for index in 0..1000 {
        words.push(list(999 - index, 5, 1000));
    }
    words.extend([0; 1000]);
    wrong(&[&words], "exceeds its size");

    // Each level twice the one above: 2^30 structs in 31 words.
    let mut words = vec![object(STRUCT, 0, 0, 2)];
    for _ in 0..30 {
        words.extend([object(STRUCT, 1, 0, 2), object(STRUCT, 0, 0, 2)]);
    }
    words.extend([0, 0]);
    wrong(&[&words], "exceeds its size");
}

#[test]
fn elements_without_size_cost_something() {
    let most = (1 << 29) - 1;
    wrong(&[&[list(0, 0, most)]], "exceeds its size");
    wrong(
        &[&[list(0, 7, 0), object(STRUCT, most as i64, 0, 0)]],
        "exceeds its size",
    );
    verdict(&[&[list(0, 0, 1000)]]).unwrap();

    // A call's capTable of elements without size.
    let mut builder = Builder::new(HeapAllocator::new());
    let call = builder.init_root::<message::Builder<'_>>().init_call();
    call.init_params().init_cap_table(7);
    let words = capnp::serialize::write_message_segments_to_words(&builder);
    let table = object(STRUCT, 7, 0, 0);
    let mut words: Vec<u64> = words[8..]
        .chunks(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    let tag = words
        .iter()
        .position(|word| word & 0xffff_ffff == table & 0xffff_ffff)
        .unwrap();
    verdict(&[&words]).unwrap();
    words[tag] = object(STRUCT, most as i64, 0, 0);
    wrong(&[&words], "exceeds its size");
}

/// Makes a message that has some of everything, in several segments.
fn sample() -> Vec<u8> {
    let mut builder = Builder::new(HeapAllocator::new().first_segment_words(4));
    let root = builder.init_root::<message::Builder<'_>>();
    let mut call = root.init_call();
    call.set_interface_id(77);
    let mut target = call.reborrow().init_target().init_promised_answer();
    target.set_question_id(3);
    for index in 0..3 {
        let transform = target.reborrow().init_transform(3);
        transform.get(index).set_get_pointer_field(1);
    }
    let mut params = call.init_params();
    params.reborrow().get_content().set_as("some text").unwrap();
    let mut caps = params.init_cap_table(3);
    caps.reborrow().get(0).set_sender_hosted(4);
    caps.reborrow()
        .get(1)
        .init_receiver_answer()
        .init_transform(2);
    caps.get(2).set_none(());
    capnp::serialize::write_message_to_words(&builder)
}

/// Cuts the bytes of a framed message into a frame.
fn parse(bytes: &[u8]) -> Frame {
    let count = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize + 1;
    let table = (count / 2 + 1) * 8;
    let words = bytes[table..].to_vec();
    let mut ends = Vec::new();
    let mut end = 0;
    for index in 1..count {
        end += u32::from_le_bytes(bytes[index * 4..][..4].try_into().unwrap()) as usize;
        ends.push(end);
    }
    Frame::new(words, ends, Charge::none())
}

/// Checks that capnp can read and copy whole a frame that passes, as an echo of it does; returns
/// whether it passes.
fn passes_means_readable(mut frame: Frame) -> bool {
    let verdict = check(&mut frame, 64, &mut Trail::default());
    if let Err(text) = &verdict {
        assert!(!text.is_empty());
        return false;
    }
    let options = ReaderOptions {
        traversal_limit_in_words: None,
        nesting_limit: 64,
    };
    let size = frame.size() / WORD;
    let reader = capnp::message::Reader::new(frame, options);
    let root = reader.get_root::<message::Reader<'_>>();
    if let Ok(root) = root
        && let Ok(total) = root.total_size()
    {
        assert!(total.word_count as usize <= size + SLACK as usize + 16);
        let mut copy = Builder::new(HeapAllocator::new());
        // Fails on capabilities, as there is no table of them here.
        let _ = copy
            .init_root::<message::Builder<'_>>()
            .set_unimplemented(root);
    }
    true
}

#[test]
fn mutated_messages_never_panic_and_always_end() {
    let sample = sample();
    assert!(passes_means_readable(parse(&sample)));
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let mut passed = 0;
    for _ in 0..20_000 {
        let mut frame = parse(&sample);
        spoil(frame.bytes_mut(), 4, &mut random);
        passed += usize::from(passes_means_readable(frame));
    }
    assert!(passed > 1000 && passed < 19_000, "{passed}");
}

#[test]
fn random_words_never_panic_and_always_end() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut next = move || random.next();
    for _ in 0..20_000 {
        let mut segments = vec![Vec::new(); 1 + next() as usize % 3];
        for segment in &mut segments {
            for _ in 0..next() % 40 {
                // Pointers with small numbers in them lead somewhere more often.
                let small = object(next() % 4, next() as i64 % 8, next() % 4, next() % 4);
                segment.push(match next() % 4 {
                    0 => next(),
                    1 => list(next() as i64 % 8, next() % 8, next() % 16),
                    2 => far(next() % 2 == 0, next() % 4, next() % 40),
                    _ => small,
                });
            }
        }
        let segments: Vec<&[u64]> = segments.iter().map(Vec::as_slice).collect();
        passes_means_readable(frame(&segments));
    }
}
