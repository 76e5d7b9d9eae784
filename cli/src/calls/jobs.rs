//! Calls in the background of a session: their numbers, their answers when they come, their end.
//!
//! Knows calls under way and how an answer is announced; nothing of lines or of terminals.

use std::time::{Duration, Instant};

use bitcoin_ipc::Error;
use eyre::Result;
use serde_json::json;

use crate::calls::running::{PATIENCE, Running};
use crate::calls::session::{Answer, Session};
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::Shown;

/// How often a wait looks for answers.
const LOOK: Duration = Duration::from_millis(20);

/// A call that nobody waits for.
pub(crate) struct Job {
    number: u32,
    running: Running<Result<Answer, Error>>,
    /// The name that the object it returns is to have.
    keep: Option<String>,
    /// The line it came from, of a pipe.
    line: Option<u64>,
}

/// The calls in the background, in the order in which they went there.
#[derive(Default)]
pub(crate) struct Jobs {
    jobs: Vec<Job>,
    /// The first failure of a job, for the exit status.
    failed: Option<Kind>,
    /// Whether the session goes on when its connection has ended.
    stays: bool,
}

/// How a job is, for people.
enum State {
    Running,
    Done,
    Failed,
    Interrupted,
}

impl Jobs {
    /// Makes an empty list, for a session that goes on when its connection has ended, or does not.
    pub(crate) fn of(stays: bool) -> Self {
        Self {
            stays,
            ..Self::default()
        }
    }

    /// Leaves a call to itself. Returns its number.
    pub(crate) fn add(
        &mut self,
        context: &Context,
        running: Running<Result<Answer, Error>>,
        keep: Option<String>,
        line: Option<u64>,
    ) -> u32 {
        let number = self.jobs.last().map_or(1, |job| job.number + 1);
        say(context, number, &running.name, State::Running);
        self.jobs.push(Job {
            number,
            running,
            keep,
            line,
        });
        number
    }

