//! Busy polling: the decision to poll for a while before sleeping.
//!
//! Knows how often that paid; nothing of what is polled.
//!
//! To put a thread to sleep and to wake it takes as long as a whole call, and on a processor that has
//! fallen idle several times as long. So a thread that drives the loop lingers: it polls again and
//! again for [`LINGER`], and yields its processor in between to any thread that wants it, which on one
//! processor is the peer's. Where events take longer, as a Bitcoin Core node's answers do, lingering
//! only takes processors from the threads that work on them: after a few failures in a row it is tried
//! seldom.

use std::time::Duration;

/// The time that a thread lingers: about what a peer of this library takes to answer.
pub const LINGER: Duration = Duration::from_micros(20);
/// The number of failures in a row after which lingering is tried less often.
const PATIENCE: u32 = 8;
/// The number of waits to one try, after that.
const TRY: u32 = 32;

/// The success of lingering so far.
#[derive(Debug, Default)]
pub struct Linger {
    /// The number of waits in a row that had no event while lingering, or did not linger.
    in_vain: u32,
}

impl Linger {
    /// Returns whether a wait that begins now should linger. Counts the wait as a failure until
    /// [`Linger::has_paid`].
    pub fn begins(&mut self) -> bool {
        let is_tried = self.in_vain < PATIENCE || self.in_vain.is_multiple_of(TRY);
        self.in_vain = self.in_vain.wrapping_add(1);
        is_tried
    }

    /// Records that an event arrived while lingering.
    pub fn has_paid(&mut self) {
        self.in_vain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_seldom_where_it_never_pays_and_always_where_it_does() {
        let mut linger = Linger::default();
        let tries = (0..10 * TRY).filter(|_| linger.begins()).count();
        assert_eq!(tries, 8 + 9);
        linger.has_paid();
        for _ in 0..100 {
            assert!(linger.begins());
            linger.has_paid();
        }
    }
}
