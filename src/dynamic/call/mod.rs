//! Calls by name: objects held by handles, parameters and results as JSON.
//!
//! Knows objects, schemas and conversions; nothing of how a connection came about.
//!
//! An [`Objects`] holds the objects that calls returned. In JSON an object is its handle, a string
//! such as `"BlockTemplate#2"`. Releasing a handle, or dropping the [`Objects`], releases the
//! object, and destroys it where its interface has `destroy`, as dropping a typed proxy does.
//!
//! A method's parameters are a JSON object; `context` and `threadMap` are the runtime's. Of its
//! results a single one is given alone, several as an object, none as `null`.

mod facts;
mod handles;
mod host;
mod request;
mod table;

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value as Json;

use self::facts::Facts;
pub use self::request::Step;
use self::request::{outgoing, scratch};
pub use self::table::Calls;
use self::table::{Entry, Hosted, Inner, no_handle};
use super::json::{Converter, Options};
use super::schema::model::Type;
use super::schema::{MethodInfo, Registry};
use crate::error::{Error, Result};
use crate::interfaces::{Call, Disconnection, Remote};
use crate::protocol::capnp::Capnp;
use crate::protocol::capnp::rt::{self, Object};
use crate::transport::Stream;

/// Objects of peers and of this process, by handle. Clones share them.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

impl Objects {
    /// Creates an empty table. Values are converted by `registry` as `options` say.
    pub fn new(registry: Arc<Registry>, options: Options) -> Self {
        Self(Arc::new(Inner::new(registry, options)))
    }

    /// Returns the schema.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Returns the options for showing and taking values.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Connects to a peer whose bootstrap interface is called `interface`, and returns its handle.
    /// The connection ends when that, and every other handle to an object of the peer, is released.
    ///
    /// # Errors
    /// [`Error::Usage`] when the schema has no such interface; otherwise the errors of the
    /// handshake.
    pub fn connect(
        &self,
        by: &Capnp,
        stream: impl Into<Box<dyn Stream>>,
        interface: &str,
    ) -> Result<String> {
        let facts = self.0.facts_named(interface)?;
        let object = by.connect_object(stream, facts.info.clone())?;
        Ok(self.0.hold_new(Entry::Remote(object, facts)))
    }

    /// Returns a handle to an object of generated code, such as the `Init` of a connection, as one
    /// of the interface that the schema calls `interface`.
    ///
    /// # Errors
    /// [`Error::Usage`] when the schema has no such interface, or the object is of this process.
    pub fn adopt(&self, remote: &dyn Remote, interface: &str) -> Result<String> {
        let facts = self.0.facts_named(interface)?;
        let object = remote.as_any().downcast_ref::<Object>().ok_or_else(|| {
            Error::Usage(format!(
                "this {interface} is not an object of another process"
            ))
        })?;
        Ok(self.0.hold_new(Entry::Remote(object.clone(), facts)))
    }

    /// Hosts an object of the interface that the schema calls `interface`, and returns its handle,
    /// which can be passed as a parameter. `calls` answers the calls on it.
    ///
    /// # Errors
    /// [`Error::Usage`] when the schema has no such interface.
    pub fn host(
        &self,
        interface: &str,
        calls: impl Fn(&str, &str, Json) -> Result<Json> + Send + Sync + 'static,
    ) -> Result<String> {
        Ok(self.host_with(self.0.facts_named(interface)?, calls))
    }

    /// Hosts an object that answers as several interfaces, each by its id, as [`Objects::host`] does one of
    /// the first. The name of the interface that `calls` gets tells them apart.
    ///
    /// # Errors
    /// [`Error::Usage`] when there are no interfaces, or the schema does not have one of them.
    pub fn host_several(
        &self,
        interfaces: &[&str],
        calls: impl Fn(&str, &str, Json) -> Result<Json> + Send + Sync + 'static,
    ) -> Result<String> {
        let (first, others) = interfaces
            .split_first()
            .ok_or_else(|| Error::Usage("an object needs an interface".into()))?;
        let first = self.0.facts_named(first)?;
        let others = others.iter().map(|other| self.0.facts_named(other));
        let others = others.collect::<Result<Vec<_>>>()?;
        Ok(self.host_with(Arc::new(Facts::several(&first, &others)), calls))
    }

