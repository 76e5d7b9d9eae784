//! Calls over channels of any kind, of which the library has one and the tests bring the others.

use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::transport::{Acceptor, Peer, Stream};
use bitcoin_ipc::{Ipc, Limits, Listener, Relay};

use crate::foo::interfaces::foo::*;
use crate::records::{Records, RecordsAcceptor};
use crate::support::{Foo, eventually, timed};
use crate::tcp::{Listening, Tcp};

/// A channel of one kind: an acceptor, and a function that connects to it.
pub struct Channel {
    pub kind: &'static str,
    pub acceptor: Box<dyn Acceptor>,
    pub connect: Connect,
}

pub type Connect = Box<dyn Fn() -> Box<dyn Stream> + Send + Sync>;

pub fn unix() -> Channel {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    Channel {
        kind: "unix",
        acceptor: UnixListener::bind(&path).unwrap().into(),
        connect: Box::new(move || {
            UnixStream::connect(directory.path().join("s"))
                .unwrap()
                .into()
        }),
    }
}

pub fn tcp() -> Channel {
    let listening = Listening::new();
    let address = listening.address();
    Channel {
        kind: "tcp",
        acceptor: listening.into(),
        connect: Box::new(move || Tcp(TcpStream::connect(address).unwrap()).into()),
    }
}

pub fn records() -> Channel {
    let listening = Listening::new();
    let address = listening.address();
    Channel {
        kind: "records",
        acceptor: RecordsAcceptor(listening).into(),
        connect: Box::new(move || Records::new(TcpStream::connect(address).unwrap()).into()),
    }
}

pub fn channels() -> [Channel; 3] {
    [unix(), tcp(), records()]
}

/// A server, and what its clients need.
struct Serving {
    foo: Arc<Foo>,
    server: Ipc<dyn FooInterface>,
    listener: Listener,
    clients: Ipc<dyn FooInterface>,
    connect: Connect,
}

impl Serving {
    fn new(channel: Channel, limits: Limits) -> Self {
        eprintln!("over {}", channel.kind);
        let foo = Arc::<Foo>::default();
        let init: Arc<dyn FooInterface> = foo.clone();
        let server = Ipc::with_limits("mptest-server", init, limits).unwrap();
        let nothing: Arc<dyn FooInterface> = Arc::<Foo>::default();
        // Longer than any end should take.
        let limits = Limits::default().flush_time(Duration::from_secs(10));
        Self {
            foo,
            listener: server.listen_on(channel.acceptor).unwrap(),
            server,
            clients: Ipc::with_limits("mptest", nothing, limits).unwrap(),
            connect: channel.connect,
        }
    }

    fn client(&self) -> Arc<dyn FooInterface> {
        self.clients.connect_stream((self.connect)()).unwrap()
    }
}

