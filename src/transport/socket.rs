//! The calls of the operating system that a stream on a socket of any family consists of.
//!
//! Knows descriptors and bytes; nothing of who is at the other end. For whoever implements
//! [`Stream`](super::Stream): the standard library has no way to receive into memory without clearing
//! it first, and none to promise that no signal is raised.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

/// The flags of a send that raises no SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
const QUIET: SendFlags = SendFlags::NOSIGNAL;
/// Apple's systems have an option of the socket instead, which [`set_nonblocking`] sets.
#[cfg(target_vendor = "apple")]
const QUIET: SendFlags = SendFlags::empty();

/// Appends bytes that have arrived to `buffer`, no more than it has capacity for, and returns their
/// number: 0 where the peer has ended its direction.
///
/// # Errors
/// Returns the error of the operating system.
pub fn receive(socket: impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let (_, count) = rustix::net::recv(socket, spare_capacity(buffer), RecvFlags::empty())?;
    Ok(count)
}

/// Sends as many bytes of these slices as there is room for, and returns their number. A peer that no
/// longer receives is an error and never a signal.
///
/// # Errors
/// Returns the error of the operating system.
pub fn send(socket: impl AsFd, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
    let sent = match bytes {
        [bytes] => rustix::net::send(socket, bytes, QUIET),
        _ => rustix::net::sendmsg(socket, bytes, &mut SendAncillaryBuffer::default(), QUIET),
    };
    Ok(sent?)
}

/// Has calls on a socket return at once instead of waiting, or no longer.
///
/// # Errors
/// Returns the error of the operating system.
pub fn set_nonblocking(socket: impl AsFd, nonblocking: bool) -> io::Result<()> {
    // It fails where the peer has gone, of which the calls then tell.
    #[cfg(target_vendor = "apple")]
    let _ = rustix::net::sockopt::set_socket_nosigpipe(&socket, true);
    Ok(rustix::io::ioctl_fionbio(socket, nonblocking)?)
}
