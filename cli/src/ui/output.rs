//! Output to the user: results on stdout, everything else on stderr.
//!
//! Knows terminals, formats and colours; nothing of what the results are about.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

use crate::args::{Format, Options, When};
use crate::ui::errors::Failure;
use crate::ui::escape;
use crate::ui::queue::Queue;
use crate::ui::spinner::{Counter, Slot, Spinner};

/// The streams to print to, and the format. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    /// The spinner that is shown, which every line on stderr must make way for.
    spinner: Slot,
    /// Prints on the terminal above a line that is edited there.
    above: Arc<Mutex<Option<Above>>>,
    /// The queue of the log, once logging has started.
    log: Arc<OnceLock<Queue>>,
}

/// Prints whole lines, and returns whether it could.
pub(crate) type Above = Box<dyn FnMut(&str) -> bool + Send>;

impl Output {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            format: options.output,
            quiet: options.quiet,
            color: colored(options.color),
            spinner: Slot::default(),
            above: Arc::default(),
            log: Arc::default(),
        }
    }

    /// Creates the output for an error before the options are known.
    pub(crate) fn plain(format: Format, color: When) -> Self {
        Self {
            format,
            quiet: false,
            color: colored(color),
            spinner: Slot::default(),
            above: Arc::default(),
            log: Arc::default(),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether each line of input has exactly one answer, which is a line of JSON.
    pub(crate) fn answers_lines(&self) -> bool {
        self.format == Format::Jsonl
    }

    /// Prints the answer to a request, which is named by a key and a number: `line` for a line of input,
    /// `job` for a call in the background.
    pub(crate) fn answer(
        &self,
        request: (&str, u64),
        answer: Result<&Shown, &Failure>,
    ) -> io::Result<()> {
        let (key, number) = request;
        let mut shown = Map::new();
        shown.insert(key.to_owned(), number.into());
        match answer {
            Ok(result) => shown.insert("result".into(), result.value().clone()),
            Err(failure) => shown.insert("error".into(), failure.answer()),
        };
        self.json_line(&Value::Object(shown))
    }

    /// Prints a line of status on stderr, unless `--quiet` is given.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.stderr_line(line);
        }
    }

    /// Prints a line of status as JSON, unless `--quiet` is given.
    pub(crate) fn note_json(&self, value: &Value) {
        if !self.quiet {
            self.stderr_text(&escape::json(value, false));
        }
    }

    /// Prints a whole line on stderr, whatever else writes there, after the lines logged before it.
    pub(crate) fn stderr_line(&self, line: &str) {
        self.stderr_text(&escape::line(line));
    }

    /// Prints an internal error with all that is known about it.
    pub(crate) fn report(&self, report: &eyre::Report) {
        self.stderr_text(&escape::lines(&format!("{report:?}")));
    }

    /// Prints text in which others' words are escaped, and a line break after it.
    fn stderr_text(&self, text: &str) {
        self.flush_log();
        self.write_stderr(text);
    }

    /// Asks on a terminal's stderr; the answer stands on the same line.
    pub(crate) fn ask(&self, question: &str) {
        self.flush_log();
        let mut stderr = io::stderr().lock();
        // A question that cannot be shown is answered all the same.
        let _ = stderr
            .write_all(question.as_bytes())
            .and_then(|()| stderr.flush());
    }

    fn write_stderr(&self, line: &str) {
        self.beside_spinner(|| {
            let text = format!("{line}\n");
            if !self.print_above(&text) {
                // A failure to write cannot be reported anywhere.
                let _ = io::stderr().lock().write_all(text.as_bytes());
            }
        });
    }

    /// Returns the queue of the log, which a thread of its own writes to stderr.
    pub(crate) fn log(&self) -> Queue {
        let this = self.clone();
        let queue = || Queue::new(move |line| this.write_stderr(line));
        self.log.get_or_init(queue).clone()
    }

    /// Waits until the lines logged before are written, but only while stderr takes them.
    pub(crate) fn flush_log(&self) {
        if let Some(log) = self.log.get() {
            log.flush();
        }
    }

    /// Prints a line of JSON on stdout, one of several that come by themselves.
    pub(crate) fn json_line(&self, value: &Value) -> io::Result<()> {
        self.write_beside(&format!("{}\n", escape::json(value, false)))
    }

    /// Prints a peer's text of one or more lines on stdout, and a line break after it.
    pub(crate) fn peer_text(&self, text: &str) -> io::Result<()> {
        self.write_beside(&format!("{}\n", escape::lines(text)))
    }

    /// Prints a text of one or more lines on stderr.
    pub(crate) fn stderr_lines(&self, text: &str) {
        self.stderr_text(&escape::lines(text));
    }

    /// Whether errors and hints have colours.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// Sets or clears the editor that prints the output to the terminal above its line.
    pub(crate) fn set_above(&self, above: Option<Above>) {
        *self.above.lock().unwrap_or_else(PoisonError::into_inner) = above;
    }

    fn print_above(&self, text: &str) -> bool {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        above.as_mut().is_some_and(|print| print(text))
    }

    /// Runs `write` while no spinner is shown.
    fn beside_spinner<T>(&self, write: impl FnOnce() -> T) -> T {
        // Only a terminal shows one. Elsewhere no lock is held while a write to stderr blocks, since
        // results need it too.
        if !io::stderr().is_terminal() {
            return write();
        }
        self.spinner.suspend(write)
    }

    /// Reports a failure, with the line of input that it is about.
    pub(crate) fn failure(&self, failure: &Failure, line: Option<u64>) {
        if failure.is_silent() {
            return;
        }
        if self.is_json() {
            return self.stderr_text(&escape::json(&failure.json(line), false));
        }
        let place = line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        let (error, hint) = (self.paint("1;31", "error:"), self.paint("1;36", "hint:"));
        let mut text = format!("{error} {place}{}", escape::line(&failure.message));
        if let Some(advice) = &failure.hint {
            text.push_str(&format!("\n{hint} {}", escape::line(advice)));
        }
        self.stderr_text(&text);
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{style}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Prints a result. One of several always gets a line, also where it has no value. What would
    /// control a terminal or begin a line is escaped, except in `raw` into a file or a pipe.
    pub(crate) fn result(&self, shown: &Shown, one_of_many: bool) -> io::Result<()> {
        if matches!(shown, Shown::Nothing) && !self.is_json() && !one_of_many {
            return Ok(());
        }
        let mut text = self.formatted(shown, io::stdout().is_terminal());
        if self.format != Format::Raw || one_of_many {
            text.push('\n');
        }
        self.write_beside(&text)
    }

    fn formatted(&self, shown: &Shown, to_terminal: bool) -> String {
        let value = shown.value();
        let is_scalar = !matches!(shown, Shown::Structured(_));
        match self.format {
            Format::Json | Format::Jsonl => escape::json(value, false),
            Format::Raw if !to_terminal => raw(value),
            Format::Table => table(value),
            Format::Auto if !is_scalar => escape::json(value, to_terminal),
            Format::Raw | Format::Auto => plain(value),
        }
    }

    /// Prints a text of several lines on stdout, of which others have written some: comments of a schema,
    /// the help of a command. On a terminal only its line breaks and tabs are not escaped.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        match io::stdout().is_terminal() {
            true => self.write_beside(&escape::lines(text)),
            false => self.write_beside(text),
        }
    }

    /// Returns a result as a pipe gets it.
    pub(crate) fn piped(&self, shown: &Shown) -> String {
        format!("{}\n", self.formatted(shown, false))
    }

    fn write_beside(&self, text: &str) -> io::Result<()> {
        // Stdout and stderr may be one terminal or file.
        self.flush_log();
        match io::stdout().is_terminal() {
            true => self.beside_spinner(|| self.write(text)),
            false => self.write(text),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        if io::stdout().is_terminal() && text.ends_with('\n') && self.print_above(text) {
            return Ok(());
        }
        print(text.as_bytes())
    }

    /// Shows a spinner on a terminal's stderr once `about` takes long, until the result is dropped.
    pub(crate) fn spin(&self, about: &str) -> Spinner {
        self.spin_and_tell(about, None)
    }

    /// Shows a spinner as [`Output::spin`] does, and prints `advice` if it takes very long.
    pub(crate) fn spin_and_tell(&self, about: &str, advice: Option<&'static str>) -> Spinner {
        let this = self.clone();
        let advise = advice.map(|advice| {
            move || this.stderr_text(&format!("{} {advice}", this.paint("1;36", "hint:")))
        });
        let about = escape::line(about).into_owned();
        self.spinner.spin(self.spins(), about, advise)
    }

    /// Counts things that are done, and shows on a terminal's stderr how many and how fast.
    pub(crate) fn count(&self, things: &'static str) -> Counter {
        self.spinner.count(self.spins(), things)
    }

    fn spins(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal() && !is_dumb()
    }
}

