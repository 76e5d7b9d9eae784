//! Calls by name against servers of generated code, over a socketpair within one process.

#![cfg(feature = "dynamic")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod both;
mod chains;
mod pair;
mod values;

use std::sync::Mutex;
use std::time::Duration;

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::{CallOptions, CancelToken, Error};
use bitcoin_ipc_foo::{foo, implementation};
use serde_json::{Value as Json, json};

use implementation::{Setup, timed};
use pair::registry;

#[test]
fn options_of_calls_hold() {
    timed(|| {
        let setup = Setup::new();
        let objects = Objects::new(registry(), core::options());
        let client = setup.client();
        let foo = objects
            .adopt(client.remote().unwrap(), "FooInterface")
            .unwrap();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let receiver = Mutex::new(receiver);
        setup.foo.set_fn(move || {
            let _ = receiver.lock().unwrap().recv();
        });
        let limit = CallOptions::new().timeout(Duration::from_millis(50));
        let error = limit
            .run(|| objects.call(&foo, "callFnAsync", Json::Null))
            .unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(
            error.to_string().starts_with("FooInterface.callFnAsync: "),
            "{error}"
        );
        let token = CancelToken::new();
        token.cancel();
        let cancelled = CallOptions::new().cancel(&token);
        let error = cancelled
            .run(|| objects.call(&foo, "callFnAsync", Json::Null))
            .unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
        drop(sender);
        assert_eq!(
            objects.call(&foo, "add", json!({"a": 2, "b": 2})).unwrap(),
            4
        );

        setup.server_disconnect()();
        let error = objects
            .call(&foo, "add", json!({"a": 2, "b": 2}))
            .unwrap_err();
        assert!(error.is_disconnected(), "{error}");
    });
}

#[test]
fn parameters_are_checked_without_a_call() {
    let objects = Objects::new(registry(), core::options());
    let method = objects
        .registry()
        .find_method("Mining.waitTipChanged", &[])
        .unwrap();
    let tip = "01".repeat(32);
    let checked = objects.check(&method, &json!({"currentTip": tip}));
    let whole = json!({"currentTip": tip, "timeout": "forever"});
    assert_eq!(checked.unwrap(), whole);
    let error = objects
        .check(&method, &json!({"timeout": "soon"}))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Mining.waitTipChanged.timeout: Float64: \"soon\" is no duration such as \"5s\", \
         \"250ms\" or \"forever\""
    );
}
