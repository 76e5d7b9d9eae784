//! Calls whose object or parameters are promised, and the calls that they hold back.

use super::*;

/// Sends a call of object 0 with a capability in the answer to `with` as its parameter.
fn with_answer(peer: &mut Peer, question: u32, method: u16, with: u32) {
    peer.call_with(question, method, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).init_receiver_answer().set_question_id(with);
        params.get_content().set_as_capability(only());
    });
}

/// Guards against a reused key: the wants for the parameters of a call that failed at once were
/// resolved for the call after it, which got another's parameter, and too early.
#[test]
fn what_a_failed_call_waited_for_is_no_other_calls() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.peer.call(2, WAIT);
    test.peer.call(3, MAKE);
    assert_eq!(test.peer.read(), "return 3 results [hosted 1]");
    test.peer.call_with(4, MAKE, |mut call| {
        let target = call.reborrow().init_target();
        let mut nowhere = target.init_promised_answer();
        nowhere.set_question_id(3);
        nowhere.init_transform(1).get(0).set_get_pointer_field(7);
        let table = call.init_params().init_cap_table(1);
        table.get(0).init_receiver_answer().set_question_id(1);
    });
    assert!(test.peer.read().starts_with("return 4 Failed: called on"));
    with_answer(&mut test.peer, 5, ECHO, 2);
    test.until(|test| test.calls_in_flight() == 5);
    test.service.answer();
    assert_eq!(test.peer.read(), "return 1 results [hosted 2]");
    assert_eq!(test.peer.read(), "return 2 results [hosted 3]");
    assert_eq!(test.peer.read(), "return 5 results [hosted 3]");
}

/// Guards against a deadlock: a call whose object became known late was queued behind one that had
/// arrived after it, and that waited for its answer.
#[test]
fn a_call_is_not_held_back_by_one_that_waits_for_it() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    with_answer(&mut test.peer, 2, ECHO, 1);
    test.peer.call_with(3, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).set_receiver_hosted(0);
        params.get_content().set_as_capability(only());
    });
    test.peer.pipelined(4, 3, MAKE);
    with_answer(&mut test.peer, 5, ECHO, 4);
    test.until(|test| test.calls_in_flight() == 6);
    test.service.answer();
    assert_eq!(test.peer.read(), "return 1 results [hosted 1]");
    assert_eq!(test.peer.read(), "return 2 results [hosted 1]");
    assert_eq!(test.peer.read(), "return 3 results [hosted 0]");
    assert_eq!(test.peer.read(), "return 4 results [hosted 2]");
    assert_eq!(test.peer.read(), "return 5 results [hosted 2]");
}

/// Guards against a call of a broken promise that waits for its parameters all the same.
#[test]
fn a_call_of_what_is_broken_waits_for_nothing() {
    let mut test = Test::new(Limits::default());
    test.peer.call(1, WAIT);
    test.until(|test| test.service.waiting() == 1);
    let first = lock(&test.service.waiting).pop().unwrap();
    with_answer(&mut test.peer, 2, ECHO, 1);
    test.until(|test| test.calls_in_flight() == 3);
    drop(first);
    assert!(
        test.peer
            .read()
            .starts_with("return 1 Failed: the thread ended")
    );
    assert_eq!(test.peer.read(), "return 2 results [promised 1]");
    let resolved = test.peer.read();
    assert!(resolved.starts_with("resolve 1 Failed: the thread ended"));
    test.peer.call(3, WAIT);
    test.peer.call_with(4, MAKE, |mut call| {
        call.reborrow().init_target().set_imported_cap(1);
        let table = call.init_params().init_cap_table(1);
        table.get(0).init_receiver_answer().set_question_id(3);
    });
    assert!(
        test.peer
            .read()
            .starts_with("return 4 Failed: the thread ended")
    );
}
