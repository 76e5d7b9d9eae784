//! Calls under way, each on a thread of its own, so that the thread that waits for one can react to
//! signals and have the peer end it.
//!
//! Knows threads, signals, time, and which method ends another; nothing of how calls are read or
//! shown.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core::{self, Stop};
use bitcoin_ipc::{CallOptions, CancelToken, Error};
use eyre::Result;
use serde_json::Value as Json;

use crate::context::Context;
use crate::schema::choice::Schema;
use crate::ui::errors::Failure;
use crate::ui::events::Events;

/// The time a peer has to end a call once it is asked to.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that make calls. One that has its answer makes the next call, so that calls in a row
/// run on one thread of the peer. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Workers {
    idle: Arc<Mutex<Vec<Sender<Job>>>>,
    events: Events,
}

/// A call that has no answer yet. Dropping it gives the call up: the peer goes on.
pub(crate) struct Running<T> {
    /// The method, for people.
    pub(crate) name: String,
    ender: Option<Box<Ender>>,
    /// Whether it calls a method of an object that it makes itself, which nothing here can reach.
    chained: bool,
    pub(crate) started: Instant,
    /// The number of signals that had come before it was started, where that is known.
    heard: Option<u32>,
    /// The advice to show where it takes too long.
    advice: Option<&'static str>,
    cancel: CancelToken,
    answer: Receiver<T>,
    worker: Sender<Job>,
    workers: Workers,
}

/// The way a wait for an answer ended.
pub(crate) enum Finished<T> {
    Answered(T),
    /// It has no answer yet.
    Left(Running<T>),
}

/// The end of a call in the peer: by the method that ends it, on the object whose method runs.
pub(crate) struct Ender {
    /// The method, for people.
    name: String,
    end: Arc<dyn Fn() -> bitcoin_ipc::Result<Json> + Send + Sync>,
}

impl Workers {
    /// Makes threads that ring when they have an answer.
    pub(crate) fn new(events: &Events) -> Self {
        Self {
            idle: Arc::default(),
            events: events.clone(),
        }
    }

    /// Starts `f`, which makes calls; `name` names it for people.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        name: impl Into<String>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Running<T>, Error> {
        let (sender, answer) = mpsc::channel();
        let cancel = CancelToken::new();
        let options = CallOptions::new().cancel(&cancel);
        let ringer = self.events.ringer();
        let mut job: Job = Box::new(move || {
            // Dropped after the sender, so that the end of a thread that panics is seen.
            let (_ringer, sender) = (ringer, sender);
            // Nobody waits for the answer of a call that was given up.
            let _ = sender.send(options.run(f));
        });
        let worker = loop {
            let worker = match self.pop() {
                Some(worker) => worker,
                None => Self::worker()?,
            };
            // A thread on which a callback panicked is gone.
            match worker.send(job) {
                Ok(()) => break worker,
                Err(mpsc::SendError(back)) => job = back,
            }
        };
        Ok(Running {
            name: name.into(),
            ender: None,
            chained: false,
            started: Instant::now(),
            heard: None,
            advice: None,
            cancel,
            answer,
            worker,
            workers: self.clone(),
        })
    }

    fn pop(&self) -> Option<Sender<Job>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn push(&self, worker: Sender<Job>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(worker);
    }

    fn worker() -> Result<Sender<Job>, Error> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let work = move || jobs.into_iter().for_each(|job| job());
        thread::Builder::new()
            .name("call".into())
            .spawn(work)
            .map_err(|error| Error::io("start a thread", error))?;
        Ok(sender)
    }
}

