//! The time that a wait gets in the node.
//!
//! Knows the caller's options and the requests that have a timeout of their own; nothing of what is
//! waited for.

use std::time::Duration;

use crate::call::CallOptions;
use crate::interfaces::mining::BlockWaitOptions;

/// The time by which a wait in the node is longer than its caller's: the caller is told that its time is
/// over, and not that nothing has changed.
const MORE: Duration = Duration::from_millis(50);

/// Returns the timeout of a wait in the node, in milliseconds, where the caller asks for `timeout`: no
/// more than the time limit of [`CallOptions`] leaves, so that nothing of a caller who has given up stays
/// in the node. Core 30 cannot exit while a wait runs.
pub(super) fn timeout(timeout: f64) -> f64 {
    match CallOptions::current().time_limit() {
        Some(limit) => timeout.min(limit.saturating_add(MORE).as_secs_f64() * 1000.0),
        None => timeout,
    }
}

/// Returns the options of a wait for the next template in the node, as [`timeout`] does for a timeout
/// alone.
pub(super) fn wait_options(options: &BlockWaitOptions) -> BlockWaitOptions {
    BlockWaitOptions {
        timeout: timeout(options.timeout),
        ..options.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_the_node_is_hardly_longer_than_the_callers() {
        assert_eq!(timeout(f64::MAX), f64::MAX);
        let limit = |limit| CallOptions::new().timeout(limit);
        let second = Duration::from_secs(1);
        limit(second).run(|| {
            assert_eq!(timeout(f64::MAX), 1050.0);
            assert_eq!(timeout(250.0), 250.0);
            let options = BlockWaitOptions {
                fee_threshold: 7,
                ..BlockWaitOptions::default()
            };
            let bounded = wait_options(&options);
            assert_eq!((bounded.timeout, bounded.fee_threshold), (1050.0, 7));
        });
        limit(Duration::MAX).run(|| assert_eq!(timeout(1000.0), 1000.0));
    }
}