    /// Hosts an object of the interface that a type is, such as a parameter's, as
    /// [`Objects::host`] does by name.
    ///
    /// # Errors
    /// [`Error::Usage`] when the type is no interface, or one that the schema does not have.
    pub fn host_type(
        &self,
        ty: &Type,
        calls: impl Fn(&str, &str, Json) -> Result<Json> + Send + Sync + 'static,
    ) -> Result<String> {
        match ty {
            Type::Interface(id, brand) => Ok(self.host_with(self.0.facts(*id, brand)?, calls)),
            _ => Err(Error::Usage("only an interface can be hosted".into())),
        }
    }

    fn host_with(
        &self,
        facts: Arc<Facts>,
        calls: impl Fn(&str, &str, Json) -> Result<Json> + Send + Sync + 'static,
    ) -> String {
        let hosted = Hosted {
            facts,
            calls: Arc::new(calls),
            objects: Arc::downgrade(&self.0),
        };
        self.0.hold_new(Entry::Local(Arc::new(hosted)))
    }

    /// Serves a hosted object to the peer of a connected stream as its bootstrap interface, and
    /// blocks until the connection has ended.
    ///
    /// # Errors
    /// [`Error::Usage`] when the handle stands for no object that is hosted here;
    /// [`Error::Io`] when the stream cannot be used at all.
    pub fn serve(
        &self,
        by: &Capnp,
        stream: impl Into<Box<dyn Stream>>,
        handle: &str,
    ) -> Result<()> {
        match self.0.get(handle).ok_or_else(|| no_handle(handle))? {
            Entry::Local(hosted) => by.serve_object(stream, hosted),
            Entry::Remote(..) => Err(Error::Usage(format!("{handle:?} is not hosted here"))),
        }
    }

    /// Releases an object. Returns whether there was a handle of this name.
    pub fn release(&self, handle: &str) -> bool {
        self.0.release(handle)
    }

    /// Releases every object, and so ends the connections that they came over.
    pub fn release_all(&self) {
        self.0.release_all();
    }

    /// Gives a handle another name, and releases the object that had it.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is no such handle.
    pub fn rename(&self, handle: &str, name: &str) -> Result<()> {
        let mut held = self.0.held();
        let entry = held.remove(handle).ok_or_else(|| no_handle(handle))?;
        let replaced = held.insert(name.to_owned(), entry);
        drop(held);
        drop(replaced);
        Ok(())
    }

    /// Gives the handle that was assigned last another name, as [`Objects::rename`] does, and its
    /// number to the next one: for objects that their user does not see.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is no such handle.
    pub fn set_aside(&self, handle: &str, name: &str) -> Result<()> {
        self.rename(handle, name)?;
        self.0.unname(handle);
        Ok(())
    }

    /// Returns a table of the same objects by another schema, such as that of another generation of
    /// the peer. Hosted objects stay with the schema that they were hosted by.
    #[must_use]
    pub fn with_registry(&self, registry: Arc<Registry>) -> Self {
        Self(Arc::new(self.0.with_registry(registry)))
    }

    /// Returns the end of the connection of the object that a handle stands for; `None` for an
    /// unknown handle and for an object that is hosted here.
    pub fn disconnection(&self, handle: &str) -> Option<Disconnection> {
        match self.0.get(handle)? {
            Entry::Remote(object, _) => Some(object.disconnection()),
            Entry::Local(_) => None,
        }
    }

    /// Asks whether the peer implements a method of an object, without running it, as
    /// [`Remote::implements`] does. The method is the one that the schema of these objects has.
    ///
    /// # Errors
    /// Returns the errors of [`Remote::implements`], and [`Error::Usage`] for an unknown handle or
    /// method.
    pub fn implements(&self, handle: &str, method: &str) -> Result<bool> {
        match self.0.get(handle).ok_or_else(|| no_handle(handle))? {
            Entry::Remote(object, facts) => {
                let found = facts.method(&self.0.registry, method)?;
                rt::implements(&object, &found.method)
            }
            Entry::Local(_) => Ok(true),
        }
    }