impl<T: Send + 'static> Running<T> {
    /// Counts a signal after the first `heard` as one that came while it ran.
    #[must_use]
    pub(crate) fn after_signals(mut self, heard: u32) -> Self {
        self.heard = Some(heard);
        self
    }

    /// Sets the advice to show where it takes too long.
    #[must_use]
    pub(crate) fn advising(mut self, advice: Option<&'static str>) -> Self {
        self.advice = advice;
        self
    }

    /// Sets the method that ends it, if any, and whether it calls a method of an object that it
    /// makes itself.
    #[must_use]
    pub(crate) fn ended_by(mut self, ender: Option<Ender>, chained: bool) -> Self {
        self.ender = ender.map(Box::new);
        self.chained = chained;
        self
    }

    /// Returns the answer, if it comes within this time.
    ///
    /// # Errors
    /// Fails when its thread has panicked, in a callback.
    pub(crate) fn wait(&self, limit: Duration) -> Result<Option<T>> {
        match self.answer.recv_timeout(limit) {
            Ok(answer) => {
                self.workers.push(self.worker.clone());
                Ok(Some(answer))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(eyre::eyre!("the thread of {} has panicked", self.name))
            }
        }
    }

    /// Waits for the answer. A signal or `--timeout` ends the wait and, where possible, the call in
    /// the peer too.
    pub(crate) fn finish(self, context: &Context) -> Result<T> {
        match self.finish_or(context, || Ok(ControlFlow::Continue(None)))? {
            Finished::Answered(answer) => Ok(answer),
            Finished::Left(_) => Err(eyre::eyre!("a wait that is not left was left")),
        }
    }

    /// Waits as [`Running::finish`] does, but leaves the wait once `leave` breaks it. That is called
    /// after each event, and at the time that it returned before.
    pub(crate) fn finish_or(
        self,
        context: &Context,
        mut leave: impl FnMut() -> Result<ControlFlow<(), Option<Instant>>>,
    ) -> Result<Finished<T>> {
        let signals = &context.signals;
        let events = signals.events();
        // A signal that has come already is the one that ends the wait.
        let ended = signals.received().is_some();
        let count = signals.count().saturating_sub(ended.into());
        let since = self.heard.map_or(count, |heard| heard.min(count));
        let stop = loop {
            let seen = events.seen();
            if let Some(answer) = self.wait(Duration::ZERO)? {
                // A call that a signal ended has no result.
                signals.check()?;
                return Ok(Finished::Answered(answer));
            }
            if signals.count() > since {
                // At a prompt, which goes on after a SIGINT.
                break signals.check().err().unwrap_or_else(Failure::interrupted);
            }
            if signals.stopped() {
                break Error::Cancelled(self.name.clone()).into();
            }
            if let Some(late) = self.late(context) {
                break late;
            }
            match leave()? {
                ControlFlow::Break(()) => return Ok(Finished::Left(self)),
                ControlFlow::Continue(other) => {
                    let own = self.deadline(context);
                    events.wait(seen, own.into_iter().chain(other).min());
                }
            }
        };
        if let Err(why) = self.end(|| signals.count() > since + 1) {
            context.output.note(&why);
        }
        // Also for a signal that came while time ran out.
        signals.check()?;
        Err(stop.into())
    }

    /// Returns the time until which `--timeout` lets the call run.
    pub(crate) fn deadline(&self, context: &Context) -> Option<Instant> {
        self.started.checked_add(context.timeout()?)
    }

    /// Fails once the call has taken longer than `--timeout` allows.
    pub(crate) fn late(&self, context: &Context) -> Option<Failure> {
        let after = context.timeout()?;
        let what = self.name.clone();
        let late = self.started.elapsed() >= after;
        late.then(|| {
            let failure = Failure::from(Error::Timeout { what, after });
            match self.advice {
                Some(advice) => failure.hint(advice),
                None => failure,
            }
        })
    }

    /// Has the peer end the call and waits for its answer, which is that of an interrupted call.
    /// Where that fails, gives the call up and returns why it goes on in the peer. `hurry` tells
    /// when to stop waiting.
    pub(crate) fn end(self, hurry: impl Fn() -> bool) -> Result<T, String> {
        self.end_until(Instant::now() + PATIENCE, hurry)
    }

    /// Has the peer end the call as [`Running::end`] does, and waits no longer than until `deadline`.
    pub(crate) fn end_until(
        self,
        deadline: Instant,
        hurry: impl Fn() -> bool,
    ) -> Result<T, String> {
        let ended = self.interrupt(deadline, hurry);
        ended.map_err(|why| format!("{} goes on in the peer: {why}", self.name))
    }

    fn interrupt(&self, deadline: Instant, hurry: impl Fn() -> bool) -> Result<T, String> {
        let Some(ender) = &self.ender else {
            return Err("no method interrupts it".into());
        };
        let name = ender.name.clone();
        let failed = |error: &dyn std::fmt::Display| format!("{name} failed: {error}");
        let interrupting = ender.start(&self.workers).map_err(|e| failed(&e))?;
        let (mut answer, mut asked) = (None, false);
        let events = &self.workers.events;
        loop {
            let seen = events.seen();
            if answer.is_none() {
                answer = self.wait(Duration::ZERO).map_err(|e| failed(&e))?;
            }
            if !asked {
                match interrupting.wait(Duration::ZERO).map_err(|e| failed(&e))? {
                    Some(Err(error)) if answer.is_none() => return Err(failed(&error)),
                    asking => asked = asking.is_some(),
                }
            }
            let late = Instant::now() >= deadline;
            let over = late || hurry();
            match answer.take() {
                // Its own answer too, so that nothing of it is under way when the connection ends.
                Some(answer) if asked || over => return Ok(answer),
                None if over => {}
                waiting => {
                    answer = waiting;
                    events.wait(seen, Some(deadline));
                    continue;
                }
            }
            let kept = match late && self.chained {
                true => "; of an object that is kept it could be ended",
                false => "",
            };
            return Err(format!("{name} has not ended it{kept}"));
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        // Its thread waits no longer.
        self.cancel.cancel();
    }
}