/// A result to print.
#[derive(Debug)]
pub(crate) enum Shown {
    /// The method has no result.
    Nothing,
    /// Printed plain, unless JSON is asked for.
    Scalar(Value),
    /// Printed as JSON: a struct, a list, or an interface's name and handle.
    Structured(Value),
}

impl Shown {
    /// Returns how a value is printed.
    pub(crate) fn of(value: Value) -> Self {
        match value {
            value @ (Value::Object(_) | Value::Array(_)) => Self::Structured(value),
            scalar => Self::Scalar(scalar),
        }
    }

    /// Returns the value, which is null where there is none.
    pub(crate) fn value(&self) -> &Value {
        match self {
            Self::Nothing => &Value::Null,
            Self::Scalar(value) | Self::Structured(value) => value,
        }
    }

    /// Returns the value as [`Shown::value`] does.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Scalar(value) | Self::Structured(value) => value,
        }
    }
}

/// Writes to stdout and flushes, so that a closed pipe is noticed.
pub(crate) fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

fn colored(when: When) -> bool {
    let refused = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => io::stderr().is_terminal() && !refused() && !is_dumb(),
    }
}

/// Formats a value without the quotes of JSON, as it is.
fn raw(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Formats a value without the quotes of JSON, on one line and safe to look at.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escape::line(text).into_owned(),
        value => escape::json(value, false),
    }
}

