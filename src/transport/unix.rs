//! Unix sockets as the channel.
//!
//! Knows sockets and their peers' credentials; nothing of addresses, which `connect` and `listener`
//! know.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};

use super::socket;
use super::stream::{Acceptor, Stream};
#[cfg(target_os = "linux")]
use crate::peer::{Credentials, Peer};

impl Stream for UnixStream {
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
        socket::set_nonblocking(self, nonblocking)
    }

    fn set_send_room(&self, bytes: usize) {
        // The system may give less.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(self, bytes);
    }

    fn shut_down(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }

    /// Returns the process at the other end, where the system tells (Linux does).
    #[cfg(target_os = "linux")]
    fn peer(&self) -> Peer {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        // rustix reads the pid as one that cannot be 0, which it is from another pid namespace.
        match getsockopt(self, PeerCredentials) {
            // An inherited socket of another family has nobody's credentials.
            Ok(peer) if peer.uid() != NOBODY => Peer::Process(Credentials {
                pid: u32::try_from(peer.pid()).ok().filter(|&pid| pid != 0),
                uid: peer.uid(),
                gid: peer.gid(),
            }),
            _ => Peer::Unknown,
        }
    }
}

/// The user id that the kernel gives where there is none: -1.
#[cfg(target_os = "linux")]
const NOBODY: u32 = u32::MAX;

impl Acceptor for UnixListener {
    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = self.accept()?;
        Ok(stream.into())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.set_nonblocking(nonblocking)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_read_takes_what_has_arrived_and_no_more_than_there_is_capacity_for() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        Stream::set_nonblocking(&stream, true).unwrap();
        let mut buffer = Vec::with_capacity(8);
        buffer.extend(b"kept");
        let room = buffer.capacity() - buffer.len();
        let nothing = stream.receive(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(&[b'x'; 100]).unwrap();
        assert_eq!(stream.receive(&mut buffer).unwrap(), room);
        assert_eq!(buffer, [b"kept", &vec![b'x'; room][..]].concat());
        let mut rest = Vec::with_capacity(200);
        assert_eq!(stream.receive(&mut rest).unwrap(), 100 - room);
        drop(peer);
        assert_eq!(stream.receive(&mut rest).unwrap(), 0);
    }

    /// The handler of a signal is the whole process's, so this has one of its own.
    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let name = "transport::unix::tests::a_peer_that_is_gone_is_an_error_and_no_signal";
        if !crate::process::tests::in_own_process(name) {
            return;
        }
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, raised.clone()).unwrap();
        let (stream, mut peer) = UnixStream::pair().unwrap();
        Stream::set_nonblocking(&stream, true).unwrap();
        let bytes = [IoSlice::new(b"a"), IoSlice::new(b"b")];
        assert_eq!(stream.send(&bytes).unwrap(), 2);
        let mut both = [0; 2];
        peer.read_exact(&mut both).unwrap();
        assert_eq!(&both, b"ab");
        drop(peer);
        for count in [1, 2] {
            let error = stream.send(&bytes[..count]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        assert!(!raised.load(Ordering::SeqCst));
        // A pipe has no such promise, which shows that the signal would be seen.
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        writer.write_all(b"a").unwrap_err();
        assert!(raised.load(Ordering::SeqCst));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_processes_and_nothing_of_hosts() {
        let (stream, _peer) = UnixStream::pair().unwrap();
        let peer = stream.peer();
        let credentials = peer.credentials().unwrap();
        assert_eq!(credentials.pid, Some(std::process::id()));
        assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // As `inherited_stream` takes it.
        let inherited = UnixStream::from(OwnedFd::from(stream));
        assert_eq!(inherited.peer(), Peer::Unknown);
    }
}
