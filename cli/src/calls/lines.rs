//! Makes a call for each line of a prompt or of a pipe.
//!
//! Knows what a line is answered with, and what ends a session; the calls are
//! [`crate::calls::session`]'s, and lines come from [`crate::ui::prompt`].

mod told;
mod words;

use std::io::{self, Write};
use std::ops::ControlFlow;

use bitcoin_ipc::Error;
use bitcoin_ipc::process::Signal;
use eyre::Result;
use serde_json::json;

pub(crate) use self::told::{Manual, Told};
use self::told::{misused, table};
use self::words::{Line, OTHER_WORDS, Words};
use crate::calls::jobs::Jobs;
use crate::calls::running::Finished;
use crate::calls::session::{Answer, Call, Session};
use crate::calls::shell::Shell;
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};
use crate::ui::output::Shown;
use crate::ui::prompt::{Event, Input, Source, View};

/// Makes a call for each line of input until that ends. Returns the exit status, which is that of
/// the first line that failed.
pub(crate) fn run(context: &Context, session: &mut Session, manual: &Manual) -> Result<u8> {
    let input = Input::open(context, view(session, &Jobs::default()))?;
    let prompts = input.source != Source::Pipe;
    if prompts {
        context.signals.prompt();
        context.signals.hear_suspend()?;
        // Before the first line, so that it is completed by the schema that the peer speaks.
        if let Err(report) = session.learn() {
            input.close(false, false);
            return Err(report);
        }
    }
    let mut lines = Lines {
        context,
        session,
        manual,
        jobs: Jobs::of(prompts),
        input: &input,
        prompts,
        number: 0,
        exit: 0,
    };
    let done = lines.each();
    input.close(done.is_err(), !matches!(done, Ok(Over::Quit)));
    let (jobs, session) = (lines.jobs, lines.session);
    let (mut exit, ended) = (lines.exit, jobs.end(context, session, !prompts));
    done?;
    if let (0, false, Some(kind)) = (exit, prompts, ended?) {
        exit = kind.exit_code();
    }
    Ok(exit)
}

/// Returns the view of the session by which a line is completed.
fn view(session: &Session, jobs: &Jobs) -> View {
    View {
        schema: session.schema().clone(),
        held: session.held(),
        jobs: jobs.numbers(),
    }
}

/// A session and its place in the lines.
struct Lines<'a> {
    context: &'a Context,
    session: &'a mut Session,
    manual: &'a Manual,
    jobs: Jobs,
    input: &'a Input,
    /// Whether a person types the lines.
    prompts: bool,
    number: u64,
    exit: u8,
}

/// The way the lines ended.
enum Over {
    End,
    Quit,
}

/// The way on after a line.
enum Next {
    Go,
    /// Skips the lines that were typed together with it.
    Stop,
    Quit,
}

/// The answer to a line.
enum Reply {
    /// Nothing to see; null, where each line is answered.
    Nothing,
    Result(Shown),
    /// Lines for people, which are no result.
    Told(Told),
}

