//! Random conversations of two and three parties in memory, compared with an oracle.
//!
//! The vat under test is the library's state machine, with connections to one or two peers that are
//! written by hand ([`peer`]). The [`oracle`] has the same objects and calls without a wire. After each
//! step the calls that objects got, their parameters, and the answers must be the same; in the end
//! nothing may be left.
//!
//! `CONVERSATIONS=1000000` runs as many. `CONVERSATION=<seed>` runs the one that a failure names, and
//! prints its messages.

mod content;
mod conversation;
mod oracle;
mod peer;
mod peer_acts;
mod peer_reads;
mod vat;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::state::Sabotage;
use conversation::converse;
use world::Counts;

/// The number of conversations, unless the environment sets another.
const CONVERSATIONS: u64 = 10_000;
/// The number of failures after which no further conversation begins.
const FAILURES: usize = 10;

/// The kinds of events that must each occur.
const KINDS: &[&str] = &[
    "conversation of two",
    "conversation of three",
    "bootstrap",
    "bootstrap of the vat's",
    "call",
    "call of the vat's",
    "call with noPromisePipelining",
    "call with onlyPromisePipeline",
    "pipelined call",
    "pipelined call of the vat's",
    "own capability as parameter",
    "the vat's capability as parameter",
    "promise of the peer's as parameter",
    "promised parameter",
    "receiverAnswer in results",
    "Return of results",
    "Return of an exception",
    "tail call",
    "early Finish",
    "Finish after the Return",
    "Release",
    "Release of the vat's",
    "Resolve of the vat's",
    "Resolve",
    "Disembargo",
    "disconnect",
];

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap())
}

/// Runs a conversation; an error or a panic is returned with the seed.
fn attempt(seed: u64, sabotage: Option<Sabotage>) -> Result<Counts, String> {
    let result = std::panic::catch_unwind(|| converse(seed, sabotage, false));
    let result = result.unwrap_or_else(|_| Err("a panic".into()));
    result.map_err(|wrong| format!("CONVERSATION={seed}: {wrong}"))
}

#[test]
fn a_million_conversations_are_as_without_a_wire() {
    if let Some(seed) = number("CONVERSATION") {
        converse(seed, None, true).unwrap();
        return;
    }
    let count = number("CONVERSATIONS").unwrap_or(CONVERSATIONS);
    let start = std::time::Instant::now();
    let next = AtomicU64::new(0);
    let total = Mutex::new((Counts::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut counts = Counts::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    match attempt(seed, None) {
                        Ok(some) => counts.merge(&some),
                        Err(wrong) => {
                            let failures = &mut total.lock().unwrap().1;
                            failures.push(wrong);
                            if failures.len() >= FAILURES {
                                next.store(count, Ordering::Relaxed);
                            }
                        }
                    }
                }
                total.lock().unwrap().0.merge(&counts);
            });
        }
    });
    let (total, failures) = total.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{count} conversations in {:?}", start.elapsed());
    for kind in KINDS {
        println!("{:>12} {kind}", total.of(kind));
    }
    for kind in KINDS {
        assert!(total.of(kind) > 0, "there is no {kind}");
    }
}

/// Checks that a deliberate error is found.
#[track_caller]
fn is_found(sabotage: Sabotage) {
    let found = (0..CONVERSATIONS).find_map(|seed| {
        let wrong = attempt(seed, Some(sabotage)).err()?;
        Some((seed + 1, wrong))
    });
    let Some((count, wrong)) = found else {
        panic!("{sabotage:?} is not found");
    };
    println!("{sabotage:?} is found by conversation {count}: {wrong}");
}

#[test]
fn a_wrong_order_is_found() {
    is_found(Sabotage::Order);
}

#[test]
fn a_double_release_is_found() {
    is_found(Sabotage::DoubleRelease);
}

#[test]
fn a_lost_finish_is_found() {
    is_found(Sabotage::LostFinish);
}

#[test]
fn an_early_return_is_found() {
    is_found(Sabotage::EarlyReturn);
}

#[test]
fn a_forgotten_promise_is_found() {
    is_found(Sabotage::ForgottenPromise);
}

/// Takes a lock, whatever else this thread has locked: all of a conversation runs on one thread.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
