//! What generated code stands on: the names it may use, and nothing else of this library.
//!
//! Generated code turns values into messages and back, and method calls into [`Outgoing`] calls and
//! [`Job`]s. It knows no threads, connections or loops; [`Build`] and [`Read`] stand for those.

use std::any::Any;
pub use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use capnp::any_pointer;
use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;

pub use crate::error::{Error, Result};
pub use crate::interfaces::{Call, Remote, ready};
pub use capnp;

pub use super::convert::{data, length, malformed, show, text};
pub use super::generated::{self, wire};
pub use super::object::Object;

use super::connection::{AFTER_DISCONNECT, Connection};
use super::lanes::CallThreads;
use super::server::{AnyClient, Local, LocalUntyped};

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

    /// Reads the parameters of `INFO.methods[method]` and gives the job that calls it on `this`.
    /// Runs on the event loop; the job runs on a worker thread.
    fn dispatch(
        this: Arc<Self>,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
    ) -> Result<Job>;
}

/// A method call with its parameters read: runs the method, gives what writes the results.
pub type Job = Box<dyn FnOnce() -> Result<Fill> + Send>;

/// Writes a method's parameters or results. Runs on the event loop.
pub type Fill = Box<dyn FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send>;

/// A call that has not been sent: how to write its parameters and how to read its results.
pub struct Outgoing<R> {
    pub(super) method: Held<Method>,
    pub(super) names_thread: bool,
    pub(super) fill: Fill,
    pub(super) read: ReadResults<R>,
    pub(super) pipelined: Vec<Pipelined>,
}

/// Reads a method's results. Runs on the event loop.
pub type ReadResults<R> = Box<dyn FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<R> + Send>;

/// A call on what the call before it answers, sent together with that.
pub(super) struct Pipelined {
    /// Which of the pointers of the results before is called on.
    pub(super) pointer: u16,
    pub(super) method: Held<Method>,
    pub(super) fill: Fill,
    pub(super) read: ReadResults<()>,
}

impl<R> Outgoing<R> {
    /// A call of `method`.
    pub fn new(
        method: impl Into<Held<Method>>,
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'static,
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
        fill: impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'static,
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

impl Outgoing<()> {
    /// A call of `method` without any parameters, that names no thread to run on.
    pub(super) fn without_thread(method: Held<Method>) -> Self {
        let fill = |_: &mut Build<'_>, params: any_pointer::Builder<'_>| {
            params.init_as::<wire::echo_capnp::echo::destroy_params::Builder<'_>>();
            Ok(())
        };
        Self {
            method,
            names_thread: false,
            fill: Box::new(fill),
            read: Box::new(|_, _| Ok(())),
            pipelined: Vec::new(),
        }
    }
}

/// The context in which a message to a peer is written.
pub struct Build<'a> {
    pub(super) connection: &'a Rc<Connection>,
    pub(super) threads: Option<&'a CallThreads>,
}

impl Build<'_> {
    /// Fills in a call's `context`.
    pub fn context(&mut self, builder: wire::proxy_capnp::context::Builder<'_>) {
        if let Some(threads) = self.threads {
            threads.write(builder);
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
        let client = self.connection.serve(Box::new(Local(object.clone())));
        Ok(Some(client.into_client_hook()))
    }

    /// The peer's own capability behind a handle; `None` when the object is of another peer.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when its connection has ended.
    pub fn export_object(&mut self, object: &Object) -> Result<Option<Box<dyn ClientHook>>> {
        let (shared, id) = object.place();
        if shared.id != self.connection.shared.id {
            return Ok(None);
        }
        object.give_back();
        match self.connection.object(id) {
            Some(hook) => Ok(Some(hook)),
            None => Err(Error::Disconnected(AFTER_DISCONNECT.into())),
        }
    }

    /// A capability that stands for an object of this process.
    pub fn export_untyped(&mut self, object: Arc<dyn Untyped>) -> Box<dyn ClientHook> {
        let client = self.connection.serve(Box::new(LocalUntyped(object)));
        client.into_client_hook()
    }
}

/// The context in which a message from a peer is read.
pub struct Read<'a> {
    pub(super) connection: &'a Rc<Connection>,
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
            Ok(client) => AnyClient::new(client.into_client_hook()),
            Err(error) if error.kind == capnp::ErrorKind::MessageContainsNullCapabilityPointer => {
                return Ok(None);
            }
            Err(error) => return Err(malformed(field)(error)),
        };
        if let Some(server) = self.connection.own_object(&client) {
            return match server.object::<I>() {
                Some(object) => Ok(Some(object)),
                None => Err(Error::conversion(
                    field,
                    format!("this is no {} of this process any more", I::INFO.name),
                )),
            };
        }
        let object = Object::new(self.connection, client.into_client_hook(), I::INFO.into());
        Ok(Some(I::client(object)))
    }

    /// Whether a capability is the one behind a handle.
    pub fn is_behind(&self, object: &Object, hook: &dyn ClientHook) -> bool {
        let (shared, id) = object.place();
        shared.id == self.connection.shared.id
            && self
                .connection
                .object(id)
                .is_some_and(|held| held.get_ptr() == hook.get_ptr())
    }

    /// The object that a capability stands for, of an interface that a schema tells at run time.
    pub fn import_untyped(
        &self,
        hook: Box<dyn ClientHook>,
        info: impl FnOnce() -> Held<Info>,
    ) -> Imported {
        let client = AnyClient::new(hook);
        match self.connection.own_object(&client) {
            Some(server) => Imported::Own(server.untyped()),
            None => {
                let hook = client.into_client_hook();
                Imported::Remote(Object::new(self.connection, hook, info()))
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
    /// When the parameters cannot be read.
    fn dispatch(
        self: Arc<Self>,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
    ) -> Result<Job>;
}
