//! A call with objects that print their calls: waits for more calls after its result.
//!
//! Knows what ends the wait; what is printed is [`crate::calls::session`]'s.

use std::time::Duration;

use eyre::Result;

use crate::args;
use crate::calls::session::{Call, Session};
use crate::context::Context;
use crate::ui::errors::Failure;

/// How long the answer to the last call may be on its way.
const LAST: Duration = Duration::from_millis(20);

/// How long a peer that has let go of everything may take to go itself, for that to be the reason.
const SETTLE: Duration = Duration::from_millis(100);

/// How much is printed.
pub(crate) struct Wanted {
    /// The number of calls that are enough.
    pub(crate) calls: Option<u64>,
    /// The time that is enough.
    pub(crate) time: Option<Duration>,
    /// Whether the result of the call itself is printed.
    pub(crate) result: bool,
}

impl Wanted {
    pub(crate) fn by(args: &args::Call) -> Self {
        Self {
            calls: args.count,
            time: args.duration.and_then(|limit| limit.0),
            result: true,
        }
    }
}

/// Makes the call, prints its result, and goes on until that is enough, the peer has let go of the
/// objects, or a signal comes.
pub(crate) fn run(
    context: &Context,
    session: &mut Session,
    call: &mut Call,
    wanted: &Wanted,
) -> Result<()> {
    let printers = session.printers().clone();
    let signals = context.signals.clone();
    printers.finish_after(wanted.calls, move || signals.stop());
    if let Some(time) = wanted.time {
        printers.finish_in(time)?;
    }
    match session.call(call) {
        Ok(answer) => {
            // Enough, before there was a result: whether that came as well is chance.
            if let Some(outcome) = printers.outcome() {
                return outcome;
            }
            let shown = session.show(answer, None)?;
            if wanted.result {
                context.output.result(&shown, false)?;
            }
        }
        // It may be one that calls back for as long as it runs.
        Err(report) => return printers.outcome().unwrap_or(Err(report)),
    }
    session.leave_printers();
    let events = context.signals.events();
    loop {
        let seen = events.seen();
        context.signals.check()?;
        if let Some(outcome) = printers.outcome() {
            // The answer to the last call is on its way.
            let _ = session.check_connection(LAST);
            return outcome;
        }
        if printers.are_let_go() {
            // With a peer that goes, its objects go a moment before the connection has ended.
            let settled = session.check_connection(SETTLE);
            return printers.outcome().unwrap_or(Ok(settled?));
        }
        session.check_connection(Duration::ZERO)?;
        events.wait(seen, None);
    }
}

/// `--for` and `--count` need something to wait for.
pub(crate) fn check(call: &Call, args: &args::Call) -> Result<(), Failure> {
    let option = match (args.duration, args.count) {
        _ if call.hosts() => return Ok(()),
        (Some(_), _) => "--for",
        (_, Some(_)) => "--count",
        _ => return Ok(()),
    };
    Err(
        Failure::usage(format!("{option} is for a call with NAME:=print"))
            .hint("NAME:=print hosts an object in the place of a parameter that is an interface"),
    )
}
