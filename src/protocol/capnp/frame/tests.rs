//! The module against capnp-rpc on one side, and on the other capnp-rpc again or a peer whose
//! every message is written by hand.

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use capnp::any_pointer;
use capnp::capability::{DispatchCallResult, FromClientHook, FromServer, Params, Promise, Results};
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::ClientHook;
use capnp::traits::ImbueMut;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_capnp::{exception, message, return_};
use futures::channel::oneshot;
use futures::executor::LocalPool;
use futures::future::poll_fn;
use futures::task::LocalSpawnExt;
use futures::{AsyncReadExt, AsyncWriteExt};

use super::super::runtime::{Reactor, Stream, reactor, sleep, timeout};
use super::message::Received;
use super::read::FrameReader;
use super::*;
use crate::limits::Limits;

const INTERFACE: u64 = 0x1234;
/// Answers its parameter.
const ECHO: u16 = 0;
/// Answers when the test says so.
const WAIT: u16 = 1;
/// Answers a new object.
const MAKE: u16 = 2;
/// Answers 100 kB and an object, so that the answer is kept until it is finished.
const LARGE: u16 = 3;

/// A capability without a schema.
struct Any(Box<dyn ClientHook>);

impl FromClientHook for Any {
    fn new(hook: Box<dyn ClientHook>) -> Self {
        Self(hook)
    }
    fn into_client_hook(self) -> Box<dyn ClientHook> {
        self.0
    }
    fn as_client_hook(&self) -> &dyn ClientHook {
        &*self.0
    }
}

impl FromServer<Service> for Any {
    type Dispatch = Dispatch;
    fn from_server(service: Rc<Service>) -> Dispatch {
        Dispatch(service)
    }
}

#[derive(Default)]
struct Service {
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Service {
    /// Answers every call that waits.
    fn answer(&self) {
        for waiting in self.waiting.take() {
            let _ = waiting.send(());
        }
    }
}

#[derive(Clone)]
struct Dispatch(Rc<Service>);

impl Deref for Dispatch {
    type Target = Service;
    fn deref(&self) -> &Service {
        &self.0
    }
}

impl capnp::capability::Server for Dispatch {
    fn dispatch_call(
        self,
        _: u64,
        method: u16,
        params: Params<any_pointer::Owned>,
        mut results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        let promise = match method {
            ECHO => Promise::from_future(async move {
                results.get().set_as(params.get()?)?;
                Ok(())
            }),
            WAIT => {
                let (sender, receiver) = oneshot::channel();
                self.0.waiting.borrow_mut().push(sender);
                Promise::from_future(async move {
                    receiver
                        .await
                        .map_err(|_| capnp::Error::failed("dropped".into()))?;
                    drop(params);
                    results.get().set_as_capability(object());
                    Ok(())
                })
            }
            MAKE => Promise::from_future(async move {
                results.get().set_as_capability(object());
                Ok(())
            }),
            LARGE => Promise::from_future(async move {
                results
                    .get()
                    .set_as::<capnp::data::Owned>(&vec![1; 100_000][..])?;
                Ok(())
            }),
            _ => Promise::err(capnp::Error::unimplemented("no such method".into())),
        };
        DispatchCallResult::new(promise, false)
    }

    fn as_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }
}

fn object() -> Box<dyn ClientHook> {
    capnp_rpc::new_client::<Any, _>(Service::default()).0
}

/// An RPC system on one end of a pair of sockets, and what is at the other end.
struct World {
    pool: LocalPool,
    _reactor: Reactor,
    handle: Handle,
    service: Rc<Service>,
    /// The peer's object, as the system's side sees it.
    remote: Any,
    peer: Option<Peer>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let reactor = reactor();
        let (ours, theirs) = Stream::pair();
        let pool = LocalPool::new();
        let service = Rc::new(Service::default());
        let client: Any = capnp_rpc::new_client_from_rc(Rc::clone(&service));
        let (network, handle) = connect(ours, limits, true);
        let mut system = RpcSystem::new(
            Box::new(network),
            Some(capnp::capability::Client::new(client.0)),
        );
        let remote = system.bootstrap(Side::Peer);
        pool.spawner()
            .spawn_local(async { drop(system.await) })
            .unwrap();
        Self {
            pool,
            _reactor: reactor,
            handle,
            service,
            remote,
            peer: Some(Peer {
                reader: FrameReader::new(theirs.clone(), &Limits::default(), false),
                stream: theirs,
            }),
        }
    }

    /// Runs `test` beside the system. The peer has read the system's bootstrap question, and has
    /// the system's object as its question 0 and as object `0`.
    fn run<T>(mut self, test: impl AsyncFnOnce(&mut Peer, &mut Test) -> T) -> T {
        let mut peer = self.peer.take().unwrap();
        let mut world = Test {
            handle: self.handle,
            service: self.service,
            remote: self.remote,
        };
        self.pool.run_until(async {
            timeout(Duration::from_secs(10), async {
                assert_eq!(peer.read().await, "bootstrap 0");
                peer.bootstrap(0).await;
                assert_eq!(peer.read().await, "return 0 results [hosted 0]");
                test(&mut peer, &mut world).await
            })
            .await
            .unwrap()
        })
    }
}

