//! What generated code stands on: the names it may use, and nothing else of this library.
//!
//! Generated code turns values into messages and back, and method calls into [`Outgoing`] calls and
//! [`Answer`]s. It knows no threads, connections or loops; [`Build`] and [`Read`] stand for those.

use std::any::Any;
pub use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;

pub use crate::error::{Error, Result};
pub use crate::interfaces::{Call, Remote, ready};
pub use capnp;

pub use super::convert::{data, data_in, length, malformed, show, text, text_in};
pub use super::generated::{self, wire};
pub use super::object::Object;

use super::connection::Connection;
use super::lanes::write_context;
use super::rpc::{AFTER_DISCONNECT, Cap, Caps, Incoming, Param, Results, find};
use super::server::{Local, LocalUntyped, ObjectServer};

/// What a method is to the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A method of the trait.
    Plain,
    /// `destroy`: frees the object; the client's drop.
    Destroy,
    /// The method that swaps thread maps (`Init.construct`).
    Construct,
}

/// A fact of generated code, or one that a schema told at run time.
pub enum Held<T: ?Sized + 'static> {
    /// Of generated code.
    Static(&'static T),
    /// Of a schema at run time.
    Shared(Arc<T>),
}

impl<T: ?Sized> Clone for Held<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(value) => Self::Static(value),
            Self::Shared(value) => Self::Shared(value.clone()),
        }
    }
}

impl<T: ?Sized> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Static(value) => value,
            Self::Shared(value) => value,
        }
    }
}

impl<T: ?Sized> From<&'static T> for Held<T> {
    fn from(value: &'static T) -> Self {
        Self::Static(value)
    }
}

impl<T: ?Sized> From<Arc<T>> for Held<T> {
    fn from(value: Arc<T>) -> Self {
        Self::Shared(value)
    }
}

/// One method of an interface, as the schema has it.
pub struct Method {
    /// The interface that declares it, such as `Echo`.
    pub interface: Cow<'static, str>,
    /// Its name in the schema, such as `echo`.
    pub name: Cow<'static, str>,
    /// The declaring interface's id on the wire.
    pub interface_id: u64,
    /// Its ordinal on the wire.
    pub ordinal: u16,
    /// What it is to the runtime.
    pub role: Role,
    /// Whether it has a `context :Proxy.Context` parameter and so names the thread it runs on.
    pub threaded: bool,
    /// Writes parameters, for logs.
    pub show_params: Held<Show>,
    /// Writes results, for logs.
    pub show_results: Held<Show>,
    /// Whether it takes long, as far as is known.
    pub pace: Pace,
}

impl Method {
    /// Its name with its interface's, such as `Echo.echo`.
    pub fn full_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface, self.name)
    }
}

/// Whether a method of this process took long when it ran last.
#[derive(Debug, Default)]
pub struct Pace(AtomicBool);

/// What is long for a method: so that others who call meanwhile would notice.
const LONG: Duration = Duration::from_micros(50);

impl Pace {
    /// It has not run.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    pub(super) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, took: Duration) {
        let slow = took > LONG;
        // Looked at before, so that several processors can share it while it stays as it is.
        if slow != self.is_slow() {
            self.0.store(slow, Ordering::Relaxed);
        }
    }
}

/// Writes a message's values, for logs.
pub type Show = dyn Fn(any_pointer::Reader<'_>, &mut dyn fmt::Write) -> fmt::Result + Send + Sync;

/// One interface, as the schema has it.
pub struct Info {
    /// Its name, such as `Echo`.
    pub name: Cow<'static, str>,
    /// Its id on the wire.
    pub id: u64,
    /// Its own methods and those it inherits.
    pub methods: Cow<'static, [Held<Method>]>,
}

/// A trait object type (`dyn Echo`) that can cross to another process.
pub trait Interface: Send + Sync + 'static {
    /// The schema's facts about it.
    const INFO: &'static Info;

    /// The object in the other process as a trait object.
    fn client(object: Object) -> Arc<Self>;

    /// The remote object behind `this`, where there is one.
    fn remote(this: &Self) -> Option<&dyn Remote>;

    /// Reads the parameters of `INFO.methods[method]`, calls it on `this`, and writes its results.
    /// Runs on a server thread.
    ///
    /// # Errors
    /// What the method says; [`Error::Conversion`] for values that cannot cross.
    fn dispatch(
        this: &Self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()>;
}

/// Writes a method's parameters.
pub type Fill<'a> =
    Box<dyn FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a>;

/// A call that has not been written: how its parameters are, and how its results are read.
pub struct Outgoing<'a, R> {
    pub(super) method: Held<Method>,
    pub(super) names_thread: bool,
    pub(super) fill: Fill<'a>,
    pub(super) read: ReadResults<R>,
    pub(super) pipelined: Vec<Pipelined<'a>>,
}

