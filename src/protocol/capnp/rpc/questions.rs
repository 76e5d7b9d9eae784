//! Our calls: how they are sent, and what their answers do.
//!
//! Knows Call, Bootstrap and Return. A question ends with the peer's Return, and with nothing else: the
//! peer is told that it is finished only then, because Bitcoin Core 30 dies when a call is cancelled
//! while it executes. Until then a question keeps what it is about, because to let go of a thread in
//! the middle of a call is an error in Core. What it only names as a call's answer is kept by who gets
//! that.

use std::sync::Arc;

use capnp::any_pointer;
use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, message, message_target, promised_answer, return_,
};

use super::super::event_loop::run_guarded;
use super::super::sync::lock;
use super::call::content;
use super::cap::{Cap, Caps, Import, read};
use super::flush::{LATER, SOON};
use super::frame::Received;
use super::link::{Link, Phase};
use super::message::{self as messages, Building, error_of, room};
use super::reason::{CloseReason, violation};
use super::tables::Tables;
use crate::error::{Error, Result};

/// What libmultiprocess says of a call on a connection that has ended.
pub const AFTER_DISCONNECT: &str = "IPC client method called after disconnect.";
/// The memory that a call begins with, in words: most need some thirty.
const FIRST_SEGMENT: u32 = 64;

/// What an answer is handed to, once. Runs on whatever thread read it, and must not block.
pub type Done = Box<dyn FnOnce(Result<Response>) + Send>;

/// Hands it over. What that wakes is the application's, and a panic of it is nobody else's matter.
pub(super) fn tell(done: Done, answer: Result<Response>) {
    run_guarded("what waits for an answer", || done(answer));
}

/// A question of ours without a Return.
pub(super) struct Question {
    pub(super) done: Done,
    /// The objects of ours that went with it.
    pub(super) exports: Vec<u32>,
    /// What it is about: its target, and its parameters' objects.
    about: Vec<Cap>,
}

/// A capability in a call that is not sent yet.
#[derive(Clone)]
pub enum Param {
    /// This one.
    Cap(Cap),
    /// One that is known when the call is sent: [`Request::supply`] tells which.
    Later(usize),
    /// What the first call of the same batch will answer, at this pointer of its results.
    First(u16),
}

/// A call that is written, but not sent.
pub struct Request {
    message: Building,
    caps: Vec<Option<Param>>,
}

/// What a call is made on.
pub enum Target {
    /// An object.
    Import(Arc<Import>),
    /// What the call before it in the same batch will answer: the capability at this pointer of its
    /// results, or the results themselves.
    Previous(Option<u16>),
}

/// A call, what it is made on, and what gets its answer.
pub struct Ask {
    /// What it is made on.
    pub target: Target,
    /// The call.
    pub request: Request,
    /// What gets the answer.
    pub done: Done,
}

impl Request {
    /// A call of a method, whose parameters `fill` writes.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn new(
        interface: u64,
        method: u16,
        fill: impl FnOnce(&mut Caps<Param>, any_pointer::Builder<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut message = room(FIRST_SEGMENT);
        let mut call = message.init_root::<message::Builder<'_>>().init_call();
        call.set_interface_id(interface);
        call.set_method_id(method);
        let caps = Caps::fill(call.init_params().init_content(), fill)?;
        Ok(Self { message, caps })
    }

    /// Tells which capability the one is that was to be known later.
    pub fn supply(&mut self, number: usize, known: Param) {
        let is_it = |param: &&mut Param| matches!(param, Param::Later(n) if *n == number);
        if let Some(param) = self.caps.iter_mut().flatten().find(is_it) {
            *param = known;
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.message.size_in_words() * 8
    }

    /// Has `with` read its parameters.
    ///
    /// # Errors
    /// When it was not written as a call.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        let root: message::Reader<'_> = self.message.get_root_as_reader()?;
        match root.which()? {
            message::Call(call) => Ok(read(call?.get_params()?.get_content(), &self.caps, with)),
            _ => Err(capnp::Error::failed("no call".into())),
        }
    }

