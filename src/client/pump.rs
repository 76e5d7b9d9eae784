//! An iterator that blocks, as a stream: a thread of its own reads it.
//!
//! Knows iterators and threads; nothing of what they tell.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::Stream;

use crate::call::CancelToken;
use crate::error::{Error, Result};

/// The items of an iterator that blocks, as a stream for any async runtime. When it is dropped, the
/// iterator stops.
#[must_use = "dropping it stops it"]
pub struct Pumped<T> {
    slot: Arc<Slot<T>>,
    stop: CancelToken,
}

/// The place of one item between the thread and the stream.
struct Slot<T> {
    state: Mutex<State<T>>,
    /// Told when an item is wanted, or none will be.
    changed: Condvar,
}

struct State<T> {
    item: Option<T>,
    /// Set while a task waits for an item.
    wanted: bool,
    /// The task.
    waker: Option<Waker>,
    /// Set once there will be no more.
    ended: bool,
    /// Set once nobody takes them any more.
    dropped: bool,
}

impl<T> Slot<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an item is wanted. Returns false if none will be.
    fn is_wanted(&self) -> bool {
        let mut state = self.state();
        while !(state.wanted || state.dropped) {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        !state.dropped
    }

    /// Puts an item there.
    fn put(&self, item: T) {
        let mut state = self.state();
        state.item = Some(item);
        state.wanted = false;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ends the stream with the thread, even if that panics.
struct Ends<T>(Arc<Slot<T>>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T: Send + 'static> Pumped<T> {
    /// Reads `iterator` on a thread of its own, when an item is waited for and not ahead: it might be out
    /// of date by the time it is taken. The iterator ends when `stop` is cancelled.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread.
    pub(super) fn start(
        iterator: impl Iterator<Item = T> + Send + 'static,
        stop: CancelToken,
    ) -> Result<Self> {
        let slot = Arc::new(Slot {
            state: Mutex::new(State {
                item: None,
                wanted: false,
                waker: None,
                ended: false,
                dropped: false,
            }),
            changed: Condvar::new(),
        });
        let ends = Ends(slot.clone());
        let mut iterator = iterator;
        let pump = move || {
            while ends.0.is_wanted()
                && let Some(item) = iterator.next()
            {
                ends.0.put(item);
            }
        };
        let started = thread::Builder::new().name("ipc-follow".into()).spawn(pump);
        started.map_err(|error| Error::io("start a thread to follow the node", error))?;
        Ok(Self { slot, stop })
    }
}

impl<T> Stream for Pumped<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.slot.state();
        if let Some(item) = state.item.take() {
            return Poll::Ready(Some(item));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        state.wanted = true;
        drop(state);
        self.slot.changed.notify_all();
        Poll::Pending
    }
}

impl<T> Drop for Pumped<T> {
    fn drop(&mut self) {
        self.slot.state().dropped = true;
        self.slot.changed.notify_all();
        self.stop.cancel();
    }
}
