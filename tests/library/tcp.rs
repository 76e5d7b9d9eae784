//! TCP as the channel, as a program that uses the library would bring it: one file, with no word of what
//! is said over it.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use bitcoin_ipc::transport::{Acceptor, Peer, Stream, socket};

/// A connected stream.
pub struct Tcp(pub TcpStream);

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Stream for Tcp {
    fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        socket::receive(self, buffer)
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn send(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::send(self, bytes)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        // A message is complete when it is sent: nothing follows that it could wait for.
        self.0.set_nodelay(true)?;
        socket::set_nonblocking(self, nonblocking)
    }

    fn shut_down(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Both)
    }

    fn peer(&self) -> Peer {
        match self.0.peer_addr() {
            Ok(address) => Peer::Named(address.ip().to_string().into()),
            Err(_) => Peer::Unknown,
        }
    }
}

/// A listener at a free port of this machine.
pub struct Listening(pub TcpListener);

impl Listening {
    pub fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Acceptor for Listening {
    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = self.0.accept()?;
        Ok(Tcp(stream).into())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

/// Connects as a host with the address 127.0.0.`host`, of which Linux has all.
#[cfg(target_os = "linux")]
pub fn connect_as(host: u8, to: SocketAddr) -> Tcp {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let from = std::net::SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0);
    bind(&socket, &from).unwrap();
    connect(&socket, &to).unwrap();
    Tcp(socket.into())
}
