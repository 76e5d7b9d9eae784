//! The log on stderr, in the manner of Bitcoin Core's: `time [ipc] {thread} message`. An event is one
//! line, and the thread that logs it does not wait until it is written.
//!
//! Knows tracing's events and a queue of lines; nothing of what is logged.

use std::fmt;
use std::io;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::Options;
use crate::ui::escape;
use crate::ui::output::Output;
use crate::ui::queue::Queue;

/// Limit of an event's bytes, some of which a peer chose. The rest is cut off.
const MAX_EVENT: usize = 16 << 10;

/// Tells a role that this program starts as its child how much to log.
pub(crate) const VARIABLE: &str = "BITCOIN_IPC_LOG";

/// The level for so many `-v`, or for `-q`. A server warns of what its peers do; what a client's
/// peer does is in the client's own error.
pub(crate) fn level(options: &Options, serves: bool) -> LevelFilter {
    match (options.quiet, options.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) if serves => LevelFilter::WARN,
        (_, 0) => LevelFilter::ERROR,
        (_, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Starts logging. From requests and responses on, each line has its time: how long something took is
/// what one then looks for. Other libraries' events are logged from warnings on.
pub(crate) fn start(level: LevelFilter, output: &Output) {
    let targets = Targets::new()
        .with_target("ipc", level)
        .with_target("bitcoin_ipc", level)
        .with_default(level.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(CoreFormat {
            times: level >= LevelFilter::DEBUG,
        })
        .with_ansi(false)
        .with_writer(Lines(output.log()));
    // Fails only where logging was started before.
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(layer)
        .try_init();
}

/// `[category:level] {thread} message fields`; the level is left out where Core leaves it out. With
/// `times` the time stands before it, as with Core's -logtimemicros.
struct CoreFormat {
    times: bool,
}

impl<S, N> FormatEvent<S, N> for CoreFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // `bitcoin_ipc::process::child` is about `process`.
        let target = metadata.target();
        let category = target.strip_prefix("bitcoin_ipc::").unwrap_or(target);
        let category = category.split("::").next().unwrap_or(category);
        let level = match *metadata.level() {
            Level::ERROR => ":error",
            Level::WARN => ":warning",
            Level::TRACE => ":trace",
            _ => "",
        };
        let thread = bitcoin_ipc::protocol::capnp::short_log_name();
        if self.times {
            SystemTime.format_time(&mut writer)?;
            writer.write_char(' ')?;
        }
        write!(writer, "[{category}{level}] {{{thread}}} ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Queues each event as one line.
struct Lines(Queue);

struct Line<'a>(&'a Queue);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

impl io::Write for Line<'_> {
    /// Queues an event. The layer writes each with one call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        self.0.push(one_line(event.trim_end_matches('\n')));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns an event as one line, in which text of a peer neither starts a line nor controls the
/// terminal. What is beyond [`MAX_EVENT`] is cut off.
fn one_line(event: &str) -> String {
    let kept = &event[..event.floor_char_boundary(MAX_EVENT)];
    let mut line = escape::line(kept).into_owned();
    if kept.len() < event.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_events_are_cut() {
        let longest = "x".repeat(MAX_EVENT);
        assert_eq!(one_line(&longest), longest);
        assert_eq!(one_line(&format!("{longest}\n")), format!("{longest}…"));
        // A character of two bytes, the second of which is beyond the limit.
        let shorter = &longest[1..];
        assert_eq!(one_line(&format!("{shorter}é")), format!("{shorter}…"));
    }

    #[test]
    fn an_event_is_one_line() {
        let (sender, lines) = std::sync::mpsc::channel();
        let queue = Queue::new(move |line| {
            let _ = sender.send(line.to_owned());
        });
        let layer = tracing_subscriber::fmt::layer()
            .event_format(CoreFormat { times: true })
            .with_ansi(false)
            .with_writer(Lines(queue));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let text = "x\n[ipc] {main} \u{1b}[2Jforged\u{9b}\r\n";
            tracing::warn!(target: "ipc", text, shown = %text, "{text}");
        });
        let line = lines.recv().unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
        assert!(rest.starts_with("[ipc:warning] {"), "{line}");
        assert!(
            line.contains("x\\n[ipc] {main} \\x1b[2Jforged\\u{9b}\\r\\n"),
            "{line}"
        );
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