#[test]
fn calls_and_callbacks_pass_over_any_channel() {
    timed(|| {
        for channel in channels() {
            let serving = Serving::new(channel, Limits::default());
            let foo = serving.client();
            assert_eq!(foo.add(1, 2).unwrap(), 3);
            let inner = foo.clone();
            let callback: Arc<dyn FooCallback> = Arc::new(move |x| inner.add(x, 1));
            assert_eq!(foo.callback(Some(callback), 5).unwrap(), 6);
            let calls: Vec<_> = (0..100).map(|n| foo.add_async(n, n)).collect();
            let sums = futures::executor::block_on(futures::future::join_all(calls));
            let sums: Vec<_> = sums.into_iter().map(Result::unwrap).collect();
            assert_eq!(sums, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
            assert_eq!(serving.server.incoming(), 1);
            assert_eq!(serving.listener.path(), None);
            drop((foo, serving.foo));
            eventually("the connection ends", || serving.server.incoming() == 0);
        }
    });
}

/// More than any channel has room for at once, in messages of all sizes from several threads.
#[test]
fn what_a_channel_has_no_room_for_waits_for_it() {
    timed(|| {
        for channel in channels() {
            let serving = Serving::new(channel, Limits::default());
            let foo = serving.client();
            let large: Vec<u8> = (0..8 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
            thread::scope(|scope| {
                scope.spawn(|| assert!(foo.pass_data(&large).unwrap() == large));
                for size in [10, 999, 1000, 40_000, 100_000] {
                    let (foo, data) = (&foo, &large[..size]);
                    scope.spawn(move || {
                        for _ in 0..20 {
                            assert!(foo.pass_data(data).unwrap() == data);
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn the_end_of_any_channel_fails_what_waits_for_an_answer() {
    timed(|| {
        for channel in channels() {
            let serving = Serving::new(channel, Limits::default());
            let (begun, begins) = mpsc::channel();
            let begun = Mutex::new(begun);
            let (release, released) = mpsc::channel::<()>();
            let released = Mutex::new(released);
            serving.foo.set_fn(move || {
                begun.lock().unwrap().send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            });
            for client_ends in [false, true] {
                let foo = serving.client();
                let calling = thread::spawn({
                    let foo = foo.clone();
                    move || foo.call_fn_async_()
                });
                begins.recv().unwrap();
                let start = Instant::now();
                match client_ends {
                    true => foo.remote().unwrap().disconnect(),
                    false => serving.server.disconnect_incoming(),
                }
                assert!(calling.join().unwrap().unwrap_err().is_disconnected());
                assert!(start.elapsed() < Duration::from_secs(5));
                eventually("both ends know", || serving.server.incoming() == 0);
                release.send(()).unwrap();
            }
        }
    });
}

#[test]
fn limits_hold_on_any_channel() {
    timed(|| {
        for channel in channels() {
            let limits = Limits::default()
                .message_bytes(1 << 20)
                .handshake_time(Duration::from_secs(1));
            let serving = Serving::new(channel, limits);
            let (foo, other) = (serving.client(), serving.client());
            let start = Instant::now();
            let too_large = foo.pass_data(&[1; 2 << 20]);
            assert!(too_large.unwrap_err().is_disconnected());
            assert!(start.elapsed() < Duration::from_secs(5));
            assert_eq!(other.add(1, 2).unwrap(), 3);
            // A peer that says nothing is not waited for.
            let silent = (serving.connect)();
            silent.set_nonblocking(false).unwrap();
            // The first bytes tell it why.
            let mut told = Vec::with_capacity(1000);
            while silent.receive(&mut told).is_ok_and(|count| count > 0) {}
            let told = String::from_utf8_lossy(&told);
            assert!(told.contains("no complete message within"), "{told}");
        }
    });
}

/// Hosts are told apart by what the channel tells of them, and each has its share.
#[cfg(target_os = "linux")]
#[test]
fn connections_are_charged_to_the_peer_that_the_channel_names() {
    use crate::tcp::connect_as;
    timed(|| {
        let listening = Listening::new();
        let address = listening.address();
        let channel = Channel {
            kind: "tcp",
            acceptor: listening.into(),
            connect: Box::new(move || connect_as(1, address).into()),
        };
        let serving = Serving::new(channel, Limits::default().connections(20));
        let first: Vec<_> = (0..16).map(|_| serving.client()).collect();
        let refused = serving.clients.connect_stream((serving.connect)());
        let refused = refused.err().unwrap().to_string();
        let expected = "127.0.0.1 would hold 17 connections here, beyond its share of 20";
        assert!(refused.contains(expected), "{refused}");
        let other = serving.clients.connect_stream(connect_as(2, address));
        assert_eq!(other.unwrap().add(1, 2).unwrap(), 3);
        assert_eq!(first[0].add(1, 2).unwrap(), 3);
    });
}

/// Those of which a channel tells nothing are as one.
#[test]
fn peers_of_which_nothing_is_told_share_one_account() {
    timed(|| {
        let serving = Serving::new(records(), Limits::default().connections(20));
        assert_eq!((serving.connect)().peer(), Peer::Unknown);
        let first: Vec<_> = (0..16).map(|_| serving.client()).collect();
        let refused = serving.clients.connect_stream((serving.connect)());
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("would hold 17 connections"), "{refused}");
        drop(first);
        eventually("the connections end", || serving.server.incoming() == 0);
        assert_eq!(serving.client().add(1, 2).unwrap(), 3);
    });
}

/// Tells when it is dropped.
struct Dropped(Box<dyn Acceptor>, Arc<AtomicUsize>);

impl std::os::fd::AsFd for Dropped {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Acceptor for Dropped {
    fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        self.0.accept()
    }

    fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_acceptor_is_dropped_with_its_listener_and_connections_go_on() {
    timed(|| {
        for channel in channels() {
            let drops = Arc::new(AtomicUsize::new(0));
            let acceptor = Dropped(channel.acceptor, drops.clone()).into();
            let serving = Serving::new(
                Channel {
                    acceptor,
                    ..channel
                },
                Limits::default(),
            );
            let foo = serving.client();
            // While the loop is at work on others that connect.
            let late: Vec<_> = (0..10).map(|_| (serving.connect)()).collect();
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            drop(serving.listener);
            assert_eq!(drops.load(Ordering::SeqCst), 1);
            assert_eq!(foo.add(1, 2).unwrap(), 3);
            drop(late);
        }
    });
}

#[test]
fn a_relay_has_channels_of_any_kind_on_both_sides() {
    timed(|| {
        for (to_peer, to_clients) in [(tcp(), unix()), (unix(), tcp()), (records(), records())] {
            let serving = Serving::new(to_peer, Limits::default());
            let stream = (serving.connect)();
            let relay = Relay::start_on(stream, to_clients.acceptor, Limits::default()).unwrap();
            assert!(relay.wait_ready(Duration::from_secs(10)).unwrap());
            let client = serving.clients.connect_stream((to_clients.connect)());
            let foo = client.unwrap();
            let callback: Arc<dyn FooCallback> = Arc::new(|x| Ok(x + 1));
            assert_eq!(foo.callback(Some(callback), 5).unwrap(), 6);
        }
    });
}
