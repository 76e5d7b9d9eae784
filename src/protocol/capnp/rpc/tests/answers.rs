//! The peer's calls.

use super::*;

#[test]
fn a_question_in_use_cannot_be_asked_again() {
    let mut test = Test::new(Limits::default());
    test.peer.call(0, ECHO);
    test.violation("question 0 is already in use");
}

/// The peer may not need the answer any more, but the method still runs to its end.
#[test]
fn a_finish_in_the_middle_of_a_call_does_not_end_it() {
    let mut test = Test::new(Limits::default());
    for _ in 0..3 {
        test.peer.call(1, WAIT);
        test.peer.finish(1);
        test.peer.finish(1);
        test.peer.call(2, 99);
        assert!(test.peer.read().starts_with("return 2 Unimplemented"));
        test.peer.finish(2);
        test.until(|test| test.calls_in_flight() == 2);
        test.service.answer();
        assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
        // The question can be asked anew, and the object was released with it.
        test.peer.call(1, MAKE);
        assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
        test.peer.finish(1);
    }
    test.peer.call(1, ECHO);
    assert_eq!(test.peer.read(), "return 1 results []");
    // It has no objects, and so needs no Finish.
    assert_eq!(test.calls_in_flight(), 1);
    assert_eq!(test.objects(), 1);
    test.peer.finish(1);
    test.peer.call(1, ECHO);
    assert_eq!(test.peer.read(), "return 1 results []");
    drop(test.peer);
    assert_eq!(test.over.recv_timeout(LONG), Ok(CloseReason::PeerClosed));
}

#[test]
fn a_call_that_is_dropped_is_answered() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.until(|test| test.service.waiting() == 1);
    test.service.drop_calls();
    assert_eq!(
        test.peer.read(),
        "return 1 Failed: the thread ended before the request was executed"
    );
}

#[test]
fn calls_wait_for_what_they_are_made_on() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.peer.pipelined(2, 1, MAKE);
    test.peer.pipelined(3, 2, MAKE);
    test.peer.hears_nothing();
    test.service.answer();
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
    assert_eq!(test.peer.read(), "return 2 results [hosted 2]");
    assert_eq!(test.peer.read(), "return 3 results [hosted 3]");
    // The same holds for a question that is answered already, until it is finished.
    test.peer.pipelined(4, 2, MAKE);
    assert_eq!(test.peer.read(), "return 4 results [hosted 4]");
    test.peer.finish(2);
    test.peer.pipelined(5, 2, MAKE);
    assert!(test.peer.read().starts_with("return 5 Failed: called on"));
}

/// Sends a call on the answer to `on`, with the object in the answer to `with` as its parameter.
fn waits(peer: &mut Peer, question: u32, on: u32, with: u32) {
    peer.call_with(question, MAKE, |mut call| {
        let mut answer = call.reborrow().init_target().init_promised_answer();
        answer.set_question_id(on);
        let table = call.init_params().init_cap_table(1);
        table.get(0).init_receiver_answer().set_question_id(with);
    });
}

/// A peer may finish a question as soon as it has named a place in its answer, and ask another by the
/// same number.
#[test]
fn a_place_in_an_answer_is_what_it_was_when_it_was_named() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, MAKE);
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
    test.peer.call(2, WAIT);
    waits(&mut test.peer, 3, 1, 2);
    test.peer.finish(1);
    // Now its number is that of a call that waits for the one that named it.
    test.peer.pipelined(1, 3, MAKE);
    test.until(|test| test.calls_in_flight() == 4);
    test.service.answer();
    let answers = [(); 3].map(|()| test.peer.read());
    assert_eq!(answers[0], "return 2 results [hosted 1]");
    assert!(answers[1].starts_with("return 3 results"), "{answers:?}");
    assert!(answers[2].starts_with("return 1 results"), "{answers:?}");

    // So does an answer that comes and is finished while a call also waits for another one.
    test.peer.call(4, WAIT);
    test.until(|test| test.service.waiting() == 1);
    let first = lock(&test.service.waiting).pop().unwrap();
    test.peer.call(5, WAIT);
    waits(&mut test.peer, 6, 4, 5);
    test.peer.finish(4);
    test.until(|test| test.service.waiting() == 1);
    make(first);
    assert!(test.peer.read().starts_with("return 4 results"));
    test.peer.call(4, ECHO);
    assert_eq!(test.peer.read(), "return 4 results []");
    test.service.answer();
    assert!(test.peer.read().starts_with("return 5 results"));
    assert!(test.peer.read().starts_with("return 6 results"));
}

