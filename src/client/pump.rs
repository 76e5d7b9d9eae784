//! An iterator that blocks, as a stream: a thread of its own reads it.
//!
//! Knows iterators and threads; nothing of what they tell.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, ready};
use std::thread;

use futures_channel::oneshot;
use futures_util::Stream;

use crate::call::CancelToken;
use crate::error::{Error, Result};

/// The items of an iterator that blocks, as a stream for any async runtime. When it is dropped, the
/// iterator stops.
#[must_use = "dropping it stops it"]
pub struct Pumped<T> {
    /// Asks the thread for an item.
    asks: Sender<oneshot::Sender<T>>,
    /// The item that was asked for.
    asked: Option<oneshot::Receiver<T>>,
    stop: CancelToken,
}

impl<T: Send + 'static> Pumped<T> {
    /// Reads `iterator` on a thread of its own, when an item is waited for and not ahead: it might be out
    /// of date by the time it is taken. The iterator ends when `stop` is cancelled.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread.
    pub(super) fn start(
        mut iterator: impl Iterator<Item = T> + Send + 'static,
        stop: CancelToken,
    ) -> Result<Self> {
        let (asks, asked) = mpsc::channel::<oneshot::Sender<T>>();
        let pump = move || {
            while let Ok(ask) = asked.recv()
                && let Some(item) = iterator.next()
            {
                // The stream may have been dropped meanwhile.
                drop(ask.send(item));
            }
        };
        let started = thread::Builder::new().name("ipc-follow".into()).spawn(pump);
        started.map_err(|error| Error::io("start a thread to follow the node", error))?;
        Ok(Self {
            asks,
            asked: None,
            stop,
        })
    }
}

impl<T> Stream for Pumped<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let asked = this.asked.get_or_insert_with(|| {
            let (ask, asked) = oneshot::channel();
            // If the thread has ended, so has what was asked for.
            drop(this.asks.send(ask));
            asked
        });
        let item = ready!(Pin::new(asked).poll(context));
        this.asked = None;
        Poll::Ready(item.ok())
    }
}

impl<T> Drop for Pumped<T> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

crate::opaque::opaque!(in [T] Pumped<T>, "Pumped");
