//! The end of connections.

use std::net::Shutdown;
use std::time::Instant;

use super::*;

#[test]
fn a_half_closed_peer_that_does_not_read_is_let_go() {
    let limits = Limits::default().flush_time(Duration::from_millis(100));
    let mut test = Test::new(limits);
    for question in 1..50 {
        test.peer.call(question, LARGE);
    }
    test.until(|test| test.link.queued_bytes() > 0);
    let start = Instant::now();
    test.peer.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(test.closed(), CloseReason::PeerClosed);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_clean_shutdown_writes_what_is_queued() {
    let mut test = Test::new(Limits::default());
    for question in 1..50 {
        test.peer.call(question, LARGE);
    }
    test.until(|test| test.link.queued_bytes() > 2_000_000);
    test.link.end(CloseReason::Local("enough".into()));
    // Each answer, or those before the end, and then the Abort.
    for question in 1..=50 {
        let read = test.peer.read();
        if read.starts_with("abort") {
            assert!(question > 20, "{question}");
            assert_eq!(read, "abort Disconnected: enough");
            break;
        }
        assert_eq!(
            read,
            format!("return {question} results [hosted {question}]")
        );
    }
    assert_eq!(test.peer.read(), "end");
    assert_eq!(test.closed(), CloseReason::Local("enough".into()));
}

#[test]
fn a_close_does_not_write() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let pending = test.call(&remote, WAIT, &[]);
    assert_eq!(test.peer.read(), "call 0 method 1");
    test.link
        .kill(CloseReason::Timeout("the child is gone".into()));
    assert!(matches!(test.closed(), CloseReason::Timeout(_)));
    assert_eq!(test.peer.read(), "end");
    let error = pending.recv_timeout(LONG).unwrap().err().unwrap();
    assert!(error.is_disconnected());
}

/// Objects that the connection held are dropped before [`Lifecycle::closed`] runs.
#[test]
fn objects_go_with_their_connection() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let ours = Arc::<Service>::default();
    drop(test.call(&remote, ECHO, &[Cap::Own(ours.clone())]));
    test.peer.call(1, WAIT);
    test.until(|test| test.service.waiting() == 1);
    assert_eq!(Arc::strong_count(&ours), 3);
    drop(test.peer);
    assert_eq!(test.over.recv_timeout(LONG), Ok(CloseReason::PeerClosed));
    assert_eq!(Arc::strong_count(&ours), 1);
    // Answering it has no effect.
    test.service.answer();
    assert_eq!(test.account.used(Resource::Bytes), 0);
}

#[test]
fn the_peers_last_word_is_the_reason() {
    let mut test = Test::new(Limits::default());
    test.peer.send(|root| {
        let mut abort = root.init_abort();
        abort.set_type(exception::Type::Failed);
        abort.set_reason("no more");
    });
    assert_eq!(test.closed(), CloseReason::Aborted("no more".into()));
}

#[test]
fn garbage_closes_with_a_word_to_the_peer() {
    let mut test = Test::new(Limits::default());
    test.peer
        .stream
        .write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    let text = "a pointer of an unknown kind";
    assert_eq!(test.peer.read(), format!("abort Failed: {text}"));
    assert_eq!(test.peer.read(), "end");
    test.violation(text);
}

#[test]
fn a_stream_that_ends_inside_a_message_is_no_clean_end() {
    let mut test = Test::new(Limits::default());
    test.peer
        .stream
        .write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 7])
        .unwrap();
    test.peer.stream.shutdown(Shutdown::Write).unwrap();
    match test.closed() {
        CloseReason::Io(text) => assert!(text.contains("after 1 of 8 bytes"), "{text}"),
        reason => panic!("{reason:?}"),
    }
}

/// Long enough for a peer that is not slow.
const LIMIT: Duration = Duration::from_millis(500);

#[test]
fn a_slow_message_ends_the_connection_and_silence_does_not() {
    let limits = Limits::default().frame_time(LIMIT).handshake_time(LIMIT);
    for length in [1, 9] {
        let mut test = Test::new(limits.clone());
        // One that has never said anything ends meanwhile.
        let silent = Test::silent(limits.clone());
        assert!(matches!(silent.closed(), CloseReason::Timeout(_)));
        test.peer.call(1, ECHO);
        assert_eq!(test.peer.read(), "return 1 results []");
        let start = Instant::now();
        let part = &[0, 0, 0, 0, 1, 0, 0, 0, 0][..length];
        test.peer.stream.write_all(part).unwrap();
        assert!(matches!(test.closed(), CloseReason::Timeout(_)));
        assert!(start.elapsed() >= LIMIT);
    }
}

#[test]
fn an_incoming_connection_that_stays_silent_is_closed() {
    let limits = Limits::default().handshake_time(Duration::from_millis(50));
    let test = Test::silent(limits);
    assert!(matches!(test.closed(), CloseReason::Timeout(_)));
}

/// A write fails because the peer is gone: messages that it had sent before are still answered, or at
/// least read.
#[test]
fn what_the_peer_sent_before_it_closed_is_still_read() {
    let mut test = Test::new(Limits::default());
    let remote = test.remote();
    let pending = test.call(&remote, WAIT, &[]);
    assert_eq!(test.peer.read(), "call 0 method 1");
    test.peer.answer_nothing(0);
    drop(test.peer);
    // The answer may have been read before the end was known, or with it.
    pending.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(test.over.recv_timeout(LONG), Ok(CloseReason::PeerClosed));
}