struct Test {
    handle: Handle,
    service: Rc<Service>,
    remote: Any,
}

impl Test {
    async fn closed(&self) -> CloseReason {
        self.handle.closed().await
    }
}

/// A peer whose messages are written and read by hand.
struct Peer {
    stream: Stream,
    reader: FrameReader<Stream>,
}

impl Peer {
    async fn send(&mut self, build: impl FnOnce(message::Builder<'_>)) {
        let mut caps = Vec::new();
        let mut builder = Builder::new(HeapAllocator::new());
        let mut root: any_pointer::Builder<'_> = builder.get_root().unwrap();
        // So that a content can be a capability.
        root.imbue_mut(&mut caps);
        build(root.init_as());
        let bytes = capnp::serialize::write_message_to_words(&builder);
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn bootstrap(&mut self, question: u32) {
        self.send(|root| root.init_bootstrap().set_question_id(question))
            .await;
    }

    async fn call(&mut self, question: u32, method: u16) {
        self.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_interface_id(INTERFACE);
            call.set_method_id(method);
            call.init_target().set_imported_cap(0);
        })
        .await;
    }

    async fn pipelined(&mut self, question: u32, on: u32, method: u16) {
        self.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_interface_id(INTERFACE);
            call.set_method_id(method);
            call.init_target()
                .init_promised_answer()
                .set_question_id(on);
        })
        .await;
    }

    async fn finish(&mut self, question: u32) {
        self.send(|root| {
            let mut finish = root.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(true);
        })
        .await;
    }

    async fn answer(&mut self, question: u32, build: impl FnOnce(return_::Builder<'_>)) {
        self.send(|root| {
            let mut answer = root.init_return();
            answer.set_answer_id(question);
            answer.set_release_param_caps(false);
            build(answer);
        })
        .await;
    }

    /// Answers the system's bootstrap question. capnp-rpc goes on with that question itself, and
    /// keeps it open.
    async fn answer_bootstrap(&mut self) {
        self.answer_object(0, 5).await;
        assert_eq!(self.read().await, "release 5 by 1");
    }

    /// Answers with an object of this side.
    async fn answer_object(&mut self, question: u32, id: u32) {
        self.answer(question, |answer| {
            let mut results = answer.init_results();
            results
                .reborrow()
                .init_cap_table(1)
                .get(0)
                .set_sender_hosted(id);
            results.get_content().set_as_capability(object());
        })
        .await;
    }

    /// The next message in a few words, or what became of the stream.
    async fn read(&mut self) -> String {
        let frame = poll_fn(|cx| self.reader.poll_frame(cx)).await;
        match frame {
            Ok(Some(frame)) => {
                let received = Received::new(frame, 64, &Rc::default());
                describe(received.root().unwrap())
            }
            Ok(None) => "end".into(),
            Err(reason) => reason.to_string(),
        }
    }

    /// Whether nothing comes for a while.
    async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.read())
            .await
            .is_err()
    }
}

fn describe(root: message::Reader<'_>) -> String {
    use capnp_rpc::rpc_capnp::cap_descriptor::Which as Cap;
    match root.which().unwrap() {
        message::Bootstrap(bootstrap) => {
            format!("bootstrap {}", bootstrap.unwrap().get_question_id())
        }
        message::Call(call) => {
            let call = call.unwrap();
            format!(
                "call {} method {}",
                call.get_question_id(),
                call.get_method_id()
            )
        }
        message::Return(answer) => {
            let answer = answer.unwrap();
            let what = match answer.which().unwrap() {
                return_::Results(results) => {
                    let caps: Vec<String> = results
                        .unwrap()
                        .get_cap_table()
                        .unwrap()
                        .iter()
                        .map(|cap| match cap.which().unwrap() {
                            Cap::SenderHosted(id) => format!("hosted {id}"),
                            Cap::SenderPromise(id) => format!("promise {id}"),
                            _ => "other".into(),
                        })
                        .collect();
                    format!("results [{}]", caps.join(", "))
                }
                return_::Exception(exception) => kind(exception.unwrap()),
                _ => "other".into(),
            };
            format!("return {} {what}", answer.get_answer_id())
        }
        message::Finish(finish) => format!("finish {}", finish.unwrap().get_question_id()),
        message::Release(release) => {
            let release = release.unwrap();
            format!(
                "release {} by {}",
                release.get_id(),
                release.get_reference_count()
            )
        }
        message::Abort(abort) => format!("abort {}", kind(abort.unwrap())),
        message::Unimplemented(_) => "unimplemented".into(),
        _ => "other".into(),
    }
}

