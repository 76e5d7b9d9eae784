//! What the event loop needs of the operating system, asynchronously: connected streams,
//! listening sockets and timers.
//!
//! Knows tokio, and is the one file that does; nothing of messages or connections. Everything here
//! is made and used on the event loop's thread, inside [`block_on`].

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;
pub use tokio::time::{sleep, timeout};

/// A thread's runtime.
pub struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// One that runs on the thread that calls [`Runtime::block_on`].
    ///
    /// # Errors
    /// What the operating system says when it gives no descriptors.
    pub fn new() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        Ok(Self(builder.enable_io().enable_time().build()?))
    }

    /// Runs a future and what it waits for. It takes turns with nobody, so it has no budget.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(tokio::task::unconstrained(future))
    }
}

/// A connected stream. Clones are the same one.
#[derive(Clone)]
pub struct Stream(Rc<Inner>);

struct Inner {
    /// Watched for what there is to read, and for nothing else: a stream that is watched for room
    /// to write wakes the loop each time the peer has read.
    stream: AsyncFd<UnixStream>,
    /// The same stream, watched for room to write while there is none.
    full: RefCell<Option<AsyncFd<UnixStream>>>,
    /// Until when to rest, where the system could not watch it for that.
    rest: RefCell<Option<Pin<Box<Sleep>>>>,
}

/// How long a stream that has no room, and that the system cannot watch, is left alone.
const REST: Duration = Duration::from_millis(10);

/// Watches a stream for one thing. What tokio has in place of this function is unsafe, for the
/// sake of types that give another descriptor each time they are asked, as a stream does not.
#[allow(deprecated, reason = "its successor is unsafe without need here")]
fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl Stream {
    /// Takes over a stream that does not block.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch the stream.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self(Rc::new(Inner {
            stream: watch(stream, Interest::READABLE)?,
            full: RefCell::default(),
            rest: RefCell::default(),
        })))
    }

    /// Ends the connection for both sides.
    ///
    /// # Errors
    /// When it has ended.
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.stream.get_ref().shutdown(Shutdown::Both)
    }

    /// Says that there is nothing more to write for now.
    pub fn written(&self) {
        let full = self.0.full.take();
        drop(full);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.stream.poll_read_ready(cx))?;
            let Ok(read) = ready.try_io(|stream| stream.get_ref().read(to)) else {
                continue;
            };
            // Of a read that does not fill the buffer one learns that no more is there, which
            // saves the next read.
            if read.as_ref().is_ok_and(|read| (1..to.len()).contains(read)) {
                ready.clear_ready();
            }
            return Poll::Ready(read);
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut full = self.0.full.borrow_mut();
        let mut rest = self.0.rest.borrow_mut();
        loop {
            if let Some(timer) = &mut *rest {
                ready!(timer.as_mut().poll(cx));
                *rest = None;
            }
            if let Some(full) = &*full {
                let mut ready = ready!(full.poll_write_ready(cx))?;
                match ready.try_io(|stream| stream.get_ref().write(bytes)) {
                    Ok(written) => return Poll::Ready(written),
                    Err(_) => continue,
                }
            }
            match self.0.stream.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
            let stream = self.0.stream.get_ref().try_clone();
            match stream.and_then(|stream| watch(stream, Interest::WRITABLE)) {
                Ok(watched) => *full = Some(watched),
                // For want of descriptors, for one.
                Err(_) => *rest = Some(Box::pin(sleep(REST))),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.stream.get_ref().shutdown(Shutdown::Write))
    }
}

/// A listening socket.
pub struct Listener(tokio::net::UnixListener);

impl Listener {
    /// Takes over a listener that does not block.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch the socket.
    pub fn new(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Ok(Self(tokio::net::UnixListener::from_std(listener)?))
    }

    /// The next connection.
    ///
    /// # Errors
    /// When the operating system refuses one, such as for want of descriptors.
    pub async fn accept(&self) -> io::Result<Stream> {
        let (stream, _) = self.0.accept().await?;
        Stream::new(stream.into_std()?)
    }
}

/// In force for as long as it is held.
#[cfg(test)]
pub type Reactor = tokio::runtime::EnterGuard<'static>;

/// Drives the streams and timers of a test that has an executor of its own.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub fn reactor() -> Reactor {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> = std::sync::LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    });
    RUNTIME.enter()
}

#[cfg(test)]
impl Stream {
    /// Two that are connected.
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub fn pair() -> (Self, Self) {
        let (one, other) = UnixStream::pair().unwrap();
        let stream = |stream: UnixStream| {
            stream.set_nonblocking(true).unwrap();
            Self::new(stream).unwrap()
        };
        (stream(one), stream(other))
    }
}
