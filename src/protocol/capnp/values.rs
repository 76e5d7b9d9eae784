//! Objects in values: the contexts in which generated code writes and reads messages.
//!
//! Knows capabilities, objects of peers and objects served here; nothing of particular interfaces,
//! whose values generated code writes and reads, nor of calls.

use std::any::Any;
use std::sync::Arc;

use capnp::any_pointer;
use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;

use super::connection::Connection;
use super::convert::malformed;
use super::info::{Info, StaticOrShared};
use super::object::Object;
use super::rpc::{Cap, Caps, Incoming, Param, Results, find};
use super::served::{Local, Served, Several};
use super::server::ObjectServer;
use super::threads::peer_threads::write_context;
use super::wire;
use crate::error::{Error, Result};
use crate::interfaces::Remote;

/// A trait object type (`dyn Echo`) that can cross to another process.
pub trait Interface: Send + Sync + 'static {
    /// The schema's facts about the interface.
    const INFO: &'static Info;

    /// Returns the object in the other process as a trait object.
    fn client(object: Object) -> Arc<Self>;

    /// Returns the remote object behind `this`, if there is one.
    fn remote(this: &Self) -> Option<&dyn Remote>;

    /// Returns the objects that `this` consists of, if it is a [`Several`].
    fn several(this: &Self) -> Option<&dyn Any>;

    /// Returns an object of several interfaces, the first of which is this one, as a trait object.
    fn of_several(several: Several<Self>) -> Arc<Self>;

    /// Reads the parameters of `INFO.methods[method]`, calls it on `this`, and writes its results.
    /// Runs on a server thread.
    ///
    /// # Errors
    /// Returns the errors of the method, and [`Error::Conversion`] for values that cannot cross.
    fn dispatch(
        this: &Self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()>;
}

/// The context in which a message to a peer is written.
pub struct Build<'a> {
    connection: &'a Arc<Connection>,
    caps: Writing<'a>,
}

/// The capabilities of the message that is written.
enum Writing<'a> {
    /// The parameters of a call, and whether it names a thread.
    Call(&'a mut Caps<Param>, bool),
    Results(&'a mut Caps<Cap>),
}

impl<'a> Build<'a> {
    /// The context of a call's parameters; `names_thread` tells whether [`Build::context`] names one.
    pub fn of_call(
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

    /// Returns the capability that stands for `object` at the peer: the peer's own if the object came
    /// from there, otherwise a new server for it.
    ///
    /// # Errors
    /// Returns [`Error::Disconnected`] when the object is remote and its connection has ended.
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

    /// Returns the peer's own capability behind a handle; `None` when the object belongs to another
    /// peer.
    ///
    /// # Errors
    /// Returns [`Error::Disconnected`] when its connection has ended.
    pub fn export_object(&mut self, object: &Object) -> Result<Option<Box<dyn ClientHook>>> {
        if !Arc::ptr_eq(object.connection(), self.connection) {
            return Ok(None);
        }
        object.give_back();
        match self.connection.closed() {
            None => Ok(Some(self.add(Cap::Import(object.import().clone())))),
            Some(_) => Err(self.connection.after_disconnect()),
        }
    }

    /// Returns a capability that stands for an object of this process.
    pub fn export_served(&mut self, object: Arc<dyn Served>) -> Box<dyn ClientHook> {
        let server = ObjectServer::new(self.connection, object);
        self.add(Cap::Own(server))
    }
}

/// The answer to a call, which the method writes its results into.
pub struct Answer<'a> {
    connection: &'a Arc<Connection>,
    call: &'a Incoming,
    results: Option<Results>,
}

impl<'a> Answer<'a> {
    /// Makes the answer to this call, without results yet.
    pub fn new(connection: &'a Arc<Connection>, call: &'a Incoming) -> Self {
        Self {
            connection,
            call,
            results: None,
        }
    }

    /// Writes the results with `fill`.
    ///
    /// # Errors
    /// Returns the errors of `fill`.
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

    /// Returns the results.
    ///
    /// # Errors
    /// Fails when none were written.
    pub fn finish(self) -> Result<Results> {
        let nothing = || Error::failed("the method wrote no results");
        self.results.ok_or_else(nothing)
    }
}

/// The context in which a message from a peer is read.
pub struct Read<'a> {
    connection: &'a Arc<Connection>,
    caps: &'a [Option<Cap>],
}

impl<'a> Read<'a> {
    /// The context of a message with these capabilities.
    pub fn new(connection: &'a Arc<Connection>, caps: &'a [Option<Cap>]) -> Self {
        Self { connection, caps }
    }

    /// Returns the object that a capability stands for: this process's own if it came from here,
    /// otherwise a client for it. `has` tells whether the pointer is set; a null pointer is no object.
    ///
    /// # Errors
    /// Returns [`Error::Conversion`] when the pointer is no capability.
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

    /// Returns whether a capability is the one behind a handle.
    pub fn is_behind(&self, object: &Object, hook: &dyn ClientHook) -> bool {
        match find(self.caps, hook) {
            Some(Cap::Import(import)) => Arc::ptr_eq(import, object.import()),
            _ => false,
        }
    }

    /// Returns the object that a capability stands for, with an interface that a schema describes at
    /// run time.
    ///
    /// # Errors
    /// Returns [`Error::Conversion`] when it stands for no object.
    pub fn import_served(
        &self,
        hook: &dyn ClientHook,
        info: impl FnOnce() -> StaticOrShared<Info>,
        field: &str,
    ) -> Result<Imported> {
        match find(self.caps, hook) {
            None => Err(Error::conversion(field, "this is no object")),
            Some(Cap::Import(import)) => {
                let object = Object::new(self.connection, import.clone(), info());
                Ok(Imported::Remote(object))
            }
            Some(cap) => {
                let own = cap.own::<ObjectServer>().and_then(|own| own.served());
                Ok(Imported::Own(own))
            }
        }
    }
}

/// The object that a capability stands for.
pub enum Imported {
    /// An object of the peer.
    Remote(Object),
    /// An object of this process; `None` when it is destroyed, or is not a served object.
    Own(Option<Arc<dyn Served>>),
}
