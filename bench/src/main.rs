//! The benchmark, `cargo bench`: what a call costs beside what the system itself takes.
//!
//! Every subject runs a slice of time in turn, round by round, in one process and its children, so
//! that what disturbs the machine disturbs all of them; ratios are those within a round. The
//! children are this executable under other names (`peers`). Knows the library by its public face.

mod args;
mod children;
mod goals;
mod machine;
mod measure;
mod objects {
    bitcoin_ipc::include_schema!("objects");
}
mod peers;
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
use results::Results;
use subjects::{Kind, Plan, Shared};
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
    let shared = Shared::new()?;
    let measured = measure_all(plans, args, &shared);
    // Also after a failure: no child is left.
    let ended = shared.end();
    let results = measured?;
    ended?;
    let goals = goals::reached(&results);
    report::print(&mut out, &results, &goals)?;
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report::json(args, &results, &goals))?;
        fs::write(path, json + "\n").wrap_err_with(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The subjects that are asked for, and those that they are compared with.
fn chosen(mut plans: Vec<Plan>, only: &[String]) -> Vec<Plan> {
    if only.is_empty() {
        return plans;
    }
    let asked = |plan: &&Plan| only.iter().any(|part| plan.name.contains(part.as_str()));
    let asked: Vec<&Plan> = plans.iter().filter(asked).collect();
    let mut wanted: HashSet<String> = asked.iter().map(|plan| plan.name.clone()).collect();
    if !wanted.is_empty() {
        wanted.extend(asked.iter().filter_map(|plan| plan.beside.clone()));
        wanted.insert(subjects::RAW.to_owned());
    }
    plans.retain(|plan| wanted.contains(&plan.name));
    plans
}

/// Starts every subject, warms it up, and gives each its slice of every round.
fn measure_all(plans: Vec<Plan>, args: &Args, shared: &Shared) -> Result<Results> {
    let watchdog = Watchdog::start()?;
    let mut results = Results::default();
    let mut running = Vec::new();
    for plan in plans {
        watchdog.begin(&plan.name);
        let failed = || plan.name.clone();
        match plan.kind {
            Kind::Calls(start) => match start(shared).wrap_err_with(failed)? {
                None => results.left_out.push(plan.name),
                Some(mut run) => {
                    run(args.warm_up()).wrap_err_with(failed)?;
                    running.push((plan.name.clone(), run));
                    results.subject(plan.name, plan.beside);
                }
            },
            Kind::Memory(measure) => {
                let bytes = measure(shared).wrap_err_with(failed)?;
                results.memory.push((plan.name, bytes));
            }
        }
    }
    for _ in 0..args.rounds() {
        for (at, (name, run)) in running.iter_mut().enumerate() {
            watchdog.begin(name);
            results.add(at, run(args.slice()).wrap_err_with(|| name.clone())?);
        }
    }
    Ok(results)
}