impl Lines<'_> {
    fn each(&mut self) -> Result<Over> {
        loop {
            let line = match self.next()? {
                Event::Line(Ok(line)) => line,
                Event::Line(Err(error)) => {
                    self.number += 1;
                    return self.unreadable(error);
                }
                Event::Cleared => continue,
                Event::End => return Ok(Over::End),
            };
            for line in lines_of(&line) {
                match self.one(&line)? {
                    Next::Go => {}
                    Next::Stop => break,
                    Next::Quit => return Ok(Over::Quit),
                }
            }
        }
    }

    /// Reports that there are no lines any more that could be read.
    fn unreadable(&mut self, error: io::Error) -> Result<Over> {
        let failure = Failure::of(&error.into());
        if !failure.is_silent() {
            self.fail(&failure)?;
        }
        if self.exit == 0 {
            self.exit = failure.kind.exit_code();
        }
        Ok(Over::End)
    }

    /// Executes a line, and answers it with its result or its failure.
    fn one(&mut self, line: &str) -> Result<Next> {
        self.number += 1;
        let failure = match self.execute(line) {
            Ok((next, reply)) => {
                self.reply(reply)?;
                return Ok(next);
            }
            Err(report) => Failure::of(&report),
        };
        match failure.kind {
            Kind::Signal(_) if self.context.signals.received().is_none() => {
                self.overwrite();
                self.context.output.note("interrupted");
                return Ok(Next::Stop);
            }
            Kind::Signal(_) | Kind::ClosedPipe => return Err(failure.into()),
            _ => self.fail(&failure)?,
        }
        if self.prompts {
            let ended = failure.kind == Kind::Disconnected;
            if ended {
                self.lose(None);
            }
            return Ok(if ended { Next::Stop } else { Next::Go });
        }
        if self.exit == 0 {
            self.exit = failure.kind.exit_code();
        }
        // Nothing can be called any more.
        let over = failure.kind == Kind::Disconnected;
        Ok(if over { Next::Quit } else { Next::Go })
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        let output = &self.context.output;
        if output.answers_lines() {
            let shown = match reply {
                Reply::Nothing => Shown::Nothing,
                Reply::Result(shown) => shown,
                Reply::Told(told) => Shown::Structured(told.json),
            };
            return Ok(output.answer(("line", self.number), Ok(&shown))?);
        }
        match reply {
            Reply::Nothing => {}
            Reply::Result(shown) => output.result(&shown, true)?,
            Reply::Told(told) => {
                for line in told.text.lines() {
                    output.stderr_line(line);
                }
            }
        }
        Ok(())
    }

    fn fail(&self, failure: &Failure) -> Result<()> {
        let output = &self.context.output;
        match output.answers_lines() {
            true => output.answer(("line", self.number), Err(failure))?,
            false => output.failure(failure, self.place()),
        }
        Ok(())
    }

    /// Moves the cursor to the start of the line, over the ^C that a terminal has echoed.
    fn overwrite(&self) {
        if self.input.source == Source::Plain {
            let _ = write!(io::stderr(), "\r");
        }
    }

    /// Returns the number of the line that an error is about; `None` at a prompt.
    fn place(&self) -> Option<u64> {
        (!self.prompts).then_some(self.number)
    }

    /// Returns the next event, or fails on a signal. Announces what comes meanwhile: answers, and at a
    /// prompt the end of the connection.
    fn next(&mut self) -> Result<Event> {
        let (context, input) = (self.context, self.input);
        let since = context.signals.count();
        let events = context.signals.events();
        input.ask(view(self.session, &self.jobs));
        loop {
            let seen = events.seen();
            context.signals.check()?;
            self.jobs.announce(context, self.session)?;
            if let Some(event) = input.next() {
                return Ok(event);
            }
            if self.prompts
                && let Some(reason) = self.session.ended()
            {
                self.lose(Some(&reason));
                input.complete_by(view(self.session, &self.jobs));
            }
            // The terminal has discarded the line.
            if input.source == Source::Plain && context.signals.count() > since {
                context.output.stderr_line("");
                return Ok(Event::Cleared);
            }
            events.wait(seen, self.jobs.deadline(context));
        }
    }

    /// Gives up the connection, which has ended, and says what is gone with it, and why unless an error
    /// has said that.
    fn lose(&mut self, reason: Option<&Error>) {
        let output = &self.context.output;
        let gone = self.session.forget();
        let reason = reason.map(ToString::to_string);
        if output.is_json() {
            let gone: Vec<_> = gone.iter().map(|(name, _)| name.as_str()).collect();
            let told = json!({ "disconnected": { "reason": reason, "gone": gone } });
            return output.note_json(&told);
        }
        if let Some(reason) = reason {
            output.note(&format!("disconnected: {reason}"));
        }
        if !gone.is_empty() {
            let gone = gone.iter().map(|(name, kind)| format!("{name} ({kind})"));
            let gone: Vec<_> = gone.collect();
            output.note(&format!("gone with it: {}", gone.join(", ")));
        }
        output.note("the next call connects again, as .reconnect does");
    }

    fn execute(&mut self, line: &str) -> Result<(Next, Reply)> {
        let words = match words::read(line, self.prompts)? {
            Line::Empty => return Ok((Next::Go, Reply::Nothing)),
            Line::Command(words) => return self.command(&words),
            Line::Call(words) => words,
        };
        if words.arguments.is_empty()
            && let Some((_, meant)) = OTHER_WORDS.iter().find(|(word, _)| *word == words.path)
            && self.session.find(&words.path).is_err()
        {
            return self.command(&[(*meant).to_owned()]);
        }
        let reply = self.call(&words).map_err(|report| {
            let failure = Failure::of(&report);
            match failure.kind == Kind::Usage && words::lost_quotes(line, &words) {
                true => failure
                    .hint("words are quoted as in a shell: NAME:='{\"field\":1}'")
                    .into(),
                false => report,
            }
        })?;
        Ok((Next::Go, reply))
    }

    fn command(&mut self, words: &[String]) -> Result<(Next, Reply)> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = match words.as_slice() {
            [".quit"] => return Ok((Next::Quit, Reply::Nothing)),
            [".help"] => told::help(),
            [".caps"] => table(
                self.session.held(),
                |name, interface| json!({ "name": name, "interface": interface }),
            ),
            [".jobs"] => {
                let jobs = self.jobs.told();
                let line = |(n, method, s): &(u32, String, u64)| format!("[{n}] {method}  {s} s\n");
                let row = |(n, method, s): &(u32, String, u64)| json!({ "number": n, "method": method, "seconds": s });
                Told {
                    text: jobs.iter().map(line).collect(),
                    json: jobs.iter().map(row).collect(),
                }
            }
            [".release", name] => {
                self.session.release(name)?;
                return Ok((Next::Go, Reply::Nothing));
            }
            [".cancel", number] => {
                self.jobs.cancel(self.context, number)?;
                return Ok((Next::Go, Reply::Nothing));
            }
            [".wait", rest @ ..] if rest.len() < 2 => {
                let number = rest.first().copied();
                self.jobs.wait(self.context, self.session, number)?;
                return Ok((Next::Go, Reply::Nothing));
            }
            [".reconnect"] => {
                if self.session.link().is_ok() {
                    self.session.forget();
                }
                self.connect()?;
                return Ok((Next::Go, Reply::Nothing));
            }
            [".list", rest @ ..] if rest.len() < 2 => {
                let schema = self.session.schema().clone();
                (self.manual.list)(self.context, &schema, rest.first().copied())?
            }
            [".describe", name] => {
                let schema = self.session.schema().clone();
                (self.manual.describe)(self.context, &schema, name)?
            }
            [word, ..] => return Err(misused(word).into()),
            [] => return Ok((Next::Go, Reply::Nothing)),
        };
        Ok((Next::Go, Reply::Told(told)))
    }

    /// Connects again, and says to what.
    fn connect(&mut self) -> Result<()> {
        self.session.reconnect()?;
        let name = self.session.link()?.name.clone();
        self.context.output.note(&format!("connected to {name}"));
        Ok(())
    }

    fn call(&mut self, words: &Words) -> Result<Reply> {
        let context = self.context;
        let mut call = self.session.parse(&words.path, &words.arguments, false)?;
        if let Some(name) = &words.name {
            self.session.check_name(&call, name)?;
        }
        if self.session.link().is_err() {
            self.connect()?;
        }
        let name = words.name.as_deref();
        if words.background {
            // Before the call, so that the objects in its answer belong to the peer's schema.
            self.session.learn()?;
            let (running, keep) = (self.session.start(&mut call)?, name.map(Into::into));
            let number = self.jobs.add(context, running, keep, self.place());
            return Ok(match context.output.answers_lines() {
                true => Reply::Result(Shown::Structured(json!({ "job": number }))),
                false => Reply::Nothing,
            });
        }
        let answer = if self.prompts {
            match self.attended(&mut call)? {
                Finished::Answered(answer) => answer?,
                Finished::Left(running) => {
                    self.overwrite();
                    self.jobs.add(context, running, name.map(Into::into), None);
                    // The terminal has stopped a child of this process as well.
                    if let Some(child) = &self.session.link()?.child {
                        child.child().kill(Signal::CONT)?;
                    }
                    return Ok(Reply::Nothing);
                }
            }
        } else {
            self.session.call(&mut call)?
        };
        let shown = self.session.show(answer, name)?;
        match &words.pipe {
            None => Ok(Reply::Result(shown)),
            Some(command) => {
                let input = context.output.piped(&shown);
                Shell::with_input(context, command, input).run()?;
                Ok(Reply::Nothing)
            }
        }
    }

    /// Makes a call, which SIGTSTP puts into the background, and announces the answers of others
    /// meanwhile.
    fn attended(&mut self, call: &mut Call) -> Result<Finished<Result<Answer, Error>>> {
        let context = self.context;
        let signals = &context.signals;
        let _hush = self.input.hush();
        let _spinner = context.output.spin_and_tell(&call.name(), call.advice());
        signals.calling(true);
        let (session, jobs) = (&mut *self.session, &mut self.jobs);
        let finished = session.start(call).and_then(|running| {
            running.finish_or(context, || {
                jobs.announce(context, session)?;
                Ok(match signals.suspended() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(jobs.deadline(context)),
                })
            })
        });
        signals.calling(false);
        finished
    }
}

/// Returns the lines of a text that was typed or pasted at once. A line goes on while a quote is
/// open.
fn lines_of(text: &str) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        open.push_str(line);
        if shlex::split(&open).is_some() {
            lines.push(std::mem::take(&mut open));
        }
    }
    if !open.is_empty() {
        lines.push(open);
    }
    lines
}
