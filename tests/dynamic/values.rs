//! Values and objects of each kind, both ways.

use std::sync::{Arc, Mutex};

use bitcoin_ipc::Error;
use serde_json::{Value as Json, json};

use crate::foo::interfaces::foo::*;
use crate::implementation::{Foo, timed};
use crate::pair::Pair;

#[test]
fn values_of_each_kind_cross() {
    timed(|| {
        let pair = Pair::new::<dyn FooInterface>(Arc::new(Foo::default()), "FooInterface");
        let call = |method, params| pair.call(method, params).unwrap();
        assert_eq!(call("add", json!({"a": 1, "b": 2})), 3);
        assert_eq!(call("addOut", json!({"a": 1, "b": 2})), 3);
        assert_eq!(
            call("divide", json!({"a": 7, "b": 2})),
            json!({"quotient": 3, "remainder": 1})
        );
        assert_eq!(call("passOptional", json!({"arg": 5})), 5);
        assert_eq!(call("passOptional", json!({})), Json::Null);
        assert_eq!(call("passOptional", json!({"arg": null})), Json::Null);
        let optionals = json!({"text": "t", "data": null, "list": ["a"], "value": null});
        assert_eq!(call("passOptionals", optionals.clone()), optionals);
        assert_eq!(call("passEnum", json!({"arg": "blue"})), "blue");
        assert_eq!(call("passEnum", json!({"arg": 77})), 77);
        assert_eq!(call("passDouble", json!({"arg": "Infinity"})), "Infinity");
        assert_eq!(call("passVoid", json!({"arg": null})), Json::Null);
        assert_eq!(call("passData", json!({"arg": "00ff"})), "00ff");
        assert_eq!(call("passText", json!({"arg": "é"})), "é");
        assert_eq!(
            call("passDefaults", json!({})),
            format!("7 {} foo true", f64::MAX)
        );
        let numbers = call("passNumbers", json!({"arg": {}}));
        assert_eq!(numbers["uint64"], json!(u64::MAX));
        assert_eq!(numbers["text"], "default \"text\"");
        assert_eq!(
            call("passNumbers", json!({"arg": numbers.clone()})),
            numbers
        );
        let lists = json!({"voids": [null], "bools": [true, false], "int64s": [i64::MIN],
            "texts": ["a", ""], "listsOfListsOfData": [[["00"], []], []],
            "structs": [{"v1": "x", "v2": 1}]});
        let passed = call("passLists", json!({"arg": lists.clone()}));
        for (name, value) in lists.as_object().unwrap() {
            assert_eq!(passed[name], *value);
        }
        assert_eq!(
            call("raiseOr", json!({"raise": true, "arg": 3})),
            json!({"result": 0, "error": "3"})
        );
        let error = pair.call("divide", json!({"a": 1, "b": 0})).unwrap_err();
        assert_eq!(error.to_string(), "division by zero");
    });
}

#[test]
fn objects_of_this_process_are_called_with_json() {
    timed(|| {
        let pair = Pair::new::<dyn FooInterface>(Arc::new(Foo::default()), "FooInterface");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = seen.clone();
        let double = pair
            .objects
            .host("FooCallback", move |interface, method, params| {
                let arg = params["arg"].as_i64().unwrap_or_default();
                calls
                    .lock()
                    .unwrap()
                    .push(format!("{interface}.{method} {params}"));
                match arg {
                    13 => Err(Error::failed("unlucky")),
                    14 => Ok("no number".into()),
                    _ => Ok((arg * 2).into()),
                }
            });
        let double = double.unwrap();
        let callback = |arg: i32| pair.call("callback", json!({"callback": double, "arg": arg}));
        assert_eq!(callback(4).unwrap(), 8);
        assert_eq!(callback(13).unwrap_err().to_string(), "unlucky");
        let error = callback(14).unwrap_err().to_string();
        assert!(
            error.contains("FooCallback.call.result: Int32: \"no number\" is no number"),
            "{error}"
        );
        assert_eq!(
            *seen.lock().unwrap(),
            [
                "FooCallback.call {\"arg\":4}",
                "FooCallback.call {\"arg\":13}",
                "FooCallback.call {\"arg\":14}"
            ]
        );
        // One that comes back is the one that went.
        let back = pair
            .call("passCallback", json!({"callback": double}))
            .unwrap();
        assert_eq!(back, json!(double));
        assert_eq!(pair.call("passCallback", json!({})).unwrap(), Json::Null);
        // An object of the peer is held, called, and given back.
        let made = pair.call("makeCallbacks", json!({"arg": 10})).unwrap();
        let (first, second) = (
            made["first"].as_str().unwrap(),
            made["second"].as_str().unwrap(),
        );
        let call = |handle| {
            pair.objects
                .call(handle, "call", json!({"arg": 5}))
                .unwrap()
        };
        assert_eq!((call(first), call(second)), (json!(15), json!(50)));
        let given = pair.call("callback", json!({"callback": second, "arg": 3}));
        assert_eq!(given.unwrap(), 30);
        let many =
            json!({"arg": {"name": "n", "one": first, "many": [double, null], "holders": []}});
        let holder = pair.call("passHolder", many).unwrap();
        assert_eq!(holder["many"], json!([double, null]));

        let extended = pair.objects.host("ExtendedCallback", |_, method, params| {
            Ok(match method {
                "callExtended" => (params["arg"].as_i64().unwrap_or_default() + 100).into(),
                _ => 0.into(),
            })
        });
        let extended = extended.unwrap();
        let params = json!({"callback": extended, "arg": 1});
        assert_eq!(pair.call("callbackExtended", params.clone()).unwrap(), 101);
        assert_eq!(pair.call("callback", params).unwrap(), 0, "it inherits");
        let wrong = pair.call("callbackExtended", json!({"callback": double, "arg": 1}));
        let error = wrong.unwrap_err().to_string();
        assert!(
            error.contains("is of FooCallback, not of ExtendedCallback"),
            "{error}"
        );
        for (handle, words) in [
            (json!("x"), "is no handle that is held"),
            (json!(1), "1 is no handle"),
        ] {
            let error = pair
                .call("callback", json!({"callback": handle}))
                .unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(
            pair.objects
                .call(&double, "call", json!({"arg": 1}))
                .is_err()
        );
    });
}
