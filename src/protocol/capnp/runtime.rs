//! What the event loop needs of the operating system, asynchronously: connected streams,
//! listening sockets and timers.
//!
//! Knows tokio, and is the one file that does; nothing of messages or connections. Everything here
//! is made and used on the event loop's thread, inside [`block_on`].

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
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
pub struct Stream(Rc<RefCell<tokio::net::UnixStream>>);

impl Stream {
    /// Takes over a stream that does not block.
    ///
    /// # Errors
    /// What the operating system says when it cannot watch the stream.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        let stream = tokio::net::UnixStream::from_std(stream)?;
        Ok(Self(Rc::new(RefCell::new(stream))))
    }

    /// Ends the connection for both sides.
    ///
    /// # Errors
    /// When it has ended.
    pub fn shutdown(&self) -> io::Result<()> {
        let stream = self.0.borrow();
        rustix::net::shutdown(&*stream, rustix::net::Shutdown::Both)?;
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut to = ReadBuf::new(to);
        let mut stream = self.0.borrow_mut();
        // Of a read that does not fill the buffer it learns that no more is there, which saves the
        // next read.
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut to))?;
        Poll::Ready(Ok(to.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
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
        Ok(Stream(Rc::new(RefCell::new(stream))))
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
        let (one, other) = tokio::net::UnixStream::pair().unwrap();
        let stream = |stream| Self(Rc::new(RefCell::new(stream)));
        (stream(one), stream(other))
    }
}
