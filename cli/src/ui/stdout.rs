//! A stdout that was closed when the program started, as `>&-` in a shell closes it.
//!
//! Knows one descriptor; nothing of what is written there.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::ui::errors::{Failure, Kind};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before `main`: Rust's runtime opens `/dev/null` in the place of a closed stdout, so that
/// each write there succeeds and what is written is lost.
#[ctor::ctor]
fn look() {
    let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err();
    WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Whether stdout was closed when the program started.
pub(crate) fn was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}

/// Returns the failure of a command whose results would be lost.
pub(crate) fn closed() -> Failure {
    Failure::new(Kind::Failed, "stdout is closed: results would be lost")
        .hint("results that nobody wants go to /dev/null: >/dev/null")
}
