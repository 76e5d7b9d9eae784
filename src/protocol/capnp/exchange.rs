//! Calls that are made together: their requests, and what their answers say.
//!
//! Knows messages; nothing of who waits for the answers. One call is the usual case; others may follow
//! on what it answers, and the one that makes their thread comes before.

use std::sync::{Arc, Mutex};

use super::connection::Connection;
use super::convert::{check_size, from_capnp};
use super::lanes::{Lane, MADE, Thread};
use super::log;
use super::rpc::{Ask, Import, Param, Request, Response, Target};
use super::rt::{Build, Fill, Held, Method, Outgoing, Pipelined, Read, ReadResults};
use super::sync::lock;
use crate::error::{Error, Result};

/// Calls that are written, but not sent.
pub struct Batch {
    import: Arc<Import>,
    first: Request,
    /// Each with the pointer, in the results of the call before, that it is made on.
    then: Vec<(u16, Request)>,
    names_thread: bool,
}

/// How the answers of a batch are read.
pub struct Reading<R> {
    method: Held<Method>,
    first: ReadResults<R>,
    then: Vec<(Held<Method>, ReadResults<()>)>,
}

/// What a batch was answered.
pub struct Answers {
    first: Result<Response>,
    then: Vec<Result<Response>>,
}

impl Batch {
    /// Writes calls. Nothing is sent if one of them cannot be written.
    ///
    /// # Errors
    /// What writing them says, and [`Error::Conversion`] for one that is too large.
    pub fn write<R>(
        connection: &Arc<Connection>,
        import: &Arc<Import>,
        outgoing: Outgoing<'_, R>,
    ) -> Result<(Self, Reading<R>)> {
        let names_thread = outgoing.needs_thread();
        let Outgoing {
            method,
            fill,
            read,
            pipelined,
            ..
        } = outgoing;
        let first = write(connection, &method, fill, names_thread)?;
        let mut then = Vec::new();
        let mut reads = Vec::new();
        for next in pipelined {
            let Pipelined {
                pointer,
                method,
                fill,
                read,
            } = next;
            then.push((pointer, write(connection, &method, fill, names_thread)?));
            reads.push((method, read));
        }
        let batch = Self {
            import: import.clone(),
            first,
            then,
            names_thread,
        };
        let reading = Reading {
            method,
            first: read,
            then: reads,
        };
        Ok((batch, reading))
    }

    /// Whether a thread of the peer is named in it.
    pub fn names_thread(&self) -> bool {
        self.names_thread
    }

    /// Sends them, all at once, and gives what they are answered to `done`, which must not block. If
    /// the thread that they name is still to be made, that is sent with them; if it is being made, they
    /// wait for it.
    pub fn send(
        self,
        connection: &Arc<Connection>,
        lane: Option<&Arc<Lane>>,
        done: impl FnOnce(Answers) + Send + 'static,
    ) {
        let mut make = None;
        let thread = match lane.map(|lane| (lane, lane.thread())) {
            None => None,
            Some((lane, Thread::Known(Ok(thread)))) => Some((lane, Param::Cap(thread))),
            Some((_, Thread::Known(Err(error)))) => return done(Answers::failed(error)),
            Some((lane, Thread::ToBeMade(ask))) => {
                make = Some(ask);
                Some((lane, MADE))
            }
            Some((lane, Thread::Asked)) => {
                let (connection, on) = (connection.clone(), lane.clone());
                return lane.once_made(move || self.send(&connection, Some(&on), done));
            }
        };
        let Self {
            import,
            mut first,
            mut then,
            ..
        } = self;
        if let Some((lane, thread)) = thread {
            for (_, next) in &mut then {
                lane.supply(next, thread.clone());
            }
            lane.supply(&mut first, thread);
        }
        let lane = lane.filter(|_| make.is_some()).cloned();
        let done = move |mut answers: Answers| {
            // What is wrong with a call whose thread was not made is that. The lane, and with it the
            // thread, is kept until here: the call itself cannot keep what is not there yet.
            let failure = lane.and_then(|lane| lane.failure());
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

/// The answers to several calls, as far as they are there.
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
    /// Of calls that were not sent.
    fn failed(error: Error) -> Self {
        Self {
            first: Err(error),
            then: Vec::new(),
        }
    }

    /// Reads them: of several that fail, the first one's error counts.
    ///
    /// # Errors
    /// What the peer answered, and [`Error::Conversion`] for what cannot be read.
    pub fn read<R>(self, connection: &Arc<Connection>, reading: Reading<R>) -> Result<R> {
        let mut result = receive(connection, &reading.method, self.first, reading.first);
        for (answer, (method, read)) in self.then.into_iter().zip(reading.then) {
            let answer = receive(connection, &method, answer, read);
            if let Err(error) = answer
                && result.is_ok()
            {
                result = Err(error);
            }
        }
        result
    }

    /// Whether the one call was answered without an error.
    ///
    /// # Errors
    /// That one.
    pub fn nothing(self) -> Result<()> {
        self.first.map(drop)
    }
}

/// Writes a request.
fn write(
    connection: &Arc<Connection>,
    method: &Method,
    fill: Fill<'_>,
    names_thread: bool,
) -> Result<Request> {
    let request = Request::new(method.interface_id, method.ordinal, |caps, params| {
        let mut build = Build::of_call(connection, caps, names_thread);
        fill(&mut build, params)
    })?;
    check_size(&connection.limits, request.size(), method)?;
    log::client_sends(method, &request);
    Ok(request)
}

/// Reads an answer.
fn receive<R>(
    connection: &Arc<Connection>,
    method: &Method,
    answer: Result<Response>,
    read: ReadResults<R>,
) -> Result<R> {
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            log::client_fails(method, &error);
            return Err(error);
        }
    };
    log::client_receives(method, &response);
    let reader = Read {
        connection,
        caps: response.caps(),
    };
    response
        .read(|results| read(&reader, results))
        .map_err(from_capnp)?
}
