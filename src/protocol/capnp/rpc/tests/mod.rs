//! A connection with a peer whose messages are all written and read by hand.

#![allow(clippy::unwrap_used)]

mod answers;
mod conversations;
mod describe;
mod ending;
mod limits;
mod objects;
mod observed;
mod promised;
mod questions;
mod random;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{call, exception, message, return_};

use self::describe::describe;
use super::super::accounts::{Account, Accounts, Resource};
use super::super::event_loop::EventLoop;
use super::super::sync::{Mutex, lock};
use super::cap::Done;
use super::state::State;
use super::wire::read::FrameReader;
use super::wire::received::Received;
use super::*;
use crate::error::{Error, Result};
use crate::limits::Limits;

const INTERFACE: u64 = 0x1234;
/// The method that answers its parameter.
const ECHO: u16 = 0;
/// The method that answers a new object, when the test says so.
const WAIT: u16 = 1;
/// The method that answers a new object.
const MAKE: u16 = 2;
/// The method that answers 100 kB, and an object, so that the answer is kept until it is finished.
const LARGE: u16 = 3;

/// A time longer than anything takes.
const LONG: Duration = Duration::from_secs(10);
/// The time within which no message must come.
const SHORT: Duration = Duration::from_millis(50);

/// The bootstrap object of this side.
#[derive(Default)]
struct Service {
    waiting: Mutex<Vec<Incoming>>,
}

impl Service {
    /// Answers every call that waits.
    fn answer(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        for call in waiting {
            make(call);
        }
    }

    /// Drops every call that waits.
    fn drop_calls(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        drop(waiting);
    }

    /// Returns the number of calls that wait.
    fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }
}

impl Host for Service {
    fn call(self: Arc<Self>, call: Incoming) {
        match call.method() {
            ECHO => {
                let results = call.results(|to, mut content| {
                    to.take_over(call.caps().iter().cloned());
                    call.params(|params| content.set_as(params))?
                });
                match results {
                    Ok(results) => call.answer(results),
                    Err(error) => call.fail(Error::failed(error.to_string())),
                }
            }
            WAIT => lock(&self.waiting).push(call),
            MAKE => make(call),
            LARGE => {
                let results = call.results(|to, mut content| {
                    let mut list = content
                        .reborrow()
                        .initn_as::<capnp::any_pointer_list::Builder<'_>>(2);
                    list.reborrow().get(0).set_as_capability(to.add(object()));
                    list.get(1)
                        .set_as::<capnp::data::Owned>(&vec![1; 100_000][..])
                });
                call.answer(results.unwrap());
            }
            _ => call.fail(Error::Unimplemented("no such method".into())),
        }
    }
}

fn make(call: Incoming) {
    let results = call.results(|to, mut content| {
        content.set_as_capability(to.add(object()));
        Ok::<_, Error>(())
    });
    call.answer(results.unwrap());
}

/// An object that answers every call.
struct Object;

impl Host for Object {
    fn call(self: Arc<Self>, call: Incoming) {
        make(call);
    }
}

/// Makes a new object of this side.
fn object() -> Cap {
    Cap::Own(Arc::new(Object))
}

/// This side of a connection, and the other end of the stream.
struct Test {
    link: Arc<Link>,
    account: Arc<Account>,
    service: Arc<Service>,
    over: mpsc::Receiver<CloseReason>,
    peer: Peer,
}

impl Test {
    /// Makes a connection whose peer has this side's object as its question 0 and as object `0`.
    fn new(limits: Limits) -> Self {
        let mut this = Self::silent(limits);
        this.peer.bootstrap(0);
        assert_eq!(this.peer.read(), "return 0 results [hosted 0]");
        this
    }

    /// Makes a connection whose peer has not sent anything.
    fn silent(limits: Limits) -> Self {
        let event_loop = EventLoop::new("test").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let service = Arc::<Service>::default();
        let account = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
        let (link, over) = link(&event_loop, limits, &account, ours, service.clone());
        link.start(true).unwrap();
        Self {
            link,
            account,
            service,
            over,
            peer: Peer::new(theirs),
        }
    }

    /// Waits for the end of the connection; returns its reason.
    fn closed(&self) -> CloseReason {
        self.over.recv_timeout(LONG).unwrap()
    }

