//! The calls of this process, and the answers that are not complete.
//!
//! A question ends with the peer's Return, and with nothing else: its Finish is sent only then, because
//! Bitcoin Core 30 crashes when a call is cancelled while it executes. Until then a question keeps its
//! target and its parameters' objects, because to release a thread in the middle of a call is an error
//! in Core.

use std::collections::BTreeMap;

use slab::Slab;

use super::super::cap::{Cap, Done, Response};
use super::effects::{Effect, Effects};

/// A question without a Return.
pub struct Question {
    /// The callback that gets the answer.
    pub done: Done,
    /// The exports among its parameters.
    pub exports: Vec<u32>,
    /// The capabilities that it keeps: its target, and its parameters' objects.
    pub about: Vec<Cap>,
}

/// An answer of the peer that holds promises of this process.
struct Incomplete {
    response: Response,
    /// The number of promises that are not resolved.
    missing: usize,
    done: Done,
}

/// The calls of this process.
#[derive(Default)]
pub struct Questions {
    /// The questions without a Return, by number.
    pub table: Slab<Question>,
    incomplete: BTreeMap<u64, Incomplete>,
    next: u64,
}

impl Questions {
    /// Returns the number that the next question will have.
    pub fn next_number(&self) -> u32 {
        number(self.table.vacant_key())
    }

    /// Adds a question; returns its number.
    pub fn add(&mut self, question: Question) -> u32 {
        number(self.table.insert(question))
    }

    /// Returns whether there is a question of this number.
    pub fn contains(&self, id: u32) -> bool {
        usize::try_from(id).is_ok_and(|key| self.table.contains(key))
    }

    /// Removes and returns a question.
    pub fn remove(&mut self, id: u32) -> Option<Question> {
        self.table.try_remove(usize::try_from(id).ok()?)
    }

    /// Keeps an answer until `missing` promises in it are resolved; returns its key.
    pub fn complete_later(&mut self, response: Response, missing: usize, done: Done) -> u64 {
        let key = self.next;
        self.next += 1;
        let incomplete = Incomplete {
            response,
            missing,
            done,
        };
        self.incomplete.insert(key, incomplete);
        key
    }

    /// Sets a resolved promise in an answer, and passes the answer on once it is complete.
    pub fn supply(&mut self, key: u64, index: usize, cap: Option<Cap>, effects: &mut Effects) {
        let Some(incomplete) = self.incomplete.get_mut(&key) else {
            return;
        };
        incomplete.response.supply(index, cap);
        incomplete.missing = incomplete.missing.saturating_sub(1);
        if incomplete.missing == 0
            && let Some(complete) = self.incomplete.remove(&key)
        {
            let response = Ok(complete.response);
            effects.then(Effect::Tell(complete.done, response, Vec::new()));
        }
    }

    /// Removes the callback of each question and each incomplete answer; returns them with the
    /// capabilities that they kept.
    pub fn drain(&mut self) -> Vec<(Done, Vec<Cap>)> {
        let asked = self.table.drain().map(|asked| (asked.done, asked.about));
        let incomplete = std::mem::take(&mut self.incomplete).into_values();
        asked
            .chain(incomplete.map(|incomplete| {
                let caps = incomplete.response.into_caps();
                (incomplete.done, caps)
            }))
            .collect()
    }
}

/// Returns the number for the wire; there are far fewer questions, since each takes memory.
fn number(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(u32::MAX)
}
