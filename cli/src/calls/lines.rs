//! Makes a call for each line of a prompt or of a pipe.
//!
//! Knows lines and the words in them; the calls are [`crate::calls::session`]'s, and lines come from
//! [`crate::ui::prompt`].

use std::io::{self, Write};
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::process::Signal;
use eyre::Result;

use crate::calls::jobs::Jobs;
use crate::calls::running::Finished;
use crate::calls::session::{Answer, Call, Session};
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};
use crate::ui::prompt::{Event, Input, Source, View};

/// The interval at which a wait for a line checks for signals and answers.
const LOOK: Duration = Duration::from_millis(50);

const HELP: &[(&str, &str)] = &[
    (
        "METHOD [ARGUMENT…]",
        "call: echo hi, Echo.echo echo=hi, Mining.createNewBlock/getBlock",
    ),
    ("NAME = METHOD …", "keep the returned object as NAME"),
    ("NAME.METHOD …", "call a method of an object that is kept"),
    (
        "METHOD … &",
        "call in the background; Ctrl-Z puts a call there, Ctrl-C ends it",
    ),
    (".jobs", "the calls in the background"),
    (".wait [N]", "wait for one of them, or for all"),
    (".cancel N", "end one"),
    (".caps", "the objects that are kept"),
    (".release NAME", "let go of one"),
    (".help", "this"),
    (".quit", "end, as does the end of input"),
];

/// Makes a call for each line of input until that ends. Returns the exit status, which is that of
/// the first line that failed.
pub(crate) fn run(context: &Context, session: &mut Session) -> Result<u8> {
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
        jobs: Jobs::default(),
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

impl Lines<'_> {
    fn each(&mut self) -> Result<Over> {
        loop {
            let line = match self.next()? {
                Event::Line(line) => line?,
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

    /// Executes a line and reports its failure.
    fn one(&mut self, line: &str) -> Result<Next> {
        self.number += 1;
        let failure = match self.execute(line) {
            Ok(next) => return Ok(next),
            Err(report) => Failure::of(&report),
        };
        match failure.kind {
            Kind::Signal(_) if self.context.signals.received().is_none() => {
                self.overwrite();
                self.context.output.note("interrupted");
                return Ok(Next::Stop);
            }
            Kind::Signal(_) | Kind::ClosedPipe => return Err(failure.into()),
            _ => self.context.output.failure(&failure, self.place()),
        }
        // Nothing can be called any more.
        let over = failure.kind == Kind::Disconnected;
        if self.exit == 0 && (over || !self.prompts) {
            self.exit = failure.kind.exit_code();
        }
        Ok(if over { Next::Quit } else { Next::Go })
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

    /// Returns the next event, or fails on a signal. Announces answers that come meanwhile.
    fn next(&mut self) -> Result<Event> {
        let (context, input) = (self.context, self.input);
        let since = context.signals.count();
        input.ask(view(self.session, &self.jobs));
        loop {
            context.signals.check()?;
            self.jobs.announce(context, self.session)?;
            if let Some(event) = input.next(LOOK) {
                return Ok(event);
            }
            // The terminal has discarded the line.
            if input.source == Source::Plain && context.signals.count() > since {
                context.output.stderr_line("");
                return Ok(Event::Cleared);
            }
        }
    }

    fn execute(&mut self, line: &str) -> Result<Next> {
        // In quotes it is a value.
        let background = line.split_whitespace().next_back() == Some("&");
        let mut words = shlex::split(line).ok_or_else(|| {
            Failure::usage("a quote is not closed").hint("words are quoted as in a shell")
        })?;
        if background {
            words.pop();
        }
        let Some((first, rest)) = words.split_first() else {
            return Ok(Next::Go);
        };
        let output = &self.context.output;
        match (first.as_str(), rest) {
            (".quit", []) => return Ok(Next::Quit),
            (".help", []) => {
                let width = HELP.iter().map(|(left, _)| left.chars().count()).max();
                let width = width.unwrap_or(0);
                for (left, right) in HELP {
                    output.stderr_line(&format!("{left:width$}  {right}"));
                }
            }
            (".caps", []) => {
                let held = self.session.held();
                let width = held.iter().map(|(name, _)| name.chars().count()).max();
                let width = width.unwrap_or(0);
                for (name, interface) in held {
                    output.stderr_line(&format!("{name:width$}  {interface}"));
                }
            }
            (".release", [name]) => self.session.release(name)?,
            (".jobs", []) => {
                for line in self.jobs.lines() {
                    output.stderr_line(&line);
                }
            }
            (".cancel", [number]) => self.jobs.cancel(self.context, number)?,
            (".wait", [] | [_]) => {
                let number = rest.first().map(String::as_str);
                self.jobs.wait(self.context, self.session, number)?;
            }
            (".release" | ".cancel", _) => {
                return Err(Failure::usage(format!("{first} takes one word"))
                    .hint(".caps lists objects, .jobs the calls in the background")
                    .into());
            }
            (word, _) if word.starts_with('.') => {
                let names = HELP.iter().filter(|(left, _)| left.starts_with('.'));
                let names: Vec<_> = names.map(|(left, _)| *left).collect();
                return Err(Failure::usage(format!("unknown command {word:?}"))
                    .hint(format!("it is one of {}", names.join(", ")))
                    .into());
            }
            (word @ ("help" | "quit" | "exit"), [])
                if self.prompts && self.session.find(word).is_err() =>
            {
                let meant = if word == "help" { ".help" } else { ".quit" };
                return Err(Failure::usage(format!("unknown method {word:?}"))
                    .hint(format!("did you mean {meant}?"))
                    .into());
            }
            (name, [equals, path, arguments @ ..]) if equals == "=" => {
                let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !valid {
                    return Err(
                        Failure::usage(format!("{name:?} cannot be an object's name"))
                            .hint("a name has letters, digits and _ in it")
                            .into(),
                    );
                }
                self.call(path, arguments, Some(name), background)?;
            }
            (path, arguments) => self.call(path, arguments, None, background)?,
        }
        Ok(Next::Go)
    }

    fn call(
        &mut self,
        path: &str,
        arguments: &[String],
        name: Option<&str>,
        background: bool,
    ) -> Result<()> {
        let context = self.context;
        let mut call = self.session.parse(path, arguments, false)?;
        if background {
            // Before the call, so that the objects in its answer belong to the peer's schema.
            self.session.learn()?;
            let (running, keep) = (self.session.start(&mut call)?, name.map(Into::into));
            self.jobs.add(context, running, keep, self.place());
            return Ok(());
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
                    return Ok(());
                }
            }
        } else {
            self.session.call(&mut call)?
        };
        let shown = self.session.show(answer, name)?;
        context.output.result(&shown, true)?;
        Ok(())
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
                Ok(signals.suspended())
            })
        });
        signals.calling(false);
        finished
    }
}

enum Next {
    Go,
    /// Skips the lines that were typed together with it.
    Stop,
    Quit,
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