    /// The numbers of all.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.jobs.iter().map(|job| job.number).collect()
    }

    /// Returns a line on each: number, method, and since when it runs.
    pub(crate) fn told(&self) -> Vec<(u32, String, u64)> {
        let seconds = |job: &Job| job.running.started.elapsed().as_secs();
        let row = |job: &Job| (job.number, job.running.name.clone(), seconds(job));
        self.jobs.iter().map(row).collect()
    }

    /// Announces the answers that have come. Fails where the session cannot go on.
    pub(crate) fn announce(&mut self, context: &Context, session: &mut Session) -> Result<()> {
        let mut index = 0;
        while let Some(Job { running, .. }) = self.jobs.get(index) {
            let (answer, late) = match running.wait(Duration::ZERO) {
                Ok(None) => match running.late(context) {
                    None => {
                        index += 1;
                        continue;
                    }
                    Some(late) => (Err(late.into()), true),
                },
                Ok(Some(answer)) => (answer.map_err(Into::into), false),
                Err(panicked) => (Err(panicked), false),
            };
            let job = self.jobs.remove(index);
            let (number, keep, line) = (job.number, job.keep, job.line);
            let name = job.running.name.clone();
            if late && let Err(why) = job.running.end(|| false) {
                context.output.note(&why);
            }
            let shown = answer.and_then(|answer| Ok(session.show(answer, keep.as_deref())?));
            let state = match shown {
                Ok(_) => State::Done,
                Err(_) => State::Failed,
            };
            say(context, number, &name, state);
            self.print(context, (number, line), shown)?;
        }
        Ok(())
    }

    /// Prints the answer to a job, which a line of input began.
    fn print(
        &mut self,
        context: &Context,
        (number, line): (u32, Option<u64>),
        shown: Result<Shown>,
    ) -> Result<()> {
        let output = &context.output;
        let request = ("job", u64::from(number));
        let failure = match shown {
            Ok(shown) if output.answers_lines() => return Ok(output.answer(request, Ok(&shown))?),
            Ok(shown) => return Ok(output.result(&shown, true)?),
            Err(report) => Failure::of(&report),
        };
        match output.answers_lines() {
            true => output.answer(request, Err(&failure))?,
            false if failure.kind == Kind::Disconnected && !self.stays => {}
            false => output.failure(&failure, line),
        }
        if failure.kind == Kind::Disconnected && !self.stays {
            return Err(failure.into());
        }
        self.failed.get_or_insert(failure.kind);
        Ok(())
    }

    /// Has the peer end a job, whose answer is no result.
    pub(crate) fn cancel(&mut self, context: &Context, number: &str) -> Result<(), Failure> {
        let job = self.jobs.remove(self.find(number)?);
        let number = job.number;
        let name = job.running.name.clone();
        let signals = &context.signals;
        let since = signals.count();
        match job.running.end(|| signals.count() > since) {
            Ok(_) => say(context, number, &name, State::Interrupted),
            Err(why) => context.output.note(&format!("[{number}] {why}")),
        }
        Ok(())
    }

    /// Waits for a job, or for all. SIGINT at a prompt ends the wait and no job.
    pub(crate) fn wait(
        &mut self,
        context: &Context,
        session: &mut Session,
        number: Option<&str>,
    ) -> Result<()> {
        let number = match number {
            None => None,
            Some(number) => Some(self.jobs[self.find(number)?].number),
        };
        let since = context.signals.count();
        loop {
            self.announce(context, session)?;
            let mut numbers = self.numbers().into_iter();
            if !numbers.any(|other| number.is_none_or(|number| number == other)) {
                return Ok(());
            }
            context.signals.check()?;
            if context.signals.count() > since {
                return Err(Failure::interrupted().into());
            }
            context.signals.sleep(LOOK)?;
        }
    }

    /// Has the peer end all of them. With `answers` what they answer is announced, as at the end
    /// of a pipe's lines.
    pub(crate) fn end(
        mut self,
        context: &Context,
        session: &mut Session,
        answers: bool,
    ) -> Result<Option<Kind>> {
        self.announce(context, session)?;
        let signals = &context.signals;
        let (since, begun) = (signals.count(), Instant::now());
        // All of them together as long as one.
        let hurry = || signals.count() > since || begun.elapsed() > PATIENCE;
        for job in std::mem::take(&mut self.jobs) {
            let Job {
                number,
                keep,
                line,
                running,
            } = job;
            let name = running.name.clone();
            match running.end(hurry) {
                Err(why) => context.output.note(&format!("[{number}] {why}")),
                Ok(answer) => {
                    say(context, number, &name, State::Interrupted);
                    if answers {
                        let shown = answer.map_err(Into::into);
                        let shown = shown.and_then(|a| Ok(session.show(a, keep.as_deref())?));
                        self.print(context, (number, line), shown)?;
                    }
                }
            }
        }
        Ok(self.failed)
    }

    fn find(&self, number: &str) -> Result<usize, Failure> {
        let digits = number.strip_prefix('%').unwrap_or(number).parse().ok();
        let found = self.jobs.iter().position(|job| Some(job.number) == digits);
        found.ok_or_else(|| {
            Failure::usage(format!("no call runs in the background as {number:?}"))
                .hint(".jobs lists those that do")
        })
    }
}

/// Says how a job is.
fn say(context: &Context, number: u32, method: &str, state: State) {
    let word = match state {
        State::Running => "running",
        State::Done => "done",
        State::Failed => "failed",
        State::Interrupted => "interrupted",
    };
    let output = &context.output;
    match state {
        _ if output.is_json() => output
            .note_json(&json!({ "job": { "number": number, "method": method, "state": word } })),
        State::Running => output.note(&format!("[{number}] {method}")),
        _ => output.note(&format!("[{number}] {method}: {word}")),
    }
}
