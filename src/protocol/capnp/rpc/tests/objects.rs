//! Objects of both sides, and how long they are held.

use super::*;

/// An object keeps one number, however often it is exported; it is dropped when the peer has released
/// it as often.
#[test]
fn an_object_keeps_its_number_until_it_is_given_back_as_often() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let ours = object();
    for question in 0..3 {
        drop(test.call(&remote, ECHO, &[ours.clone(), ours.clone()]));
        assert_eq!(test.peer.read(), format!("call {question} method 0"));
    }
    assert_eq!(test.objects(), 2);
    for count in [4, 1, 1] {
        assert_eq!(test.objects(), 2);
        test.peer.send(|root| {
            let mut release = root.init_release();
            release.set_id(1);
            release.set_reference_count(count);
        });
        test.peer.call(9, ECHO);
        assert_eq!(test.peer.read(), "return 9 results []");
    }
    assert_eq!(test.objects(), 1);
}

/// A peer's own object returns to it as such.
#[test]
fn an_object_goes_back_as_what_it_is() {
    let mut test = Test::new(Limits::default());
    test.peer.call_with(1, ECHO, |call| {
        let mut params = call.init_params();
        let table = params.reborrow().init_cap_table(1);
        table.get(0).set_receiver_hosted(0);
        params.get_content().set_as_capability(only());
    });
    assert_eq!(test.peer.read(), "return 1 results [hosted 0]");
    assert_eq!(test.objects(), 1);
}

/// Other implementations count in 32 bits how often they have exported an object.
#[test]
fn an_object_that_is_given_again_and_again_is_given_back_meanwhile() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let mut released = 0;
    for _ in 0..2500 {
        let answered = test.call(&remote, MAKE, &[]);
        let mut read = test.peer.read();
        while !read.starts_with("call") {
            if let Some(count) = read.strip_prefix("release 5 by ") {
                released += count.parse::<u32>().unwrap();
            }
            read = test.peer.read();
        }
        test.peer.answer(0, |mut answer| {
            answer.set_no_finish_needed(true);
            let mut results = answer.init_results();
            let table = results.reborrow().init_cap_table(1);
            table.get(0).set_sender_hosted(5);
            results.get_content().set_as_capability(only());
        });
        let same = import(&answered.recv_timeout(LONG).unwrap().unwrap());
        assert!(Arc::ptr_eq(&same, &remote));
    }
    assert_eq!(released, 2000);
    drop(remote);
    // The total is the number of references given: once more for the bootstrap.
    let rest = test.peer.read();
    let rest: u32 = rest.strip_prefix("release 5 by ").unwrap().parse().unwrap();
    assert_eq!(released + rest, 2501);
}

