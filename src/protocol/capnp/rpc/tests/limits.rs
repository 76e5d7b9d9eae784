//! The limits on a peer.

use std::time::Instant;

use super::*;

#[test]
fn calls_beyond_the_limit_are_answered_as_overloaded() {
    let mut test = Test::new(Limits::default().calls_in_flight(2));
    test.peer.call(1, WAIT);
    // One more than two, with an object that has to be given back.
    test.peer.call_with(2, ECHO, |call| {
        let table = call.init_params().init_cap_table(1);
        table.get(0).set_sender_hosted(9);
    });
    let refused = "Overloaded: too many calls in flight (limit 2)";
    assert_eq!(test.peer.read(), format!("return 2 {refused}"));
    assert_eq!(test.peer.read(), "release 9 by 1");
    assert_eq!(test.calls_in_flight(), 2);
    // There is room again, but not for calls on a refused one.
    test.peer.finish(0);
    test.peer.pipelined(3, 2, ECHO);
    assert!(
        test.peer
            .read()
            .starts_with("return 3 Overloaded: pipelined on")
    );
    test.peer.finish(2);
    test.peer.finish(3);
    test.peer.bootstrap(2);
    assert_eq!(test.peer.read(), "return 2 results [hosted 0]");
    // A peer that ignores refusals is disconnected.
    for question in 4..7 {
        test.peer.call(question, ECHO);
    }
    assert_eq!(test.peer.read(), format!("return 4 {refused}"));
    assert_eq!(test.peer.read(), format!("return 5 {refused}"));
    assert!(
        test.peer
            .read()
            .starts_with("abort Failed: 2 refused calls")
    );
    assert_eq!(test.peer.read(), "end");
    test.violation("2 refused calls");
}

#[test]
fn calls_are_pipelined_only_so_deep() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    for question in 2..200 {
        test.peer.pipelined(question, question - 1, MAKE);
    }
    // The call itself and 64 upon it are taken, the rest is refused.
    assert_eq!(
        test.peer.read(),
        "return 66 Overloaded: calls pipelined too deep (limit 64)"
    );
    for question in 67..200 {
        let refused = format!("return {question} Overloaded");
        assert!(test.peer.read().starts_with(&refused));
    }
    test.service.answer();
    for question in 1..66 {
        let answered = format!("return {question} results [hosted");
        assert!(test.peer.read().starts_with(&answered));
    }
    for question in 1..200 {
        test.peer.finish(question);
    }
    test.peer.call(1, ECHO);
    assert_eq!(test.peer.read(), "return 1 results []");
    assert_eq!(test.calls_in_flight(), 1);
}

#[test]
fn a_path_that_is_too_long_closes() {
    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        let mut answer = call.init_target().init_promised_answer();
        answer.set_question_id(0);
        answer.init_transform(65);
    });
    test.violation("a pipelined path longer than 64");
}

#[test]
fn a_peer_that_holds_too_many_objects_gets_no_more() {
    let mut test = Test::new(Limits::default().objects(3));
    for question in 1..3 {
        test.peer.call(question, MAKE);
        assert!(test.peer.read().contains("results [hosted"));
    }
    test.peer.call(3, MAKE);
    assert!(test.peer.read().contains("too many objects held (limit 3)"));
    test.peer.finish(2);
    test.peer.call(4, MAKE);
    assert!(test.peer.read().contains("results [hosted"));
    assert_eq!(test.objects(), 3);
}

#[test]
fn a_message_with_too_many_objects_closes() {
    let mut test = Test::new(Limits::default().capabilities(3));
    test.peer.call_with(1, ECHO, |call| {
        call.init_params().init_cap_table(4);
    });
    test.violation("4 capabilities (limit 3)");
}

#[test]
fn a_peer_that_holds_too_many_bytes_is_refused() {
    let mut test = Test::new(Limits::default().received_bytes(150_000));
    for question in 1..4 {
        test.peer.call_with(question, WAIT, |call| {
            let mut content = call.init_params().get_content();
            let set = content.set_as::<capnp::data::Owned>(&[7; 60_000][..]);
            set.unwrap();
        });
    }
    let refused = "Overloaded: too many bytes in calls in flight (limit 150000)";
    assert_eq!(test.peer.read(), format!("return 3 {refused}"));
    test.service.answer();
    for question in 1..3 {
        let answered = format!("return {question} results");
        assert!(test.peer.read().starts_with(&answered));
    }
    // Only the answers that the peer has not finished are left.
    assert!(test.received_bytes() < 10_000);
}

#[test]
fn a_peer_that_does_not_read_is_disconnected_at_once() {
    let mut test = Test::new(Limits::default().queued_bytes(4 << 20));
    let start = Instant::now();
    for question in 1..200 {
        test.peer.call(question, LARGE);
    }
    test.violation("peer does not read: ");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(test.link.queued_bytes(), 0);
}
