//! The tables for people, and all of it as JSON.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value as Json, json};

use crate::args::Args;
use crate::goals::{Goal, Good};
use crate::machine;
use crate::placement::{Placement, Processors};
use crate::results::{Measured, Number, P50, P99, Rate, Results, Rounds};
use crate::subjects::RAW;

/// The placements in the order of the goals' columns.
const COLUMNS: [Placement; 3] = [Placement::Together, Placement::Apart, Placement::Free];

/// Prints the table of the subjects, that of memory, that of the goals, and what was left out.
pub fn print(
    out: &mut impl Write,
    processors: &Processors,
    results: &Results,
    goals: &[Goal],
) -> io::Result<()> {
    writeln!(out, "{}\n", machine::lines(processors))?;
    let head = ["p50", "p99", "calls/s", "p50/raw", "rate/raw", "p50/beside"];
    write!(out, "{:<48}", "subject")?;
    for word in head {
        write!(out, "{word:>11}")?;
    }
    writeln!(out)?;
    for subject in &results.subjects {
        let cells = [
            time(subject.median(P50)),
            match subject.has_p99() {
                true => time(subject.median(P99)),
                false => "-".to_owned(),
            },
            format!("{:.0}", subject.median(Rate)),
            ratio(to_raw(results, subject, P50)),
            ratio(to_raw(results, subject, Rate)),
            ratio(beside(results, subject)),
        ];
        write!(out, "{:<48}", subject.name)?;
        for cell in cells {
            write!(out, "{cell:>11}")?;
        }
        match &subject.beside {
            Some(other) if results.get(other).is_some() => writeln!(out, "  {other}")?,
            _ => writeln!(out)?,
        }
    }
    for (name, bytes) in &results.memory {
        writeln!(
            out,
            "{name:<48}{:>11}",
            format!("{:.1} KiB", bytes / 1024.0)
        )?;
    }
    print_raw(out, results)?;
    print_goals(out, goals)?;
    print_left_out(out, results)
}

/// Prints how much the raw ping-pong differed from round to round.
fn print_raw(out: &mut impl Write, results: &Results) -> io::Result<()> {
    writeln!(out)?;
    for placement in COLUMNS {
        if let Some(raw) = results.raw(placement) {
            let [low, _, high] = raw.quartiles(P50);
            writeln!(
                out,
                "The raw ping-pong's p50, {}, was {} to {} in the middle half of {} rounds; a \
                 wide range means a busy machine.",
                placement.word(),
                time(low),
                time(high),
                raw.samples.len()
            )?;
        }
    }
    Ok(())
}

fn print_goals(out: &mut impl Write, goals: &[Goal]) -> io::Result<()> {
    write!(out, "\n{:<46}", "")?;
    for placement in COLUMNS {
        write!(out, "{:>14}{:15}", placement.word(), "")?;
    }
    write!(out, "\n{:<46}", "goal")?;
    for _ in COLUMNS {
        write!(
            out,
            "{:>7}{:>8}{:>9}{:>5}",
            "goal", "reached", "if quiet", ""
        )?;
    }
    writeln!(out, "{:>7}", "then")?;
    for goal in goals {
        let sign = match goal.good {
            Good::AtMost => "≤",
            Good::AtLeast => "≥",
        };
        write!(out, "{:<46}", goal.what)?;
        for placement in COLUMNS {
            let cells = goal.get(placement).map_or_else(Default::default, |placed| {
                let bound = format!("{sign} {}", placed.bound);
                let (reached, quiet) = (ratio(placed.reached), ratio(placed.quiet));
                [bound, reached, quiet, word(goal.holds(placed)).to_owned()]
            });
            let [bound, reached, quiet, holds] = cells;
            write!(out, "{bound:>7}{reached:>8}{quiet:>9}{holds:>5}")?;
        }
        match goal.then {
            Some(bound) => {
                let bound = format!("{sign} {bound}");
                writeln!(out, "{bound:>7}{:>5}", word(goal.then_holds()))?;
            }
            None => writeln!(out)?,
        }
    }
    let holds = || {
        goals
            .iter()
            .flat_map(|goal| goal.placed.iter().map(|placed| goal.holds(placed)))
    };
    let count = |which| holds().filter(|holds| *holds == which).count();
    writeln!(
        out,
        "\n{} of {} goals are reached, {} are not, {} were not measured.",
        count(Some(true)),
        holds().count(),
        count(Some(false)),
        count(None)
    )
}

/// Prints the subjects that were not measured, by reason.
fn print_left_out(out: &mut impl Write, results: &Results) -> io::Result<()> {
    let reasons: BTreeSet<_> = results.left_out.iter().map(|(_, reason)| reason).collect();
    for reason in reasons {
        writeln!(out, "\nSKIPPED: {reason}:")?;
        for (name, why) in &results.left_out {
            if why == reason {
                writeln!(out, "  {name}")?;
            }
        }
    }
    Ok(())
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn word(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

/// A subject's number by that of the raw ping-pong in the same placement.
fn to_raw(results: &Results, subject: &Measured, number: Number) -> Option<f64> {
    let raw = subject.placement.name(RAW);
    results.ratio(Rounds::Median, (&subject.name, number), (&raw, number))
}

fn beside(results: &Results, subject: &Measured) -> Option<f64> {
    results.ratio(
        Rounds::Median,
        (&subject.name, P50),
        (subject.beside.as_deref()?, P50),
    )
}

/// A time in nanoseconds, for people.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

/// Everything that is known of the run. Times are in nanoseconds.
pub fn json(args: &Args, processors: &Processors, results: &Results, goals: &[Goal]) -> Json {
    let subject = |subject: &Measured| {
        json!({
            "name": subject.name,
            "placement": subject.placement.word(),
            "p50": subject.median(P50),
            "p50_quartiles": subject.quartiles(P50),
            "p99": subject.median(P99),
            "rate": subject.median(Rate),
            "p50_to_raw": to_raw(results, subject, P50),
            "rate_to_raw": to_raw(results, subject, Rate),
            "beside": subject.beside,
            "p50_to_beside": beside(results, subject),
            "rounds": subject.samples.iter().map(|sample| sample.json()).collect::<Vec<_>>(),
        })
    };
    let left_out = |(name, reason): &(String, &str)| json!({ "name": name, "reason": reason });
    let memory = |(name, bytes): &(String, f64)| json!({ "name": name, "bytes": bytes });
    json!({
        "machine": machine::json(processors),
        "rounds": args.rounds(),
        "slice_milliseconds": args.slice().as_secs_f64() * 1e3,
        "subjects": results.subjects.iter().map(subject).collect::<Vec<_>>(),
        "memory": results.memory.iter().map(memory).collect::<Vec<_>>(),
        "not_measured": results.left_out.iter().map(left_out).collect::<Vec<_>>(),
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    })
}
