//! The peer's calls, and their answers.
//!
//! A call is in flight from its arrival until its return *and* the peer's Finish; a Finish before the
//! return does not end it. Knows what waits for an answer by number alone.

use std::collections::BTreeSet;

use capnp::private::capability::PipelineOp;

use super::super::cap::{Cap, Done};
use super::super::wire::cap_table::{find, read};
use super::super::wire::message::content;
use super::super::wire::write::Built;
use super::numbered::Numbered;
use crate::error::Result;

/// An answer's content: a message, and the capabilities in it.
pub type Outcome = Result<(Built, Vec<Option<Cap>>)>;

/// A call of the peer that is not finished.
pub enum Answer {
    /// The call is not answered.
    Open(Open),
    /// The call is answered, and may be pipelined on until the peer's Finish.
    Given(Given),
}

/// A call that is not answered.
pub struct Open {
    /// The number of calls that it is pipelined on, one upon the other.
    pub depth: u32,
    /// The destination of its results.
    pub results: ResultsTo,
    /// The wants that wait for it, in the order in which they came.
    pub wants: Vec<Want>,
    /// The size of the call in bytes.
    pub received: usize,
    /// The `releaseResultCaps` of the peer's Finish, if that has come.
    pub finish: Option<bool>,
}

/// The destination of the results of a peer's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultsTo {
    /// The peer, which may pipeline calls on them.
    Caller,
    /// The peer, which will not pipeline calls on them (`noPromisePipelining`).
    CallerOnly,
    /// Nowhere: the peer only pipelines calls on them (`onlyPromisePipeline`).
    Pipeline,
    /// Nowhere, until a call of this process takes them (`sendResultsTo.yourself`).
    Here,
}

/// An answer.
pub struct Given {
    /// The message and its capabilities, or the error.
    pub outcome: Outcome,
    /// The exports that it gave the peer references to.
    pub exports: Vec<u32>,
    /// Set if a call of this process may take it.
    pub is_here: bool,
}

/// An item that waits for an answer.
pub enum Want {
    /// Waiting call `call` is made on the capability at this place.
    Target {
        /// The call's key.
        call: u64,
        /// The place in the results.
        way: Vec<PipelineOp>,
    },
    /// Parameter `index` of waiting call `call` is the capability at this place.
    Param {
        /// The call's key.
        call: u64,
        /// The index in its table of capabilities.
        index: usize,
        /// The place in the results.
        way: Vec<PipelineOp>,
    },
    /// A capability in the response to a call of this process is the one at this place.
    Response {
        /// The response's key.
        response: u64,
        /// The index in its table of capabilities.
        index: usize,
        /// The place in the results.
        way: Vec<PipelineOp>,
    },
    /// A call of this process takes the whole results (`takeFromOtherQuestion`).
    Whole(Done),
}

/// A place in the answer to a question.
pub struct Place {
    /// The question.
    pub question: u32,
    /// The way through its results.
    pub way: Vec<PipelineOp>,
}

/// A capability in an answer that the peer has named, resolved on arrival: the peer may finish the
/// question at once, and use its number for another.
pub enum Promise {
    /// The answer is known; this is the capability at the place.
    Kept(Result<Option<Cap>>),
    /// The call is not answered: the caller must add a [`Want`] for this place.
    Open(Place),
}

/// The peer's calls, by question.
#[derive(Default)]
pub struct Answers {
    /// The calls that are not finished.
    pub table: Numbered<Answer>,
    /// The calls that were refused, until the peer has finished them.
    pub refused: BTreeSet<u32>,
}

impl Answers {
    /// Returns whether the number is in use.
    pub fn contains(&self, question: u32) -> bool {
        self.table.get(question).is_some() || self.refused.contains(&question)
    }

    /// Resolves a place in an answer that the peer names.
    pub fn promise(&self, place: Place) -> Promise {
        match self.table.get(place.question) {
            Some(Answer::Open(_)) => Promise::Open(place),
            Some(Answer::Given(given)) => Promise::Kept(at(&given.outcome, &place.way)),
            // Answered without objects, and so forgotten.
            None => Promise::Kept(Ok(None)),
        }
    }

    /// Adds a want to an open answer.
    pub fn want(&mut self, question: u32, want: Want) {
        if let Some(Answer::Open(open)) = self.table.get_mut(question) {
            open.wants.push(want);
        }
    }

    /// Returns the pipelining depth of a call that names this question.
    pub fn depth(&self, question: u32) -> u32 {
        match self.table.get(question) {
            Some(Answer::Open(open)) => open.depth + 1,
            _ => 0,
        }
    }
}

/// Returns the capability at a place in an answer.
pub fn at(outcome: &Outcome, way: &[PipelineOp]) -> Result<Option<Cap>> {
    match outcome {
        Ok((message, caps)) => Ok(pipelined(message, caps, way)),
        Err(error) => Err(error.clone()),
    }
}

fn pipelined(message: &Built, caps: &[Option<Cap>], way: &[PipelineOp]) -> Option<Cap> {
    let root = message.message().get_root_as_reader().ok()?;
    read(content(root).ok()?, caps, |content| {
        let hook = content.get_pipelined_cap(way).ok()?;
        find(caps, &*hook).cloned()
    })
}