fn kind(exception: exception::Reader<'_>) -> String {
    format!(
        "{:?}: {}",
        exception.get_type().unwrap(),
        exception.get_reason().unwrap().to_str().unwrap()
    )
}

#[track_caller]
fn violation(reason: &CloseReason, text: &str) {
    match reason {
        CloseReason::Violation(what) if what.contains(text) => {}
        _ => panic!("{reason:?}"),
    }
}

#[test]
fn two_systems_call_each_other() {
    let _reactor = reactor();
    let (left, right) = Stream::pair();
    let mut pool = LocalPool::new();
    let start = |stream, incoming| {
        let (network, handle) = connect(stream, Limits::default(), incoming);
        let client: Any = capnp_rpc::new_client(Service::default());
        let mut system = RpcSystem::new(
            Box::new(network),
            Some(capnp::capability::Client::new(client.0)),
        );
        let remote: Any = system.bootstrap(Side::Peer);
        let done = pool.spawner().spawn_local_with_handle(system).unwrap();
        (remote, handle, done)
    };
    let (remote, left, left_done) = start(left, false);
    let (_, right, right_done) = start(right, true);
    pool.run_until(async move {
        for size in [10, 1_000, 100_000, 5_000_000] {
            let data: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
            let mut request = remote.0.new_call(INTERFACE, ECHO, None);
            request
                .get()
                .set_as::<capnp::data::Owned>(&data[..])
                .unwrap();
            let response = request.send().promise.await.unwrap();
            let echo: capnp::data::Reader<'_> = response.get().unwrap().get_as().unwrap();
            assert!(echo == data);
        }
        let request = remote.0.new_call(INTERFACE, 99, None);
        let error = request.send().promise.await.err().unwrap();
        assert_eq!(error.kind, capnp::ErrorKind::Unimplemented);

        let pending = remote.0.new_call(INTERFACE, WAIT, None).send().promise;
        left.shut_down("done here");
        let error = pending.await.err().unwrap();
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected);
        assert_eq!(left.closed().await, CloseReason::Local("done here".into()));
        assert_eq!(right.closed().await, CloseReason::PeerClosed);
        left_done.await.unwrap();
        right_done.await.unwrap();
        assert_eq!((left.queued_bytes(), left.received_bytes()), (0, 0));
        let late = remote.0.new_call(INTERFACE, ECHO, None).send().promise;
        assert_eq!(
            late.await.err().unwrap().kind,
            capnp::ErrorKind::Disconnected
        );
    });
}

#[test]
fn calls_beyond_the_limit_are_answered_as_overloaded() {
    World::new(Limits::default().with_calls_in_flight(2)).run(async |peer, test| {
        peer.call(1, WAIT).await;
        // One more than two, with a capability that has to be given back.
        peer.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(2);
            call.reborrow().init_target().set_imported_cap(0);
            call.init_params()
                .init_cap_table(1)
                .get(0)
                .set_sender_hosted(9);
        })
        .await;
        let refused = "Overloaded: too many calls in flight (limit 2)";
        assert_eq!(peer.read().await, format!("return 2 {refused}"));
        assert_eq!(peer.read().await, "release 9 by 1");
        assert_eq!(test.handle.calls_in_flight(), 2);
        // There is room again, but not for what builds on a refused call.
        peer.finish(0).await;
        peer.pipelined(3, 2, ECHO).await;
        assert!(
            peer.read()
                .await
                .starts_with("return 3 Overloaded: pipelined on")
        );
        peer.finish(2).await;
        peer.finish(3).await;
        peer.bootstrap(2).await;
        assert_eq!(peer.read().await, "return 2 results [hosted 0]");
        // A peer that does not care is disconnected.
        for question in 4..7 {
            peer.call(question, ECHO).await;
        }
        assert_eq!(peer.read().await, format!("return 4 {refused}"));
        assert_eq!(peer.read().await, format!("return 5 {refused}"));
        assert!(
            peer.read()
                .await
                .starts_with("abort Failed: 2 refused calls")
        );
        assert_eq!(peer.read().await, "end");
        violation(&test.closed().await, "2 refused calls");
    });
}

#[test]
fn a_question_in_use_cannot_be_asked_again() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.call(0, ECHO).await;
        violation(&test.closed().await, "question 0 is already in use");
    });
}

