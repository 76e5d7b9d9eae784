//! `call --each`: a call for each line of a file or of stdin, on one connection.
//!
//! Knows lines and which failures end them; what is in a line is [`crate::calls::values`]', the calls are
//! [`crate::calls::session`]'s.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{self, TryRecvError};
use std::time::Instant;

use eyre::Result;

use crate::args::{self, Pick};
use crate::calls::session::Session;
use crate::calls::values::Words;
use crate::context::Context;
use crate::peer::target::OwnChild;
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::Shown;
use crate::ui::prompt::{self, Event};

/// How many lines are read ahead of the calls.
const AHEAD: usize = 16;

/// Makes a call for each line, and prints each result as it comes. A line that fails is reported
/// with its number and the others go on; the exit status is that of the first one. What a call
/// returned is let go of before the next.
pub(crate) fn run(
    context: &Context,
    mut session: Session,
    method: &str,
    args: &args::Call,
    file: &Path,
) -> Result<u8> {
    // Before there is a connection: a wrong name costs none.
    session.find(method)?;
    let input: Box<dyn Read + Send> = match file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(file).map_err(|error| {
            Failure::usage(format!("--each {}: {error}", file.display()))
                .hint("it takes a file, or - for stdin")
        })?),
    };
    session.open(OwnChild::Allowed)?;
    let (sender, lines) = mpsc::sync_channel(AHEAD);
    prompt::read_lines(input, sender, context.signals.events())?;
    let given = Words::new(&args.arguments, false);
    let done = each(context, &mut session, (method, &given, &args.pick), &lines);
    session.end();
    done
}

fn each(
    context: &Context,
    session: &mut Session,
    what: (&str, &Words, &Pick),
    lines: &mpsc::Receiver<Event>,
) -> Result<u8> {
    let mut exit = 0;
    let mut counter = context.output.count("lines");
    for number in 1_u64.. {
        let line = match next(context, session, lines) {
            Ok(Event::Line(line)) => line?,
            Ok(Event::Cleared) => continue,
            Ok(Event::End) => break,
            Err(failure) if exit == 0 || failure.is_silent() => return Err(failure.into()),
            Err(failure) => {
                context.output.failure(&failure, None);
                break;
            }
        };
        let done = call(session, what, &line);
        session.release_all();
        counter.add(done.is_err());
        let output = &context.output;
        let (method, _, pick) = what;
        let failure = match done {
            Ok(None) if output.answers_lines() => {
                output.answer(("line", number), Ok(&Shown::Nothing))?;
                continue;
            }
            Ok(Some(shown)) if output.answers_lines() => match pick.of(shown, method) {
                Ok(shown) => {
                    output.answer(("line", number), Ok(&shown))?;
                    continue;
                }
                Err(failure) => failure,
            },
            Ok(Some(shown)) => match pick.print(output, shown, method, true) {
                Ok(()) => continue,
                Err(report) => Failure::of(&report),
            },
            Ok(None) => continue,
            Err(report) => Failure::of(&report),
        };
        if failure.is_silent() {
            return Err(failure.into());
        }
        match output.answers_lines() {
            true => output.answer(("line", number), Err(&failure))?,
            false => output.failure(&failure, Some(number)),
        }
        if exit == 0 {
            exit = failure.kind.exit_code();
        }
        // Nothing can be called any more.
        if failure.kind == Kind::Disconnected {
            break;
        }
    }
    Ok(exit)
}

/// The next event, unless a signal or the end of the connection comes first.
fn next(
    context: &Context,
    session: &Session,
    lines: &mpsc::Receiver<Event>,
) -> Result<Event, Failure> {
    loop {
        let seen = context.signals.events().seen();
        session.sleep_until(Instant::now())?;
        match lines.try_recv() {
            Ok(event) => return Ok(event),
            Err(TryRecvError::Empty) => context.signals.events().wait(seen, None),
            Err(TryRecvError::Disconnected) => return Ok(Event::End),
        }
    }
}

/// Makes the call of a line, if it has one.
fn call(
    session: &mut Session,
    (method, given, _): (&str, &Words, &Pick),
    line: &str,
) -> Result<Option<Shown>> {
    let Some(words) = given.with_line(line)? else {
        return Ok(None);
    };
    let mut call = session.read(method, words)?;
    let answer = session.call(&mut call)?;
    Ok(Some(session.show(answer, None)?))
}
