//! Results of a run: the samples of each subject, and the ratios between subjects.

use crate::measure::Sample;
use crate::placement::Placement;
use crate::statistics::{median, quartiles};
use crate::subjects::RAW;

pub use Number::{P50, P99, Rate};

/// One of a sample's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// The median time of a call.
    P50,
    /// The time of the slowest of a hundred calls.
    P99,
    /// Calls a second.
    Rate,
}

impl Number {
    fn of(self, sample: &Sample) -> f64 {
        match self {
            P50 => sample.p50,
            P99 => sample.p99,
            Rate => sample.rate,
        }
    }
}

/// Selects the rounds that count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rounds {
    /// The median of the rounds.
    Median,
    /// The better quartile of the rounds: other work hardly disturbed it.
    Quiet,
}

/// A subject and its samples, one per round.
pub struct Measured {
    pub name: String,
    /// The subject to compare it with, besides the raw ping-pong.
    pub beside: Option<String>,
    /// The placement of its two sides.
    pub placement: Placement,
    pub samples: Vec<Sample>,
}

impl Measured {
    /// Tells whether a sample usually has the hundred calls that a p99 needs.
    pub fn has_p99(&self) -> bool {
        median(self.samples.iter().map(|sample| sample.calls as f64)) >= 100.0
    }

    /// Returns the median of all rounds.
    pub fn median(&self, number: Number) -> f64 {
        self.of(Rounds::Median, number)
    }

    /// Returns the number for the rounds that count.
    fn of(&self, rounds: Rounds, number: Number) -> f64 {
        let [low, median, high] = self.quartiles(number);
        match (rounds, number) {
            (Rounds::Median, _) => median,
            (Rounds::Quiet, P50 | P99) => low,
            (Rounds::Quiet, Rate) => high,
        }
    }

    /// Returns the first quartile, the median and the third quartile of the rounds.
    pub fn quartiles(&self, number: Number) -> [f64; 3] {
        quartiles(self.samples.iter().map(|sample| number.of(sample)))
    }
}

/// Everything that a run measured.
#[derive(Default)]
pub struct Results {
    pub subjects: Vec<Measured>,
    /// Memory in bytes, by name.
    pub memory: Vec<(String, f64)>,
    /// Subjects skipped because something that they need is missing, each with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

impl Results {
    /// Adds a subject whose samples follow.
    pub fn subject(&mut self, name: String, beside: Option<String>, placement: Placement) {
        self.subjects.push(Measured {
            name,
            beside,
            placement,
            samples: Vec::new(),
        });
    }

    /// Adds a sample to the subject with the index `at`.
    pub fn add(&mut self, at: usize, sample: Sample) {
        if let Some(subject) = self.subjects.get_mut(at) {
            subject.samples.push(sample);
        }
    }

    /// Returns the subject with this name, if it was measured.
    pub fn get(&self, name: &str) -> Option<&Measured> {
        self.subjects.iter().find(|subject| subject.name == name)
    }

    /// Returns the raw ping-pong in this placement, if it was measured.
    pub fn raw(&self, placement: Placement) -> Option<&Measured> {
        self.get(&placement.name(RAW))
    }

    /// Returns the bytes measured under this name, if any.
    pub fn bytes(&self, name: &str) -> Option<f64> {
        let found = self.memory.iter().find(|(memory, _)| memory == name);
        found.map(|(_, bytes)| *bytes)
    }

    /// Returns the ratio of one subject's number to another's, for the rounds that count.
    pub fn ratio(
        &self,
        rounds: Rounds,
        (one, a): (&str, Number),
        (other, b): (&str, Number),
    ) -> Option<f64> {
        Some(self.get(one)?.of(rounds, a) / self.get(other)?.of(rounds, b))
    }
}
