//! What is to be reached, as ratios within one run.

use serde_json::{Value as Json, json};

use crate::results::{P50, P99, Rate, Results, Rounds};
use crate::subjects::connections::{ALONE, CROWDED, MEMORY};
use crate::subjects::echo::{BLOCKING, DYNAMIC, OUTSTANDING, THREADS_1, THREADS_32};
use crate::subjects::objects::{ONE_CALLBACK, PLAIN, data_from, data_to};
use crate::subjects::processes::{NODE, TRUE};
use crate::subjects::raw::{COPIES, PING_PONG};

/// Which side of a goal is good.
#[derive(Clone, Copy, PartialEq)]
pub enum Good {
    AtMost,
    AtLeast,
}

/// A goal, and what was reached of it.
pub struct Goal {
    pub what: &'static str,
    pub good: Good,
    /// What is to be reached.
    pub goal: f64,
    /// What is to be reached after that.
    pub then: f64,
    /// What was; none where a subject was not measured.
    pub reached: Option<f64>,
    /// The same of the quiet rounds, for when other work disturbed the run.
    pub quiet: Option<f64>,
}

impl Goal {
    /// Whether `bound`, the goal or the next one, is reached.
    pub fn holds(&self, bound: f64) -> Option<bool> {
        self.reached.map(|reached| match self.good {
            Good::AtMost => reached <= bound,
            Good::AtLeast => reached >= bound,
        })
    }

    /// Everything in it.
    pub fn json(&self) -> Json {
        json!({
            "what": self.what,
            "good": match self.good { Good::AtMost => "at most", Good::AtLeast => "at least" },
            "goal": self.goal,
            "then": self.then,
            "reached": self.reached,
            "quiet": self.quiet,
            "goal_holds": self.holds(self.goal),
            "then_holds": self.holds(self.then),
        })
    }
}

/// Every goal, and what these results reach of it.
pub fn reached(results: &Results) -> Vec<Goal> {
    let [_, (copy_to, copy_from), _] = COPIES;
    let (to, from) = (data_to("1 MiB"), data_from("1 MiB"));
    let at_most = |what, goal, then, [reached, quiet]: [_; 2]| Goal {
        what,
        good: Good::AtMost,
        goal,
        then,
        reached,
        quiet,
    };
    let at_least = |what, goal, then, reached| Goal {
        good: Good::AtLeast,
        ..at_most(what, goal, then, reached)
    };
    let ratio = |one, other| {
        [Rounds::Median, Rounds::Quiet].map(|rounds| results.ratio(rounds, one, other))
    };
    vec![
        at_most(
            "blocking call / raw ping-pong",
            5.0,
            3.0,
            ratio((BLOCKING, P50), (PING_PONG, P50)),
        ),
        at_most(
            "p99 / p50 of the blocking call",
            3.0,
            2.0,
            ratio((BLOCKING, P99), (BLOCKING, P50)),
        ),
        at_least(
            "calls a second, 32 threads / 1 thread",
            3.0,
            6.0,
            ratio((THREADS_32, Rate), (THREADS_1, Rate)),
        ),
        at_least(
            "calls a second, 32 outstanding / raw ping-pongs",
            0.8,
            1.5,
            ratio((OUTSTANDING, Rate), (PING_PONG, Rate)),
        ),
        at_most(
            "call with one callback / plain call",
            2.2,
            2.0,
            ratio((ONE_CALLBACK, P50), (PLAIN, P50)),
        ),
        at_most(
            "Data of 1 MiB to / raw copy",
            3.0,
            1.5,
            ratio((&to, P50), (copy_to, P50)),
        ),
        at_most(
            "Data of 1 MiB from / raw copy",
            3.0,
            1.5,
            ratio((&from, P50), (copy_from, P50)),
        ),
        at_most(
            "spawn to first answer / spawn and wait of /bin/true",
            3.0,
            2.0,
            ratio((NODE, P50), (TRUE, P50)),
        ),
        at_most(
            "dynamic JSON call / typed call",
            1.5,
            1.2,
            ratio((DYNAMIC, P50), (BLOCKING, P50)),
        ),
        at_most(
            "KiB for an idle connection at the server",
            64.0,
            16.0,
            [results.bytes(MEMORY).map(|bytes| bytes / 1024.0); 2],
        ),
        at_most(
            "call beside 1,000 idle connections / alone",
            1.3,
            1.1,
            ratio((CROWDED, P50), (ALONE, P50)),
        ),
    ]
}
