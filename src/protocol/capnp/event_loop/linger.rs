//! Whether a thread looks for news for a while before it sleeps.
//!
//! Knows how often that paid; nothing of what is looked for.
//!
//! To put a thread to sleep and to wake it takes as long as a whole call, and on a processor that has
//! fallen idle several times as long. So a thread that drives the loop lingers: it looks again and again
//! for [`LINGER`], and gives its processor away in between to any thread that wants it, which on one
//! processor is the peer's. Where the news take longer, as a Bitcoin Core node's answers do, lingering
//! only takes processors from those who work on them: after a few times in a row it is tried seldom.

use std::time::Duration;

/// How long a thread lingers: as long as a peer of this library takes to answer.
pub const LINGER: Duration = Duration::from_micros(20);
/// How often in a row it may be in vain before it is tried less often.
const PATIENCE: u32 = 8;
/// How many waits there are to one try, then.
const TRY: u32 = 32;

/// What became of lingering so far.
#[derive(Debug, Default)]
pub struct Linger {
    /// How many waits in a row had no news in that time, or did not begin with lingering.
    in_vain: u32,
}

impl Linger {
    /// Whether a wait that begins now begins with lingering.
    pub fn begins(&mut self) -> bool {
        let is_tried = self.in_vain < PATIENCE || self.in_vain.is_multiple_of(TRY);
        self.in_vain = self.in_vain.wrapping_add(1);
        is_tried
    }

    /// There was news in that time.
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