impl Ender {
    /// Returns the method that ends `method` of an object, if there is one.
    pub(crate) fn of(
        schema: &Schema,
        objects: &Objects,
        handle: &str,
        method: &str,
    ) -> Option<Self> {
        let interface = objects.interface_of(handle)?;
        let ender = core::interrupt_of(&schema.registry, interface, method).ok()??;
        let (objects, handle) = (objects.clone(), handle.to_owned());
        let method = ender.method.name.clone();
        Some(Self {
            name: ender.full_name(),
            end: Arc::new(move || objects.call(&handle, &method, Json::Null)),
        })
    }

    /// Returns the end of a wait in slices.
    pub(crate) fn of_wait(stop: Stop) -> Self {
        Self {
            name: stop.method().unwrap_or("its time limit").to_owned(),
            end: Arc::new(move || stop.stop()),
        }
    }

    fn start(&self, workers: &Workers) -> Result<Running<bitcoin_ipc::Result<Json>>, Error> {
        let end = self.end.clone();
        workers.start(self.name.clone(), move || end())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    #[test]
    fn calls_in_a_row_are_made_on_one_thread() {
        let workers = Workers::default();
        let run = || {
            let running = workers.start("a call", || thread::current().id()).unwrap();
            running.wait(PATIENCE).unwrap().unwrap()
        };
        assert_eq!(run(), run());
        // A thread that waits is not reused, and one that panics is gone.
        let (sender, receiver) = mpsc::channel::<()>();
        let waiting = workers.start("a wait", move || {
            let _ = receiver.recv();
            thread::current().id()
        });
        let waiting = waiting.unwrap();
        let other = run();
        drop(sender);
        assert_ne!(waiting.wait(PATIENCE).unwrap(), Some(other));
        let panics = workers.start("a panic", || std::panic::resume_unwind(Box::new(())));
        assert!(panics.unwrap().wait(PATIENCE).is_err());
        run();
    }
}
