//! `watch`: one line for each change, across restarts of the node.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Instant;

use bitcoin_ipc::client::{Event, TemplateOptions, Tip, Work};
use bitcoin_ipc::{BlockHash, Error};
use eyre::Result;
use serde_json::{Value as Json, json};
use signal_hook::consts::SIGINT;

use crate::args;
use crate::calls::session::Session;
use crate::calls::telling::Teller;
use crate::calls::watching;
use crate::context::Context;
use crate::peer::node::{self, Story};
use crate::ui::errors::{Failure, Kind};

/// How many lines are read ahead of those that are told. What comes meanwhile is not lost: the next
/// tip tells how many there were.
const AHEAD: usize = 16;

pub(crate) fn run(context: &Context, args: &args::Watch) -> Result<u8> {
    let (exec, time) = (args.exec.clone(), args.duration.and_then(|limit| limit.0));
    let teller = Teller::new(context, exec, args.count, time);
    let done = match args.what.as_str() {
        "tip" | "template" => follow(context, args, &teller),
        method => {
            let session = Session::new(context)?;
            let call = session.parse(method, &args.arguments, true)?;
            watching::run(context, session, call, args, &teller)
        }
    };
    match done {
        Err(report) if Failure::of(&report).kind == Kind::Signal(SIGINT) => Ok(0),
        done => done.map(|()| 0),
    }
}

enum Item {
    Line(Json),
    Failed(Error),
    Event(Event),
    Signal,
}

/// Follows the node's tip or its templates.
fn follow(context: &Context, args: &args::Watch, teller: &Teller) -> Result<()> {
    if !args.arguments.is_empty() {
        return Err(Failure::usage(format!("{} takes no arguments", args.what))
            .hint("usage: bitcoin-ipc watch tip|template [OPTIONS]")
            .into());
    }
    let node = node::following(context)?;
    let (sender, items) = mpsc::sync_channel(AHEAD);
    let signalled = sender.clone();
    // Where the queue is full, what reads it finds the signal.
    context
        .signals
        .on_signal(move |_| drop(signalled.try_send(Item::Signal)));
    let events = node.events();
    forward(sender.clone(), events, Item::Event)?;
    let initial = args.initial;
    if args.what == "tip" {
        let lines = Tips::new(initial);
        let tips = node.tips();
        produce(
            sender,
            tips,
            move |tip, lines: &mut Tips| lines.of(&tip),
            lines,
        )?;
    } else {
        let mut options = TemplateOptions::new();
        if let Some(fees) = args.fees {
            options = options.fee_increase(fees);
        }
        let lines = Templates::new(initial);
        let templates = node.templates(options);
        produce(
            sender,
            templates,
            move |work, lines: &mut Templates| lines.of(&work),
            lines,
        )?;
    }
    let done = tell(context, &items, teller);
    // Whoever waits for room in the queue waits no longer.
    drop(items);
    node.stop();
    done
}

