//! Capabilities in JSON: the names that stand for objects, and the objects they stand for.
//!
//! Knows objects and their interfaces; nothing of methods or of how values are converted.

use std::sync::Arc;

use capnp::private::capability::ClientHook;
use serde_json::Value as Json;

use super::facts::Facts;
use super::table::{Entry, Hosted, Inner};
use crate::dynamic::json::Handles;
use crate::dynamic::schema::model::Brand;
use crate::error::{Error, Result};
use crate::protocol::capnp::rt::{Build, Imported, Read};

/// Capabilities of a message that is read. What is read becomes held only when all of it is.
pub(super) struct Importing<'a> {
    pub(super) objects: &'a Inner,
    pub(super) read: &'a Read<'a>,
    pub(super) found: Vec<(String, Entry)>,
}

impl Handles for Importing<'_> {
    fn import(
        &mut self,
        hook: Box<dyn ClientHook>,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json> {
        let inner = self.objects;
        let facts = match interface {
            Some((id, brand)) => inner.facts(id, brand)?,
            None => Arc::new(Facts::unknown()),
        };
        // One that is held already keeps its handle: were there two, letting go of one would
        // destroy what the other stands for.
        let read = self.read;
        let is = |entry: &Entry| match entry {
            Entry::Remote(object, _) => read.is_behind(object, &*hook),
            Entry::Local(_) => false,
        };
        let found = |is: &dyn Fn(&Entry) -> bool| {
            let here = self.found.iter().find(|(_, entry)| is(entry));
            let here = here.map(|(name, _)| name.clone());
            here.or_else(|| inner.name_of(is))
        };
        // One object may have handles of several interfaces.
        let same = found(&|entry| is(entry) && entry.facts().id == facts.id);
        if let Some(name) = same.or_else(|| found(&is)) {
            return Ok(name.into());
        }
        let imported = self
            .read
            .import_served(&*hook, || facts.info.clone(), field)?;
        let entry = match imported {
            Imported::Remote(object) => Entry::Remote(object, facts),
            Imported::Own(own) => {
                let any = own.map(|own| -> Arc<dyn std::any::Any + Send + Sync> { own });
                let hosted = any.and_then(|any| any.downcast::<Hosted>().ok());
                let Some(hosted) = hosted else {
                    let text = format!("{field} is another object of this process");
                    return Err(Error::failed(text));
                };
                // It keeps the handle that it has.
                if let Some(name) = inner.name_of(
                    |entry| matches!(entry, Entry::Local(own) if Arc::ptr_eq(own, &hosted)),
                ) {
                    return Ok(name.into());
                }
                Entry::Local(hosted)
            }
        };
        let name = inner.name(&entry.facts().name);
        self.found.push((name.clone(), entry));
        Ok(name.into())
    }

    fn export(
        &mut self,
        _handle: &Json,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        Err(Error::conversion(
            field,
            "a message that is read takes no objects",
        ))
    }
}

/// Capabilities of a message that is written; without a message they are only looked up.
pub(super) struct Exporting<'a, 'b> {
    pub(super) objects: &'a Inner,
    pub(super) build: Option<&'a mut Build<'b>>,
}

impl Handles for Exporting<'_, '_> {
    fn import(
        &mut self,
        _hook: Box<dyn ClientHook>,
        _interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Json> {
        Err(Error::conversion(
            field,
            "a message that is written has no objects to read",
        ))
    }

    fn export(
        &mut self,
        handle: &Json,
        interface: Option<(u64, &Brand)>,
        field: &str,
    ) -> Result<Option<Box<dyn ClientHook>>> {
        let entry = self
            .objects
            .entry(handle, interface.map(|(id, _)| id), field)?;
        let (Some(entry), Some(build)) = (entry, self.build.as_mut()) else {
            return Ok(None);
        };
        match entry {
            Entry::Local(hosted) => Ok(Some(build.export_served(hosted))),
            Entry::Remote(object, _) => match build.export_object(&object)? {
                Some(hook) => Ok(Some(hook)),
                None => Err(Error::conversion(
                    field,
                    format!("{handle} is an object of another connection"),
                )),
            },
        }
    }
}
