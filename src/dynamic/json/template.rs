//! The JSON of a type to be filled in.
//!
//! Knows what defaults read as; nothing of how they are read.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{Converter, is_runtimes};
use crate::dynamic::schema::model::{Place, Type};
use crate::error::Result;

/// How many structs one template may have; the rest are null.
const STRUCTS: usize = 256;

impl Converter<'_> {
    /// The JSON of a value that has only defaults, with the structs in it written out where that
    /// comes to an end: what somebody fills in who does not know the type. Of a union it has the
    /// first member.
    ///
    /// # Errors
    /// [`Error::Conversion`](crate::Error::Conversion) when the schema is malformed.
    pub fn template(&self, ty: &Type, name: &str) -> Result<Json> {
        self.expand(ty, name, &mut HashSet::new(), &mut 0)
    }

    fn expand(
        &self,
        ty: &Type,
        name: &str,
        open: &mut HashSet<u64>,
        count: &mut usize,
    ) -> Result<Json> {
        let Type::Struct(id, brand) = ty else {
            return Ok(Json::Null);
        };
        *count += 1;
        if *count > STRUCTS || !open.insert(*id) {
            return Ok(Json::Null);
        }
        let empty = self.to_bytes(&serde_json::json!({}), ty, name)?;
        let mut json = self.from_bytes(&empty, ty, name)?;
        let (_, layout) = self.registry.structure(*id)?;
        let flags = match self.options.optionals {
            true => super::has_flags(layout),
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
                    *value = self.expand(&ty, &format!("{name}.{}", field.name), open, count)?;
                }
            }
        }
        open.remove(id);
        Ok(json)
    }
}
