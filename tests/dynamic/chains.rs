//! Calls on what other calls answer, and what becomes of the objects on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bitcoin_ipc::dynamic::call::Step;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::Mining;
use bitcoin_ipc::interfaces::rpc::Rpc;
use bitcoin_ipc::{Error, RemoteKind, Result};
use serde_json::{Value as Json, json};

use crate::foo::interfaces::foo::*;
use crate::implementation::{Foo, eventually, timed};
use crate::pair::Pair;

#[derive(Default)]
struct Echoes {
    alive: Arc<AtomicUsize>,
    made: AtomicUsize,
}

struct OneEcho(Arc<AtomicUsize>);

impl Echo for OneEcho {
    fn echo(&self, echo: &str) -> Result<String> {
        Ok(echo.to_owned())
    }
}

impl Drop for OneEcho {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Init for Echoes {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Arc::new(OneEcho(self.alive.clone()))))
    }

    fn make_mining_old2(&self) -> Result<()> {
        Err(Error::failed("too old"))
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(None)
    }

    fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
        Err(Error::Unimplemented("Method not implemented.".into()))
    }
}

#[test]
fn echo_is_called_by_name() {
    timed(|| {
        let init = Arc::new(Echoes::default());
        let alive = init.alive.clone();
        let pair = Pair::new::<dyn Init>(init.clone(), "init");
        let echo = pair.call("makeEcho", Json::Null).unwrap();
        assert_eq!(echo, "Echo#1");
        let objects = &pair.objects;
        let hi = objects.call("Echo#1", "echo", json!({"echo": "hi"}));
        assert_eq!(hi.unwrap(), "hi");
        let later = objects.call_async("Echo#1", "echo", json!({"echo": "later"}));
        assert_eq!(futures::executor::block_on(later).unwrap(), "later");
        objects.rename("Echo#1", "e").unwrap();
        let expected = [("Init#1", "Init"), ("e", "Echo")];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(objects.handles(), expected);

        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert!(objects.release("e"));
        eventually("the echo is destroyed", || {
            alive.load(Ordering::SeqCst) == 0
        });
        assert!(!objects.release("e"));
    });
}

#[test]
fn calls_follow_on_what_has_not_come_yet() {
    timed(|| {
        let init = Arc::new(Echoes::default());
        let alive = init.alive.clone();
        let pair = Pair::new::<dyn Init>(init.clone(), "Init");
        for text in ["one", "two"] {
            let steps = [("makeEcho", Json::Null), ("echo", json!({"echo": text}))];
            assert_eq!(pair.chain(&steps).unwrap(), text);
        }
        assert_eq!(init.made.load(Ordering::SeqCst), 2);
        eventually("the echoes are destroyed", || {
            alive.load(Ordering::SeqCst) == 0
        });
        assert_eq!(
            pair.objects.handles().len(),
            1,
            "what is on the way is not held"
        );

        let steps = [
            Step::new("makeEcho", Json::Null),
            Step::new("echo", json!({"echo": "async"})),
        ];
        let later = pair.objects.chain_async(&pair.init, &steps);
        assert_eq!(futures::executor::block_on(later).unwrap(), "async");
        eventually("it is destroyed too", || alive.load(Ordering::SeqCst) == 0);
    });
}

