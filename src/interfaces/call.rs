//! Calls under way.
//!
//! Knows the standard library and errors.

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

/// A call under way. The call is made when the method is called, not when this is first polled.
/// Dropping it gives up the answer: the method goes on where it runs.
pub type Call<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Returns a call that already has its result, as the async form of a local object's method does.
pub fn ready<T: Send + 'static>(result: Result<T>) -> Call<T> {
    Box::pin(std::future::ready(result))
}