/// capnp-rpc drops a call whose Finish comes while it runs, never answers it, and keeps its entry.
#[test]
fn a_finish_in_the_middle_of_a_call_waits_for_the_return() {
    World::new(Limits::default()).run(async |peer, test| {
        for _ in 0..3 {
            peer.call(1, WAIT).await;
            peer.finish(1).await;
            peer.finish(1).await;
            peer.call(2, 99).await;
            assert!(peer.read().await.starts_with("return 2 Unimplemented"));
            peer.finish(2).await;
            assert_eq!(test.handle.calls_in_flight(), 3);
            test.service.answer();
            assert_eq!(peer.read().await, "return 1 results [hosted 1]");
            // The question can be asked anew, and the object was released with it.
            peer.call(1, MAKE).await;
            assert_eq!(peer.read().await, "return 1 results [hosted 1]");
            peer.finish(1).await;
        }
        peer.call(1, ECHO).await;
        assert_eq!(peer.read().await, "return 1 results []");
        assert_eq!(test.handle.calls_in_flight(), 1);
        assert_eq!(test.handle.objects(), 1);
        peer.stream.shutdown().unwrap();
        assert_eq!(test.closed().await, CloseReason::PeerClosed);
    });
}

#[test]
fn a_finish_is_held_until_the_return() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer_bootstrap().await;
        let call = |method| test.remote.0.new_call(INTERFACE, method, None).send();

        let given_up = call(WAIT);
        assert_eq!(peer.read().await, "call 1 method 1");
        drop(given_up);
        assert!(peer.hears_nothing().await);

        let made = call(MAKE);
        assert_eq!(peer.read().await, "call 2 method 2");
        peer.answer_object(2, 6).await;
        drop(made.promise.await.unwrap());
        drop(made.pipeline);
        // Which the call that was given up has nothing to do with.
        assert_eq!(peer.read().await, "release 6 by 1");
        assert_eq!(peer.read().await, "finish 2");
        assert!(peer.hears_nothing().await);
        assert!(test.handle.queued_bytes() > 0);

        // Other calls go on, and cannot be taken for the one that was given up.
        let other = call(ECHO);
        assert_eq!(peer.read().await, "call 2 method 0");
        peer.answer(1, |mut answer| answer.set_canceled(())).await;
        assert_eq!(peer.read().await, "finish 1");
        peer.answer(2, |answer| {
            answer.init_results();
        })
        .await;
        other.promise.await.unwrap();
        assert_eq!(test.handle.queued_bytes(), 0);
        assert_eq!(test.handle.questions(), 0);
    });
}

/// To let go of a thread in the middle of a call that names it is an error in Core.
#[test]
fn a_release_is_held_while_a_call_is_about_the_object() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer_bootstrap().await;
        let made = test.remote.0.new_call(INTERFACE, MAKE, None).send();
        assert_eq!(peer.read().await, "call 1 method 2");
        peer.answer_object(1, 6).await;
        let response = made.promise.await.unwrap();
        drop(made.pipeline);
        let object = response
            .get()
            .unwrap()
            .get_as_capability::<capnp::capability::Client>();
        let mut request = test.remote.0.new_call(INTERFACE, WAIT, None);
        request.get().set_as_capability(object.unwrap().hook);
        let waiting = request.send();
        assert_eq!(peer.read().await, "call 2 method 1");
        drop(response);
        assert_eq!(peer.read().await, "finish 1");
        assert!(peer.hears_nothing().await);
        assert!(test.handle.queued_bytes() > 0);
        peer.answer(2, |answer| {
            answer.init_results();
        })
        .await;
        waiting.promise.await.unwrap();
        assert_eq!(peer.read().await, "release 6 by 1");
        drop(waiting.pipeline);
        assert_eq!(peer.read().await, "finish 2");
        assert_eq!(test.handle.queued_bytes(), 0);
    });
}

#[test]
fn a_finish_that_the_peer_needs_not_is_not_sent() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer_bootstrap().await;
        let given_up = test.remote.0.new_call(INTERFACE, WAIT, None).send();
        assert_eq!(peer.read().await, "call 1 method 1");
        drop(given_up);
        assert!(peer.hears_nothing().await);
        peer.answer(1, |mut answer| {
            answer.set_no_finish_needed(true);
            answer.init_results();
        })
        .await;
        assert!(peer.hears_nothing().await);
        assert_eq!(test.handle.queued_bytes(), 0);
    });
}

