//! The tables for people, and all of it as JSON.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use crate::args::Args;
use crate::goals::{Goal, Good};
use crate::machine;
use crate::results::{Measured, P50, P99, Rate, Results, Rounds};
use crate::subjects::RAW;

/// Prints the table of the subjects, that of memory, and that of the goals.
pub fn print(out: &mut impl Write, results: &Results, goals: &[Goal]) -> io::Result<()> {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    writeln!(out, "{}\n", machine::line())?;
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
            ratio(results.ratio(Rounds::Median, (&subject.name, P50), (RAW, P50))),
            ratio(results.ratio(Rounds::Median, (&subject.name, Rate), (RAW, Rate))),
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
    for name in &results.left_out {
        // The one subject needs a second processor, the others the executable.
        writeln!(out, "{name:<48} not measured: what it needs is not here")?;
    }
    if let Some(raw) = results.get(RAW) {
        let [low, _, high] = raw.quartiles(P50);
        writeln!(
            out,
            "\nThe raw ping-pong's p50 was {} to {} in the middle half of {} rounds; far apart \
             means a busy machine.",
            time(low),
            time(high),
            raw.samples.len()
        )?;
    }
    writeln!(
        out,
        "\n{:<54}{:>9}{:>9}{:>9}{:>6}{:>6}{:>9}",
        "goal", "goal", "then", "reached", "goal", "then", "if quiet"
    )?;
    let word = |holds: Option<bool>| match holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    for goal in goals {
        let sign = match goal.good {
            Good::AtMost => "≤",
            Good::AtLeast => "≥",
        };
        writeln!(
            out,
            "{:<54}{:>9}{:>9}{:>9}{:>6}{:>6}{:>9}",
            goal.what,
            format!("{sign} {}", goal.goal),
            format!("{sign} {}", goal.then),
            ratio(goal.reached),
            word(goal.holds(goal.goal)),
            word(goal.holds(goal.then)),
            ratio(goal.quiet)
        )?;
    }
    Ok(())
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
pub fn json(args: &Args, results: &Results, goals: &[Goal]) -> Json {
    let subject = |subject: &Measured| {
        json!({
            "name": subject.name,
            "p50": subject.median(P50),
            "p50_quartiles": subject.quartiles(P50),
            "p99": subject.median(P99),
            "rate": subject.median(Rate),
            "p50_to_raw": results.ratio(Rounds::Median, (&subject.name, P50), (RAW, P50)),
            "rate_to_raw": results.ratio(Rounds::Median, (&subject.name, Rate), (RAW, Rate)),
            "beside": subject.beside,
            "p50_to_beside": beside(results, subject),
            "rounds": subject.samples.iter().map(|sample| sample.json()).collect::<Vec<_>>(),
        })
    };
    let memory = |(name, bytes): &(String, f64)| json!({ "name": name, "bytes": bytes });
    json!({
        "machine": machine::json(),
        "rounds": args.rounds(),
        "slice_milliseconds": args.slice().as_secs_f64() * 1e3,
        "subjects": results.subjects.iter().map(subject).collect::<Vec<_>>(),
        "memory": results.memory.iter().map(memory).collect::<Vec<_>>(),
        "not_measured": results.left_out,
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    })
}
