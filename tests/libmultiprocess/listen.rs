//! A listening server's connections, of `listen_tests.cpp`.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, mpsc};

use bitcoin_ipc::Limits;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;

use crate::LONG;
use crate::foo::interfaces::foo::FooInterface;
use crate::support::{Foo, eventually, timed};

/// A listening server, and clients of it.
struct ListenSetup {
    protocol: Capnp,
    clients: Capnp,
    path: std::path::PathBuf,
    _listening: bitcoin_ipc::protocol::Listening,
    _dir: tempfile::TempDir,
}

impl ListenSetup {
    fn new(connections: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("listen.sock");
        let protocol =
            Capnp::new("mptest-server", Limits::default().connections(connections)).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        let foo: Arc<dyn FooInterface> = Arc::new(Foo::default());
        Self {
            _listening: protocol.listen(listener.into(), foo).unwrap(),
            clients: Capnp::new("mptest", Limits::default()).unwrap(),
            protocol,
            path,
            _dir: dir,
        }
    }

    fn client(&self) -> Arc<dyn FooInterface> {
        let stream = UnixStream::connect(&self.path).unwrap();
        self.clients.connect(stream.into()).unwrap()
    }

    /// A client that may have to wait until it is served.
    fn client_later(&self) -> mpsc::Receiver<Arc<dyn FooInterface>> {
        let stream = UnixStream::connect(&self.path).unwrap();
        let clients = Capnp::new("mptest", Limits::default()).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(clients.connect(stream.into()).unwrap()));
        receiver
    }

    fn connected(&self) -> usize {
        Protocol::<dyn FooInterface>::incoming(&self.protocol)
    }
}

#[test]
fn listen_connections_accepts_incoming_connections() {
    timed(|| {
        let server = ListenSetup::new(100);
        assert_eq!(server.connected(), 0);
        let client = server.client();
        assert_eq!(client.add(1, 2).unwrap(), 3);
        assert_eq!(server.connected(), 1);
        drop(client);
        eventually("the connection ends", || server.connected() == 0);
    });
}

#[test]
fn listen_connections_enforces_a_local_connection_limit() {
    timed(|| {
        let server = ListenSetup::new(1);
        let first = server.client();
        assert_eq!(first.add(1, 2).unwrap(), 3);
        let second = server.client_later();
        // It would have been accepted meanwhile.
        (0..100).for_each(|n| assert_eq!(first.add(n, 2).unwrap(), n + 2));
        assert!(second.try_recv().is_err());
        assert_eq!(server.connected(), 1);
        drop(first);
        let second = second.recv_timeout(LONG).unwrap();
        assert_eq!(second.add(2, 3).unwrap(), 5);
        drop(second);
        eventually("the connection ends", || server.connected() == 0);
        assert_eq!(server.client().add(3, 4).unwrap(), 7);
    });
}

#[test]
fn listen_connections_accepts_multiple_connections() {
    timed(|| {
        let server = ListenSetup::new(2);
        let first = server.client();
        let second = server.client();
        assert_eq!(first.add(1, 2).unwrap(), 3);
        assert_eq!(second.add(2, 3).unwrap(), 5);
        let third = server.client_later();
        (0..100).for_each(|n| assert_eq!(second.add(n, 2).unwrap(), n + 2));
        assert!(third.try_recv().is_err());
        assert_eq!(server.connected(), 2);
        drop(first);
        let third = third.recv_timeout(LONG).unwrap();
        assert_eq!(third.add(3, 4).unwrap(), 7);
    });
}

#[test]
fn listen_connections_handles_a_client_that_disconnects_before_being_accepted() {
    timed(|| {
        let server = ListenSetup::new(1);
        // Whether it is accepted before it is closed is a race; it holds no place afterwards.
        drop(UnixStream::connect(&server.path).unwrap());
        let client = server.client();
        assert_eq!(client.add(1, 2).unwrap(), 3);
        assert_eq!(server.connected(), 1);
        drop(client);
        eventually("the connections end", || server.connected() == 0);
    });
}
