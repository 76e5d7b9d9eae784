//! Objects of this process whose calls arrive as JSON.
//!
//! Knows the runtime's side of an object and conversions; nothing of what the closure does.

use std::sync::Arc;

use capnp::any_pointer;

use super::handles::{Exporting, Importing};
use super::request::{params_of, results_of};
use super::table::{Hosted, Inner};
use crate::dynamic::json::Converter;
use crate::error::{Error, Result};
use crate::protocol::capnp::rt::{Answer, Info, Read, Served, StaticOrShared};

/// Handles that are held until the call that brought them is answered.
struct Loan(Arc<Inner>, Vec<String>);

impl Drop for Loan {
    fn drop(&mut self) {
        for name in &self.1 {
            self.0.release(name);
        }
    }
}

impl Served for Hosted {
    fn info(&self) -> StaticOrShared<Info> {
        self.facts.info.clone()
    }

    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let objects = self.objects()?;
        let unknown = || Error::Unimplemented("Method not implemented.".into());
        let facts = self.facts.methods.get(method).ok_or_else(unknown)?;
        let name = facts.schema.full_name();
        let mut handles = Importing {
            objects: &objects,
            read,
            found: Vec::new(),
        };
        let inner = &*objects;
        let converter = Converter::new(&inner.registry, &inner.options);
        let json = converter.read(params, &facts.params(), &mut handles, &name)?;
        let found = handles.found;
        let names = found.iter().map(|(name, _)| name.clone()).collect();
        inner.hold(found);
        let _loan = Loan(objects.clone(), names);
        let interface = &facts.schema.interface.name;
        let results = (self.calls)(interface, &facts.schema.method.name, params_of(json))?;
        let results = results_of(inner, facts, results)?;
        answer.write(|build, to| {
            let mut handles = Exporting {
                objects: &objects,
                build: Some(build),
            };
            converter.write(&results, to, &facts.results(), &mut handles, &name)
        })
    }
}