    /// Writes what only the tables know: gives what is kept while the call is open.
    fn complete(
        &mut self,
        tables: &mut Tables,
        link: &Arc<Link>,
        question: u32,
        target: &Target,
        before: Option<Before>,
    ) -> capnp::Result<(Vec<u32>, Vec<Cap>)> {
        let before = || before.ok_or_else(|| capnp::Error::failed("no call before it".into()));
        let root: message::Builder<'_> = self.message.get_root()?;
        let message::Call(call) = root.which()? else {
            return Err(capnp::Error::failed("no call".into()));
        };
        let mut call: call::Builder<'_> = call?;
        call.set_question_id(question);
        let mut about = Vec::with_capacity(1 + self.caps.len());
        let mut on: message_target::Builder<'_> = call.reborrow().init_target();
        match target {
            Target::Import(import) => {
                on.set_imported_cap(import.id);
                about.push(Cap::Import(import.clone()));
            }
            Target::Previous(pointer) => {
                promise(on.init_promised_answer(), before()?.previous, *pointer);
            }
        }
        let mut exports = Vec::new();
        if !self.caps.is_empty() {
            let count = u32::try_from(self.caps.len()).unwrap_or(u32::MAX);
            let mut table = call.get_params()?.init_cap_table(count);
            for (index, param) in (0..).zip(self.caps.drain(..)) {
                let descriptor = table.reborrow().get(index);
                let cap = match param {
                    Some(Param::Cap(cap)) => Some(cap),
                    Some(Param::First(pointer)) => {
                        let answer = descriptor.init_receiver_answer();
                        promise(answer, before()?.first, Some(pointer));
                        continue;
                    }
                    Some(Param::Later(_)) | None => None,
                };
                exports.extend(tables.describe(link, cap.as_ref(), descriptor));
                about.extend(cap);
            }
        }
        Ok((exports, about))
    }
}

/// The questions that came before one in its batch.
#[derive(Clone, Copy)]
struct Before {
    first: u32,
    previous: u32,
}

impl Before {
    /// Only this one.
    fn new(question: u32) -> Self {
        Self {
            first: question,
            previous: question,
        }
    }
}

/// Writes a place in the answer to a question of ours: a pointer of its results, or the results
/// themselves.
fn promise(mut answer: promised_answer::Builder<'_>, question: u32, pointer: Option<u16>) {
    answer.set_question_id(question);
    if let Some(pointer) = pointer {
        let mut way = answer.init_transform(1).get(0);
        way.set_get_pointer_field(pointer);
    }
}

impl Link {
    /// Makes calls, all at once and in this order. When the connection has ended they are answered
    /// with that.
    pub fn ask(self: &Arc<Self>, asks: impl IntoIterator<Item = Ask>) {
        self.ask_all(None, asks);
    }

    /// Asks for the peer's object, and makes calls on it at once.
    pub fn bootstrap(self: &Arc<Self>, done: Done, then: impl IntoIterator<Item = Ask>) {
        self.ask_all(Some(done), then);
    }

