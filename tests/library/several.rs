//! Objects of several interfaces: served, asked for, given back, destroyed.
//!
//! `FooCallback`, `FooFn` and `FooTextFn` have other methods at the same ordinals.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin_ipc::interfaces::Offload;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::{Capnp, Direction, Envelope, Observer, Seen};
use bitcoin_ipc::rt::{self, Interface};
use bitcoin_ipc::{Error, Limits, Result, Several, cast, cast_async, pair};
use futures::executor::block_on;

use crate::foo::interfaces::foo::*;
use crate::foo::proxies::foo::FOO_INTERFACE_METHODS;
use crate::foo::wire::foo_capnp::foo_interface::{make_callbacks_params, make_callbacks_results};
use crate::support::{Foo, eventually, timed};

/// Counts its living values and the calls on them.
#[derive(Clone, Default)]
struct Counts {
    alive: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

/// A part of an object, which answers for its interface alone.
struct Part(Counts);

impl Part {
    fn new(counts: &Counts) -> Arc<Self> {
        counts.alive.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self(counts.clone()))
    }

    fn called(&self) {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A `FooCallback` part.
struct Doubles(Arc<Part>);

impl FooCallback for Doubles {
    fn call(&self, arg: i32) -> Result<i32> {
        self.0.called();
        Ok(arg * 2)
    }
}

impl ExtendedCallback for Doubles {
    fn call_extended(&self, arg: i32) -> Result<i32> {
        self.0.called();
        Ok(arg * 3)
    }
}

/// A `FooFn` part.
struct Seven(Arc<Part>);

impl FooFn for Seven {
    fn call(&self) -> Result<i32> {
        self.0.called();
        Ok(7)
    }
}

/// A `FooTextFn` part.
struct Says(Arc<Part>);

impl FooTextFn for Says {
    fn call(&self, text: &str, _: &[u8], numbers: &[i32], _: &FooCustom) -> Result<String> {
        self.0.called();
        Ok(format!("{text} {numbers:?}"))
    }
}

/// An object of three interfaces, the first of which is `FooCallback`.
fn several(counts: &Counts) -> Several<dyn FooCallback> {
    let callback: Arc<dyn FooCallback> = Arc::new(Doubles(Part::new(counts)));
    let number: Arc<dyn FooFn> = Arc::new(Seven(Part::new(counts)));
    let text: Arc<dyn FooTextFn> = Arc::new(Says(Part::new(counts)));
    Several::new(callback).and(number).and(text)
}

/// A server that hands out `object` once.
fn hands_out(object: Arc<dyn FooCallback>) -> Foo {
    let foo = Foo::default();
    *foo.handed_out.lock().unwrap() = Some(object);
    foo
}

fn first(foo: &dyn FooInterface) -> Arc<dyn FooCallback> {
    foo.make_callbacks(0).unwrap().first.unwrap()
}

/// Calls an object of three interfaces as each of them, wherever it is.
fn answers_as_each(object: &Arc<dyn FooCallback>) {
    let number = cast::<dyn FooFn>(object).unwrap().unwrap();
    let text = block_on(cast_async::<dyn FooTextFn>(object));
    let text = text.unwrap().unwrap();
    assert_eq!(object.call(21).unwrap(), 42);
    assert_eq!(number.call().unwrap(), 7);
    let said = text.call("three", b"", &[1, 2], &FooCustom::default());
    assert_eq!(said.unwrap(), "three [1, 2]");
    assert_eq!(block_on(object.call_async(4)).unwrap(), 8);
    assert_eq!(block_on(number.call_async()).unwrap(), 7);
    // Each of them leads to the others.
    let callback = cast::<dyn FooCallback>(&text).unwrap().unwrap();
    assert_eq!(callback.call(1).unwrap(), 2);
    let itself = cast::<dyn FooCallback>(object).unwrap().unwrap();
    assert_eq!(itself.call(2).unwrap(), 4);
}

#[test]
fn an_object_answers_by_the_id_of_each_of_its_interfaces() {
    timed(|| {
        let counts = Counts::default();
        let foo: Arc<dyn FooInterface> =
            pair(Arc::new(hands_out(Arc::new(several(&counts)))) as _).unwrap();
        answers_as_each(&first(&*foo));
        assert_eq!(counts.calls.load(Ordering::SeqCst), 7);
    });
}

#[test]
fn an_object_of_this_process_does_so_too() {
    let counts = Counts::default();
    let object: Arc<dyn FooCallback> = Arc::new(several(&counts));
    answers_as_each(&object);
    assert_eq!(counts.calls.load(Ordering::SeqCst), 7);
    let number = cast::<dyn FooFn>(&object).unwrap().unwrap();
    let itself = cast::<dyn FooCallback>(&object).unwrap().unwrap();
    assert!(Arc::ptr_eq(&itself, &object));
    assert!(cast::<dyn Echo>(&object).unwrap().is_none());
    assert!(cast::<dyn ExtendedCallback>(&object).unwrap().is_none());
    assert!(object.remote().is_none());
    let alone: Arc<dyn FooCallback> = Arc::new(|arg: i32| Ok(arg));
    assert!(cast::<dyn FooFn>(&alone).unwrap().is_none());
    drop((object, itself));
    assert_eq!(counts.alive.load(Ordering::SeqCst), 3);
    drop(number);
    assert_eq!(counts.alive.load(Ordering::SeqCst), 0);
}

/// Regression: an object whose async forms run on threads of their own had its first interface alone.
#[test]
fn an_object_whose_async_forms_do_not_block_keeps_its_interfaces() {
    let counts = Counts::default();
    let object: Arc<dyn FooCallback> = Arc::new(several(&counts));
    answers_as_each(&object.clone().offload());
    timed(move || {
        let handed_out = hands_out(object.offload());
        let foo: Arc<dyn FooInterface> = pair(Arc::new(handed_out) as _).unwrap();
        answers_as_each(&first(&*foo));
    });
    assert_eq!(counts.calls.load(Ordering::SeqCst), 14);
}

#[test]
fn asking_tells_the_truth_and_runs_nothing() {
    timed(|| {
        let counts = Counts::default();
        let foo: Arc<dyn FooInterface> =
            pair(Arc::new(hands_out(Arc::new(several(&counts)))) as _).unwrap();
        let made = foo.make_callbacks(5).unwrap();
        let (object, alone) = (made.first.unwrap(), made.second.unwrap());
        for _ in 0..2 {
            assert!(cast::<dyn FooFn>(&object).unwrap().is_some());
            assert!(cast::<dyn Echo>(&object).unwrap().is_none());
            let extended = block_on(cast_async::<dyn ExtendedCallback>(&object));
            assert!(extended.unwrap().is_none());
            assert!(cast::<dyn FooFn>(&alone).unwrap().is_none());
            assert!(cast::<dyn FooCallback>(&alone).unwrap().is_some());
            assert!(cast::<dyn FooFn>(&foo).unwrap().is_none());
            assert!(cast::<dyn FooInterface>(&foo).unwrap().is_some());
        }
        assert_eq!(counts.calls.load(Ordering::SeqCst), 0);
        assert_eq!(counts.alive.load(Ordering::SeqCst), 3);
        assert_eq!(alone.call(2).unwrap(), 10);
    });
}

#[test]
fn the_first_interface_may_extend_another_one() {
    timed(|| {
        let counts = Counts::default();
        let extended: Arc<dyn ExtendedCallback> = Arc::new(Doubles(Part::new(&counts)));
        let number: Arc<dyn FooFn> = Arc::new(Seven(Part::new(&counts)));
        // This one is never called: the calls of what both inherit go to the one before it.
        let other: Arc<dyn FooCallback> = Arc::new(|_: i32| Err(Error::failed("the wrong one")));
        let object = Several::new(extended).and(number).and(other);
        let object: Arc<dyn FooCallback> = Arc::new(object);
        let foo: Arc<dyn FooInterface> = pair(Arc::new(hands_out(object.clone())) as _).unwrap();
        for object in [object, first(&*foo)] {
            assert_eq!(object.call(1).unwrap(), 2);
            let number = cast::<dyn FooFn>(&object).unwrap().unwrap();
            assert_eq!(number.call().unwrap(), 7);
            let extended = cast::<dyn ExtendedCallback>(&object).unwrap().unwrap();
            assert_eq!(extended.call_extended(1).unwrap(), 3);
            assert_eq!(extended.call(1).unwrap(), 2);
        }
    });
}

/// Keeps the `FooFn` that it is given as a `FooCallback`, and gives it back as one.
struct Keeper(Mutex<Option<Arc<dyn FooCallback>>>);

impl FooInterface for Keeper {
    fn pass_fn(&self, number: Option<Arc<dyn FooFn>>) -> Result<i32> {
        let number = number.unwrap();
        *self.0.lock().unwrap() = cast(&number)?;
        number.call()
    }

    fn pass_callback(
        &self,
        _: Option<Arc<dyn FooCallback>>,
    ) -> Result<Option<Arc<dyn FooCallback>>> {
        Ok(self.0.lock().unwrap().take())
    }
}

#[test]
fn an_object_that_comes_back_by_another_interface_is_the_own_one() {
    timed(|| {
        let keeper: Arc<dyn FooInterface> = Arc::new(Keeper(Mutex::default()));
        let foo = pair(keeper).unwrap();
        let counts = Counts::default();
        let callback: Arc<dyn FooCallback> = Arc::new(Doubles(Part::new(&counts)));
        let number: Arc<dyn FooFn> = Arc::new(Seven(Part::new(&counts)));
        let object: Arc<dyn FooFn> = Arc::new(Several::new(number).and(callback));
        assert_eq!(foo.pass_fn(Some(object)).unwrap(), 7);
        let back = foo.pass_callback(None).unwrap().unwrap();
        assert!(back.remote().is_none());
        assert_eq!(back.call(4).unwrap(), 8);
        assert!(cast::<dyn FooFn>(&back).unwrap().is_some());
        let one: Arc<dyn FooFn> = Arc::new(|| Ok(1));
        assert_eq!(foo.pass_fn(Some(one)).unwrap(), 1);
        assert!(foo.pass_callback(None).unwrap().is_none());
    });
}

/// Collects the calls that this side sends, by interface and ordinal.
#[derive(Default)]
struct Sent(Mutex<Vec<(u64, u16)>>);

impl Observer for Sent {
    fn message(&self, seen: &Seen<'_>) {
        if let (
            Direction::Sent,
            Envelope::Call {
                interface, method, ..
            },
        ) = (seen.direction, &seen.envelope)
        {
            self.0.lock().unwrap().push((*interface, *method));
        }
    }
}

impl Sent {
    /// Returns the interfaces whose `destroy` was called.
    fn destroys(&self) -> Vec<u64> {
        let ids = [id::<dyn FooCallback>(), id::<dyn FooFn>()];
        let sent = self.0.lock().unwrap();
        let destroys = sent
            .iter()
            .filter(|(id, method)| ids.contains(id) && *method == 0);
        destroys.map(|(id, _)| *id).collect()
    }
}

fn id<I: Interface + ?Sized>() -> u64 {
    I::INFO.id
}

/// Serves `foo` to a client, and returns what that sends, and its object.
fn connect(foo: Arc<dyn FooInterface>) -> (Arc<Sent>, Arc<dyn FooInterface>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let server = Capnp::new("server", Limits::default()).unwrap();
        Protocol::<dyn FooInterface>::serve(&server, theirs.into(), foo).unwrap();
    });
    let sent = Arc::new(Sent::default());
    let client = Capnp::new("client", Limits::default()).unwrap();
    let client = client.observed_by(sent.clone());
    let foo = Protocol::<dyn FooInterface>::connect(&client, ours.into()).unwrap();
    (sent, foo)
}

