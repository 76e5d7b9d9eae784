//! The messages of a connection that an observer sees.

use super::super::envelope::{Outcome, Target};
use super::*;

/// An observer that keeps the messages that it sees.
#[derive(Default)]
struct Keeps(Mutex<Vec<(Direction, Envelope, usize)>>);

impl Observer for Keeps {
    fn message(&self, seen: &Seen<'_>) {
        let words = seen.segments.iter().map(|segment| segment.len() / 8).sum();
        lock(&self.0).push((seen.direction, seen.envelope.clone(), words));
    }
}

#[test]
fn every_message_is_seen_in_its_order() {
    let event_loop = EventLoop::new("test").unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (limits, (over, ended)) = (Limits::default(), mpsc::channel());
    let ends = Arc::new(Ends {
        reason: Mutex::default(),
        over,
    });
    let account = Accounts::new(&limits).of(crate::peer::Peer::Unknown);
    let (service, keeps) = (Arc::<Service>::default(), Arc::<Keeps>::default());
    let seen = Some(keeps.clone() as Arc<dyn Observer>);
    let link = Link::new(
        &event_loop,
        limits,
        account,
        ours.into(),
        Some(service),
        ends,
        seen,
    );
    link.start(true).unwrap();

    let mut peer = Peer::new(theirs);
    peer.bootstrap(0);
    assert_eq!(peer.read(), "return 0 results [hosted 0]");
    peer.call(1, ECHO);
    assert_eq!(peer.read(), "return 1 results []");
    peer.call(2, 99);
    assert!(peer.read().starts_with("return 2 Unimplemented"));
    peer.finish(2);
    drop(peer);
    assert_eq!(ended.recv_timeout(LONG), Ok(CloseReason::PeerClosed));

    let call = |question, method| Envelope::Call {
        question,
        target: Target::Import(0),
        interface: INTERFACE,
        method,
        capabilities: 0,
    };
    let answer = |answer, outcome| Envelope::Return { answer, outcome };
    let no_such_method = Outcome::Exception("no such method".into());
    let expected = [
        (Direction::Received, Envelope::Bootstrap { question: 0 }),
        (Direction::Sent, answer(0, Outcome::Results(1))),
        (Direction::Received, call(1, ECHO)),
        (Direction::Sent, answer(1, Outcome::Results(0))),
        (Direction::Received, call(2, 99)),
        (Direction::Sent, answer(2, no_such_method)),
        (
            Direction::Received,
            Envelope::Finish {
                question: 2,
                release: true,
            },
        ),
    ];
    let seen = lock(&keeps.0);
    let told: Vec<_> = seen.iter().map(|seen| (seen.0, seen.1.clone())).collect();
    assert_eq!(told, expected);
    assert!(seen.iter().all(|seen| seen.2 > 1), "each has its words");
}