    fn ask_all(self: &Arc<Self>, bootstrap: Option<Done>, asks: impl IntoIterator<Item = Ask>) {
        let mut tables = lock(&self.tables);
        if tables.phase != Phase::Open {
            drop(tables);
            let asked = asks.into_iter().map(|ask| ask.done);
            for done in bootstrap.into_iter().chain(asked) {
                done(Err(Error::Disconnected(AFTER_DISCONNECT.into())));
            }
            return;
        }
        let mut before = None;
        if let Some(done) = bootstrap {
            let mut message = room(8);
            let root = message.init_root::<message::Builder<'_>>();
            let mut bootstrap = root.init_bootstrap();
            let question = Question {
                done,
                exports: Vec::new(),
                about: Vec::new(),
            };
            let question = number(tables.questions.insert(question));
            bootstrap.set_question_id(question);
            before = Some(Before::new(question));
            tables.push(message);
        }
        let mut broken = Vec::new();
        for ask in asks {
            let Ask {
                target,
                mut request,
                done,
            } = ask;
            let question = number(tables.questions.vacant_key());
            match request.complete(&mut tables, self, question, &target, before) {
                Ok((exports, about)) => {
                    tables.questions.insert(Question {
                        done,
                        exports,
                        about,
                    });
                    tables.push(request.message);
                    before.get_or_insert(Before::new(question)).previous = question;
                }
                Err(error) => broken.push((done, error)),
            }
        }
        drop(tables);
        self.written(SOON);
        for (done, error) in broken {
            done(Err(Error::failed(format!("a call to be sent: {error}"))));
        }
    }

    /// The peer's answer to a question.
    pub(super) fn returned(self: &Arc<Self>, received: Received) -> Result<(), CloseReason> {
        let message::Return(answer) = received.root()?.which()? else {
            return Ok(());
        };
        let answer = answer?;
        let id = answer.get_answer_id();
        let key = usize::try_from(id).unwrap_or(usize::MAX);
        let mut tables = lock(&self.tables);
        if tables.phase != Phase::Open {
            return Ok(());
        }
        if !tables.questions.contains(key) {
            return violation(format!("a Return for question {id}, which is not open"));
        }
        let mut caps = Vec::new();
        let failed = match answer.which()? {
            return_::Results(results) => {
                for descriptor in self.cap_table(results?)? {
                    caps.push(self.result(&mut tables, descriptor)?);
                }
                None
            }
            return_::Exception(exception) => Some(error_of(exception?)),
            return_::Canceled(()) => {
                return violation(format!("question {id} was cancelled by the peer"));
            }
            return_::ResultsSentElsewhere(())
            | return_::TakeFromOtherQuestion(_)
            | return_::AcceptFromThirdParty(_) => {
                return violation(format!("the results of question {id} went elsewhere"));
            }
        };
        let Some(question) = tables.questions.try_remove(key) else {
            return Ok(());
        };
        let mut taken_back = Vec::new();
        if answer.get_release_param_caps() {
            let exports = question.exports.iter();
            taken_back.extend(exports.filter_map(|id| tables.take_back(*id, 1)));
        }
        if !answer.get_no_finish_needed() {
            tables.push(messages::finish(id));
            self.written(LATER);
        }
        drop(tables);
        drop((taken_back, question.about));
        let answer = match failed {
            Some(error) => Err(error),
            None => Ok(Response { received, caps }),
        };
        tell(question.done, answer);
        Ok(())
    }

    /// A capability among the results of a question of ours.
    fn result(
        self: &Arc<Self>,
        tables: &mut Tables,
        descriptor: cap_descriptor::Reader<'_>,
    ) -> Result<Option<Cap>, CloseReason> {
        match descriptor.which()? {
            // What was asked on behalf of a call of the peer's could be that call's own result.
            cap_descriptor::ReceiverAnswer(_) => violation("results that hold a promise of ours"),
            _ => self.cap(tables, descriptor),
        }
    }
}

/// A number for the wire; there are far fewer questions, since each takes memory.
fn number(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(u32::MAX)
}

/// The results of a call of ours.
pub struct Response {
    received: Received,
    caps: Vec<Option<Cap>>,
}

impl Response {
    /// The objects in it.
    pub fn caps(&self) -> &[Option<Cap>] {
        &self.caps
    }

    /// Has `with` read it.
    ///
    /// # Errors
    /// When it holds no results.
    pub fn read<R>(&self, with: impl FnOnce(any_pointer::Reader<'_>) -> R) -> capnp::Result<R> {
        Ok(read(content(self.received.root()?)?, &self.caps, with))
    }
}
