//! The calls of this side.

use super::*;

#[test]
fn two_sides_call_each_other() {
    let (left, right) = UnixStream::pair().unwrap();
    let event_loop = EventLoop::new("test").unwrap();
    let service = Arc::<Service>::default();
    let account = Accounts::new(&Limits::default()).of(crate::peer::Peer::Unknown);
    let (left, left_over) = link(
        &event_loop,
        Limits::default(),
        &account,
        left,
        service.clone(),
    );
    let (right, right_over) = link(
        &event_loop,
        Limits::default(),
        &account,
        right,
        service.clone(),
    );
    left.start(false).unwrap();
    right.start(true).unwrap();

    let (done, bootstrapped) = answer();
    left.bootstrap(done, []);
    let remote = import(&bootstrapped.recv_timeout(LONG).unwrap().unwrap());
    let call = |method, data: &[u8]| {
        let (done, answer) = answer();
        let fill = |_: &mut Caps<Param>, mut content: any_pointer::Builder<'_>| {
            let set = content.set_as::<capnp::data::Owned>(data);
            set.map_err(|error| Error::failed(error.to_string()))
        };
        left.ask([Ask {
            target: Target::Import(remote.clone()),
            request: Request::new(INTERFACE, method, fill).unwrap(),
            done,
        }]);
        answer
    };
    for size in [10, 1_000, 100_000, 5_000_000] {
        let data: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
        let answer = call(ECHO, &data).recv_timeout(LONG).unwrap().unwrap();
        let echo =
            answer.read(|content| content.get_as::<capnp::data::Reader<'_>>().unwrap() == data);
        assert!(echo.unwrap());
    }
    let unknown = call(99, b"").recv_timeout(LONG).unwrap();
    assert!(unknown.err().unwrap().is_unimplemented());

    let pending = call(WAIT, b"");
    left.end(CloseReason::Local("done here".into()));
    match pending.recv_timeout(LONG).unwrap() {
        Err(Error::Disconnected(text)) => {
            let why = "this process ended the connection: done here";
            assert_eq!(text, format!("{INTERRUPTED}: {why}"));
        }
        _ => panic!("answered"),
    }
    let reason = left_over.recv_timeout(LONG).unwrap();
    assert_eq!(reason, CloseReason::Local("done here".into()));
    assert_eq!(
        right_over.recv_timeout(LONG).unwrap(),
        CloseReason::Farewell("done here".into())
    );
    assert_eq!(left.queued_bytes(), 0);
    match call(ECHO, b"").recv_timeout(LONG).unwrap() {
        Err(Error::Disconnected(text)) => assert!(text.starts_with(AFTER_DISCONNECT), "{text}"),
        _ => panic!("answered"),
    }
}

/// Core 30 crashes when a call is cancelled while it executes.
#[test]
fn a_call_is_finished_when_it_is_answered_and_not_before() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    drop(test.call(&remote, WAIT, &[]));
    assert_eq!(test.peer.read(), "call 0 method 1");
    test.peer.hears_nothing();

    // Other calls go on, and do not get the number of the one that was given up.
    let other = test.call(&remote, ECHO, &[]);
    assert_eq!(test.peer.read(), "call 1 method 0");
    test.peer.answer_object(0, 6);
    assert_eq!(test.peer.read(), "finish 0");
    assert_eq!(test.peer.read(), "release 6 by 1");
    test.peer.answer_nothing(1);
    assert!(other.recv_timeout(LONG).unwrap().is_ok());
    assert_eq!(test.peer.read(), "finish 1");
    assert_eq!(test.questions(), 0);
}

#[test]
fn a_finish_that_the_peer_needs_not_is_not_sent() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    for _ in 0..3 {
        let answered = test.call(&remote, ECHO, &[]);
        assert_eq!(test.peer.read(), "call 0 method 0");
        test.peer.answer(0, |mut answer| {
            answer.set_no_finish_needed(true);
            answer.init_results();
        });
        answered.recv_timeout(LONG).unwrap().unwrap();
    }
    test.peer.hears_nothing();
}

/// To release a thread in the middle of a call that names it is an error in Core.
#[test]
fn an_object_is_not_released_while_a_call_is_about_it() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let made = test.call(&remote, MAKE, &[]);
    assert_eq!(test.peer.read(), "call 0 method 2");
    test.peer.answer_object(0, 6);
    assert_eq!(test.peer.read(), "finish 0");
    let object = Cap::Import(import(&made.recv_timeout(LONG).unwrap().unwrap()));
    let waiting = test.call(&remote, WAIT, std::slice::from_ref(&object));
    assert_eq!(test.peer.read(), "call 0 method 1");
    drop((object, made));
    test.peer.hears_nothing();
    test.peer.answer_nothing(0);
    waiting.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(test.peer.read(), "finish 0");
    assert_eq!(test.peer.read(), "release 6 by 1");
}

#[test]
fn objects_that_a_return_releases_are_released() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    for _ in 0..3 {
        let pending = test.call(&remote, ECHO, &[object()]);
        assert_eq!(test.peer.read(), "call 0 method 0");
        assert_eq!(test.objects(), 2);
        test.peer.answer(0, |mut answer| {
            answer.set_release_param_caps(true);
            answer.init_results();
        });
        pending.recv_timeout(LONG).unwrap().unwrap();
        assert_eq!(test.peer.read(), "finish 0");
        assert_eq!(test.objects(), 1);
    }
}

