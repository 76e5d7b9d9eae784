//! Calls that are sent together, as messages: their requests, the threads that they name, and their
//! answers.
//!
//! Knows messages and the peer's threads; nothing of the values in them, nor of which thread waits for
//! the answers. One call is the usual case; others may follow on the object that it answers with, and
//! the one that makes their thread comes before.

use std::sync::Arc;

use capnp::any_pointer;

use super::connection::Connection;
use super::convert::check_size;
use super::info::Method;
use super::log;
use super::rpc::{Ask, Caps, Import, Param, Request, Response, Target};
use super::sync::{Mutex, lock};
use super::threads::peer_threads::{MADE, PeerThread, Thread, write_context};
use super::wire::echo_capnp::echo::destroy_params;
use crate::error::{Error, Result};

/// Calls that are written, but not sent.
pub struct Batch {
    import: Arc<Import>,
    first: Request,
    /// The calls that follow, each with the pointer in the previous call's results that it is made on.
    then: Vec<(u16, Request)>,
    names_thread: bool,
}

/// The answers to a batch.
pub struct Answers {
    /// The answer to the first call.
    pub first: Result<Response>,
    /// The answers to the calls that followed it, in order.
    pub then: Vec<Result<Response>>,
}

/// Writes a request.
///
/// # Errors
/// Returns the errors of `fill`, and [`Error::Conversion`] for a request that is too large.
pub fn write(
    connection: &Connection,
    method: &Method,
    fill: impl FnOnce(&mut Caps<Param>, any_pointer::Builder<'_>) -> Result<()>,
) -> Result<Request> {
    let request = Request::new(method.interface_id, method.ordinal, fill)?;
    check_size(&connection.limits, request.size(), method)?;
    log::client_sends(method, &request);
    Ok(request)
}

impl Batch {
    /// Makes a batch of calls on `import`: `first`, and then each call of `then` on a pointer in the
    /// results of the call before it.
    pub fn new(
        import: &Arc<Import>,
        first: Request,
        then: Vec<(u16, Request)>,
        names_thread: bool,
    ) -> Self {
        Self {
            import: import.clone(),
            first,
            then,
            names_thread,
        }
    }

    /// Makes a batch of one call of an interface's `destroy`, whose parameters are those of
    /// `Echo.destroy` in every interface.
    ///
    /// # Errors
    /// Returns the errors of [`write()`].
    pub fn destroy(connection: &Connection, import: &Arc<Import>, method: &Method) -> Result<Self> {
        let request = write(connection, method, |caps, params| {
            let params = params.init_as::<destroy_params::Builder<'_>>();
            let context = params.init_context();
            if method.threaded {
                write_context(caps, context);
            }
            Ok(())
        })?;
        Ok(Self::new(import, request, Vec::new(), method.threaded))
    }

    /// Returns whether the batch names a thread of the peer.
    pub fn names_thread(&self) -> bool {
        self.names_thread
    }

    /// Sends the calls all at once, to run on thread `on`, and passes their answers to `done`, which
    /// must not block. If the thread has not been made yet, the call that makes it is sent first in the
    /// same batch; if that call is pending, the batch waits for its answer.
    pub fn send(
        self,
        connection: &Arc<Connection>,
        on: Option<&Arc<PeerThread>>,
        done: impl FnOnce(Answers) + Send + 'static,
    ) {
        let mut make = None;
        let thread = match on.map(|on| (on, on.thread())) {
            None => None,
            Some((on, Thread::Known(Ok(thread)))) => Some((on, Param::Cap(thread))),
            Some((_, Thread::Known(Err(error)))) => return done(Answers::failed(error)),
            Some((on, Thread::ToBeMade(ask))) => {
                make = Some(ask);
                Some((on, MADE))
            }
            Some((on, Thread::Asked)) => {
                let (connection, thread) = (connection.clone(), on.clone());
                return on.once_made(move || self.send(&connection, Some(&thread), done));
            }
        };
        let Self {
            import,
            mut first,
            mut then,
            ..
        } = self;
        if let Some((on, thread)) = thread {
            for (_, next) in &mut then {
                on.supply(next, thread.clone());
            }
            on.supply(&mut first, thread);
        }
        let on = on.filter(|_| make.is_some()).cloned();
        let done = move |mut answers: Answers| {
            // A call whose thread was not made fails for that reason. The thread is kept until here,
            // since a call cannot keep a thread that is not made yet.
            let failure = on.and_then(|on| on.failure());
            if let (Err(error), Some(failure)) = (&mut answers.first, failure) {
                *error = failure;
            }
            done(answers);
        };
        if then.is_empty() {
            let ask = Ask {
                target: Target::Import(import),
                request: first,
                done: Box::new(move |first| {
                    done(Answers {
                        first,
                        then: Vec::new(),
                    });
                }),
            };
            return connection.link().ask(make.into_iter().chain([ask]));
        }
        let gathering = Gathering {
            answers: Mutex::new((0..=then.len()).map(|_| None).collect()),
            done: Mutex::new(Some(Box::new(done))),
        };
        let gathering = Arc::new(gathering);
        let mut asks = Vec::from_iter(make);
        asks.push(gathering.ask(0, Target::Import(import), first));
        for (index, (pointer, request)) in then.into_iter().enumerate() {
            asks.push(gathering.ask(index + 1, Target::Previous(Some(pointer)), request));
        }
        connection.link().ask(asks);
    }
}

/// Collects the answers to several calls until all have arrived.
struct Gathering {
    answers: Mutex<Vec<Option<Result<Response>>>>,
    #[allow(clippy::type_complexity, reason = "named by its field")]
    done: Mutex<Option<Box<dyn FnOnce(Answers) + Send>>>,
}

impl Gathering {
    fn ask(self: &Arc<Self>, index: usize, target: Target, request: Request) -> Ask {
        let this = self.clone();
        Ask {
            target,
            request,
            done: Box::new(move |answer| this.answered(index, answer)),
        }
    }

    fn answered(&self, index: usize, answer: Result<Response>) {
        let mut answers = lock(&self.answers);
        if let Some(place) = answers.get_mut(index) {
            *place = Some(answer);
        }
        if answers.iter().any(Option::is_none) {
            return;
        }
        let mut all = std::mem::take(&mut *answers).into_iter().flatten();
        drop(answers);
        let done = lock(&self.done).take();
        if let (Some(first), Some(done)) = (all.next(), done) {
            done(Answers {
                first,
                then: all.collect(),
            });
        }
    }
}

impl Answers {
    /// Makes the answers to calls that were not sent.
    fn failed(error: Error) -> Self {
        Self {
            first: Err(error),
            then: Vec::new(),
        }
    }

    /// Discards the results of the batch's one call.
    ///
    /// # Errors
    /// Returns the error of that call.
    pub fn nothing(self) -> Result<()> {
        self.first.map(drop)
    }
}
