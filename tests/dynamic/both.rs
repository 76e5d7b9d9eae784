//! Both sides without generated code: generic interfaces, objects behind pointers of no type.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::{Error, Generation, Limits};
use serde_json::{Value as Json, json};

use crate::foo::interfaces::foo::FooInterface;
use crate::implementation::timed;
use crate::pair::registry;

fn objects() -> Objects {
    let mut registry = Registry::core(Generation::Core32).unwrap();
    let bytes = include_bytes!("../../schema/every/compiled.bin");
    registry.add(bytes, "every").unwrap();
    Objects::new(Arc::new(registry), core::options())
}

/// Serves `Root`; gives what its keeper keeps, and the handles that are held while it is called.
fn serve(objects: &Objects, stream: UnixStream) -> Arc<Mutex<Vec<usize>>> {
    let kept = Arc::new(Mutex::new(json!("first")));
    let keeper = objects.host("TextKeeper", move |interface, method, params| {
        let mut kept = kept.lock().unwrap();
        match (interface, method) {
            ("Keeper", "keep") => Ok(std::mem::replace(&mut *kept, params["value"].clone())),
            ("TextKeeper", "size") => Ok(kept.as_str().map(str::len).into()),
            ("Named", "name") => Ok("keeper".into()),
            _ => Err(Error::Unimplemented("not here".into())),
        }
    });
    let keeper = keeper.unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let (counts, this) = (held.clone(), objects.clone());
    let root = objects.host("Root", move |_, method, params| {
        counts.lock().unwrap().push(this.handles().len());
        match method {
            "makeKeeper" => Ok(keeper.clone().into()),
            "pass" => Ok(params["value"].clone()),
            _ => {
                if let Some(name) = params["inner"]["value"].as_str() {
                    let name = this.call(name, "name", Json::Null)?;
                    assert_eq!(name, "ours");
                }
                Ok(params["value"].clone())
            }
        }
    });
    let root = root.unwrap();
    let objects = objects.clone();
    std::thread::spawn(move || {
        let server = Capnp::new("server", Limits::default()).unwrap();
        objects.serve(&server, stream, &root).unwrap();
    });
    held
}

#[test]
fn both_sides_are_without_generated_code() {
    timed(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (server, client) = (objects(), objects());
        let held = serve(&server, theirs);
        let capnp = Capnp::new("client", Limits::default()).unwrap();
        let root = client.connect(&capnp, ours, "Root").unwrap();

        let steps = [
            Step::new("makeKeeper", Json::Null),
            Step::new("keep", json!({"value": "second"})),
        ];
        assert_eq!(client.chain(&root, &steps).unwrap(), "first");
        let keeper = client.call(&root, "makeKeeper", Json::Null).unwrap();
        let keeper = keeper.as_str().unwrap();
        let call = |method, params| client.call(keeper, method, params);
        assert_eq!(call("keep", json!({"value": "x"})).unwrap(), "second");
        assert_eq!(call("size", Json::Null).unwrap(), 1);
        assert_eq!(call("name", Json::Null).unwrap(), "keeper");
        assert!(call("other", Json::Null).unwrap_err().is_unimplemented());
        let error = call("keep", json!({"value": 1})).unwrap_err().to_string();
        assert!(
            error.contains("Keeper.keep.value: Text: 1 is no string"),
            "{error}"
        );

        let every = json!({"text": {"$text": "ff"}, "pair": {"first": 1, "second": "s"}});
        let passed = client.call(&root, "pass", json!({"value": every})).unwrap();
        assert_eq!(passed["text"], every["text"]);
        assert_eq!(passed["pair"], every["pair"]);

        // Objects where the schema says nothing of them, and where a type parameter is bound.
        let named = client.host("Named", |_, _, _| Ok("ours".into())).unwrap();
        let params = json!({"value": named, "inner": {"value": named}});
        assert_eq!(client.call(&root, "hold", params).unwrap(), json!(named));
        let theirs = client
            .call(&root, "hold", json!({"value": keeper}))
            .unwrap();
        assert!(theirs.is_string(), "{theirs}");
        let text = json!({"anyPointer": "010000001a0000006162000000000000"});
        let back = client.call(&root, "hold", json!({"value": text}));
        assert_eq!(back.unwrap(), text);
        assert_eq!(client.call(&root, "hold", json!({})).unwrap(), Json::Null);

        // What calls brought has been let go of with their answers.
        assert!(
            held.lock().unwrap().iter().all(|count| *count <= 4),
            "{held:?}"
        );
        assert_eq!(server.handles().len(), 2);
        assert!(client.release(&root));
    });
}

