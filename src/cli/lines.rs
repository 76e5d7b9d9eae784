//! A call for each line: a prompt on a terminal, lines from a pipe.
//!
//! Knows lines and the words in them; the calls are [`super::session`]'s.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use eyre::Result;

use super::context::Context;
use super::errors::{Failure, Kind};
use super::session::Session;

/// The longest line that is read, in bytes: that of a value that fills the largest message.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// How often a wait for a line looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

const HELP: &str = "\
METHOD [ARGUMENT…]    call a method: echo hi, Echo.echo echo=hi, Mining.createNewBlock/getBlock
NAME = METHOD …       keep the returned object as NAME
NAME.METHOD …         call a method of an object that is kept
.caps                 the objects that are kept
.release NAME         let go of one
.help                 this
.quit                 end, as does the end of input";

/// What comes from an input.
pub(super) enum Event {
    Line(io::Result<String>),
    End,
}

/// Makes a call for each line of input until that ends; gives the exit status, which is that of
/// the first line that failed.
pub(crate) fn run(context: &Context, session: &mut Session) -> Result<u8> {
    let prompt = io::stdin().is_terminal();
    // A terminal's reader reads a line when it is asked for one; a pipe's runs ahead a little.
    let (sender, events) = mpsc::sync_channel(if prompt { 0 } else { 16 });
    read_lines(io::stdin(), sender)?;

    let mut exit = 0;
    let mut number = 0;
    loop {
        if prompt && !context.options.quiet {
            let _ = write!(io::stderr(), "bitcoin-ipc> ");
        }
        let line = match next(context, &events) {
            Ok(Event::Line(line)) => line?,
            Ok(Event::End) => break,
            Err(failure) => {
                if prompt {
                    // The prompt's line has no end yet.
                    context.output.stderr_line("");
                }
                return Err(failure.into());
            }
        };
        number += 1;
        let failure = match execute(context, session, &line) {
            Ok(Next::Go) => continue,
            Ok(Next::Quit) => return Ok(exit),
            Err(report) => Failure::of(&report),
        };
        match failure.kind {
            Kind::Signal(_) | Kind::ClosedPipe => return Err(failure.into()),
            _ => context
                .output
                .failure(&failure, (!prompt).then_some(number)),
        }
        if exit == 0 && !prompt {
            exit = failure.kind.exit_code();
        }
        // Nothing can be called any more.
        if failure.kind == Kind::Disconnected {
            return Ok(if exit == 0 {
                failure.kind.exit_code()
            } else {
                exit
            });
        }
    }
    if prompt && !context.options.quiet {
        context.output.stderr_line("");
    }
    Ok(exit)
}

/// The next event, unless a signal comes.
fn next(context: &Context, events: &Receiver<Event>) -> Result<Event, Failure> {
    loop {
        context.signals.check()?;
        match events.recv_timeout(LOOK) {
            Ok(event) => return Ok(event),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(Event::End),
        }
    }
}

/// Reads lines on a thread of its own, which a read that never ends does not keep the process
/// from ending.
pub(super) fn read_lines(
    input: impl Read + Send + 'static,
    sender: SyncSender<Event>,
) -> Result<(), Error> {
    let read = move || {
        let mut input = BufReader::new(input);
        loop {
            let mut line = Vec::new();
            let event = match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => Event::End,
                Ok(length) if length as u64 == MAX_LINE && !line.ends_with(b"\n") => {
                    Event::Line(Err(io::Error::other("a line of the input is too long")))
                }
                Ok(_) => Event::Line(String::from_utf8(line).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "the input is not UTF-8")
                })),
                Err(error) => Event::Line(Err(error)),
            };
            let last = !matches!(event, Event::Line(Ok(_)));
            if sender.send(event).is_err() || last {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("input".into())
        .spawn(read)
        .map(drop)
        .map_err(|error| Error::io("start a thread", error))
}

enum Next {
    Go,
    Quit,
}

fn execute(context: &Context, session: &mut Session, line: &str) -> Result<Next> {
    let words = shlex::split(line).ok_or_else(|| {
        Failure::usage("a quote is not closed").hint("words are quoted as in a shell")
    })?;
    let words: Vec<String> = words;
    let Some((first, rest)) = words.split_first() else {
        return Ok(Next::Go);
    };
    match (first.as_str(), rest) {
        (".quit", []) => return Ok(Next::Quit),
        (".help", []) => context.output.stderr_line(HELP),
        (".caps", []) => {
            for (name, interface) in session.held() {
                context.output.stderr_line(&format!("{name}  {interface}"));
            }
        }
        (".release", [name]) => session.release(name)?,
        (".release", _) => {
            return Err(Failure::usage(".release takes one name")
                .hint(".caps lists them")
                .into());
        }
        (word, _) if word.starts_with('.') => {
            return Err(Failure::usage(format!("unknown command {word:?}"))
                .hint("it is one of .help, .caps, .release NAME, .quit")
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
            call(context, session, path, arguments, Some(name))?;
        }
        (path, arguments) => call(context, session, path, arguments, None)?,
    }
    Ok(Next::Go)
}

fn call(
    context: &Context,
    session: &mut Session,
    path: &str,
    arguments: &[String],
    name: Option<&str>,
) -> Result<()> {
    let mut call = session.parse(path, arguments, false)?;
    let answer = session.call(&mut call)?;
    let shown = session.show(answer, name)?;
    context.output.result(&shown, true)?;
    Ok(())
}