#[test]
fn what_cannot_be_called_on_is_an_error_and_the_connection_goes_on() {
    timed(|| {
        let pair = Pair::new::<dyn Init>(Arc::new(Echoes::default()), "Init");
        assert_eq!(pair.call("makeMining", Json::Null).unwrap(), Json::Null);
        let error = pair
            .chain(&[("makeMining", Json::Null), ("getTip", Json::Null)])
            .unwrap_err();
        assert!(
            error.to_string().contains("makeMining answered null"),
            "{error}"
        );
        let error = pair
            .chain(&[
                ("makeRpc", Json::Null),
                ("executeRpc", json!({"request": "{}"})),
            ])
            .unwrap_err();
        assert!(error.is_unimplemented(), "{error}");
        let error = pair.call("makeMiningOld2", Json::Null).unwrap_err();
        assert!(
            matches!(&error, Error::Remote { kind: RemoteKind::Failed, text } if text == "too old"),
            "{error}"
        );
        for (steps, words) in [
            (vec![("makeEhco", json!({}))], "did you mean \"makeEcho\"?"),
            (
                vec![("construct", json!({}))],
                "when the connection is made",
            ),
            (
                vec![("makeEcho", json!({"x": 1}))],
                "Init.makeEcho.x: Init.makeEcho has no field \"x\"",
            ),
            (
                vec![("makeEcho", json!({})), ("destroy", json!({}))],
                "when the object's handle is released",
            ),
            (
                vec![("makeEcho", json!({})), ("echo", json!({"echo": 1}))],
                "Echo.echo.echo: Text: 1 is no string",
            ),
            (
                vec![
                    ("makeEcho", json!({})),
                    ("echo", json!({})),
                    ("echo", json!({})),
                ],
                "Echo.echo does not answer one object",
            ),
            (vec![], "no method to call"),
        ] {
            let error = pair.chain(&steps).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(pair.objects.call("Echo#9", "echo", Json::Null).is_err());
        let steps = [("makeEcho", Json::Null), ("echo", json!({"echo": "on"}))];
        assert_eq!(pair.chain(&steps).unwrap(), "on");
    });
}

struct Makes(Arc<AtomicUsize>);

impl FooInit for Makes {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let mut foo = Foo::default();
        foo.alive = Some(self.0.clone());
        Ok(Some(Arc::new(foo)))
    }
}

#[test]
fn a_long_chain_carries_capabilities() {
    timed(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let pair = Pair::new::<dyn FooInit>(Arc::new(Makes(alive.clone())), "FooInit");
        let triple = pair.objects.host("FooCallback", |_, _, params| {
            Ok((params["arg"].as_i64().unwrap_or_default() * 3).into())
        });
        let triple = triple.unwrap();
        let steps = [
            ("makeFoo", Json::Null),
            ("callback", json!({"callback": triple, "arg": 5})),
        ];
        assert_eq!(pair.chain(&steps).unwrap(), 15);
        // The second step answers an object of ours, which the third calls through the peer.
        let steps = [
            ("makeFoo", Json::Null),
            ("passCallback", json!({"callback": triple})),
            ("call", json!({"arg": 7})),
        ];
        // Its thread is the peer's, which is none of ours.
        let error = pair.chain(&steps).unwrap_err().to_string();
        assert!(error.contains("invalid thread handle"), "{error}");
        // An object of the peer that is held goes there and comes back; it stays as it was.
        let foo = pair.call("makeFoo", Json::Null).unwrap();
        let foo = foo.as_str().unwrap();
        let made = pair.objects.call(foo, "makeCallbacks", json!({"arg": 10}));
        let made = made.unwrap();
        let steps = [
            ("makeFoo", Json::Null),
            ("passCallback", json!({"callback": made["first"]})),
            ("call", json!({"arg": 7})),
        ];
        for _ in 0..3 {
            assert_eq!(pair.chain(&steps).unwrap(), 17);
        }
        let first = made["first"].as_str().unwrap();
        let given = json!({"callback": first});
        let back = pair.objects.call(foo, "passCallback", given);
        // Another capability for the same object: each is let go of by itself.
        assert!(pair.objects.release(back.unwrap().as_str().unwrap()));
        let again = pair.objects.call(first, "call", json!({"arg": 1}));
        assert_eq!(again.unwrap(), 11);
        assert!(pair.objects.release(foo));
        // What fails in the middle is what is told.
        let steps = [
            ("makeFoo", Json::Null),
            ("passCallback", json!({"callback": null})),
            ("call", json!({"arg": 7})),
        ];
        let error = pair.chain(&steps).unwrap_err().to_string();
        assert!(error.contains("passCallback answered null"), "{error}");
        eventually("each foo is freed", || alive.load(Ordering::SeqCst) == 0);
    });
}
