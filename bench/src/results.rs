//! What was measured: each subject's slices, and what is compared with what.

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

/// Which of the rounds count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rounds {
    /// The one in the middle.
    Median,
    /// The one that a quarter of them are better than: hardly any other work disturbed it.
    Quiet,
}

/// A subject and its slices, one a round.
pub struct Measured {
    pub name: String,
    /// The subject that it is to be seen beside, besides the raw ping-pong.
    pub beside: Option<String>,
    /// Where its two sides ran.
    pub placement: Placement,
    pub samples: Vec<Sample>,
}

impl Measured {
    /// Whether a slice has so many calls that a hundredth of them is one.
    pub fn has_p99(&self) -> bool {
        median(self.samples.iter().map(|sample| sample.calls as f64)) >= 100.0
    }

    /// The median of all rounds.
    pub fn median(&self, number: Number) -> f64 {
        self.of(Rounds::Median, number)
    }

    /// The number of the rounds that count.
    fn of(&self, rounds: Rounds, number: Number) -> f64 {
        let [low, median, high] = self.quartiles(number);
        match (rounds, number) {
            (Rounds::Median, _) => median,
            (Rounds::Quiet, P50 | P99) => low,
            (Rounds::Quiet, Rate) => high,
        }
    }

    /// The values that a quarter, a half and three quarters of the rounds are below.
    pub fn quartiles(&self, number: Number) -> [f64; 3] {
        quartiles(self.samples.iter().map(|sample| number.of(sample)))
    }
}

/// All that was measured.
#[derive(Default)]
pub struct Results {
    pub subjects: Vec<Measured>,
    /// Bytes, by name.
    pub memory: Vec<(String, f64)>,
    /// Subjects that need what is not there, each with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

impl Results {
    /// A subject of which samples will come.
    pub fn subject(&mut self, name: String, beside: Option<String>, placement: Placement) {
        self.subjects.push(Measured {
            name,
            beside,
            placement,
            samples: Vec::new(),
        });
    }

    /// A sample of the subject that came as number `at`.
    pub fn add(&mut self, at: usize, sample: Sample) {
        if let Some(subject) = self.subjects.get_mut(at) {
            subject.samples.push(sample);
        }
    }

    /// The subject of this name, if it was measured.
    pub fn get(&self, name: &str) -> Option<&Measured> {
        self.subjects.iter().find(|subject| subject.name == name)
    }

    /// The raw ping-pong in this placement, if it was measured.
    pub fn raw(&self, placement: Placement) -> Option<&Measured> {
        self.get(&placement.name(RAW))
    }

    /// Bytes by name, if measured.
    pub fn bytes(&self, name: &str) -> Option<f64> {
        let found = self.memory.iter().find(|(memory, _)| memory == name);
        found.map(|(_, bytes)| *bytes)
    }

    /// A subject's number by another's, of the rounds that count.
    pub fn ratio(
        &self,
        rounds: Rounds,
        (one, a): (&str, Number),
        (other, b): (&str, Number),
    ) -> Option<f64> {
        Some(self.get(one)?.of(rounds, a) / self.get(other)?.of(rounds, b))
    }
}
