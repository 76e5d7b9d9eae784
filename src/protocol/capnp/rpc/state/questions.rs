//! The calls of this process: which there are, and the answers that are not complete.
//!
//! A question ends with the peer's Return, and with nothing else: the peer is told that it is finished
//! only then, because Bitcoin Core 30 dies when a call is cancelled while it executes. Until then a
//! question keeps what it is about, because to release a thread in the middle of a call is an error in
//! Core.

use std::collections::BTreeMap;

use slab::Slab;

use super::super::cap::{Cap, Done, Response};
use super::effects::{Effect, Effects};

/// A question without a Return.
pub struct Question {
    /// What gets the answer.
    pub done: Done,
    /// The objects of this process that went with it.
    pub exports: Vec<u32>,
    /// What it is about: its target, and its parameters' objects.
    pub about: Vec<Cap>,
}

/// An answer of the peer's that holds promises of this process.
struct Incomplete {
    response: Response,
    /// How many promises are not kept.
    missing: usize,
    done: Done,
}

/// The calls of this process.
#[derive(Default)]
pub struct Questions {
    /// Those without a Return, by number.
    pub table: Slab<Question>,
    incomplete: BTreeMap<u64, Incomplete>,
    next: u64,
}

impl Questions {
    /// The number that the next question will have.
    pub fn next_number(&self) -> u32 {
        number(self.table.vacant_key())
    }

    /// Adds a question; returns its number.
    pub fn add(&mut self, question: Question) -> u32 {
        number(self.table.insert(question))
    }

    /// The question of this number.
    pub fn contains(&self, id: u32) -> bool {
        usize::try_from(id).is_ok_and(|key| self.table.contains(key))
    }

    /// Takes out a question.
    pub fn remove(&mut self, id: u32) -> Option<Question> {
        self.table.try_remove(usize::try_from(id).ok()?)
    }

    /// Keeps an answer until `missing` promises in it are kept; returns its key.
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

    /// A promise in an answer is kept.
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

    /// Takes out what gets each answer, and what is kept for it.
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

/// A number for the wire; there are far fewer questions, since each takes memory.
fn number(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(u32::MAX)
}