    /// Checks that the connection ended by a violation of the peer, with this text in the reason.
    #[track_caller]
    fn violation(&self, text: &str) {
        match self.closed() {
            CloseReason::Violation(what) if what.contains(text) => {}
            reason => panic!("{reason:?}"),
        }
    }

    /// Returns the peer's object, which it exports as `5`.
    fn remote(&mut self) -> Arc<Import> {
        let (done, answer) = answer();
        self.link.bootstrap(done, []);
        assert_eq!(self.peer.read(), "bootstrap 0");
        self.peer.answer_object(0, 5);
        assert_eq!(self.peer.read(), "finish 0");
        import(&answer.recv_timeout(LONG).unwrap().unwrap())
    }

    /// Calls a method of the peer's object.
    fn call(&self, on: &Arc<Import>, method: u16, params: &[Cap]) -> Answered {
        let (done, answer) = answer();
        self.link.ask([Ask {
            target: Target::Import(on.clone()),
            request: request(method, params),
            done,
        }]);
        answer
    }

    /// Returns the number of the peer's calls that are not finished.
    fn calls_in_flight(&self) -> usize {
        self.link.look(State::counts).answers
    }

    /// Returns the number of this side's calls that are not answered.
    fn questions(&self) -> usize {
        self.link.look(State::counts).questions
    }

    /// Returns the number of this side's objects that the peer holds.
    fn objects(&self) -> usize {
        self.link.look(State::counts).exports
    }

    /// Returns the size of all messages that are held, in bytes.
    fn received_bytes(&self) -> usize {
        self.account.used(Resource::Bytes)
    }

    /// Waits until `done` returns true.
    fn until(&self, done: impl Fn(&Self) -> bool) {
        let start = std::time::Instant::now();
        while !done(self) {
            assert!(start.elapsed() < LONG);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A lifecycle that sends the reason of the end once all pending calls have failed.
struct Ends {
    reason: Mutex<Option<CloseReason>>,
    over: mpsc::Sender<CloseReason>,
}

impl Lifecycle for Ends {
    fn closing(&self, reason: &CloseReason) {
        *lock(&self.reason) = Some(reason.clone());
    }

    fn closed(&self) {
        drop(self.over.send(lock(&self.reason).clone().unwrap()));
    }
}

fn link(
    event_loop: &Arc<EventLoop>,
    limits: Limits,
    account: &Arc<Account>,
    stream: UnixStream,
    service: Arc<Service>,
) -> (Arc<Link>, mpsc::Receiver<CloseReason>) {
    let (sender, over) = mpsc::channel();
    stream.set_nonblocking(true).unwrap();
    let (reason, account) = (Mutex::default(), account.clone());
    let lifecycle = Arc::new(Ends {
        reason,
        over: sender,
    });
    let link = Link::new(
        event_loop,
        limits,
        account,
        stream.into(),
        Some(service),
        lifecycle,
        None,
    );
    (link, over)
}

type Answered = mpsc::Receiver<Result<Response>>;
fn answer() -> (Done, Answered) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(move |answer| drop(sender.send(answer))), receiver)
}

/// Makes a call with this object, or with these in a list.
fn request(method: u16, params: &[Cap]) -> Request {
    let count = u32::try_from(params.len()).unwrap();
    Request::new(INTERFACE, method, |caps, content| {
        if let [one] = params {
            let mut content = content;
            content.set_as_capability(caps.add(Param::Cap(one.clone())));
            return Ok(());
        }
        let mut list = content.initn_as::<capnp::any_pointer_list::Builder<'_>>(count);
        for (index, cap) in (0..).zip(params) {
            let cap = caps.add(Param::Cap(cap.clone()));
            list.reborrow().get(index).set_as_capability(cap);
        }
        Ok(())
    })
    .unwrap()
}

/// Returns the peer's object in an answer.
fn import(answer: &Response) -> Arc<Import> {
    match answer.caps() {
        [Some(Cap::Import(import)), ..] => import.clone(),
        _ => panic!("no object of the peer's"),
    }
}

/// A peer whose messages are written and read by hand.
struct Peer {
    stream: UnixStream,
    reader: FrameReader,
    input: Vec<u8>,
    /// The size of the last message that was read, in bytes.
    bytes: usize,
}

/// Makes a hook for the only capability in a message that is built by hand.
fn only() -> Box<dyn capnp::private::capability::ClientHook> {
    capnp_rpc::new_broken_cap(capnp::Error::failed("only to be written".into())).hook
}

/// Makes a reader of the other side's messages, with an account of its own.
fn reader() -> FrameReader {
    let limits = Limits::default();
    FrameReader::new(
        &limits,
        &Accounts::new(&limits).of(crate::peer::Peer::Unknown),
    )
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self {
            stream,
            reader: reader(),
            input: Vec::new(),
            bytes: 0,
        }
    }

