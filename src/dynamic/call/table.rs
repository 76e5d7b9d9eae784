//! The objects that are held, by handle, and the facts about their interfaces.
//!
//! Knows handles and interfaces; nothing of messages, of calls, or of how an object that is hosted
//! here answers them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value as Json;

use super::facts::Facts;
use crate::dynamic::json::Options;
use crate::dynamic::schema::Registry;
use crate::dynamic::schema::model::Brand;
use crate::error::{Error, Result};
use crate::protocol::capnp::rt::Object;

/// Answers the calls of a hosted object: takes the interface's name, the method's name and the
/// parameters, and returns the results as [`Objects::call`](super::Objects::call) would: one result
/// alone, several as an object, none as null. Objects among the parameters are held until the call
/// is answered; one that is [renamed](super::Objects::rename) stays. Runs on the thread that the
/// caller names, never on the event loop.
pub type Calls = dyn Fn(&str, &str, Json) -> Result<Json> + Send + Sync;

/// A hosted object.
pub(super) struct Hosted {
    pub(super) facts: Arc<Facts>,
    pub(super) calls: Arc<Calls>,
    /// Weak, since the table of handles holds this.
    pub(super) objects: Weak<Inner>,
}

impl Hosted {
    /// Returns the table that this object is in.
    ///
    /// # Errors
    /// Fails when the table is gone.
    pub(super) fn objects(&self) -> Result<Arc<Inner>> {
        let inner = self.objects.upgrade();
        inner.ok_or_else(|| Error::failed(format!("{} is no longer hosted", self.facts.name)))
    }
}

/// The object behind a handle.
#[derive(Clone)]
pub(super) enum Entry {
    /// An object of a peer.
    Remote(Object, Arc<Facts>),
    /// An object that is hosted here.
    Local(Arc<Hosted>),
}

impl Entry {
    pub(super) fn facts(&self) -> &Arc<Facts> {
        match self {
            Self::Remote(_, facts) => facts,
            Self::Local(hosted) => &hosted.facts,
        }
    }
}

/// The objects that are held, and the schema that they are held by.
pub(super) struct Inner {
    pub(super) registry: Arc<Registry>,
    pub(super) options: Options,
    held: Mutex<HashMap<String, Entry>>,
    /// Cached facts about interfaces without type parameters.
    known: Mutex<HashMap<u64, Arc<Facts>>>,
    /// The number of handles that each interface has had.
    numbers: Mutex<HashMap<String, u64>>,
}

impl Inner {
    /// Creates an empty table.
    pub(super) fn new(registry: Arc<Registry>, options: Options) -> Self {
        Self {
            registry,
            options,
            held: Mutex::default(),
            known: Mutex::default(),
            numbers: Mutex::default(),
        }
    }

    /// Returns a name for a new handle to an object of this interface.
    pub(super) fn name(&self, interface: &str) -> String {
        let mut numbers = self.numbers();
        let number = numbers.entry(interface.to_owned()).or_default();
        *number += 1;
        format!("{interface}#{number}")
    }

    /// Frees the number of a handle, if it was the last one assigned.
    pub(super) fn unname(&self, handle: &str) {
        if let Some((interface, last)) = handle.rsplit_once('#')
            && let Some(number) = self.numbers().get_mut(interface)
            && last.parse() == Ok(*number)
        {
            *number -= 1;
        }
    }

    fn numbers(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a table of the same objects by another schema. An object whose interface that schema
    /// lacks stays as it is.
    pub(super) fn with_registry(&self, registry: Arc<Registry>) -> Self {
        let inner = Self::new(registry, self.options.clone());
        *inner.numbers() = self.numbers().clone();
        let held = self.held().clone();
        for (name, entry) in held {
            let entry = match entry {
                Entry::Remote(object, facts) => {
                    let by_other = inner.facts(facts.id, &facts.brand);
                    Entry::Remote(object, by_other.unwrap_or(facts))
                }
                local @ Entry::Local(_) => local,
            };
            inner.held().insert(name, entry);
        }
        inner
    }

    pub(super) fn held(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, handle: &str) -> Option<Entry> {
        self.held().get(handle).cloned()
    }

    /// Returns the object that JSON names by its handle, checked to be of the interface.
    pub(super) fn entry(
        &self,
        json: &Json,
        interface: Option<u64>,
        field: &str,
    ) -> Result<Option<Entry>> {
        let name = match json {
            Json::Null => return Ok(None),
            Json::String(name) => name,
            _ => return Err(Error::conversion(field, format!("{json} is no handle"))),
        };
        let entry = self.get(name).ok_or_else(|| {
            Error::conversion(field, format!("{name:?} is no handle that is held"))
        })?;
        if let Some(id) = interface
            && !entry.facts().is_a(&self.registry, id)
        {
            let wanted = self
                .registry
                .node(id)
                .map_or("?", |node| node.name.as_str());
            return Err(Error::conversion(
                field,
                format!("{name:?} is of {}, not of {wanted}", entry.facts().name),
            ));
        }
        Ok(Some(entry))
    }

    /// Releases an object. Returns whether there was a handle of this name.
    pub(super) fn release(&self, handle: &str) -> bool {
        let entry = self.held().remove(handle);
        // Dropped without the lock.
        entry.is_some()
    }

    /// Releases every object.
    pub(super) fn release_all(&self) {
        let entries = std::mem::take(&mut *self.held());
        // Dropped without the lock.
        drop(entries);
    }

    pub(super) fn name_of(&self, is: impl Fn(&Entry) -> bool) -> Option<String> {
        let held = self.held();
        let found = held.iter().find(|(_, entry)| is(entry));
        found.map(|(name, _)| name.clone())
    }

    pub(super) fn hold(&self, found: Vec<(String, Entry)>) {
        self.held().extend(found);
    }

    pub(super) fn hold_new(&self, entry: Entry) -> String {
        let name = self.name(&entry.facts().name);
        self.hold(vec![(name.clone(), entry)]);
        name
    }

    pub(super) fn facts_named(&self, interface: &str) -> Result<Arc<Facts>> {
        let node = self.registry.find_interface(interface)?;
        self.facts(node.id, &Brand::default())
    }

    pub(super) fn facts(&self, id: u64, brand: &Brand) -> Result<Arc<Facts>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !brand.0.is_empty() {
            return Ok(Arc::new(Facts::of(&self.registry, id, brand)?));
        }
        if let Some(facts) = known().get(&id) {
            return Ok(facts.clone());
        }
        let facts = Arc::new(Facts::of(&self.registry, id, brand)?);
        known().insert(id, facts.clone());
        Ok(facts)
    }
}

/// Returns the error of an unknown handle.
pub(super) fn no_handle(handle: &str) -> Error {
    Error::Usage(format!("there is no handle {handle:?}"))
}