#[test]
fn a_promise_stays_what_it_is() {
    use capnp_rpc::rpc_capnp::cap_descriptor::Builder as Descriptor;
    let resolutions: [(fn(Descriptor<'_>), u32); 4] = [
        (|mut cap| cap.set_sender_promise(3), 3),
        (|mut cap| cap.set_sender_hosted(8), 8),
        (|mut cap| cap.set_sender_promise(4), 4),
        (|mut cap| cap.set_receiver_hosted(0), 0),
    ];
    for (resolution, released) in resolutions {
        let mut test = Test::new(Limits::default());
        let remote = test.remote();
        let made = test.call(&remote, MAKE, &[]);
        assert_eq!(test.peer.read(), "call 0 method 2");
        test.peer.answer(0, |answer| {
            let mut results = answer.init_results();
            let table = results.reborrow().init_cap_table(1);
            table.get(0).set_sender_promise(3);
            results.get_content().set_as_capability(only());
        });
        assert_eq!(test.peer.read(), "finish 0");
        let promise = import(&made.recv_timeout(LONG).unwrap().unwrap());
        test.peer.send(|root| {
            let mut resolve = root.init_resolve();
            resolve.set_promise_id(3);
            resolution(resolve.init_cap());
        });
        // The resolution is released, unless it is the promise itself, of which this side holds one
        // more reference now.
        if released > 3 {
            assert_eq!(test.peer.read(), format!("release {released} by 1"));
        }
        // The call goes where the promise was, and its object with it.
        drop(test.call(&promise, ECHO, &[object()]));
        assert_eq!(test.peer.read(), "call 0 method 0");
    }
}

/// Results may hold a promise of the answer to a call of the peer: the caller gets them once that is
/// there.
#[test]
fn results_that_hold_a_promise_of_ours_are_complete_when_it_is_kept() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    for (question, fails) in [(1, false), (2, true)] {
        let pending = test.call(&remote, MAKE, &[]);
        assert_eq!(test.peer.read(), "call 0 method 2");
        test.peer.call(question, WAIT);
        test.until(|test| test.service.waiting() == 1);
        test.peer.answer(0, |answer| {
            let mut results = answer.init_results();
            let table = results.reborrow().init_cap_table(1);
            let mut answer = table.get(0).init_receiver_answer();
            answer.set_question_id(question);
            results.get_content().set_as_capability(only());
        });
        assert_eq!(test.peer.read(), "finish 0");
        assert!(pending.try_recv().is_err());
        match fails {
            false => test.service.answer(),
            true => test.service.drop_calls(),
        }
        let answer = pending.recv_timeout(LONG).unwrap().unwrap();
        match answer.caps() {
            [Some(Cap::Own(_))] => assert!(!fails),
            [Some(Cap::Import(broken))] => {
                assert!(fails && broken.owner().failure().is_some());
            }
            _ => panic!("no object"),
        }
        test.peer.read();
    }
}

/// An object of one connection is exported to another as one that forwards calls, and comes back as
/// itself.
#[test]
fn an_object_of_another_connection_is_called_through_us() {
    let mut child = Test::new(Limits::default());
    let remote = child.remote();
    let mut test = Test::new(Limits::default());
    let client = test.remote();
    let pending = test.call(&client, ECHO, &[Cap::Import(remote.clone())]);
    assert_eq!(test.peer.read(), "call 0 method 0");
    assert_eq!(test.objects(), 2);

    test.peer.call_with(1, WAIT, |call| {
        let mut call = call;
        call.reborrow().init_target().set_imported_cap(1);
        let mut params = call.init_params();
        let mut table = params.reborrow().init_cap_table(2);
        table.reborrow().get(0).set_sender_hosted(60);
        table.get(1).set_receiver_hosted(1);
        let mut list = params
            .get_content()
            .initn_as::<capnp::any_pointer_list::Builder<'_>>(2);
        list.reborrow().get(0).set_as_capability(only());
        list.get(1).set_as_capability(only());
    });
    assert_eq!(child.peer.read(), "call 0 method 1");
    // The client's object, and the child's own back.
    assert_eq!(child.objects(), 2);
    child.peer.answer_object(0, 61);
    assert_eq!(test.peer.read(), "return 1 results [hosted 2]");

    test.peer.answer(0, |answer| {
        let mut results = answer.init_results();
        let table = results.reborrow().init_cap_table(1);
        table.get(0).set_receiver_hosted(1);
        results.get_content().set_as_capability(only());
    });
    let back = import(&pending.recv_timeout(LONG).unwrap().unwrap());
    assert!(Arc::ptr_eq(&back, &remote));

    // When the one connection ends, calls on it through the other fail.
    test.peer.call_with(2, WAIT, |call| {
        call.init_target().set_imported_cap(1);
    });
    let mut read = child.peer.read();
    while !read.starts_with("call") {
        read = child.peer.read();
    }
    drop(child.peer);
    let mut read = test.peer.read();
    while !read.starts_with("return") {
        read = test.peer.read();
    }
    let why = "the peer closed the connection";
    assert_eq!(read, format!("return 2 Disconnected: {INTERRUPTED}: {why}"));
}

/// A peer sees a broken promise as one, as in C++: whatever waits for it learns the reason. It has a
/// number of its own each time it is sent, and is released as an object is.
#[test]
fn a_broken_promise_is_sent_and_broken() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let before = test.objects();
    let broken = Cap::Import(Import::broken(Error::failed("no such thing")));
    drop(test.call(&remote, ECHO, &[broken.clone(), broken]));
    assert_eq!(test.peer.read(), "call 0 method 0");
    let mut promised = Vec::new();
    for _ in 0..2 {
        let read = test.peer.read();
        let words: Vec<&str> = read.splitn(3, ' ').collect();
        assert_eq!((words[0], words[2]), ("resolve", "Failed: no such thing"));
        promised.push(words[1].parse::<u32>().unwrap());
    }
    assert_ne!(promised[0], promised[1]);
    assert_eq!(test.objects(), before + 2);
    // A call on it fails with the reason as well.
    test.peer.call_with(1, ECHO, |mut call| {
        call.reborrow().init_target().set_imported_cap(promised[0]);
    });
    assert_eq!(test.peer.read(), "return 1 Failed: no such thing");
    for id in promised {
        test.peer.send(|root| {
            let mut release = root.init_release();
            release.set_id(id);
            release.set_reference_count(1);
        });
    }
    test.until(|test| test.objects() == before);
}