/// An object whose destructor takes the lock of the connection's state, as an application's may that
/// drops other objects or makes calls.
struct Calls(Arc<Link>);

impl Host for Calls {
    fn call(self: Arc<Self>, call: Incoming) {
        make(call);
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.0.look(|_| ());
    }
}

/// A call may hold the last reference to an answer's object that it does not need in the end.
#[test]
fn what_an_answer_held_is_dropped_without_the_tables() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.until(|test| test.service.waiting() == 1);
    let first = lock(&test.service.waiting).pop().unwrap();
    test.peer.call(2, WAIT);
    test.until(|test| test.service.waiting() == 1);
    test.peer.call_with(3, MAKE, |call| {
        let mut table = call.init_params().init_cap_table(2);
        let later = table.reborrow().get(0);
        later.init_receiver_answer().set_question_id(2);
        let mut nowhere = table.get(1).init_receiver_answer();
        nowhere.set_question_id(1);
        nowhere.init_transform(1).get(0).set_get_pointer_field(7);
    });
    test.until(|test| test.calls_in_flight() == 4);
    let object = Cap::Own(Arc::new(Calls(test.link.clone())));
    let results = first.results(|to, mut content| {
        content.set_as_capability(to.add(object));
        Ok::<_, Error>(())
    });
    first.answer(results.unwrap());
    assert!(test.peer.read().starts_with("return 1 results"));
    test.peer.finish(1);
    test.until(|test| test.calls_in_flight() == 3);
    let service = test.service.clone();
    std::thread::spawn(move || service.answer());
    assert!(test.peer.read().starts_with("return 2 results"));
    assert!(test.peer.read().starts_with("return 3 results"));
}

/// Each call names a later question, and so has no target.
#[test]
fn calls_on_what_comes_later_fail_at_once() {
    const CALLS: u32 = 900;
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    for call in (0..CALLS).rev() {
        waits(&mut test.peer, 10 + call, 9 + call, 1);
        let text = format!("return {} Failed: called on what question", 10 + call);
        assert!(test.peer.read().starts_with(&text));
    }
    test.service.answer();
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
}

/// As many calls as the limit allows wait for one answer: when it arrives they are delivered one after
/// the other, and not nested.
#[test]
fn many_calls_that_wait_for_one_answer_take_no_stack() {
    const CALLS: u32 = 900;
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    for call in 0..CALLS {
        waits(&mut test.peer, 10 + call, 1, 1);
    }
    test.until(|test| test.calls_in_flight() == CALLS as usize + 2);
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let service = test.service.clone();
    let answers = small.spawn(move || service.answer()).unwrap();
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
    for call in 0..CALLS {
        let text = format!("return {} results", 10 + call);
        assert!(test.peer.read().starts_with(&text));
    }
    answers.join().unwrap();
}

#[test]
fn the_text_of_an_error_is_cut() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.until(|test| test.service.waiting() == 1);
    let call = lock(&test.service.waiting).pop().unwrap();
    call.fail(Error::failed("é".repeat(100_000)));
    let answer = test.peer.read();
    assert!(answer.starts_with("return 1 Failed: éé"));
    assert!(answer.len() < 70_000);
}

#[test]
fn calls_on_what_fails_fail_with_it() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.peer.pipelined(2, 1, MAKE);
    test.peer.pipelined(3, 2, MAKE);
    test.until(|test| test.calls_in_flight() == 4);
    test.service.drop_calls();
    for question in 1..4 {
        assert_eq!(
            test.peer.read(),
            format!("return {question} Failed: the thread ended before the request was executed")
        );
    }
    test.peer.pipelined(4, 1, MAKE);
    assert!(test.peer.read().starts_with("return 4 Failed: the thread"));
}

