//! An implementation of the test schema's interfaces, and pairs of processes in one: a client and
//! a server with event loops of their own over a socketpair.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::{Error, Limits, Result};

use crate::foo::interfaces::foo::*;
use crate::foo::interfaces::shared::SharedValue;

type Hook = Box<dyn Fn() + Send + Sync>;
type IntHook = Box<dyn Fn(i32) -> i32 + Send + Sync>;

/// libmultiprocess's `FooImplementation`.
#[derive(Default)]
pub struct Foo {
    saved: Mutex<Option<Arc<dyn FooCallback>>>,
    on_call: Mutex<Option<Arc<Hook>>>,
    on_int_call: Mutex<Option<Arc<IntHook>>>,
    /// The object that `make_callbacks` returns first, once, instead of one of its own.
    pub handed_out: Mutex<Option<Arc<dyn FooCallback>>>,
    /// The number of living objects of this kind.
    pub alive: Option<Arc<AtomicUsize>>,
}

impl Foo {
    pub fn set_fn(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.on_call.lock().unwrap() = Some(Arc::new(Box::new(hook)));
    }

    pub fn set_int_fn(&self, hook: impl Fn(i32) -> i32 + Send + Sync + 'static) {
        *self.on_int_call.lock().unwrap() = Some(Arc::new(Box::new(hook)));
    }

    /// Returns the object that `save_callback` got last.
    pub fn saved(&self) -> Option<Arc<dyn FooCallback>> {
        self.saved.lock().unwrap().clone()
    }

    /// Drops that object.
    pub fn forget(&self) {
        *self.saved.lock().unwrap() = None;
    }

    fn run(&self) -> Result<()> {
        let hook = self.on_call.lock().unwrap().clone();
        hook.ok_or_else(|| Error::failed("no function is set"))?();
        Ok(())
    }
}