/// Tells what comes, until it is enough.
fn tell(context: &Context, items: &Receiver<Item>, teller: &Teller) -> Result<()> {
    let mut story = Story::default();
    while !teller.is_over() {
        context.signals.check()?;
        let item = match teller.end() {
            None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(end) => items.recv_timeout(end.saturating_duration_since(Instant::now())),
        };
        match item {
            Ok(Item::Line(line)) => teller.tell(&line)?,
            Ok(Item::Event(event)) => story.tell(context, &event),
            Ok(Item::Signal) | Err(RecvTimeoutError::Timeout) => {}
            // Another connection does not mend it, and another time hardly.
            Ok(Item::Failed(error)) => return Err(Failure::from(error).into()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Sends what a channel has on.
fn forward<T: Send + 'static>(
    sender: SyncSender<Item>,
    from: Receiver<T>,
    item: fn(T) -> Item,
) -> Result<()> {
    let forward = move || {
        for one in from {
            if sender.send(item(one)).is_err() {
                break;
            }
        }
    };
    thread::Builder::new()
        .name("events".into())
        .spawn(forward)?;
    Ok(())
}

/// Sends the lines that `lines` makes of what comes.
fn produce<T, L: Send + 'static>(
    sender: SyncSender<Item>,
    from: impl Iterator<Item = Result<T, Error>> + Send + 'static,
    of: impl Fn(T, &mut L) -> Result<Vec<Json>, Error> + Send + 'static,
    mut lines: L,
) -> Result<()> {
    let produce = move || {
        for found in from {
            let made = found.and_then(|found| of(found, &mut lines));
            let items: Vec<Item> = match made {
                Ok(made) => made.into_iter().map(Item::Line).collect(),
                // What a template that went with its connection did not tell, the next one does.
                Err(error) if error.is_retryable() => Vec::new(),
                Err(error) => vec![Item::Failed(error)],
            };
            for item in items {
                if sender.send(item).is_err() {
                    return;
                }
            }
        }
    };
    thread::Builder::new().name("watch".into()).spawn(produce)?;
    Ok(())
}

/// The lines of tips.
struct Tips {
    wanted: bool,
}

impl Tips {
    /// With `initial` the first tip is one of those that are told.
    fn new(initial: bool) -> Self {
        Self { wanted: initial }
    }

    fn of(&mut self, tip: &Tip) -> Result<Vec<Json>, Error> {
        if !std::mem::replace(&mut self.wanted, true) {
            return Ok(Vec::new());
        }
        Ok(tip_lines(tip.height, tip.hash, tip.skipped, &tip.between))
    }
}

/// Returns a line for each block between the tip before and this one, where they are known, and one
/// for this one.
fn tip_lines(height: u32, hash: BlockHash, skipped: u32, between: &[BlockHash]) -> Vec<Json> {
    let line =
        |height: u32, hash: &BlockHash| json!({ "height": height, "hash": hash.to_string() });
    let known = u32::try_from(between.len()).unwrap_or(0);
    let heights = height.saturating_sub(known)..height;
    let mut lines: Vec<Json> = heights
        .zip(between)
        .map(|(at, hash)| line(at, hash))
        .collect();
    let mut last = line(height, &hash);
    if skipped > 0 && between.is_empty() {
        last["skipped"] = skipped.into();
    }
    lines.push(last);
    lines
}

/// The lines of templates.
struct Templates {
    wanted: bool,
    /// The block before the last template's, and its fees.
    last: Option<(BlockHash, i64)>,
}

impl Templates {
    fn new(initial: bool) -> Self {
        Self {
            wanted: initial,
            last: None,
        }
    }

    fn of(&mut self, work: &Work) -> Result<Vec<Json>, Error> {
        let fees = work.template.get_tx_fees()?;
        let transactions = fees.len();
        let fees = fees.into_iter().fold(0_i64, i64::saturating_add);
        let previous = work.previous();
        let reason = match self.last.replace((previous, fees)) {
            None => "first",
            Some((before, _)) if before != previous => "tip",
            Some((_, before)) if before != fees => "fees",
            // On a test network a block may be easier after a while.
            Some(_) => "time",
        };
        if !std::mem::replace(&mut self.wanted, true) {
            return Ok(Vec::new());
        }
        let header: String = work
            .header
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(vec![json!({
            "reason": reason,
            "previous": previous.to_string(),
            "transactions": transactions,
            "fees": fees,
            "header": header,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_between_two_tips_are_told_or_counted() {
        let hash = |byte: u8| BlockHash([byte; 32]);
        let text = |byte: u8| hash(byte).to_string();
        let told = tip_lines(7, hash(7), 2, &[hash(5), hash(6)]);
        let expected = [5, 6, 7].map(|at| json!({ "height": at, "hash": text(at) }));
        assert_eq!(told, expected);
        let skipped = tip_lines(7, hash(7), 2, &[]);
        assert_eq!(
            skipped,
            [json!({ "height": 7, "hash": text(7), "skipped": 2 })]
        );
        let next = tip_lines(8, hash(8), 0, &[]);
        assert_eq!(next, [json!({ "height": 8, "hash": text(8) })]);
    }
}