/// The object is in a struct in a struct.
#[test]
fn a_pipelined_path_is_followed() {
    let mut test = Test::new(Limits::default());
    // A struct of two pointers, the second of them to a struct with the object.
    test.peer.call_with(1, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).set_sender_hosted(40);
        let mut content = params.get_content();
        // `Message.call` is at pointer 0, and `Call.target` at pointer 0 of that.
        let inner = content.reborrow().init_as::<message::Builder<'_>>();
        let mut accept = inner.init_provide();
        accept.reborrow().init_recipient().set_as_capability(only());
    });
    assert_eq!(test.peer.read(), "return 1 results [yours 40]");
    test.peer.call_with(2, MAKE, |call| {
        let mut answer = call.init_target().init_promised_answer();
        answer.set_question_id(1);
        let mut way = answer.init_transform(3);
        way.reborrow().get(0).set_noop(());
        way.reborrow().get(1).set_get_pointer_field(0);
        way.get(2).set_get_pointer_field(1);
    });
    // The object is the peer's own, and so the call is forwarded to it.
    assert_eq!(test.peer.read(), "call 0 method 2");
    test.peer.answer_object(0, 41);
    assert_eq!(test.peer.read(), "finish 0");
    assert_eq!(test.peer.read(), "return 2 results [yours 41]");
}

#[test]
fn parameters_that_are_not_answered_yet_are_waited_for() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.peer.call_with(2, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).init_receiver_answer().set_question_id(1);
        params.get_content().set_as_capability(only());
    });
    test.peer.hears_nothing();
    test.service.answer();
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
    assert_eq!(test.peer.read(), "return 2 results [hosted 1]");
    assert_eq!(test.objects(), 2);
    test.peer.finish(1);
    test.peer.finish(2);
    test.until(|test| test.objects() == 1);
}

#[test]
fn a_call_on_itself_fails() {
    let mut test = Test::new(Limits::default());
    test.peer.pipelined(1, 1, ECHO);
    assert_eq!(
        test.peer.read(),
        "return 1 Failed: question 1 waits for itself"
    );
}

/// Calls that the peer pipelines on an answer that turns out to be its own object come back to it, in
/// order, before the Disembargo.
#[test]
fn what_was_sent_the_long_way_round_comes_before_the_end_of_the_embargo() {
    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).set_sender_hosted(50);
        params.get_content().set_as_capability(only());
    });
    assert_eq!(test.peer.read(), "return 1 results [yours 50]");
    test.peer.pipelined(2, 1, WAIT);
    test.peer.pipelined(3, 1, MAKE);
    test.peer.send(|root| {
        let mut disembargo = root.init_disembargo();
        let mut target = disembargo.reborrow().init_target().init_promised_answer();
        target.set_question_id(1);
        disembargo.init_context().set_sender_loopback(9);
    });
    assert_eq!(test.peer.read(), "call 0 method 1");
    assert_eq!(test.peer.read(), "call 1 method 2");
    assert_eq!(test.peer.read(), "disembargo");
    test.peer.answer_nothing(0);
    assert_eq!(test.peer.read(), "finish 0");
    assert_eq!(test.peer.read(), "return 2 results []");
    // The answer to a forwarded call is forwarded back, with its objects or its error.
    test.peer
        .answer(1, |answer| answer.init_exception().set_reason("no"));
    assert_eq!(test.peer.read(), "finish 1");
    assert_eq!(test.peer.read(), "return 3 Failed: no");
}

#[test]
fn an_embargo_of_nothing_of_the_peers_closes() {
    let disembargo = |test: &mut Test, sender: bool| {
        test.peer.send(|root| {
            let mut disembargo = root.init_disembargo();
            disembargo.reborrow().init_target().set_imported_cap(0);
            let mut context = disembargo.init_context();
            match sender {
                true => context.set_sender_loopback(9),
                false => context.set_receiver_loopback(9),
            }
        });
    };
    let mut test = Test::new(Limits::default());
    disembargo(&mut test, true);
    test.violation("a disembargo of what is no object of the peer's");
    let mut test = Test::new(Limits::default());
    disembargo(&mut test, false);
    test.violation("a disembargo that nobody asked for");
}

