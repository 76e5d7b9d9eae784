//! The benchmark, `cargo bench`: what a call costs beside what the system itself takes.
//!
//! Every subject runs a slice of time in turn, round by round, in one process and its children, so
//! that what disturbs the machine disturbs all of them; ratios are those within a run. The
//! children are this executable in other roles (`peers`). Knows the library by its public face.

mod args;
mod children;
mod goals;
mod machine;
mod measure;
mod objects {
    bitcoin_ipc::include_schema!("objects");
}
mod peers;
mod placement;
mod report;
mod results;
mod statistics;
mod subjects;
mod watchdog;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use eyre::{Result, WrapErr, ensure};

use args::Args;
use placement::{Placement, Processors};
use results::Results;
use subjects::{Kind, Plan, Run, Shared, Start, Started};
use watchdog::Watchdog;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let ended = peers::run(&words).and_then(|played| match played {
        true => Ok(()),
        false => run(&Args::parse()),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(count) = args.calls {
        let shared = Shared::new(Processors::find()?)?;
        let called = subjects::echo::make_calls(&shared, count);
        return shared.end().and(called);
    }
    let plans = chosen(subjects::all(&args.program)?, &args.only);
    ensure!(
        !plans.is_empty(),
        "no subject's name contains any of {:?}; --list has them",
        args.only
    );
    let mut out = io::stdout().lock();
    if args.list {
        for plan in &plans {
            writeln!(out, "{}", plan.name)?;
        }
        return Ok(());
    }
    let processors = Processors::find()?;
    let shared = Shared::new(processors)?;
    let measured = measure_all(plans, args, &shared);
    // Also after a failure: no child is left.
    let ended = shared.end();
    let results = measured?;
    ended?;
    let goals = goals::reached(&results);
    report::print(&mut out, &processors, &results, &goals)?;
    if let Some(path) = &args.json {
        let json = report::json(args, &processors, &results, &goals);
        let json = serde_json::to_string_pretty(&json)?;
        fs::write(path, json + "\n").wrap_err_with(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The subjects that are asked for, and those that they are compared with: the one beside each,
/// and the raw ping-pong in the same placement.
fn chosen(mut plans: Vec<Plan>, only: &[String]) -> Vec<Plan> {
    if only.is_empty() {
        return plans;
    }
    let asked = |plan: &&Plan| only.iter().any(|part| plan.name.contains(part.as_str()));
    let asked: Vec<&Plan> = plans.iter().filter(asked).collect();
    let mut wanted: HashSet<String> = asked.iter().map(|plan| plan.name.clone()).collect();
    if !wanted.is_empty() {
        wanted.extend(asked.iter().filter_map(|plan| plan.beside.clone()));
        wanted.extend(asked.iter().map(|plan| plan.placement.name(subjects::RAW)));
    }
    plans.retain(|plan| wanted.contains(&plan.name));
    plans
}

/// Starts every subject, warms it up, and gives each its slice of every round.
fn measure_all(plans: Vec<Plan>, args: &Args, shared: &Shared) -> Result<Results> {
    let processors = &shared.processors;
    let watchdog = Watchdog::start()?;
    let mut results = Results::default();
    let mut running = Vec::new();
    for plan in plans {
        watchdog.begin(&plan.name);
        match plan.kind {
            Kind::Calls(start) => match warm_up(start, plan.placement, args, shared) {
                Err(error) => return Err(error.wrap_err(plan.name)),
                Ok(Started::Missing(reason)) => results.left_out.push((plan.name, reason)),
                Ok(Started::Ready(run)) => {
                    running.push((plan.name.clone(), plan.placement, run));
                    results.subject(plan.name, plan.beside, plan.placement);
                }
            },
            Kind::Memory(measure) => {
                let bytes = measure(shared).wrap_err_with(|| plan.name.clone())?;
                results.memory.push((plan.name, bytes));
            }
        }
    }
    for _ in 0..args.rounds() {
        for (at, (name, placement, run)) in running.iter_mut().enumerate() {
            watchdog.begin(name);
            let sample = processors.with_client(*placement, || run(args.slice()));
            results.add(at, sample.wrap_err_with(|| name.clone())?);
        }
    }
    Ok(results)
}

/// Starts a subject in its placement and lets it run for a while.
fn warm_up(
    start: Start<Started<Run>>,
    placement: Placement,
    args: &Args,
    shared: &Shared,
) -> Result<Started<Run>> {
    if let Some(reason) = shared.processors.missing(placement) {
        return Ok(Started::Missing(reason));
    }
    shared.processors.with_client(placement, || {
        let mut started = start(shared)?;
        if let Started::Ready(run) = &mut started {
            run(args.warm_up())?;
        }
        Ok(started)
    })
}
