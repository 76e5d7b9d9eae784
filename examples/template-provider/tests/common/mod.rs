//! Waiting for conditions, for the tests of examples and for the node's file that they use.

use std::time::{Duration, Instant};

/// Waits until `f` returns something.
#[track_caller]
pub fn poll<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = f() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
