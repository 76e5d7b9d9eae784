//! The JSON of a type to be filled in.
//!
//! Knows which structs are written out; nothing of how their defaults are read.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::options::Options;
use super::shape::{has_flags, is_runtimes};
use crate::dynamic::schema::Registry;
use crate::dynamic::schema::model::{Place, Type};
use crate::error::Result;

/// How many structs one template may have; the rest are null.
const STRUCTS: usize = 256;

/// A template under way.
pub(super) struct Template<'a> {
    registry: &'a Registry,
    options: &'a Options,
    /// Returns the JSON of a type's default.
    read_default: &'a dyn Fn(&Type, &str) -> Result<Json>,
    /// The structs that are being written out.
    open: HashSet<u64>,
    count: usize,
}

impl<'a> Template<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        options: &'a Options,
        read_default: &'a dyn Fn(&Type, &str) -> Result<Json>,
    ) -> Self {
        Self {
            registry,
            options,
            read_default,
            open: HashSet::new(),
            count: 0,
        }
    }

    /// The default of a struct with the structs in it written out; null for other types.
    pub(super) fn expand(&mut self, ty: &Type, name: &str) -> Result<Json> {
        let Type::Struct(id, brand) = ty else {
            return Ok(Json::Null);
        };
        self.count += 1;
        if self.count > STRUCTS || !self.open.insert(*id) {
            return Ok(Json::Null);
        }
        let mut json = (self.read_default)(ty, name)?;
        let (_, layout) = self.registry.structure(*id)?;
        let flags = match self.options.optionals {
            true => has_flags(self.registry, layout),
            false => Vec::new(),
        };
        for field in &layout.fields {
            let is_flagged = flags.iter().any(|(_, base)| *base == field.name);
            if let Place::Slot { ty, .. } = &field.place
                && !is_flagged
                && let Some(value) = json.get_mut(&field.name)
                && value.is_null()
            {
                let ty = brand.close(ty);
                if matches!(ty, Type::Struct(..)) && !is_runtimes(self.registry, &ty) {
                    *value = self.expand(&ty, &format!("{name}.{}", field.name))?;
                }
            }
        }
        self.open.remove(id);
        Ok(json)
    }
}
