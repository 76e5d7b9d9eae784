//! Tips and templates across the connections to a node that stops and starts.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use bitcoin_ipc::client::{Event, Reconnecting, TemplateOptions, Tip};
use bitcoin_ipc::{Client, Error};
use futures::StreamExt;
use futures::executor::block_on;

use crate::mock::{Node, eventually, hash_at, timed};

fn follow(node: &Node) -> Reconnecting {
    Reconnecting::new(Client::builder().address(node.address()))
}

/// The height and the number of blocks that were skipped.
fn shown(tip: &Tip) -> (u32, u32) {
    let height = i32::try_from(tip.height).unwrap();
    assert_eq!(tip.hash.0, hash_at(height));
    (tip.height, tip.skipped)
}

#[test]
fn each_tip_is_told_once_across_connections() {
    timed(|| {
        let mut node = Node::start();
        let following = follow(&node);
        let events = following.events();
        let mut tips = following.tips();
        let mut next = || shown(&tips.next().unwrap().unwrap());
        assert_eq!(next(), (0, 0));
        node.chain.mine(1);
        assert_eq!(next(), (1, 0));
        // What nobody reads is skipped, and counted.
        node.chain.mine(3);
        assert_eq!(next(), (4, 2));

        node.stop();
        node.chain.mine(1);
        eventually("it has ended", || node.clients() == 0);
        node.restart();
        assert_eq!(next(), (5, 0));
        // A tip that was told before is not told again.
        node.stop();
        node.restart();
        node.chain.mine(1);
        assert_eq!(next(), (6, 0));

        following.stop();
        assert!(tips.next().is_none());
        let events: Vec<_> = events.iter().collect();
        assert!(matches!(events[0], Event::Connected(_)), "{events:?}");
        let ended = |event: &Event| matches!(event, Event::Disconnected(_));
        assert!(events.iter().any(ended), "{events:?}");
    });
}

#[test]
fn a_node_that_starts_later_is_waited_for() {
    timed(|| {
        let mut node = Node::start();
        node.stop();
        let following = follow(&node);
        let events = following.events();
        let mut tips = following.tips();
        let first = thread::spawn(move || shown(&tips.next().unwrap().unwrap()));
        let failed = events.recv().unwrap();
        assert!(matches!(&failed, Event::Failed { error, .. } if error.is_no_listener()));
        node.restart();
        assert_eq!(first.join().unwrap(), (0, 0));
    });
}

#[test]
fn what_no_connection_mends_is_told() {
    timed(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plain");
        std::fs::write(&path, "").unwrap();
        let address = format!("unix:{}", path.display()).parse().unwrap();
        let following = Reconnecting::new(Client::builder().address(address));
        let error = following.client().err().unwrap().to_string();
        assert!(error.contains("is not a socket"), "{error}");
        let error = following.tips().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("is not a socket"), "{error}");
    });
}

#[test]
fn a_stop_ends_a_wait_at_once() {
    timed(|| {
        let node = Node::start();
        let following = follow(&node);
        let mut tips = following.tips();
        assert_eq!(shown(&tips.next().unwrap().unwrap()), (0, 0));
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            let last = tips.next();
            ended.send(last.is_none()).unwrap();
        });
        let waits = || node.chain.waits.load(Ordering::SeqCst) == 1;
        eventually("the node waits", waits);
        following.stop();
        assert!(end.recv().unwrap());
        // Otherwise its slice would have come to its end.
        let interrupted = || node.chain.interrupted.load(Ordering::SeqCst) == 1;
        eventually("the wait is interrupted", interrupted);
        eventually("the client is gone", || node.clients() == 0);
        assert!(following.client().is_err());
    });
}

#[test]
fn streams_tell_the_same_and_end_when_they_are_dropped() {
    timed(|| {
        let node = Node::start();
        let following = follow(&node);
        let mut tips = following.tips().into_stream().unwrap();
        let mut next = || shown(&block_on(tips.next()).unwrap().unwrap());
        assert_eq!(next(), (0, 0));
        node.chain.mine(1);
        assert_eq!(next(), (1, 0));
        drop(tips);
        drop(following);
        eventually("the client is gone", || node.clients() == 0);
    });
}

#[test]
fn a_template_is_made_for_each_tip() {
    timed(|| {
        let mut node = Node::start();
        let following = follow(&node);
        let mut templates = following.templates(TemplateOptions::new());
        let mut next = || templates.next().unwrap().unwrap();
        assert_eq!(next().previous().0, hash_at(0));
        node.chain.mine(1);
        assert_eq!(next().previous().0, hash_at(1));
        node.stop();
        node.chain.mine(1);
        node.restart();
        let last = next();
        assert_eq!(last.previous().0, hash_at(2));
        assert_eq!(last.header.len(), 80);
    });
}

/// Both follow over one connection, and one that goes does not take it along.
#[test]
fn several_may_follow_at_once() {
    timed(|| {
        let mut node = Node::start();
        let following = follow(&node);
        let mut tips = following.tips();
        let mut others = following.tips();
        let stream = following.templates(TemplateOptions::new()).into_stream();
        let mut stream = stream.unwrap();
        assert_eq!(shown(&tips.next().unwrap().unwrap()), (0, 0));
        assert_eq!(shown(&others.next().unwrap().unwrap()), (0, 0));
        assert!(block_on(stream.next()).unwrap().is_ok());
        assert_eq!(node.clients(), 1);
        let waiting = thread::spawn(move || shown(&others.next().unwrap().unwrap()));
        drop(stream);
        node.chain.mine(1);
        assert_eq!(shown(&tips.next().unwrap().unwrap()), (1, 0));
        assert_eq!(waiting.join().unwrap(), (1, 0));
        assert_eq!(node.clients(), 1);
        // They go on over one connection as well.
        node.stop();
        node.restart();
        node.chain.mine(1);
        assert_eq!(shown(&tips.next().unwrap().unwrap()), (2, 0));
        assert_eq!(node.clients(), 1);
        following.stop();
        following.stop();
        eventually("the client is gone", || node.clients() == 0);
    });
}

/// Nobody listens, so that all of them pause.
#[test]
fn one_that_goes_while_it_connects_leaves_that_to_the_next() {
    timed(|| {
        let mut node = Node::start();
        node.stop();
        let following = follow(&node);
        let events = following.events();
        let mut stream = following.tips().into_stream().unwrap();
        let first = block_on(futures::future::select(
            stream.next(),
            futures::future::ready(()),
        ));
        assert!(matches!(first, futures::future::Either::Right(_)));
        drop(first);
        assert!(matches!(events.recv().unwrap(), Event::Failed { .. }));
        let mut tips = following.tips();
        let next = thread::spawn(move || shown(&tips.next().unwrap().unwrap()));
        drop(stream);
        node.restart();
        assert_eq!(next.join().unwrap(), (0, 0));
    });
}

#[test]
fn a_stop_ends_an_attempt_to_connect() {
    timed(|| {
        let mut node = Node::start();
        node.stop();
        let following = follow(&node);
        let events = following.events();
        let mut tips = following.tips();
        let next = thread::spawn(move || tips.next().is_none());
        assert!(matches!(events.recv().unwrap(), Event::Failed { .. }));
        following.stop();
        assert!(next.join().unwrap());
        assert!(matches!(following.client(), Err(Error::Cancelled(_))));
        assert!(following.tips().next().is_none());
    });
}