/// Reads a method's results, on the thread that wants them.
pub type ReadResults<R> = Box<dyn FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<R> + Send>;

/// A call on what the call before it answers, sent together with that.
pub(super) struct Pipelined<'a> {
    /// Which of the pointers of the results before is called on.
    pub(super) pointer: u16,
    pub(super) method: Held<Method>,
    pub(super) fill: Fill<'a>,
    pub(super) read: ReadResults<()>,
}

impl<'a, R> Outgoing<'a, R> {
    /// A call of `method`.
    pub fn new(
        method: impl Into<Held<Method>>,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a,
        read: impl FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<R> + Send + 'static,
    ) -> Self {
        Self {
            method: method.into(),
            names_thread: true,
            fill: Box::new(fill),
            read: Box::new(read),
            pipelined: Vec::new(),
        }
    }

    /// Calls on: `method` of the capability in the results of the call before, at the pointer with
    /// this number. All the calls are sent at once. The whole fails as the first of them that
    /// fails; what the others answered is read all the same, the first call's answer before it.
    #[must_use]
    pub fn then(
        mut self,
        pointer: u16,
        method: impl Into<Held<Method>>,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'a,
        read: impl FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        self.pipelined.push(Pipelined {
            pointer,
            method: method.into(),
            fill: Box::new(fill),
            read: Box::new(read),
        });
        self
    }

    /// Whether a thread of the peer is named in it.
    pub(super) fn needs_thread(&self) -> bool {
        self.names_thread
            && (self.method.threaded || self.pipelined.iter().any(|next| next.method.threaded))
    }
}

impl Outgoing<'static, ()> {
    /// A call of `method`, which has no parameters but for a context, that names no thread to run on.
    pub(super) fn without_thread(method: Held<Method>) -> Self {
        Self {
            names_thread: false,
            ..Self::destroy(method)
        }
    }

    /// A call of an interface's `destroy`, which is like `Echo`'s in all of them.
    pub(super) fn destroy(method: Held<Method>) -> Self {
        let fill = |build: &mut Build<'_>, params: any_pointer::Builder<'_>| {
            use wire::echo_capnp::echo::destroy_params;
            let params = params.init_as::<destroy_params::Builder<'_>>();
            build.context(params.init_context());
            Ok(())
        };
        Self::new(method, fill, |_, _| Ok(()))
    }
}

/// The context in which a message to a peer is written.
pub struct Build<'a> {
    connection: &'a Arc<Connection>,
    caps: Writing<'a>,
}

/// The capabilities of what is written.
enum Writing<'a> {
    /// A call, and whether it names a thread.
    Call(&'a mut Caps<Param>, bool),
    Results(&'a mut Caps<Cap>),
}

impl<'a> Build<'a> {
    pub(super) fn of_call(
        connection: &'a Arc<Connection>,
        caps: &'a mut Caps<Param>,
        names_thread: bool,
    ) -> Self {
        Self {
            connection,
            caps: Writing::Call(caps, names_thread),
        }
    }

    fn add(&mut self, cap: Cap) -> Box<dyn ClientHook> {
        match &mut self.caps {
            Writing::Call(caps, _) => caps.add(Param::Cap(cap)),
            Writing::Results(caps) => caps.add(cap),
        }
    }

    /// Fills in a call's `context`.
    pub fn context(&mut self, builder: wire::proxy_capnp::context::Builder<'_>) {
        if let Writing::Call(caps, true) = &mut self.caps {
            write_context(caps, builder);
        }
    }

    /// The capability that stands for `object` at the peer: the peer's own when it came from
    /// there, else a server for it.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the object is remote and its connection has ended.
    pub fn export<I: Interface + ?Sized>(
        &mut self,
        object: &Option<Arc<I>>,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        let Some(object) = object else {
            return Ok(None);
        };
        let remote = I::remote(object).and_then(|remote| remote.as_any().downcast_ref::<Object>());
        if let Some(remote) = remote
            && let Some(hook) = self.export_object(remote)?
        {
            return Ok(Some(hook));
        }
        let server = ObjectServer::new(self.connection, Arc::new(Local(object.clone())));
        Ok(Some(self.add(Cap::Own(server))))
    }

    /// The peer's own capability behind a handle; `None` when the object is of another peer.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when its connection has ended.
    pub fn export_object(&mut self, object: &Object) -> Result<Option<Box<dyn ClientHook>>> {
        if !Arc::ptr_eq(object.connection(), self.connection) {
            return Ok(None);
        }
        object.give_back();
        match self.connection.closed() {
            None => Ok(Some(self.add(Cap::Import(object.import().clone())))),
            Some(_) => Err(Error::Disconnected(AFTER_DISCONNECT.into())),
        }
    }

    /// A capability that stands for an object of this process.
    pub fn export_untyped(&mut self, object: Arc<dyn Untyped>) -> Box<dyn ClientHook> {
        let server = ObjectServer::new(self.connection, Arc::new(LocalUntyped(object)));
        self.add(Cap::Own(server))
    }
}

/// Where a method's results are written.
pub struct Answer<'a> {
    connection: &'a Arc<Connection>,
    call: &'a Incoming,
    results: Option<Results>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(connection: &'a Arc<Connection>, call: &'a Incoming) -> Self {
        Self {
            connection,
            call,
            results: None,
        }
    }

    /// Has `fill` write the results.
    ///
    /// # Errors
    /// What `fill` says.
    pub fn write(
        &mut self,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()>,
    ) -> Result<()> {
        let results = self.call.results(|caps, results| {
            let mut build = Build {
                connection: self.connection,
                caps: Writing::Results(caps),
            };
            fill(&mut build, results)
        });
        self.results = Some(results?);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Results> {
        let nothing = || Error::failed("the method wrote no results");
        self.results.ok_or_else(nothing)
    }
}

/// The context in which a message from a peer is read.
pub struct Read<'a> {
    pub(super) connection: &'a Arc<Connection>,
    pub(super) caps: &'a [Option<Cap>],
}