impl Drop for Foo {
    fn drop(&mut self) {
        if let Some(alive) = &self.alive {
            alive.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn needed<T: ?Sized>(object: Option<Arc<T>>) -> Result<Arc<T>> {
    object.ok_or_else(|| Error::failed("an object is needed"))
}

impl FooInterface for Foo {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        a.checked_add(b).ok_or_else(|| Error::failed("overflow"))
    }
    fn add_out(&self, a: i32, b: i32) -> Result<i32> {
        self.add(a, b)
    }
    fn add_in_out(&self, x: i32, sum: i32) -> Result<i32> {
        self.add(x, sum)
    }
    fn divide(&self, a: i32, b: i32) -> Result<FooInterfaceDivideResults> {
        if b == 0 {
            return Err(Error::failed("division by zero"));
        }
        Ok(FooInterfaceDivideResults {
            quotient: a / b,
            remainder: a % b,
        })
    }
    fn pass(&self, arg: &FooStruct) -> Result<FooStruct> {
        Ok(arg.clone())
    }
    fn raise(&self, arg: &FooStruct) -> Result<Result<(), FooStruct>> {
        Ok(Err(arg.clone()))
    }
    fn raise_or(&self, raise: bool, arg: i32) -> Result<Result<i32, String>> {
        Ok(if raise { Err(arg.to_string()) } else { Ok(arg) })
    }
    fn callback(&self, callback: Option<Arc<dyn FooCallback>>, arg: i32) -> Result<i32> {
        needed(callback)?.call(arg)
    }
    fn callback_unique(&self, callback: Option<Arc<dyn FooCallback>>, arg: i32) -> Result<i32> {
        needed(callback)?.call(arg)
    }
    fn callback_shared(&self, callback: Option<Arc<dyn FooCallback>>, arg: i32) -> Result<i32> {
        needed(callback)?.call(arg)
    }
    fn save_callback(&self, callback: Option<Arc<dyn FooCallback>>) -> Result<()> {
        *self.saved.lock().unwrap() = callback;
        Ok(())
    }
    fn callback_saved(&self, arg: i32) -> Result<i32> {
        let saved = self.saved.lock().unwrap().clone();
        needed(saved)?.call(arg)
    }
    fn callback_extended(
        &self,
        callback: Option<Arc<dyn ExtendedCallback>>,
        arg: i32,
    ) -> Result<i32> {
        needed(callback)?.call_extended(arg)
    }
    fn pass_callback(
        &self,
        callback: Option<Arc<dyn FooCallback>>,
    ) -> Result<Option<Arc<dyn FooCallback>>> {
        Ok(callback)
    }
    fn pass_callbacks(
        &self,
        arg: &[Option<Arc<dyn FooCallback>>],
    ) -> Result<Vec<Option<Arc<dyn FooCallback>>>> {
        Ok(arg.to_vec())
    }
    fn pass_holder(&self, arg: &FooHolder) -> Result<FooHolder> {
        Ok(arg.clone())
    }
    fn make_callbacks(&self, arg: i32) -> Result<FooInterfaceMakeCallbacksResults> {
        let handed_out = self.handed_out.lock().unwrap().take();
        Ok(FooInterfaceMakeCallbacksResults {
            first: handed_out.or_else(|| Some(Arc::new(move |x: i32| Ok(x + arg)))),
            second: Some(Arc::new(move |x: i32| Ok(x * arg))),
        })
    }
    fn pass_custom(&self, arg: &FooCustom) -> Result<FooCustom> {
        Ok(arg.clone())
    }
    fn pass_empty(&self, arg: &FooEmpty) -> Result<FooEmpty> {
        Ok(arg.clone())
    }
    fn pass_data(&self, arg: &[u8]) -> Result<Vec<u8>> {
        Ok(arg.to_vec())
    }
    fn pass_text(&self, arg: &str) -> Result<String> {
        Ok(arg.to_owned())
    }
    fn pass_message(&self, arg: &FooMessage) -> Result<FooMessage> {
        Ok(FooMessage {
            message: format!("{} call", arg.message),
        })
    }
    fn pass_mutable(&self, arg: &FooMutable) -> Result<FooMutable> {
        Ok(FooMutable {
            message: format!("{} call", arg.message),
        })
    }
    fn pass_enum(&self, arg: FooEnum) -> Result<FooEnum> {
        Ok(arg)
    }
    fn pass_double(&self, arg: f64) -> Result<f64> {
        Ok(arg)
    }
    fn pass_void(&self, arg: ()) -> Result<()> {
        Ok(arg)
    }
    fn pass_numbers(&self, arg: &FooNumbers) -> Result<FooNumbers> {
        Ok(arg.clone())
    }
    fn pass_lists(&self, arg: &FooLists) -> Result<FooLists> {
        Ok(arg.clone())
    }
    fn pass_optional(&self, arg: Option<i32>) -> Result<Option<i32>> {
        Ok(arg)
    }
    fn pass_optionals(
        &self,
        text: Option<&str>,
        data: Option<&[u8]>,
        list: Option<&[String]>,
        value: Option<&FooCustom>,
    ) -> Result<FooInterfacePassOptionalsResults> {
        Ok(FooInterfacePassOptionalsResults {
            text: text.map(str::to_owned),
            data: data.map(<[u8]>::to_vec),
            list: list.map(<[String]>::to_vec),
            value: value.cloned(),
        })
    }
    fn pass_defaults(&self, count: i32, timeout: f64, name: &str, on: bool) -> Result<String> {
        Ok(format!("{count} {timeout} {name} {on}"))
    }
    fn pass_data_pointers(&self, arg: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        Ok(arg.to_vec())
    }
    fn pass_shared(&self, arg: &SharedValue) -> Result<SharedValue> {
        Ok(arg.clone())
    }
    fn pass_fn(&self, r#fn: Option<Arc<dyn FooFn>>) -> Result<i32> {
        needed(r#fn)?.call()
    }
    fn pass_text_fn(&self, r#fn: Option<Arc<dyn FooTextFn>>, arg: &str) -> Result<String> {
        needed(r#fn)?.call(arg, b"data", &[1, 2], &FooCustom::default())
    }
    fn call_fn(&self) -> Result<()> {
        self.run()
    }
    fn call_fn_async_(&self) -> Result<()> {
        self.run()
    }
    fn call_int_fn_async(&self, arg: i32) -> Result<i32> {
        let hook = self.on_int_call.lock().unwrap().clone();
        Ok(hook.ok_or_else(|| Error::failed("no function is set"))?(
            arg,
        ))
    }
    fn r#type(&self, build: i32, read: &str, self_: bool) -> Result<FooInterfaceTypeResults> {
        Ok(FooInterfaceTypeResults {
            params: build,
            results: format!("{read} {self_}"),
        })
    }
}

/// A client and a server, each with an event loop of its own, over a socketpair.
pub struct Setup {
    pub client: Option<Arc<dyn FooInterface>>,
    pub server: Arc<Capnp>,
    pub foo: Arc<Foo>,
    serving: Vec<JoinHandle<Result<()>>>,
    pub protocol: Capnp,
}

impl Setup {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let mut this = Self {
            client: None,
            server: Arc::new(Capnp::new("mptest-server", limits).unwrap()),
            foo: Arc::default(),
            serving: Vec::new(),
            protocol: Capnp::new("mptest", Limits::default()).unwrap(),
        };
        this.client = Some(this.another());
        this
    }

    /// Makes another connection to the same object, with the same event loops.
    pub fn another(&mut self) -> Arc<dyn FooInterface> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (server, foo) = (self.server.clone(), self.foo.clone());
        let serve = move || Protocol::<dyn FooInterface>::serve(&*server, theirs.into(), foo);
        self.serving.push(std::thread::spawn(serve));
        Protocol::<dyn FooInterface>::connect(&self.protocol, ours.into()).unwrap()
    }

    pub fn client(&self) -> Arc<dyn FooInterface> {
        self.client.clone().unwrap()
    }

    pub fn server_disconnect(&self) -> impl Fn() + Send + Sync + 'static {
        let server = self.server.clone();
        move || Protocol::<dyn FooInterface>::disconnect_incoming(&*server)
    }

    pub fn client_disconnect(&self) -> impl Fn() + Send + Sync + 'static {
        let client = self.client();
        move || client.remote().unwrap().disconnect()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.client = None;
        Protocol::<dyn FooInterface>::disconnect_incoming(&self.protocol);
        for serving in std::mem::take(&mut self.serving) {
            // A hook may hold a client, which would keep the connection.
            self.server_disconnect()();
            let served = serving.join();
            if !std::thread::panicking() {
                served.unwrap().unwrap();
            }
        }
    }
}

/// Waits until `condition` holds, for ten seconds at most.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a test on a thread of its own and fails it when it hangs.
pub fn timed(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("test".into())
        .spawn(move || {
            test();
            let _ = sender.send(());
        })
        .unwrap();
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
