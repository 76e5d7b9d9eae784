//! Local objects whose async forms run on threads of their own.
//!
//! Knows the standard library and errors; nothing of particular interfaces, for which the generator writes
//! the rest.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::call::{Call, ready};
use crate::error::{Error, Result};

/// The name of the threads.
const NAME: &str = "ipc-local";

/// An interface of which a local object can be had whose async forms do not block.
pub trait Offload {
    /// Returns the object with async forms that run its methods on threads of their own, where the
    /// caller's [`CallOptions`](crate::CallOptions) do not hold. An object that a method answers is so, too;
    /// those in structs and lists are as they were made. A remote object is returned as it is.
    ///
    /// The async form of a local object's method runs the method at once, on the caller's thread, unless
    /// its implementor wrote an async form: a `wait_next_async` would block an async runtime.
    #[must_use]
    fn offload(self: Arc<Self>) -> Arc<Self>;
}

/// A local object whose async forms run on threads of their own.
#[doc(hidden)]
pub struct Offloaded<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Offloaded<T> {
    /// Wraps a local object.
    pub fn new(object: Arc<T>) -> Self {
        Self(object)
    }

    /// Returns the object.
    pub fn object(&self) -> &Arc<T> {
        &self.0
    }
}

/// The answer of a method that runs on another thread.
struct Answer<T>(Mutex<State<T>>);

struct State<T> {
    answer: Option<Result<T>>,
    waker: Option<Waker>,
}

impl<T> Answer<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, answer: Result<T>) {
        let mut state = self.state();
        if state.answer.is_none() {
            state.answer = Some(answer);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Tells that the method has panicked, unless it has answered.
struct Panicked<T>(Option<Arc<Answer<T>>>);

impl<T> Drop for Panicked<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer.give(Err(Error::failed("the method has panicked")));
        }
    }
}

/// The future of an answer.
struct Waiting<T>(Arc<Answer<T>>);

impl<T> Future for Waiting<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let mut state = self.0.state();
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Runs a method of a local object on a thread of its own. It goes on when the future is dropped.
#[doc(hidden)]
pub fn offload<T: Send + 'static>(method: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
    let answer = Arc::new(Answer(Mutex::new(State {
        answer: None,
        waker: None,
    })));
    let waiting = Waiting(answer.clone());
    let run = move || {
        let mut panicked = Panicked(Some(answer));
        let given = method();
        if let Some(answer) = panicked.0.take() {
            answer.give(given);
        }
    };
    match thread::Builder::new().name(NAME.into()).spawn(run) {
        Ok(_) => Box::pin(waiting),
        Err(error) => ready(Err(Error::io("start a thread for a local call", error))),
    }
}