/// capnp-rpc does not look at `releaseParamCaps`, which other implementations set.
#[test]
fn objects_that_a_return_releases_are_released() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer_bootstrap().await;
        for _ in 0..3 {
            let mut request = test.remote.0.new_call(INTERFACE, ECHO, None);
            request.get().set_as_capability(object());
            let pending = request.send();
            assert_eq!(peer.read().await, "call 1 method 0");
            assert_eq!(test.handle.objects(), 2);
            peer.answer(1, |mut answer| {
                answer.set_release_param_caps(true);
                answer.init_results();
            })
            .await;
            pending.promise.await.unwrap();
            drop(pending.pipeline);
            assert_eq!(peer.read().await, "finish 1");
            assert_eq!(test.handle.objects(), 1);
        }
    });
}

#[test]
fn a_return_that_would_never_end_a_call_closes() {
    for (what, text) in [
        (0, "was cancelled by the peer"),
        (1, "went elsewhere"),
        (2, "went elsewhere"),
    ] {
        World::new(Limits::default()).run(async |peer, test| {
            let pending = test.remote.0.new_call(INTERFACE, WAIT, None).send();
            peer.answer(0, |mut answer| match what {
                0 => answer.set_canceled(()),
                1 => answer.set_results_sent_elsewhere(()),
                _ => answer.set_take_from_other_question(0),
            })
            .await;
            let error = pending.promise.await.err().unwrap();
            assert_eq!(error.kind, capnp::ErrorKind::Disconnected);
            violation(&test.closed().await, text);
        });
    }
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer(7, |_| {}).await;
        violation(&test.closed().await, "question 7, which is not open");
    });
}

#[test]
fn a_promise_stays_what_it_is() {
    use capnp_rpc::rpc_capnp::cap_descriptor::Builder as Cap;
    let resolutions: [(fn(Cap<'_>), u32); 4] = [
        (|mut cap| cap.set_sender_promise(3), 3),
        (|mut cap| cap.set_sender_hosted(3), 3),
        (|mut cap| cap.set_sender_promise(4), 4),
        (|mut cap| cap.set_receiver_hosted(0), 0),
    ];
    for (resolution, released) in resolutions {
        World::new(Limits::default()).run(async |peer, test| {
            peer.answer_bootstrap().await;
            let made = test.remote.0.new_call(INTERFACE, MAKE, None).send();
            assert_eq!(peer.read().await, "call 1 method 2");
            peer.answer(1, |answer| {
                let mut results = answer.init_results();
                results
                    .reborrow()
                    .init_cap_table(2)
                    .get(0)
                    .set_sender_promise(3);
                results
                    .reborrow()
                    .get_cap_table()
                    .unwrap()
                    .get(1)
                    .set_sender_promise(4);
                results.get_content().set_as_capability(object());
            })
            .await;
            let response = made.promise.await.unwrap();
            let promise: Any = response.get().unwrap().get_as_capability().unwrap();
            peer.send(|root| {
                let mut resolve = root.init_resolve();
                resolve.set_promise_id(3);
                resolution(resolve.init_cap());
            })
            .await;
            if released > 0 {
                assert_eq!(peer.read().await, format!("release {released} by 1"));
            }
            // The call goes where the promise was, and its capability with it.
            let mut request = promise.0.new_call(INTERFACE, ECHO, None);
            request.get().set_as_capability(object());
            drop(request.send());
            assert_eq!(peer.read().await, "call 2 method 0");
        });
    }
}

/// The peer has a call of its own forwarded to itself, and answers it with that call's result.
/// capnp-rpc then looked for the end of the circle, and never came back.
#[test]
fn a_result_that_is_its_own_promise_closes() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.answer_bootstrap().await;
        let echo = |root: message::Builder<'_>, question, answer: Option<u32>| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_method_id(ECHO);
            call.reborrow().init_target().set_imported_cap(0);
            let mut params = call.init_params();
            let mut cap = params.reborrow().init_cap_table(1).get(0);
            match answer {
                Some(answer) => cap.init_receiver_answer().set_question_id(answer),
                None => cap.set_sender_hosted(50),
            }
            params.get_content().set_as_capability(object());
        };
        peer.send(|root| echo(root, 1, None)).await;
        assert_eq!(peer.read().await, "return 1 results [other]");
        peer.pipelined(2, 1, WAIT).await;
        assert_eq!(peer.read().await, "call 1 method 1");
        // Call 2 waits for us. Its result as an object that the system exports:
        peer.send(|root| echo(root, 3, Some(2))).await;
        assert_eq!(peer.read().await, "return 3 results [promise 1]");
        peer.answer(1, |answer| {
            let mut results = answer.init_results();
            let mut cap = results.reborrow().init_cap_table(1).get(0);
            cap.set_receiver_hosted(1);
            results.get_content().set_as_capability(object());
        })
        .await;
        violation(&test.closed().await, "a promise of ours");
    });
}