/// Formats columns: a line for each field of an object or each element of a list.
fn table(value: &Value) -> String {
    let rows: Vec<Vec<String>> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| vec![escape::line(name).into_owned(), plain(value)])
            .collect(),
        Value::Array(elements) => match elements.first() {
            Some(Value::Object(first)) => {
                let names: Vec<String> = first.keys().cloned().collect();
                let row = |element: &Value| {
                    let cells = names.iter().map(|name| plain(&element[name.as_str()]));
                    cells.collect()
                };
                std::iter::once(names.clone())
                    .chain(elements.iter().map(row))
                    .collect()
            }
            _ => elements
                .iter()
                .map(|element| vec![plain(element)])
                .collect(),
        },
        value => vec![vec![plain(value)]],
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_aligned() {
        assert_eq!(table(&json!({"a": 1, "long": "x"})), "a     1\nlong  x");
        assert_eq!(
            table(&json!([{"n": "é", "v": 10}, {"n": "bb", "v": null}])),
            "n   v\né   10\nbb  null"
        );
        assert_eq!(table(&json!([1, 2])), "1\n2");
        // FAULTS C1: a cell stays one, and is as wide as what is shown of it.
        assert_eq!(
            table(&json!({"a\u{1b}": "x\ny", "b": ["\u{9b}"]})),
            "a\\x1b  x\\ny\nb      [\"\\u009b\"]"
        );
    }
}