#[test]
fn an_object_is_destroyed_once_when_the_last_handle_of_any_interface_goes() {
    timed(|| {
        let counts = Counts::default();
        let (sent, foo) = connect(Arc::new(hands_out(Arc::new(several(&counts)))));
        let made = foo.make_callbacks(0).unwrap();
        let object = made.first.unwrap();
        let number = cast::<dyn FooFn>(&object).unwrap().unwrap();
        drop(object);
        assert_eq!(number.call().unwrap(), 7);
        assert!(sent.destroys().is_empty());
        assert_eq!(counts.alive.load(Ordering::SeqCst), 3);
        drop(number);
        // On the same thread of the peer, after the destroy.
        assert_eq!(made.second.unwrap().call(1).unwrap(), 0);
        assert_eq!(counts.alive.load(Ordering::SeqCst), 0);
        assert_eq!(sent.destroys()[0], id::<dyn FooFn>());
    });
}

/// Calls `makeCallbacks` as if its results were a `FooFn`.
fn mistaken(foo: &dyn FooInterface) -> Arc<dyn FooFn> {
    use make_callbacks_params::Builder;
    use make_callbacks_results::Reader;
    let object: &rt::Object = foo.remote().unwrap().as_any().downcast_ref().unwrap();
    let made = rt::call(
        object,
        rt::Outgoing::new(
            &FOO_INTERFACE_METHODS[17],
            |build, params| {
                build.context(params.init_as::<Builder<'_>>().init_context());
                Ok(())
            },
            |read, results| {
                let results = results.get_as::<Reader<'_>>().unwrap();
                read.import(results.has_first(), results.get_first(), "first")
            },
        ),
    );
    made.unwrap().unwrap()
}

#[test]
fn an_object_is_destroyed_by_an_interface_that_it_has() {
    timed(|| {
        let counts = Counts::default();
        let callback = Arc::new(Doubles(Part::new(&counts)));
        let (sent, foo) = connect(Arc::new(hands_out(callback)));
        let number = mistaken(&*foo);
        assert!(number.call().unwrap_err().is_unimplemented());
        assert!(cast::<dyn FooFn>(&number).unwrap().is_none());
        let callback = cast::<dyn FooCallback>(&number).unwrap().unwrap();
        drop(number);
        assert_eq!(callback.call(5).unwrap(), 10);
        drop(callback);
        eventually("it is destroyed", || {
            counts.alive.load(Ordering::SeqCst) == 0
        });
        assert_eq!(
            sent.destroys(),
            // The second object, which was not read, goes with its last reference.
            [id::<dyn FooCallback>()]
        );

        // Where it is only known not to be one, it goes with its last reference too.
        let callback = Arc::new(Doubles(Part::new(&counts)));
        let (sent, foo) = connect(Arc::new(hands_out(callback)));
        let number = mistaken(&*foo);
        assert!(cast::<dyn FooFn>(&number).unwrap().is_none());
        drop(number);
        eventually("it is released", || {
            counts.alive.load(Ordering::SeqCst) == 0
        });
        assert!(sent.destroys().is_empty());
    });
}

/// Makes what `Foo` is.
struct Makes(Arc<Foo>);

impl FooInit for Makes {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn an_init_answers_as_another_interface_and_is_not_destroyed_with_that() {
    timed(|| {
        let counts = Counts::default();
        let makes: Arc<dyn FooInit> = Arc::new(Makes(Arc::default()));
        let number: Arc<dyn FooFn> = Arc::new(Seven(Part::new(&counts)));
        let both: Arc<dyn FooInit> = Arc::new(Several::new(makes).and(number));
        let init = pair(both).unwrap();
        let number = cast::<dyn FooFn>(&init).unwrap().unwrap();
        assert_eq!(number.call().unwrap(), 7);
        drop(number);
        let foo = init.make_foo().unwrap().unwrap();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        assert!(cast::<dyn FooCallback>(&init).unwrap().is_none());
        assert!(cast::<dyn FooFn>(&init).unwrap().is_some());
        assert_eq!(counts.alive.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_object_without_a_destroy_is_not_destroyed_by_another_interface() {
    timed(|| {
        let counts = Counts::default();
        let foo: Arc<dyn FooInterface> = Arc::new(Foo::default());
        let number: Arc<dyn FooFn> = Arc::new(Seven(Part::new(&counts)));
        let (sent, foo) = connect(Arc::new(Several::new(foo).and(number)));
        let number = cast::<dyn FooFn>(&foo).unwrap().unwrap();
        assert_eq!(foo.add(1, 2).unwrap(), 3);
        drop(foo);
        assert_eq!(number.call().unwrap(), 7);
        drop(number);
        eventually("it goes with its last reference", || {
            counts.alive.load(Ordering::SeqCst) == 0
        });
        assert!(sent.destroys().is_empty());
    });
}

#[test]
fn an_object_whose_connection_has_ended_is_not_known_to_be_anything() {
    timed(|| {
        let foo: Arc<dyn FooInterface> = pair(Arc::new(Foo::default()) as _).unwrap();
        foo.remote().unwrap().disconnect();
        assert!(cast::<dyn FooFn>(&foo).err().unwrap().is_disconnected());
        let asked = block_on(cast_async::<dyn FooFn>(&foo));
        assert!(asked.err().unwrap().is_disconnected());
    });
}