#[test]
fn what_capnp_rpc_cannot_answer_closes() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(1);
            call.reborrow().init_target().set_imported_cap(0);
            call.init_send_results_to().set_yourself(());
        })
        .await;
        violation(&test.closed().await, "results shall go elsewhere");
    });
    World::new(Limits::default().with_capabilities(3)).run(async |peer, test| {
        peer.send(|root| {
            let mut call = root.init_call();
            call.reborrow().init_target().set_imported_cap(0);
            call.init_params().init_cap_table(4);
        })
        .await;
        violation(&test.closed().await, "4 capabilities (limit 3)");
    });
    // A target that does not exist is for capnp-rpc to find.
    World::new(Limits::default()).run(async |peer, test| {
        peer.send(|root| root.init_call().init_target().set_imported_cap(77))
            .await;
        violation(&test.closed().await, "question 0 is already in use");
    });
    World::new(Limits::default()).run(async |peer, test| {
        peer.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(1);
            call.init_target().set_imported_cap(77);
        })
        .await;
        assert!(
            peer.read()
                .await
                .starts_with("abort Failed: Message target")
        );
        violation(&test.closed().await, "Message target");
    });
}

#[test]
fn an_unknown_message_is_echoed() {
    World::new(Limits::default()).run(async |peer, _| {
        peer.send(|root| {
            root.init_join();
        })
        .await;
        assert_eq!(peer.read().await, "unimplemented");
        peer.call(1, ECHO).await;
        assert_eq!(peer.read().await, "return 1 results []");
    });
}

#[test]
fn calls_are_pipelined_only_so_deep() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.call(1, WAIT).await;
        for question in 2..200 {
            peer.pipelined(question, question - 1, MAKE).await;
        }
        // The call itself and 64 upon it are taken, the rest is refused.
        let first = peer.read().await;
        assert_eq!(
            first,
            "return 66 Overloaded: calls pipelined too deep (limit 64)"
        );
        for question in 67..200 {
            assert!(
                peer.read()
                    .await
                    .starts_with(&format!("return {question} Overloaded"))
            );
        }
        test.service.answer();
        assert_eq!(peer.read().await, "return 1 results [hosted 1]");
        for _ in 2..66 {
            assert!(peer.read().await.starts_with("return "));
        }
        for question in 1..200 {
            peer.finish(question).await;
        }
        peer.call(1, ECHO).await;
        assert_eq!(peer.read().await, "return 1 results []");
        assert_eq!(test.handle.calls_in_flight(), 1);
    });
}

#[test]
fn a_peer_that_holds_too_many_objects_gets_no_more() {
    World::new(Limits::default().with_objects(3)).run(async |peer, test| {
        for question in 1..3 {
            peer.call(question, MAKE).await;
            assert!(peer.read().await.contains("results [hosted"));
        }
        peer.call(3, MAKE).await;
        assert!(
            peer.read()
                .await
                .contains("too many objects held (limit 3)")
        );
        peer.finish(2).await;
        peer.call(4, MAKE).await;
        assert!(peer.read().await.contains("results [hosted"));
        assert_eq!(test.handle.objects(), 3);
    });
}