    fn send(&mut self, build: impl FnOnce(message::Builder<'_>)) {
        let mut caps = Vec::new();
        let mut builder = Builder::new(HeapAllocator::new());
        let mut root: any_pointer::Builder<'_> = builder.get_root().unwrap();
        // Allows a content to be a capability.
        root.imbue_mut(&mut caps);
        build(root.init_as());
        let bytes = capnp::serialize::write_message_to_words(&builder);
        let _ = self.stream.write_all(&bytes);
    }

    fn bootstrap(&mut self, question: u32) {
        self.send(|root| root.init_bootstrap().set_question_id(question));
    }

    /// Sends a call of this side's object; `with` adds to it.
    fn call_with(&mut self, question: u32, method: u16, with: impl FnOnce(call::Builder<'_>)) {
        self.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_interface_id(INTERFACE);
            call.set_method_id(method);
            call.reborrow().init_target().set_imported_cap(0);
            with(call);
        });
    }

    fn call(&mut self, question: u32, method: u16) {
        self.call_with(question, method, |_| ());
    }

    fn pipelined(&mut self, question: u32, on: u32, method: u16) {
        self.call_with(question, method, |call| {
            let mut answer = call.init_target().init_promised_answer();
            answer.set_question_id(on);
        });
    }

    fn finish(&mut self, question: u32) {
        self.send(|root| {
            let mut finish = root.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(true);
        });
    }

    fn answer(&mut self, question: u32, build: impl FnOnce(return_::Builder<'_>)) {
        self.send(|root| {
            let mut answer = root.init_return();
            answer.set_answer_id(question);
            answer.set_release_param_caps(false);
            build(answer);
        });
    }

    /// Answers with empty results.
    fn answer_nothing(&mut self, question: u32) {
        self.answer(question, |answer| {
            answer.init_results();
        });
    }

    /// Answers with an object of the peer.
    fn answer_object(&mut self, question: u32, id: u32) {
        self.answer(question, |answer| {
            let mut results = answer.init_results();
            let table = results.reborrow().init_cap_table(1);
            table.get(0).set_sender_hosted(id);
            results.get_content().set_as_capability(only());
        });
    }

    /// Describes the next message in a few words, or the end of the stream.
    fn read(&mut self) -> String {
        loop {
            let mut input = &self.input[..];
            let next = self.reader.next(&mut input);
            self.input = input.to_vec();
            match next {
                Ok(Some(frame)) => {
                    let received = Received::new(frame, 64);
                    self.bytes = received.bytes();
                    return describe(received.root().unwrap());
                }
                Ok(None) => {}
                Err(reason) => return reason.to_string(),
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) if self.reader.is_inside() => return "end inside a message".into(),
                Ok(0) => return "end".into(),
                Ok(count) => self.input = bytes[..count].to_vec(),
                Err(error) => return format!("nothing: {error}"),
            }
        }
    }

    /// Describes the next message, if there is one.
    fn read_now(&mut self) -> Option<String> {
        self.stream.set_nonblocking(true).unwrap();
        let read = self.read();
        self.stream.set_nonblocking(false).unwrap();
        (!read.starts_with("nothing")).then_some(read)
    }

    /// Checks that no message comes for a while.
    #[track_caller]
    fn hears_nothing(&mut self) {
        self.stream.set_read_timeout(Some(SHORT)).unwrap();
        let read = self.read();
        assert!(read.starts_with("nothing"), "{read}");
        self.stream.set_read_timeout(Some(LONG)).unwrap();
    }
}
