//! Sources of a session's lines: an editor with history and completion on a terminal that can have
//! one, a prompt alone on others, a pipe.
//!
//! Knows terminals and lines; nothing of what the lines mean except what completes them. The editor
//! has a thread of its own, so that the thread waiting for a line can react to signals.

mod complete;
mod editor;
mod history;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Error;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::ExternalPrinter;
use rustyline::error::ReadlineError;

pub(crate) use self::complete::View;
use self::complete::has_secrets;
use self::editor::Words;
use self::history::History;
use crate::context::Context;
use crate::ui::output::{Output, is_dumb};

const PROMPT: &str = "bitcoin-ipc> ";

/// The longest line that is read, in bytes: that of a value that fills the largest message.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// The time the editor has at the end to print what is queued.
const PRINTED: Duration = Duration::from_millis(300);

/// The sequence that turns off the mode that an editor leaves on in a terminal when it is stopped
/// in the middle of a line: bracketed paste.
const RESTORE: &[u8] = b"\x1b[?2004l\n";

/// An event from the user.
pub(crate) enum Event {
    Line(io::Result<String>),
    /// The line was discarded.
    Cleared,
    End,
}

/// The source of lines, and the state of its terminal.
pub(crate) struct Input {
    pub(crate) source: Source,
    events: Receiver<Event>,
    /// Asks the editor for a line.
    ask: Option<Sender<()>>,
    view: Arc<Mutex<View>>,
    output: Output,
    quiet: bool,
    /// The terminal's modes before.
    terminal: Option<Termios>,
    /// Whether the editor has the terminal.
    reading: Arc<AtomicBool>,
    /// Disconnects once the editor has printed all that it was given to print.
    printed: Option<Receiver<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Pipe,
    /// A terminal with its own line editing alone.
    Plain,
    Editor,
}

impl Input {
    /// Starts reading. A pipe is read a little ahead; a terminal only when it is asked.
    pub(crate) fn open(context: &Context, view: View) -> Result<Self, Error> {
        let output = context.output.clone();
        let view = Arc::new(Mutex::new(view));
        let quiet = context.options.quiet;
        let input = |source, events, ask| Self {
            source,
            events,
            ask,
            terminal: tcgetattr(io::stdin()).ok(),
            view: view.clone(),
            output: output.clone(),
            quiet,
            reading: Arc::default(),
            printed: None,
        };
        let source = match (io::stdin().is_terminal(), can_edit()) {
            (false, _) => Source::Pipe,
            (true, false) => Source::Plain,
            (true, true) => Source::Editor,
        };
        if source != Source::Editor {
            let ahead = if source == Source::Pipe { 16 } else { 0 };
            let (sender, events) = mpsc::sync_channel(ahead);
            read_lines(io::stdin(), sender)?;
            return Ok(input(source, events, None));
        }
        let (sender, events) = mpsc::channel();
        let (ask, asked) = mpsc::channel();
        let mut input = input(source, events, Some(ask));
        let failed = |error| Error::io("edit lines", io::Error::other(error));
        let mut editor = editor::new(&output).map_err(failed)?;
        editor.set_helper(Some(Words {
            view: view.clone(),
            color: output.color(),
        }));
        let printer = editor.create_external_printer().map_err(failed)?;
        input.printed = Some(print_above(&output, printer, input.reading.clone())?);
        let prompt = if quiet { "" } else { PROMPT };
        let reading = input.reading.clone();
        start("editor", move || {
            let mut history = History::load(&mut editor, &output);
            for () in asked {
                let line = editor.readline(prompt);
                let is_kept = |line: &str| {
                    let view = view.lock().unwrap_or_else(PoisonError::into_inner);
                    !has_secrets(line, &view)
                };
                reading.store(false, Ordering::SeqCst);
                let event = match line {
                    Ok(line) => {
                        if is_kept(&line) {
                            history.add(&mut editor, &line);
                        }
                        Event::Line(Ok(line))
                    }
                    Err(ReadlineError::Interrupted) => Event::Cleared,
                    Err(ReadlineError::Eof) => Event::End,
                    Err(error) => Event::Line(Err(io::Error::other(error))),
                };
                if sender.send(event).is_err() {
                    return;
                }
            }
        })?;
        Ok(input)
    }

    /// Completes lines from `view` from now on.
    pub(crate) fn complete_by(&self, view: View) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Asks a terminal for a line, which is completed from `view`.
    pub(crate) fn ask(&self, view: View) {
        self.complete_by(view);
        // The lines logged during the last call come before the prompt.
        self.output.flush_log();
        match (&self.ask, self.source) {
            (Some(ask), _) => {
                self.reading.store(true, Ordering::SeqCst);
                // Where the editor is gone, the wait for its line finds that out.
                let _ = ask.send(());
            }
            (None, Source::Plain) if !self.quiet => {
                let _ = write!(io::stderr(), "{PROMPT}");
            }
            _ => {}
        }
    }