#[test]
fn a_peer_that_holds_too_many_bytes_is_refused() {
    World::new(Limits::default().with_received_bytes(150_000)).run(async |peer, test| {
        for question in 1..4 {
            peer.send(|root| {
                let mut call = root.init_call();
                call.set_question_id(question);
                call.set_method_id(WAIT);
                call.reborrow().init_target().set_imported_cap(0);
                let mut content = call.init_params().get_content();
                content
                    .set_as::<capnp::data::Owned>(&[7; 60_000][..])
                    .unwrap();
            })
            .await;
        }
        let refused = "Overloaded: too many bytes in calls in flight (limit 150000)";
        assert_eq!(peer.read().await, format!("return 3 {refused}"));
        test.service.answer();
        for question in 1..3 {
            assert!(
                peer.read()
                    .await
                    .starts_with(&format!("return {question} results"))
            );
        }
        assert_eq!(test.handle.received_bytes(), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_is_disconnected_at_once() {
    let limits = Limits::default().with_queued_bytes(4 << 20);
    World::new(limits).run(async |peer, test| {
        let start = Instant::now();
        for question in 1..200 {
            peer.call(question, LARGE).await;
        }
        let reason = test.closed().await;
        violation(&reason, "peer does not read: ");
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(test.handle.queued_bytes(), 0);
    });
}

#[test]
fn a_half_closed_peer_that_does_not_read_is_let_go() {
    let limits = Limits::default().with_flush_time(Duration::from_millis(100));
    World::new(limits).run(async |peer, test| {
        for question in 1..50 {
            peer.call(question, LARGE).await;
        }
        while test.handle.queued_bytes() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        peer.stream.close().await.unwrap();
        assert_eq!(test.closed().await, CloseReason::PeerClosed);
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_clean_shutdown_writes_what_is_queued() {
    World::new(Limits::default()).run(async |peer, test| {
        for question in 1..50 {
            peer.call(question, LARGE).await;
        }
        while test.handle.queued_bytes() < 2_000_000 {
            sleep(Duration::from_millis(1)).await;
        }
        test.handle.shut_down("enough");
        for question in 1..50 {
            let read = peer.read().await;
            if read.starts_with("abort") {
                assert!(question > 20, "{question}");
                assert_eq!(read, "abort Disconnected: enough");
                assert_eq!(peer.read().await, "end");
                break;
            }
            assert_eq!(read, format!("return {question} results []"));
        }
        assert_eq!(test.closed().await, CloseReason::Local("enough".into()));
    });
}

#[test]
fn a_close_does_not_write() {
    World::new(Limits::default()).run(async |peer, test| {
        let pending = test.remote.0.new_call(INTERFACE, WAIT, None).send();
        test.handle
            .close(CloseReason::Timeout("the child is gone".into()));
        assert!(matches!(test.closed().await, CloseReason::Timeout(_)));
        assert_eq!(peer.read().await, "end");
        let error = pending.promise.await.err().unwrap();
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected);
        assert!(error.extra.contains("the child is gone"), "{error}");
    });
}

#[test]
fn the_peers_last_word_is_the_reason() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.send(|root| {
            let mut abort = root.init_abort();
            abort.set_type(exception::Type::Failed);
            abort.set_reason("no more");
        })
        .await;
        assert_eq!(test.closed().await, CloseReason::Aborted("no more".into()));
    });
}

#[test]
fn garbage_closes_with_a_word_to_the_peer() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.stream
            .write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let text = "a pointer of an unknown kind";
        assert_eq!(peer.read().await, format!("abort Failed: {text}"));
        assert_eq!(peer.read().await, "end");
        violation(&test.closed().await, text);
    });
}

#[test]
fn a_stream_that_ends_inside_a_message_is_no_clean_end() {
    World::new(Limits::default()).run(async |peer, test| {
        peer.stream.write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 7]).await.unwrap();
        peer.stream.shutdown().unwrap();
        let reason = test.closed().await;
        assert!(matches!(&reason, CloseReason::Io(text) if text.contains("0 of 8 bytes") || text.contains("1 of 8 bytes")), "{reason:?}");
    });
}

#[test]
fn an_incoming_connection_that_stays_silent_is_closed() {
    let limits = Limits::default().with_handshake_time(Duration::from_millis(50));
    let mut world = World::new(limits);
    let reason = world.pool.run_until(world.handle.closed());
    assert!(matches!(reason, CloseReason::Timeout(_)), "{reason:?}");
}

#[test]
fn what_is_dropped_is_closed() {
    let _reactor = reactor();
    let (stream, mut other) = Stream::pair();
    let (network, handle) = connect(stream, Limits::default(), false);
    let mut system: RpcSystem<Side> = RpcSystem::new(Box::new(network), None);
    let _remote: Any = system.bootstrap(Side::Peer);
    drop(system);
    assert!(matches!(handle.reason(), Some(CloseReason::Local(_))));
    let read = futures::executor::block_on(other.read(&mut [0; 100]));
    assert_eq!(read.unwrap(), 0);
}

/// Small random numbers, the same each time, and what a peer that mostly behaves has to know.
#[derive(Default)]
struct Random {
    state: u64,
    asked: u32,
    open: Vec<u32>,
}

impl Random {
    fn below(&mut self, bound: u64) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 8) % bound) as u32
    }

    /// A new question, but sometimes one that may be in use.
    fn ask(&mut self) -> u32 {
        self.asked += 1;
        if self.below(100) == 0 {
            self.below(12)
        } else {
            self.asked
        }
    }

    /// A question of late.
    fn asked(&mut self) -> u32 {
        self.asked.saturating_sub(self.below(8))
    }

    /// An open question of the other side's, but sometimes any.
    fn open(&mut self) -> u32 {
        if self.below(100) == 0 {
            return self.below(3);
        }
        self.open.pop().unwrap_or(99)
    }
}

