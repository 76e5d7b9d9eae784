//! Objects that are hosted here in a parameter's place, print their calls, and answer them with
//! nothing.
//!
//! Knows what is printed and how often; nothing of what waits for it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use eyre::Result;
use serde_json::{Value as Json, json};

use super::plan::Plan;
use crate::ui::events::Events;
use crate::ui::output::Output;

/// The objects of a session that print their calls. Clones share them.
#[derive(Clone)]
pub(crate) struct Printers(Arc<State>);

struct State {
    output: Output,
    /// Gets the calls in place of stdout.
    to: Mutex<Option<Sink>>,
    events: Events,
    inner: Mutex<Inner>,
    left: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Inner {
    /// The number of objects hosted so far.
    numbers: u64,
    /// The handles of those that the peer may still call.
    names: HashMap<u64, Name>,
    /// Ends the wait for more calls.
    finish: Option<Box<dyn FnOnce() + Send>>,
    finished: bool,
    failed: Option<io::Error>,
}

struct Name {
    handle: String,
    /// Whether the user released it: its calls are answered and no longer printed.
    released: bool,
}

/// Gets a call; fails when no more are wanted.
type Sink = Box<dyn FnMut(&Json) -> io::Result<()> + Send>;

/// A hosted object. It is dropped when the peer destroys or releases it, or with the connection.
struct Printer {
    state: Arc<State>,
    number: u64,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the number of calls that are still to be printed, `None` for all. Held while one is
    /// printed, which may take as long as the reader of stdout likes; nothing else waits for that.
    fn left(&self) -> MutexGuard<'_, Option<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, failed: Option<io::Error>) {
        let mut inner = self.inner();
        inner.finished = true;
        inner.failed = failed.or(inner.failed.take());
        let finish = inner.finish.take();
        drop(inner);
        if let Some(finish) = finish {
            finish();
        }
        self.events.ring();
    }
}

impl Printers {
    pub(super) fn new(output: Output, events: &Events) -> Self {
        Self(Arc::new(State {
            output,
            to: Mutex::default(),
            events: events.clone(),
            inner: Mutex::default(),
            left: Mutex::default(),
        }))
    }

    /// Hands the calls to `sink` in place of stdout, one at a time.
    pub(crate) fn tell_to(&self, sink: impl FnMut(&Json) -> io::Result<()> + Send + 'static) {
        let mut to = self.0.to.lock().unwrap_or_else(PoisonError::into_inner);
        *to = Some(Box::new(sink));
    }

    /// Calls `finish` once so many calls have been printed, or when stdout has no reader any more.
    pub(crate) fn finish_after(&self, calls: Option<u64>, finish: impl FnOnce() + Send + 'static) {
        *self.0.left() = calls;
        self.0.inner().finish = Some(Box::new(finish));
    }

    /// Calls the closure of [`Printers::finish_after`] once this time has passed.
    pub(crate) fn finish_in(&self, time: Duration) -> Result<()> {
        let state = self.0.clone();
        let wait = move || {
            std::thread::sleep(time);
            state.finish(None);
        };
        std::thread::Builder::new().name("for".into()).spawn(wait)?;
        Ok(())
    }

    /// Returns the outcome, once no more calls are wanted.
    pub(crate) fn outcome(&self) -> Option<Result<()>> {
        let mut inner = self.0.inner();
        if !inner.finished {
            return None;
        }
        let failed = inner.failed.take();
        Some(failed.map_or(Ok(()), |error| Err(error.into())))
    }

    /// Whether the peer has released all of them, or is gone.
    pub(crate) fn are_let_go(&self) -> bool {
        self.0.inner().names.is_empty()
    }

    pub(super) fn rename(&self, handle: &str, name: &str) {
        let mut inner = self.0.inner();
        let all = inner.names.values_mut();
        for printer in all.filter(|printer| printer.handle == handle) {
            name.clone_into(&mut printer.handle);
        }
    }

    /// Stops printing the calls of this one.
    pub(super) fn release(&self, handle: &str) {
        let mut inner = self.0.inner();
        let all = inner.names.values_mut();
        for printer in all.filter(|printer| printer.handle == handle) {
            printer.released = true;
        }
    }

    /// Returns the steps of a call, with an object hosted for each parameter that asks for one, and
    /// the handles of these objects.
    pub(super) fn host(&self, objects: &Objects, plan: &Plan) -> Result<(Vec<Step>, Vec<String>)> {
        let mut steps = plan.steps.clone();
        let mut handles = Vec::new();
        for (param, ty) in &plan.prints {
            let mut inner = self.0.inner();
            inner.numbers += 1;
            let printer = Printer {
                state: self.0.clone(),
                number: inner.numbers,
            };
            drop(inner);
            let number = printer.number;
            let calls = move |_: &str, method: &str, params: Json| {
                printer.print(method, &params);
                Ok(Json::Null)
            };
            let handle = objects.host_type(ty, calls)?;
            let name = Name {
                handle: handle.clone(),
                released: false,
            };
            self.0.inner().names.insert(number, name);
            if let Some(step) = steps.last_mut() {
                step.params[param] = handle.clone().into();
            }
            handles.push(handle);
        }
        Ok((steps, handles))
    }

    /// Releases the handles of the objects that print their calls, so that these are dropped when
    /// the peer releases them.
    pub(super) fn leave(&self, objects: &Objects) {
        let inner = self.0.inner();
        let handles = inner.names.values().map(|name| name.handle.clone());
        let handles: Vec<String> = handles.collect();
        // Dropping one takes the lock.
        drop(inner);
        for handle in handles {
            objects.release(&handle);
        }
    }
}

impl Printer {
    fn print(&self, method: &str, params: &Json) {
        // One at a time, so that no more are printed than are wanted.
        let mut left = self.state.left();
        let Some(handle) = self.handle().filter(|_| *left != Some(0)) else {
            return;
        };
        let call = json!({ "object": handle, "method": method, "params": params });
        let mut to = self.state.to.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = match to.as_mut() {
            Some(sink) => sink(&call),
            None => self.state.output.json_line(&call),
        };
        drop(to);
        *left = left.map(|left| left.saturating_sub(1));
        let over = printed.is_err() || *left == Some(0);
        drop(left);
        if over {
            self.state.finish(printed.err());
        }
    }

    /// Returns the handle while its calls are printed.
    fn handle(&self) -> Option<String> {
        let inner = self.state.inner();
        let name = inner.names.get(&self.number)?;
        (!name.released && !inner.finished).then(|| name.handle.clone())
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.state.inner().names.remove(&self.number);
        self.state.events.ring();
    }
}

/// Releases an object, and stops printing its calls where it prints them. Returns whether it
/// existed.
pub(super) fn let_go(printers: &Printers, objects: &Objects, name: &str) -> bool {
    printers.release(name);
    objects.release(name)
}
