//! A call of a method: how its parameters are written into requests, and how its results are read from
//! answers.
//!
//! Knows methods and messages; nothing of threads, nor of how long a call takes.

use std::sync::Arc;

use capnp::any_pointer;

use super::batch::{self, Answers, Batch};
use super::connection::Connection;
use super::convert::from_capnp;
use super::info::{Method, StaticOrShared};
use super::log;
use super::rpc::{Import, Response};
use super::values::{Build, Read};
use super::wire::echo_capnp::echo::destroy_params;
use crate::error::Result;

/// Stands for the parameters of [`Outgoing::never_run`], as data.
const NO_PARAMETERS: [u8; LENGTH as usize] = *b"asks whether there is such a method";
const LENGTH: u32 = 35;

/// Writes a method's parameters.
pub type Fill<'a> =
    Box<dyn FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a>;

/// A call that has not been written: how its parameters are written, and how its results are read.
pub struct Outgoing<'a, R> {
    method: StaticOrShared<Method>,
    names_thread: bool,
    fill: Fill<'a>,
    read: ReadResults<R>,
    pipelined: Vec<Pipelined<'a>>,
}

/// Reads a method's results, on the thread that uses them.
pub type ReadResults<R> = Box<dyn FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<R> + Send>;

/// A call on an object in the results of the call before it, sent together with that.
struct Pipelined<'a> {
    /// The pointer in those results that is called on.
    pointer: u16,
    method: StaticOrShared<Method>,
    fill: Fill<'a>,
    read: ReadResults<()>,
}

impl<'a, R> Outgoing<'a, R> {
    /// Makes a call of `method`.
    pub fn new(
        method: impl Into<StaticOrShared<Method>>,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a,
        read: impl FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<R> + Send + 'static,
    ) -> Self {
        Self {
            method: method.into(),
            names_thread: true,
            fill: Box::new(fill),
            read: Box::new(read),
            pipelined: Vec::new(),
        }
    }

    /// Adds a call of `method` on the capability at pointer `pointer` of the previous call's results.
    /// All calls are sent at once. The whole fails with the error of the first call that fails; the
    /// answers of the others are read all the same, in order.
    #[must_use]
    pub fn then(
        mut self,
        pointer: u16,
        method: impl Into<StaticOrShared<Method>>,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a,
        read: impl FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        self.pipelined.push(Pipelined {
            pointer,
            method: method.into(),
            fill: Box::new(fill),
            read: Box::new(read),
        });
        self
    }

    /// Returns the first call's method.
    pub fn method(&self) -> &StaticOrShared<Method> {
        &self.method
    }

    /// Returns whether it names a thread of the peer.
    fn needs_thread(&self) -> bool {
        self.names_thread
            && (self.method.threaded || self.pipelined.iter().any(|next| next.method.threaded))
    }

    /// Writes the calls. Nothing is sent if one of them cannot be written.
    ///
    /// # Errors
    /// Returns the errors of writing, and [`Error::Conversion`](crate::Error::Conversion) for a call
    /// that is too large.
    pub fn write(
        self,
        connection: &Arc<Connection>,
        import: &Arc<Import>,
    ) -> Result<(Batch, Reading<R>)> {
        let names_thread = self.needs_thread();
        let write = |method: &Method, fill: Fill<'_>| {
            batch::write(connection, method, |caps, params| {
                fill(&mut Build::of_call(connection, caps, names_thread), params)
            })
        };
        let first = write(&self.method, self.fill)?;
        let mut then = Vec::new();
        let mut reads = Vec::new();
        for next in self.pipelined {
            then.push((next.pointer, write(&next.method, next.fill)?));
            reads.push((next.method, next.read));
        }
        let reading = Reading {
            method: self.method,
            first: self.read,
            then: reads,
        };
        Ok((Batch::new(import, first, then, names_thread), reading))
    }
}

impl Outgoing<'static, ()> {
    /// Makes a call without parameters, whose results are not read.
    pub fn empty(method: StaticOrShared<Method>) -> Self {
        let fill = |_: &mut Build<'_>, params: any_pointer::Builder<'_>| {
            params.init_as::<destroy_params::Builder<'_>>();
            Ok(())
        };
        Self::new(method, fill, |_, _| Ok(()))
    }

    /// Makes a call of `method` that is never run: its parameters are no struct. Whoever has the method
    /// fails to read them, and whoever has not says so before.
    pub fn never_run(method: StaticOrShared<Method>) -> Self {
        let fill = |_: &mut Build<'_>, params: any_pointer::Builder<'_>| {
            params
                .initn_as::<capnp::data::Builder<'_>>(LENGTH)
                .copy_from_slice(&NO_PARAMETERS);
            Ok(())
        };
        Self {
            names_thread: false,
            ..Self::new(method, fill, |_, _| Ok(()))
        }
    }
}

/// Reads the answers to a batch.
pub struct Reading<R> {
    method: StaticOrShared<Method>,
    first: ReadResults<R>,
    then: Vec<(StaticOrShared<Method>, ReadResults<()>)>,
}

impl<R> Reading<R> {
    /// Reads all answers. If several fail, the first one's error is returned.
    ///
    /// # Errors
    /// Returns the peer's error, and [`Error::Conversion`](crate::Error::Conversion) for an answer that
    /// cannot be read.
    pub fn read(self, connection: &Arc<Connection>, answers: Answers) -> Result<R> {
        let mut result = receive(connection, &self.method, answers.first, self.first);
        for (answer, (method, read)) in answers.then.into_iter().zip(self.then) {
            let answer = receive(connection, &method, answer, read);
            if let Err(error) = answer
                && result.is_ok()
            {
                result = Err(error);
            }
        }
        result
    }
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
    let reader = Read::new(connection, response.caps());
    response
        .read(|results| read(&reader, results))
        .map_err(from_capnp)?
}
