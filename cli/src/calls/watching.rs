//! `watch METHOD`: a call again and again, or one whose callbacks are told, across connections.
//!
//! Knows when a call is due and when its result is another; lines are [`super::telling`]'s.

use std::io;
use std::time::{Duration, Instant};

use eyre::Result;
use serde_json::Value as Json;

use crate::args;
use crate::calls::printing::{self, Wanted};
use crate::calls::session::{Call, Session};
use crate::calls::telling::Teller;
use crate::context::Context;
use crate::peer::node::Story;
use crate::peer::target::OwnChild;
use crate::ui::errors::{Failure, Kind};

/// The pause before a connection is tried again, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pause between two calls, unless `--every` sets another.
const EVERY: Duration = Duration::from_secs(1);

/// Calls until it is enough. A connection that ends is made again.
pub(crate) fn run(
    context: &Context,
    mut session: Session,
    mut call: Call,
    args: &args::Watch,
    teller: &Teller,
) -> Result<()> {
    let mut watching = Watching {
        context,
        args,
        last: None,
        story: Story::default(),
        connected: false,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let done = watching.once(&mut session, &mut call, teller);
        session.end();
        let Err(report) = done else { return Ok(()) };
        let failure = Failure::of(&report);
        let lost = match failure.kind {
            Kind::Disconnected => true,
            // At first there must be a node.
            Kind::NoConnection => watching.connected,
            _ => false,
        };
        if !lost {
            return Err(report);
        }
        watching.story.out(context, &failure);
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        let due = Instant::now() + pause;
        pause = LONGEST_PAUSE.min(pause * 2);
        let due = teller.end().map_or(due, |end| due.min(end));
        context
            .signals
            .sleep(due.saturating_duration_since(Instant::now()))?;
        if teller.is_over() {
            return Ok(());
        }
        session = Session::new(context)?;
        call = session.again(&call)?;
    }
}

struct Watching<'a> {
    context: &'a Context,
    args: &'a args::Watch,
    /// The last result.
    last: Option<Json>,
    story: Story,
    connected: bool,
}

impl Watching<'_> {
    /// Calls over one connection.
    fn once(&mut self, session: &mut Session, call: &mut Call, teller: &Teller) -> Result<()> {
        session.open(OwnChild::Never)?;
        self.connected = true;
        let name = session.link()?.name.clone();
        self.story.connected(self.context, &name);
        if call.hosts() {
            return self.callbacks(session, call, teller);
        }
        let mut due = Instant::now();
        while !teller.is_over() {
            let answer = session.call(call)?;
            let value = answer.to_compare();
            let changed = self.last.as_ref() != Some(&value);
            let first = self.last.replace(value).is_none();
            let line = session.show(answer, None)?.into_value();
            if changed && (!first || self.args.initial) {
                teller.tell(&line)?;
            }
            session.release_all();
            let now = Instant::now();
            let next = due
                .checked_add(self.args.every.unwrap_or(EVERY))
                .unwrap_or(now);
            due = next.max(now);
            session.sleep_until(teller.end().map_or(due, |end| due.min(end)))?;
        }
        Ok(())
    }

    /// Tells the calls of the objects that are hosted for the call.
    fn callbacks(&self, session: &mut Session, call: &mut Call, teller: &Teller) -> Result<()> {
        let (told, output) = (teller.clone(), self.context.output.clone());
        session.printers().tell_to(move |line| {
            told.tell(line).map_err(|report| {
                let failure = Failure::of(&report);
                output.failure(&failure, None);
                io::Error::other(failure)
            })
        });
        let time = teller
            .end()
            .map(|end| end.saturating_duration_since(Instant::now()));
        printing::run(
            self.context,
            session,
            call,
            &Wanted {
                calls: teller.wanted(),
                time,
                result: false,
            },
        )
    }
}