    /// Returns another handle to an object, as one of the interface that the schema calls `interface`;
    /// `None` where it is none. A peer is asked, as [`cast`](crate::cast()) does. An object that is hosted
    /// here keeps the handle that it has. The object is destroyed when its last handle is released.
    ///
    /// # Errors
    /// Returns the errors of [`cast`](crate::cast()), and [`Error::Usage`] for an unknown handle or interface.
    pub fn cast(&self, handle: &str, interface: &str) -> Result<Option<String>> {
        let facts = self.0.facts_named(interface)?;
        match self.0.get(handle).ok_or_else(|| no_handle(handle))? {
            Entry::Remote(object, _) => {
                let has = rt::has_interface(&object, &facts.info)?;
                Ok(has.then(|| {
                    let object = object.with_interface(facts.info.clone());
                    self.0.hold_new(Entry::Remote(object, facts))
                }))
            }
            Entry::Local(hosted) => {
                let is = hosted.facts.is_a(&self.0.registry, facts.id);
                Ok(is.then(|| handle.to_owned()))
            }
        }
    }

    /// Returns the handles that are held, each with its interface's name, sorted.
    pub fn handles(&self) -> Vec<(String, String)> {
        let held = self.0.held();
        let all = held.iter();
        let mut all: Vec<_> = all
            .map(|(name, entry)| (name.clone(), entry.facts().name.clone()))
            .collect();
        drop(held);
        all.sort();
        all
    }

    /// Returns the id of the interface of the object that a handle stands for; `None` for an
    /// unknown handle or interface.
    pub fn interface_of(&self, handle: &str) -> Option<u64> {
        let id = self.0.get(handle)?.facts().id;
        Some(id).filter(|id| *id != 0)
    }

    /// Calls a method and waits for its results, running callbacks meanwhile. The thread's
    /// [`CallOptions`](crate::CallOptions) apply.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown handle or method and [`Error::Conversion`] for parameters
    /// that are not of their types, before anything is sent; otherwise the errors of a typed call.
    pub fn call(&self, handle: &str, method: &str, params: Json) -> Result<Json> {
        self.chain(handle, &[Step::new(method, params)])
    }

    /// Calls a method as [`Objects::call`] does, and returns a future for any async runtime. The
    /// call is made now; errors of usage come with the future.
    pub fn call_async(&self, handle: &str, method: &str, params: Json) -> Call<Json> {
        self.chain_async(handle, &[Step::new(method, params)])
    }

    /// Calls a chain of methods, each on the object that the one before it answers. All are sent at
    /// once, so that they take one round trip. The result is the last one's; the objects made on
    /// the way are destroyed once the last is answered.
    ///
    /// # Errors
    /// Returns the errors of [`Objects::call`]; of several calls that fail, the first one's.
    /// [`Error::Usage`] when a method does not answer an object to call; [`Error::Remote`] when it
    /// answers null.
    pub fn chain(&self, handle: &str, steps: &[Step]) -> Result<Json> {
        let (object, outgoing, gathered) = outgoing(&self.0, handle, steps)?;
        let answer = rt::call(&object, outgoing);
        gathered.finish(&self.0, answer)
    }

    /// Calls a chain as [`Objects::chain`] does, and returns a future for any async runtime.
    pub fn chain_async(&self, handle: &str, steps: &[Step]) -> Call<Json> {
        let (object, outgoing, gathered) = match outgoing(&self.0, handle, steps) {
            Ok(ready) => ready,
            Err(error) => return crate::interfaces::ready(Err(error)),
        };
        let inner = self.0.clone();
        rt::call_async(&object, outgoing)
            .map(move |answer| gathered.finish(&inner, answer))
            .boxed()
    }

    /// Checks parameters as a call would, without one, and returns them as they would be sent, with
    /// the defaults of those that were left out. Objects are null in them.
    ///
    /// # Errors
    /// [`Error::Conversion`] when they are not of their types.
    pub fn check(&self, method: &MethodInfo, params: &Json) -> Result<Json> {
        let facts = self.0.facts(method.interface.id, &method.brand)?;
        let name = &method.method.name;
        let found = facts.methods.iter().find(|m| m.schema.method.name == *name);
        let found = found.ok_or_else(|| Error::Usage(format!("{} has no {name}", facts.name)))?;
        let words = scratch(&self.0, found, params)?;
        let converter = Converter::new(&self.0.registry, &self.0.options);
        converter.from_bytes(&words, &found.params(), &method.full_name())
    }
}

crate::opaque::opaque!(Objects, "Objects");
