//! A peer is asked what it implements, and runs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Setup, timed};

/// Regression: a method without parameters read none, and so ran.
#[test]
fn a_method_that_is_asked_for_does_not_run() {
    timed(|| {
        let setup = Setup::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = ran.clone();
        setup.foo.set_fn(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let foo = setup.client();
        let remote = foo.remote().unwrap();
        let other = setup.client();
        let other = other.remote().unwrap();
        for method in ["callFn", "callFnAsync", "add", "passFn"] {
            assert!(remote.implements(method).unwrap(), "{method}");
            let asked = other.implements_async(method);
            assert!(futures::executor::block_on(asked).unwrap(), "{method}");
        }
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        foo.call_fn().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}
