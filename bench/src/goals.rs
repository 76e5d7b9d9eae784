//! The goals: ratios within one run, each in the placements that it has a bound for.

use serde_json::{Value as Json, json};

use crate::placement::Placement::{self, Apart, Free, Together};
use crate::results::{Number, P50, P99, Rate, Results, Rounds};
use crate::subjects::connections::{ALONE, CROWDED, MEMORY};
use crate::subjects::echo::{BLOCKING, DYNAMIC, OUTSTANDING, THREADS_1, THREADS_32, core_name};
use crate::subjects::foreign::TARPC_OUTSTANDING;
use crate::subjects::objects::{ONE_CALLBACK, PLAIN, data_from, data_to};
use crate::subjects::processes::{NODE, TRUE};
use crate::subjects::raw::{COPIES, PING_PONG};

/// Which side of a goal is good.
#[derive(Clone, Copy, PartialEq)]
pub enum Good {
    AtMost,
    AtLeast,
}

impl Good {
    fn holds(self, reached: f64, bound: f64) -> bool {
        match self {
            Self::AtMost => reached <= bound,
            Self::AtLeast => reached >= bound,
        }
    }
}

/// A ratio that is to be reached, in one placement or in several.
pub struct Goal {
    pub what: &'static str,
    pub good: Good,
    /// The placements that have a bound.
    pub placed: Vec<Placed>,
    /// The next bound, in the last of these placements.
    pub then: Option<f64>,
}

/// A goal in one placement, and what was reached of it.
pub struct Placed {
    pub placement: Placement,
    /// The bound to reach.
    pub bound: f64,
    /// The ratio that was reached; none where a subject was not measured.
    pub reached: Option<f64>,
    /// The ratio of the quiet rounds, for a run that other work disturbed.
    pub quiet: Option<f64>,
}

impl Goal {
    fn new(what: &'static str, good: Good, placed: Vec<Placed>) -> Self {
        Self {
            what,
            good,
            placed,
            then: None,
        }
    }

    fn then(mut self, bound: f64) -> Self {
        self.then = Some(bound);
        self
    }

    /// Returns the goal in this placement, if there is one.
    pub fn get(&self, placement: Placement) -> Option<&Placed> {
        self.placed
            .iter()
            .find(|placed| placed.placement == placement)
    }

    /// Returns whether the bound is reached; none where it was not measured.
    pub fn holds(&self, placed: &Placed) -> Option<bool> {
        let reached = placed.reached?;
        Some(self.good.holds(reached, placed.bound))
    }

    /// Returns whether the next bound is reached.
    pub fn then_holds(&self) -> Option<bool> {
        let reached = self.placed.last()?.reached?;
        Some(self.good.holds(reached, self.then?))
    }

    /// Everything in it.
    pub fn json(&self) -> Json {
        let placed = |placed: &Placed| {
            json!({
                "placement": placed.placement.word(),
                "goal": placed.bound,
                "reached": placed.reached,
                "quiet": placed.quiet,
                "goal_holds": self.holds(placed),
            })
        };
        json!({
            "what": self.what,
            "good": match self.good { Good::AtMost => "at most", Good::AtLeast => "at least" },
            "placed": self.placed.iter().map(placed).collect::<Vec<_>>(),
            "then": self.then,
            "then_holds": self.then_holds(),
        })
    }
}

/// Every goal, and what these results reach of it.
pub fn reached(results: &Results) -> Vec<Goal> {
    let [_, (copy_to, copy_from), _] = COPIES;
    let (to, from, core) = (data_to("1 MiB"), data_from("1 MiB"), core_name(BLOCKING));
    let goal = |what, good, bounds: &[_], one: (&str, Number), other: (&str, Number)| {
        let placed = |&bound: &(Placement, f64)| ratio(results, bound, one, other);
        Goal::new(what, good, bounds.iter().map(placed).collect())
    };
    let at_most = |what, bounds: &[_], one: &str, other: &str| {
        goal(what, Good::AtMost, bounds, (one, P50), (other, P50))
    };
    let at_least = |what, bounds: &[_], one: &str, other: &str| {
        goal(what, Good::AtLeast, bounds, (one, Rate), (other, Rate))
    };
    let kib = results.bytes(MEMORY).map(|bytes| bytes / 1024.0);
    vec![
        at_most(
            "blocking call / raw ping-pong",
            &[(Together, 2.2), (Apart, 1.15)],
            BLOCKING,
            PING_PONG,
        ),
        at_most(
            "blocking call from another thread / from main",
            &[(Together, 1.15), (Apart, 1.1)],
            THREADS_1,
            BLOCKING,
        ),
        at_most(
            "call with one callback / plain call",
            &[(Together, 2.0), (Apart, 2.1)],
            ONE_CALLBACK,
            PLAIN,
        ),
        at_least(
            "32 outstanding, calls a second / tarpc's",
            &[(Together, 1.0), (Free, 1.0)],
            OUTSTANDING,
            TARPC_OUTSTANDING,
        ),
        at_least(
            "calls a second, 32 threads / 1 thread",
            &[(Free, 5.0)],
            THREADS_32,
            THREADS_1,
        ),
        at_most(
            "Data of 1 MiB to / raw copy",
            &[(Together, 1.5), (Apart, 1.5)],
            &to,
            copy_to,
        ),
        at_most(
            "Data of 1 MiB from / raw copy",
            &[(Together, 1.5), (Apart, 1.5)],
            &from,
            copy_from,
        ),
        goal(
            "a Bitcoin Core node / ours, blocking call",
            Good::AtLeast,
            &[(Together, 5.5), (Apart, 1.5)],
            (&core, P50),
            (BLOCKING, P50),
        ),
        at_most(
            "spawn to first answer / spawn of /bin/true",
            &[(Free, 2.0)],
            NODE,
            TRUE,
        ),
        goal(
            "p99 / p50 of the blocking call",
            Good::AtMost,
            &[(Free, 3.0)],
            (BLOCKING, P99),
            (BLOCKING, P50),
        )
        .then(2.0),
        at_most(
            "dynamic JSON call / typed call",
            &[(Free, 1.5)],
            DYNAMIC,
            BLOCKING,
        )
        .then(1.2),
        Goal::new(
            "KiB for an idle connection at the server",
            Good::AtMost,
            vec![Placed {
                placement: Free,
                bound: 64.0,
                reached: kib,
                quiet: kib,
            }],
        )
        .then(16.0),
        at_most(
            "call beside 1,000 idle connections / alone",
            &[(Free, 1.3)],
            CROWDED,
            ALONE,
        )
        .then(1.1),
    ]
}

/// Divides a number of one subject by one of another, both in this placement.
fn ratio(
    results: &Results,
    (placement, bound): (Placement, f64),
    (one, a): (&str, Number),
    (other, b): (&str, Number),
) -> Placed {
    let (one, other) = (placement.name(one), placement.name(other));
    let of = |rounds| results.ratio(rounds, (&one, a), (&other, b));
    Placed {
        placement,
        bound,
        reached: of(Rounds::Median),
        quiet: of(Rounds::Quiet),
    }
}