impl Read<'_> {
    /// The object that a capability stands for: this process's own when it came from here, else a
    /// client for it. `has` tells whether the pointer is set; a null one is no object.
    ///
    /// # Errors
    /// [`Error::Conversion`] when the pointer is no capability.
    pub fn import<I: Interface + ?Sized, C: FromClientHook>(
        &self,
        has: bool,
        client: capnp::Result<C>,
        field: &str,
    ) -> Result<Option<Arc<I>>> {
        if !has {
            return Ok(None);
        }
        let client = match client {
            Ok(client) => client,
            Err(error) if error.kind == capnp::ErrorKind::MessageContainsNullCapabilityPointer => {
                return Ok(None);
            }
            Err(error) => return Err(malformed(field)(error)),
        };
        let foreign =
            |what| Error::conversion(field, format!("this is no {} {what}", I::INFO.name));
        match find(self.caps, client.as_client_hook()) {
            None => Ok(None),
            Some(Cap::Import(import)) => {
                let object = Object::new(self.connection, import.clone(), I::INFO.into());
                Ok(Some(I::client(object)))
            }
            Some(cap) => {
                let object = cap.own::<ObjectServer>().and_then(|own| own.object::<I>());
                let object = object.ok_or_else(|| foreign("of this process any more"))?;
                Ok(Some(object))
            }
        }
    }

    /// Whether a capability is the one behind a handle.
    pub fn is_behind(&self, object: &Object, hook: &dyn ClientHook) -> bool {
        match find(self.caps, hook) {
            Some(Cap::Import(import)) => Arc::ptr_eq(import, object.import()),
            _ => false,
        }
    }

    /// The object that a capability stands for, of an interface that a schema tells at run time.
    ///
    /// # Errors
    /// [`Error::Conversion`] when it stands for none.
    pub fn import_untyped(
        &self,
        hook: &dyn ClientHook,
        info: impl FnOnce() -> Held<Info>,
        field: &str,
    ) -> Result<Imported> {
        match find(self.caps, hook) {
            None => Err(Error::conversion(field, "this is no object")),
            Some(Cap::Import(import)) => {
                let object = Object::new(self.connection, import.clone(), info());
                Ok(Imported::Remote(object))
            }
            Some(cap) => {
                let own = cap.own::<ObjectServer>().and_then(|own| own.untyped());
                Ok(Imported::Own(own))
            }
        }
    }
}

/// What a capability stands for.
pub enum Imported {
    /// An object of the peer.
    Remote(Object),
    /// An object of this process; `None` when its interface is one of generated code.
    Own(Option<Arc<dyn Untyped>>),
}

/// An object of this process whose interface a schema tells at run time.
pub trait Untyped: Any + Send + Sync {
    /// Its interface.
    fn info(&self) -> Held<Info>;

    /// As [`Interface::dispatch`].
    ///
    /// # Errors
    /// As that.
    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()>;
}