#[test]
fn a_return_that_would_never_end_a_call_closes() {
    for (what, text) in [
        (0, "was cancelled by the peer"),
        (1, "went elsewhere"),
        (2, "which are not here"),
    ] {
        let mut test = Test::new(Limits::default());
        let remote = test.remote();
        let pending = test.call(&remote, WAIT, &[]);
        assert_eq!(test.peer.read(), "call 0 method 1");
        test.peer.answer(0, |mut answer| match what {
            0 => answer.set_canceled(()),
            1 => answer.set_results_sent_elsewhere(()),
            _ => answer.set_take_from_other_question(0),
        });
        let error = pending.recv_timeout(LONG).unwrap().err().unwrap();
        assert!(error.is_disconnected());
        test.violation(text);
    }
    let mut test = Test::new(Limits::default());
    test.peer.answer_nothing(7);
    test.violation("question 7, which is not open");
}

#[test]
fn an_exception_is_an_error_of_its_kind() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let kinds = [
        exception::Type::Failed,
        exception::Type::Overloaded,
        exception::Type::Disconnected,
        exception::Type::Unimplemented,
    ];
    for kind in kinds {
        let pending = test.call(&remote, WAIT, &[]);
        assert_eq!(test.peer.read(), "call 0 method 1");
        test.peer.answer(0, |answer| {
            let mut exception = answer.init_exception();
            exception.set_type(kind);
            exception.set_reason("its words");
        });
        assert_eq!(test.peer.read(), "finish 0");
        let error = pending.recv_timeout(LONG).unwrap().err().unwrap();
        assert_eq!(error.to_string(), "its words");
        assert!(match kind {
            exception::Type::Failed => matches!(error, Error::Remote { .. }),
            exception::Type::Overloaded => matches!(error, Error::Remote { .. }),
            exception::Type::Disconnected => {
                !error.is_disconnected() && matches!(error, Error::Remote { .. })
            }
            exception::Type::Unimplemented => error.is_unimplemented(),
        });
    }
}

#[test]
fn a_call_that_the_peer_does_not_know_fails() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let pending = test.call(&remote, WAIT, &[]);
    assert_eq!(test.peer.read(), "call 0 method 1");
    test.peer.send(|root| {
        root.init_unimplemented().init_call().set_question_id(0);
    });
    let error = pending.recv_timeout(LONG).unwrap().err().unwrap();
    assert!(error.is_unimplemented());
    // An Unimplemented for a message without an answer is ignored.
    test.peer.send(|root| {
        root.init_unimplemented().init_release();
    });
    drop(test.call(&remote, ECHO, &[]));
    assert_eq!(test.peer.read(), "call 0 method 0");
}

/// Each call is made on the answer to the one before it, and none waits for an answer.
#[test]
fn calls_on_what_is_not_answered_go_out_at_once() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let asks = [MAKE, MAKE, ECHO].map(|method| {
        let (done, answered) = answer();
        let target = match method {
            MAKE if test.questions() == 0 => Target::Import(remote.clone()),
            _ => Target::Previous(Some(0)),
        };
        let request = request(method, &[]);
        (
            Ask {
                target,
                request,
                done,
            },
            answered,
        )
    });
    let (mut asks, answers): (Vec<_>, Vec<_>) = asks.into_iter().unzip();
    for ask in asks.iter_mut().skip(1) {
        ask.target = Target::Previous(Some(0));
    }
    test.link.ask(asks);
    assert_eq!(test.peer.read(), "call 0 method 2");
    assert_eq!(test.peer.read(), "call 1 method 2");
    assert_eq!(test.peer.read(), "call 2 method 0");
    test.peer.answer_object(0, 6);
    test.peer.answer_object(1, 7);
    test.peer.answer_nothing(2);
    for answer in answers {
        answer.recv_timeout(LONG).unwrap().unwrap();
    }
}

/// The callback that gets an answer may run application code.
#[test]
fn a_panic_of_who_gets_an_answer_is_nobody_elses_matter() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let ask = |done: Done| {
        let target = Target::Import(remote.clone());
        let request = request(ECHO, &[]);
        test.link.ask([Ask {
            target,
            request,
            done,
        }]);
    };
    let panics = || Box::new(|_| panic!("as a test wants it"));
    ask(panics());
    ask(panics());
    let (done, answered) = answer();
    ask(done);
    let (done, interrupted) = answer();
    ask(done);
    let read = |test: &mut Test| {
        let text = test.peer.read();
        text.split(' ').nth(1).unwrap().parse::<u32>().unwrap()
    };
    let questions = [(); 4].map(|()| read(&mut test));
    test.peer.answer_nothing(questions[0]);
    test.peer.answer_nothing(questions[2]);
    assert!(answered.recv_timeout(LONG).unwrap().is_ok());
    test.link.kill(CloseReason::PeerClosed);
    let end = interrupted.recv_timeout(LONG).unwrap();
    assert!(matches!(end, Err(Error::Disconnected(_))));
    assert_eq!(test.closed(), CloseReason::PeerClosed);
}
