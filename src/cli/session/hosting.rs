//! Objects that are hosted here in a parameter's place, print their calls, and answer them with
//! nothing.
//!
//! Knows what is printed and how often; nothing of who waits for it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use eyre::Result;
use serde_json::{Value as Json, json};

use super::plan::Plan;
use crate::cli::output::Output;

/// The objects of a session that print their calls. Clones are the same.
#[derive(Clone)]
pub(crate) struct Printers(Arc<State>);

struct State {
    output: Output,
    inner: Mutex<Inner>,
    left: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Inner {
    /// How many there were.
    numbers: u64,
    /// The handles of those that the peer may still call.
    names: HashMap<u64, Name>,
    /// What ends the wait for more calls.
    finish: Option<Box<dyn FnOnce() + Send>>,
    finished: bool,
    failed: Option<io::Error>,
}

struct Name {
    handle: String,
    /// Whether the user let go of it: its calls are answered and no longer printed.
    released: bool,
}

/// One of them. It goes when the peer destroys it or lets go of it, or with the connection.
struct Printer {
    state: Arc<State>,
    number: u64,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls are still to be printed, if not all. Held while one is printed, which may
    /// take as long as a reader likes; nothing else waits for that.
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
    }
}

impl Printers {
    pub(super) fn new(output: Output) -> Self {
        Self(Arc::new(State {
            output,
            inner: Mutex::default(),
            left: Mutex::default(),
        }))
    }

    /// Has `finish` called once so many calls have been printed, or nobody reads them any more.
    pub(crate) fn finish_after(&self, calls: Option<u64>, finish: impl FnOnce() + Send + 'static) {
        *self.0.left() = calls;
        self.0.inner().finish = Some(Box::new(finish));
    }

    /// Calls what [`Printers::finish_after`] was given once this time has passed.
    pub(crate) fn finish_in(&self, time: Duration) -> Result<()> {
        let state = self.0.clone();
        let wait = move || {
            std::thread::sleep(time);
            state.finish(None);
        };
        std::thread::Builder::new().name("for".into()).spawn(wait)?;
        Ok(())
    }

    /// How it ended, once no more calls are wanted.
    pub(crate) fn outcome(&self) -> Option<Result<()>> {
        let mut inner = self.0.inner();
        if !inner.finished {
            return None;
        }
        let failed = inner.failed.take();
        Some(failed.map_or(Ok(()), |error| Err(error.into())))
    }

    /// Whether the peer has let go of all of them, if only by going away.
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

    /// Prints the calls of this one no longer.
    pub(super) fn release(&self, handle: &str) {
        let mut inner = self.0.inner();
        let all = inner.names.values_mut();
        for printer in all.filter(|printer| printer.handle == handle) {
            printer.released = true;
        }
    }

    /// The steps of a call, with an object hosted for each parameter that asks for one; gives
    /// their handles too.
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

    /// Leaves the objects that print their calls to the peer alone, so that they go when it lets
    /// go of them.
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
        let printed = self.state.output.line(&call.to_string());
        *left = left.map(|left| left.saturating_sub(1));
        let over = printed.is_err() || *left == Some(0);
        drop(left);
        if over {
            self.state.finish(printed.err());
        }
    }

    /// What it is called, while its calls are printed.
    fn handle(&self) -> Option<String> {
        let inner = self.state.inner();
        let name = inner.names.get(&self.number)?;
        (!name.released && !inner.finished).then(|| name.handle.clone())
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.state.inner().names.remove(&self.number);
    }
}

/// Lets go of an object, and prints its calls no longer where it is one that does; tells whether
/// there was one.
pub(super) fn let_go(printers: &Printers, objects: &Objects, name: &str) -> bool {
    printers.release(name);
    objects.release(name)
}
