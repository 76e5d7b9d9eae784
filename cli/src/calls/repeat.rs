//! `call --repeat` and `--every`: the same call again and again, on one connection.
//!
//! Knows when a call is due and when it is enough; the calls are [`crate::calls::session`]'s.

use std::time::{Duration, Instant};

use eyre::Result;

use crate::args::{self, Times};
use crate::calls::session::{Call, Session};
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};

/// Makes the call as often as `args` say, and prints the results, or with `--until-changed` only
/// the one that is not the first. What a call returned is let go of before the next.
pub(crate) fn run(
    context: &Context,
    session: &mut Session,
    call: &mut Call,
    args: &args::Call,
) -> Result<()> {
    let times = args.repeat.unwrap_or(Times(None)).0;
    let mut due = Instant::now();
    let mut first = None;
    let mut made = 0;
    while times.is_none_or(|times| made < times) {
        if made > 0 {
            due = next(due, args.every.unwrap_or_default());
            session.sleep_until(due)?;
        }
        let answer = session.call(call)?;
        made += 1;
        let value = answer.to_compare();
        let changed = *first.get_or_insert_with(|| value.clone()) != value;
        let shown = session.show(answer, None)?;
        if changed || !args.until_changed {
            args.pick
                .print(&context.output, shown, &call.name(), true)?;
        }
        session.release_all();
        if changed && args.until_changed {
            return Ok(());
        }
    }
    match args.until_changed {
        false => Ok(()),
        true => Err(Failure::new(
            Kind::Failed,
            format!("the result of {made} calls is the same"),
        )
        .hint("leave --repeat out to wait until it changes")
        .into()),
    }
}

/// When the call after one that was due at `due` is: `interval` later, or now where that has
/// passed.
fn next(due: Instant, interval: Duration) -> Instant {
    let now = Instant::now();
    due.checked_add(interval).map_or(now, |next| next.max(now))
}