    /// Returns the next event that comes within this time.
    pub(crate) fn next(&self, limit: Duration) -> Option<Event> {
        match self.events.recv_timeout(limit) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::End),
        }
    }

    /// Turns off the echo of an editor's terminal, which would overwrite a spinner, until the
    /// result is dropped. The next line gets what is typed meanwhile.
    pub(crate) fn hush(&self) -> Hush<'_> {
        let before = self.terminal.as_ref();
        let before = before.filter(|_| self.source == Source::Editor);
        if let Some(before) = before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
        Hush(before)
    }

    /// Restores the terminal. `unfinished` tells that a line may still be edited, `asked` that one
    /// was asked for.
    pub(crate) fn close(&self, unfinished: bool, asked: bool) {
        self.output.flush_log();
        self.output.set_above(None);
        if let Some(printed) = &self.printed {
            // Ends with what is to be printed.
            let _ = printed.recv_timeout(PRINTED);
        }
        match (self.source, &self.terminal) {
            (Source::Editor, Some(terminal)) if unfinished => {
                let _ = tcsetattr(io::stdin(), OptionalActions::Drain, terminal);
                let _ = io::stderr().write_all(RESTORE);
            }
            (Source::Plain, _) if asked && !self.quiet => self.output.stderr_line(""),
            _ => {}
        }
    }
}

/// Turns the echo on again when dropped.
pub(crate) struct Hush<'a>(Option<&'a Termios>);

impl Drop for Hush<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Has the editor print output above its line while it reads. An editor that has just got its line
/// takes no more, so only a thread of its own may wait for it to print.
fn print_above(
    output: &Output,
    mut printer: impl ExternalPrinter + Send + 'static,
    reading: Arc<AtomicBool>,
) -> Result<Receiver<()>, Error> {
    let (queue, texts) = mpsc::channel::<String>();
    let (done, printed) = mpsc::channel();
    start("printer", move || {
        for text in texts {
            // A failure to print cannot be reported anywhere.
            let _ = printer.print(text);
        }
        drop(done);
    })?;
    output.set_above(Some(Box::new(move |text| {
        reading.load(Ordering::SeqCst) && queue.send(text.to_owned()).is_ok()
    })));
    Ok(printed)
}

/// Tells whether lines can be edited on this terminal. Where stdout is no terminal the editor needs
/// `/dev/tty`, so that stdout has the results alone.
fn can_edit() -> bool {
    let unable = std::env::var_os("TERM").is_some_and(|term| term == "cons25" || term == "emacs");
    let reachable = || io::stdout().is_terminal() || File::open("/dev/tty").is_ok();
    io::stderr().is_terminal() && !is_dumb() && !unable && reachable()
}

fn start(name: &str, f: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    // A read that never ends does not keep the process from ending.
    let started = thread::Builder::new().name(name.into()).spawn(f);
    started
        .map(drop)
        .map_err(|error| Error::io("start a thread", error))
}

/// Reads lines on a thread of its own.
///
/// # Errors
/// Fails when the operating system gives no thread.
pub(crate) fn read_lines(
    input: impl Read + Send + 'static,
    sender: SyncSender<Event>,
) -> Result<(), Error> {
    start("input", move || {
        let mut input = BufReader::new(input);
        for number in 0_u64.. {
            let mut line = Vec::new();
            let event = match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => Event::End,
                Ok(length) if length as u64 == MAX_LINE && !line.ends_with(b"\n") => {
                    Event::Line(Err(io::Error::other("a line of the input is too long")))
                }
                Ok(_) => Event::Line(text_of(line, number == 0)),
                Err(error) => Event::Line(Err(error)),
            };
            let last = !matches!(event, Event::Line(Ok(_)));
            if sender.send(event).is_err() || last {
                return;
            }
        }
    })
}

/// Returns a line as text: without the byte order mark before the first line, and the carriage return
/// before the line break, that files of other systems have.
fn text_of(line: Vec<u8>, is_first: bool) -> io::Result<String> {
    let text = String::from_utf8(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the input is not UTF-8"))?;
    let begun = text.strip_prefix('\u{feff}').filter(|_| is_first);
    let text = begun.unwrap_or(&text);
    Ok(match text.strip_suffix("\r\n") {
        Some(text) => format!("{text}\n"),
        None => text.to_owned(),
    })
}