#[test]
fn an_object_answers_as_several_interfaces() {
    timed(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (server, client) = (objects(), objects());
        assert!(server.host_several(&[], |_, _, _| Ok(Json::Null)).is_err());
        // `executeRpc`, `size`, `name` and `destroy` have the same ordinal.
        let both = server.host_several(&["Rpc", "TextKeeper"], |interface, method, _| {
            Ok(match (interface, method) {
                ("TextKeeper", "size") => json!(4),
                (interface, method) => format!("{interface}.{method}").into(),
            })
        });
        let both = both.unwrap();
        let itself = server.cast(&both, "Keeper").unwrap();
        assert_eq!(itself.as_deref(), Some(&*both));
        assert!(server.cast(&both, "Root").unwrap().is_none());
        let root = server.host("Root", move |_, _, _| Ok(both.clone().into()));
        let (root, serving) = (root.unwrap(), server.clone());
        std::thread::spawn(move || {
            let capnp = Capnp::new("server", Limits::default()).unwrap();
            serving.serve(&capnp, theirs, &root).unwrap();
        });

        let capnp = Capnp::new("client", Limits::default()).unwrap();
        let root = client.connect(&capnp, ours, "Root").unwrap();
        let keeper = client.call(&root, "makeKeeper", Json::Null).unwrap();
        let keeper = keeper.as_str().unwrap();
        let rpc = client.cast(keeper, "Rpc").unwrap().unwrap();
        assert!(client.cast(keeper, "Mining").unwrap().is_none());
        assert!(client.cast(&root, "Rpc").unwrap().is_none());
        assert!(client.cast("nothing", "Rpc").is_err());
        let call = |handle, method| client.call(handle, method, Json::Null).unwrap();
        assert_eq!(call(keeper, "size"), 4);
        assert_eq!(call(keeper, "name"), "Named.name");
        assert!(client.release(keeper));
        let params = json!({"request": "", "uri": "", "user": ""});
        let answer = client.call(&rpc, "executeRpc", params).unwrap();
        assert_eq!(answer, "Rpc.executeRpc");
    });
}

/// Regression: a method without parameters read none, and so ran when it was only asked for.
#[test]
fn an_object_is_asked_for_methods_and_runs_none() {
    timed(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = Objects::new(registry(), core::options());
        let ran = Arc::new(Mutex::new(Vec::new()));
        let calls = ran.clone();
        let foo = server.host("FooInterface", move |_, method, _| {
            calls.lock().unwrap().push(method.to_owned());
            Ok(Json::Null)
        });
        let foo = foo.unwrap();
        std::thread::spawn(move || {
            let capnp = Capnp::new("server", Limits::default()).unwrap();
            server.serve(&capnp, theirs, &foo).unwrap();
        });
        let capnp = Capnp::new("client", Limits::default()).unwrap();
        let foo = Protocol::<dyn FooInterface>::connect(&capnp, ours.into()).unwrap();
        for method in ["callFn", "callFnAsync", "add"] {
            assert!(
                foo.remote().unwrap().implements(method).unwrap(),
                "{method}"
            );
        }
        assert!(ran.lock().unwrap().is_empty(), "{ran:?}");
        foo.call_fn().unwrap();
        assert_eq!(*ran.lock().unwrap(), ["callFn"]);
    });
}