#[test]
fn what_cannot_be_answered_closes() {
    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        call.init_send_results_to().init_third_party();
    });
    assert_eq!(test.peer.read(), "unimplemented");

    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        call.init_target().set_imported_cap(77);
    });
    assert!(test.peer.read().starts_with("abort Failed: Message target"));
    test.violation("Message target");

    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        let table = call.init_params().init_cap_table(1);
        table.get(0).set_receiver_hosted(77);
    });
    test.violation("no object of ours: 77");
}

/// No third party is contacted: calls go to its vine.
#[test]
fn an_object_of_a_third_party_is_its_vine() {
    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).init_third_party_hosted().set_vine_id(7);
        params.get_content().set_as_capability(only());
    });
    assert_eq!(test.peer.read(), "return 1 results [yours 7]");
    test.peer.finish(1);
    assert_eq!(test.peer.read(), "release 7 by 1");
}

/// A tail call: the results of a call of the peer stay here, and answer a call of this side.
#[test]
fn the_results_of_a_call_may_answer_one_of_ours() {
    for early in [true, false] {
        let mut test = Test::new(Limits::default());
        let remote = test.remote();
        let pending = test.call(&remote, MAKE, &[]);
        assert_eq!(test.peer.read(), "call 0 method 2");
        test.peer.call_with(1, WAIT, |call| {
            call.init_send_results_to().set_yourself(());
        });
        test.until(|test| test.service.waiting() == 1);
        let take = |test: &mut Test| {
            test.peer.answer(0, |mut answer| {
                answer.set_take_from_other_question(1);
            });
            assert_eq!(test.peer.read(), "finish 0");
        };
        if early {
            take(&mut test);
            assert!(pending.try_recv().is_err());
        }
        test.service.answer();
        assert_eq!(test.peer.read(), "return 1 elsewhere");
        if !early {
            take(&mut test);
        }
        let answer = pending.recv_timeout(LONG).unwrap().unwrap();
        assert!(matches!(answer.caps(), [Some(Cap::Own(_))]));
        // The peer got no reference from it, and may finish it.
        assert_eq!(test.objects(), 1);
        test.peer.finish(1);
        test.until(|test| test.calls_in_flight() == 1);
    }
}

/// The caller tells what it will not do with a call's results.
#[test]
fn results_that_only_calls_are_made_on_are_not_returned() {
    let mut test = Test::new(Limits::default());
    test.peer
        .call_with(1, MAKE, |mut call| call.set_only_promise_pipeline(true));
    test.peer.pipelined(2, 1, MAKE);
    assert_eq!(test.peer.read(), "return 2 results [hosted 1]");
    test.peer.finish(1);
    test.peer
        .call_with(3, MAKE, |mut call| call.set_no_promise_pipelining(true));
    assert_eq!(test.peer.read(), "return 3 results [hosted 2]");
    test.peer.pipelined(4, 3, MAKE);
    assert!(
        test.peer
            .read()
            .starts_with("return 4 Failed: called on what was not")
    );
    test.peer.finish(3);
    test.until(|test| test.objects() == 2);
}

#[test]
fn a_large_unknown_message_is_not_sent_back() {
    let mut test = Test::new(Limits::default());
    test.peer.send(|root| {
        let mut join = root.init_join();
        join.reborrow().init_target();
        let mut part = join.get_key_part();
        part.set_as::<capnp::data::Owned>(&[7; 100_000][..])
            .unwrap();
    });
    assert_eq!(test.peer.read(), "unimplemented");
    assert!(test.peer.bytes < 1000, "{} bytes", test.peer.bytes);
}

#[test]
fn an_unknown_message_is_echoed() {
    let mut test = Test::new(Limits::default());
    test.peer.send(|root| {
        root.init_join();
    });
    assert_eq!(test.peer.read(), "unimplemented");
    test.peer.call(1, ECHO);
    assert_eq!(test.peer.read(), "return 1 results []");
}