/// A message that could be meant, with numbers that are often in use.
fn anything(root: message::Builder<'_>, random: &mut Random) {
    use capnp_rpc::rpc_capnp::{cap_descriptor, disembargo, message_target, payload};
    fn target(target: message_target::Builder<'_>, random: &mut Random) {
        let mut target = target;
        if random.below(2) == 0 {
            let stray = u64::from(random.below(50) == 0);
            target.set_imported_cap(random.below(1 + stray));
        } else {
            let mut answer = target.init_promised_answer();
            answer.set_question_id(random.asked());
            if random.below(3) == 0 {
                let mut operation = answer.init_transform(1).get(0);
                operation.set_get_pointer_field(random.below(2) as u16);
            }
        }
    }
    fn cap(mut cap: cap_descriptor::Builder<'_>, random: &mut Random) {
        match random.below(5) {
            0 => cap.set_none(()),
            1 => cap.set_sender_hosted(random.below(4)),
            2 => cap.set_sender_promise(random.below(4)),
            3 => cap.set_receiver_hosted(random.below(3)),
            _ => cap.init_receiver_answer().set_question_id(random.asked()),
        }
    }
    fn payload(mut payload: payload::Builder<'_>, random: &mut Random) {
        let count = random.below(3);
        let mut caps = payload.reborrow().init_cap_table(count);
        for index in 0..count {
            cap(caps.reborrow().get(index), random);
        }
        if random.below(4) > 0 {
            payload.get_content().set_as_capability(object());
        }
    }
    let kind = match random.below(200) {
        0..100 => 1,
        100..140 if !random.open.is_empty() => 8,
        100..190 => 12,
        190..194 => 18,
        _ => random.below(24),
    };
    match kind {
        0 => root.init_bootstrap().set_question_id(random.ask()),
        1..8 => {
            let mut call = root.init_call();
            call.set_question_id(random.ask());
            call.set_method_id(random.below(4) as u16);
            target(call.reborrow().init_target(), random);
            payload(call.init_params(), random);
        }
        8..12 => {
            let mut answer = root.init_return();
            answer.set_answer_id(random.open());
            answer.set_release_param_caps(random.below(2) == 0);
            answer.set_no_finish_needed(random.below(4) == 0);
            match random.below(30) {
                0..6 => answer.init_exception().set_reason("no"),
                6 => answer.set_canceled(()),
                _ => payload(answer.init_results(), random),
            }
        }
        12..18 => {
            let mut finish = root.init_finish();
            finish.set_question_id(random.asked());
            finish.set_release_result_caps(random.below(2) == 0);
        }
        18..20 => {
            let mut resolve = root.init_resolve();
            resolve.set_promise_id(random.below(4));
            match random.below(4) {
                0 => cap(resolve.init_cap(), random),
                1 => resolve.init_exception().set_reason("no"),
                _ => resolve.init_cap().set_sender_hosted(100 + random.below(4)),
            }
        }
        20 => {
            let mut release = root.init_release();
            release.set_id(random.below(3));
            release.set_reference_count(random.below(3));
        }
        21 => {
            let mut embargo = root.init_disembargo();
            target(embargo.reborrow().init_target(), random);
            let mut context: disembargo::context::Builder<'_> = embargo.init_context();
            match random.below(2) {
                0 => context.set_sender_loopback(random.below(2)),
                _ => context.set_receiver_loopback(random.below(2)),
            }
        }
        22 => {
            root.init_join();
        }
        _ => root.init_unimplemented().init_release().set_id(0),
    }
}

#[test]
fn no_conversation_panics_or_hangs() {
    let mut random = Random {
        state: 0x9e37_79b9_7f4a_7c15,
        ..Random::default()
    };
    let rounds = std::env::var("FRAME_ROUNDS").map_or(300, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        random.asked = 0;
        random.open = vec![0];
        World::new(Limits::default().with_calls_in_flight(6)).run(async |peer, test| {
            let mut pending = Vec::new();
            let mut held = Vec::new();
            for _ in 0..100 {
                peer.send(|root| anything(root, &mut random)).await;
                if random.below(3) == 0 {
                    // What an application does meanwhile.
                    match random.below(4) {
                        0 => test.service.answer(),
                        1 => pending.clear(),
                        2 => held.clear(),
                        _ => {
                            let mut request = test.remote.0.new_call(INTERFACE, WAIT, None);
                            if random.below(2) == 0 {
                                request.get().set_as_capability(object());
                            }
                            let sent = request.send();
                            let pipelined = sent.pipeline.as_cap();
                            drop(pipelined.new_call(INTERFACE, ECHO, None).send());
                            held.push(pipelined);
                            pending.push(sent.promise);
                        }
                    }
                }
                while let Ok(read) = timeout(Duration::from_micros(20), peer.read()).await {
                    let mut words = read.split(' ');
                    match (words.next(), words.next()) {
                        (Some("call"), Some(id)) => random.open.push(id.parse().unwrap()),
                        (Some("return" | "finish" | "release" | "other"), _) => {}
                        _ => break,
                    }
                }
                if test.handle.reason().is_some() {
                    break;
                }
            }
            test.handle.shut_down("done");
            let _ = test.closed().await;
            for promise in pending {
                let _ = promise.await;
            }
        });
    }
}
