//! One connection of a client.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bitcoin_ipc::client::Wait;
use bitcoin_ipc::interfaces::mining::BlockCreateOptions;
use bitcoin_ipc::{Address, BlockHash, CallOptions, CancelToken, Client, Error, Generation};
use futures::executor::block_on;

use crate::mock::{Node, eventually, hash_at, timed};

#[test]
fn it_offers_what_the_node_has() {
    timed(|| {
        let node = Node::start();
        let client = Client::connect(&node.address()).unwrap();
        assert_eq!(client.generation().unwrap(), Generation::Core32);
        assert_eq!(
            client.mining().unwrap().get_tip().unwrap().unwrap().height,
            0
        );
        assert_eq!(
            block_on(client.mining_async())
                .unwrap()
                .get_tip()
                .unwrap()
                .unwrap()
                .height,
            0
        );
        let error = client.echo().err().unwrap();
        assert!(error.is_unimplemented(), "{error}");

        // A clone is of the same connection.
        let clone = client.clone();
        drop(client);
        assert!(clone.is_connected());
        assert_eq!(node.clients(), 1);
        drop(clone);
        eventually("the client is gone", || node.clients() == 0);
    });
}

#[test]
fn the_end_of_the_connection_is_told_with_its_reason() {
    timed(|| {
        let mut node = Node::start();
        let client = block_on(Client::builder().address(node.address()).connect_async()).unwrap();
        let end = client.disconnected().unwrap();
        assert!(!end.wait(Some(Duration::from_millis(20))));
        assert!(end.reason().is_none());
        let ended = client.disconnected().unwrap();
        let waiting = thread::spawn(move || block_on(ended).to_string());
        node.stop();
        let reason = waiting.join().unwrap();
        assert_eq!(reason, "the peer closed the connection");
        assert!(end.wait(None));
        assert_eq!(end.reason().unwrap().to_string(), reason);
        assert!(!client.is_connected());

        node.restart();
        let client = Client::connect(&node.address()).unwrap();
        let end = client.disconnected().unwrap();
        client.disconnect();
        let reason = block_on(end).to_string();
        assert_eq!(reason, "this process ended the connection: disconnected");
    });
}

/// Futures of the end that are dropped leave nothing behind, and keep nobody else from hearing of it.
#[test]
fn an_end_may_be_waited_for_many_times() {
    timed(|| {
        let node = Node::start();
        let client = Client::connect(&node.address()).unwrap();
        for _ in 0..100 {
            let end = client.disconnected().unwrap();
            let other = client.disconnected().unwrap();
            let first = futures::future::select(end, futures::future::ready(()));
            assert!(matches!(block_on(first), futures::future::Either::Right(_)));
            drop(other);
        }
        let ends: Vec<_> = (0..10).map(|_| client.disconnected().unwrap()).collect();
        let waiting = thread::spawn(move || block_on(futures::future::join_all(ends)).len());
        client.disconnect();
        assert_eq!(waiting.join().unwrap(), 10);
    });
}

#[test]
fn a_missing_node_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Client::builder().data_dir(directory.path());
    let error = builder.connect().err().unwrap();
    assert!(error.is_no_listener() && error.is_retryable(), "{error}");
    let error = block_on(builder.clone().address(Address::Auto).connect_async());
    assert!(error.err().unwrap().is_no_listener());
    let error = builder.address(Address::Off).connect().err().unwrap();
    assert!(matches!(error, Error::Usage(_)) && !error.is_retryable());
}

#[test]
fn a_stream_of_ones_own_is_a_connection() {
    timed(|| {
        let node = Node::start();
        let Address::Unix(Some(path)) = node.address() else {
            panic!("no path");
        };
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let client = Client::builder()
            .name("mine")
            .connect_stream(stream)
            .unwrap();
        let tip = client.mining().unwrap().get_tip().unwrap();
        assert_eq!(tip, Some(node.chain.tip()));
    });
}

#[test]
fn a_wait_has_its_outcome() {
    timed(|| {
        let node = Node::start();
        let mining = Client::connect(&node.address()).unwrap().mining().unwrap();
        let known = BlockHash(hash_at(0));
        let limit = Duration::from_millis(50);
        assert_eq!(
            Wait::for_tip(&*mining, known, limit).unwrap(),
            Wait::TimedOut
        );
        node.chain.mine(2);
        match Wait::for_tip(&*mining, known, limit).unwrap() {
            Wait::Changed(tip) => assert_eq!((tip.height, tip.hash.0), (2, hash_at(2))),
            other => panic!("{other:?}"),
        }
    });
}

/// A `createNewBlock` that waited in the node itself would have no limit there, and an interrupt ends only
/// one of several.
#[test]
fn the_end_of_the_download_is_waited_for_without_a_template_under_way() {
    timed(|| {
        let node = Node::start();
        let chain = node.chain.clone();
        chain.downloads.store(true, Ordering::SeqCst);
        let waits = |count| {
            let waits = || chain.waits.load(Ordering::SeqCst) == count;
            eventually("the waits", waits);
        };
        let mining = Client::connect(&node.address()).unwrap().mining().unwrap();
        let options = BlockCreateOptions::default();
        let create = || mining.create_new_block(&options, true);
        let created = || mining.create_new_block_async(&options, true);

        // Given up by each way there is, none stays.
        let limit = CallOptions::new().timeout(Duration::from_millis(50));
        assert!(matches!(
            limit.clone().run(create),
            Err(Error::Timeout { .. })
        ));
        let late = block_on(limit.run(created));
        assert!(matches!(late, Err(Error::Timeout { .. })));
        let token = CancelToken::new();
        let options = CallOptions::new().cancel(&token);
        thread::scope(|scope| {
            let calls = [
                scope.spawn(|| options.clone().run(create)),
                scope.spawn(|| block_on(options.clone().run(created))),
            ];
            waits(2);
            token.cancel();
            for call in calls {
                let cancelled = call.join().unwrap();
                assert!(matches!(cancelled, Err(Error::Cancelled(_))));
            }
        });
        waits(0);
        assert_eq!(chain.templates.load(Ordering::SeqCst), 0);

        // An interrupt ends one, and the end of the download the other.
        thread::scope(|scope| {
            let interrupted = scope.spawn(create);
            waits(1);
            mining.interrupt().unwrap();
            assert!(interrupted.join().unwrap().unwrap().is_none());
            let calls = [scope.spawn(create), scope.spawn(|| block_on(created()))];
            waits(2);
            chain.downloads.store(false, Ordering::SeqCst);
            node.chain.mine(1);
            for call in calls {
                assert!(call.join().unwrap().unwrap().is_some());
            }
        });
        assert_eq!(chain.templates.load(Ordering::SeqCst), 2);
    });
}
