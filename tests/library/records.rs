//! A channel that changes the bytes on their way, as TLS does: they are in records, which keep bytes
//! back in both directions.
//!
//! Bytes that are sent wait for a flush, or until there are many. Bytes are received record by record, so
//! few of them do not mean that no more are there, although the descriptor may have no event any more.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use bitcoin_ipc::transport::{Acceptor, Stream};

use crate::tcp::Listening;

/// The size of a record's content at most, in bytes.
const RECORD: usize = 1000;
/// The number of bytes that are kept back at most before they are passed on.
const KEPT: usize = 40_000;
const KEY: u8 = 0x5a;

/// A connected stream, which knows nobody.
pub struct Records {
    socket: TcpStream,
    received: Mutex<Received>,
    /// The records that are not passed on.
    kept: Mutex<VecDeque<u8>>,
}

#[derive(Default)]
struct Received {
    raw: VecDeque<u8>,
    /// The rest of a record's content.
    plain: VecDeque<u8>,
}

impl Received {
    /// Opens the next record, if all of it is there.
    fn open(&mut self) {
        let Some((&high, &low)) = self.raw.front().zip(self.raw.get(1)) else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if self.raw.len() >= 2 + length {
            let record = self.raw.drain(..2 + length).skip(2);
            self.plain.extend(record.map(|byte| byte ^ KEY));
        }
    }
}

impl Records {
    pub fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            received: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    fn pass_on(&self, kept: &mut VecDeque<u8>) -> io::Result<()> {
        while !kept.is_empty() {
            let (bytes, _) = kept.as_slices();
            let count = (&self.socket).write(bytes)?;
            kept.drain(..count);
        }
        Ok(())
    }
}

impl AsFd for Records {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream for Records {
    fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut received = self.received.lock().unwrap();
        loop {
            if received.plain.is_empty() {
                received.open();
            }
            if !received.plain.is_empty() {
                let room = buffer.capacity() - buffer.len();
                let count = room.min(received.plain.len());
                buffer.extend(received.plain.drain(..count));
                return Ok(count);
            }
            let mut raw = [0; 4096];
            match (&self.socket).read(&mut raw)? {
                0 => return Ok(0),
                count => received.raw.extend(&raw[..count]),
            }
        }
    }

    fn send(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut kept = self.kept.lock().unwrap();
        if kept.len() >= KEPT {
            self.pass_on(&mut kept)?;
        }
        let all = bytes.iter().flat_map(|slice| slice.iter());
        let content: Vec<u8> = all.copied().take(RECORD).collect();
        kept.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        kept.extend(content.iter().map(|byte| byte ^ KEY));
        Ok(content.len())
    }

    fn flush(&self) -> io::Result<()> {
        self.pass_on(&mut self.kept.lock().unwrap())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    fn shut_down(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Both)
    }
}

/// An acceptor of such streams.
pub struct RecordsAcceptor(pub Listening);

impl AsFd for RecordsAcceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Acceptor for RecordsAcceptor {
    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        let (socket, _) = self.0.0.accept()?;
        Ok(Records::new(socket).into())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

/// Tests over such a channel would show nothing if it kept nothing back.
#[test]
fn records_keep_bytes_back_in_both_directions() {
    let listening = Listening::new();
    let ours = Records::new(TcpStream::connect(listening.address()).unwrap());
    let theirs = RecordsAcceptor(listening).accept().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let sent = [IoSlice::new(&[1; 600]), IoSlice::new(&[2; 600])];
    assert_eq!(ours.send(&sent).unwrap(), RECORD);
    let mut buffer = Vec::with_capacity(64 * 1024);
    let nothing = theirs.receive(&mut buffer).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    assert_eq!(ours.send(&sent).unwrap(), RECORD);
    ours.flush().unwrap();
    theirs.set_nonblocking(false).unwrap();
    for _ in 0..2 {
        buffer.clear();
        assert_eq!(theirs.receive(&mut buffer).unwrap(), RECORD);
        assert_eq!(buffer, [[1; 600].as_slice(), &[2; 400]].concat());
    }
}
