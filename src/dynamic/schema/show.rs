//! Schemas as people read them.
//!
//! Knows the schema language; nothing of JSON, in which the defaults are given to it.

use super::model::{Place, Struct, Type};
use super::{MethodInfo, Registry};
use crate::error::Result;

impl Registry {
    /// A method as the schema language has it, without what the runtime fills in, such as
    /// `echo @1 (echo :Text) -> (result :Text)`. `default` shows a field's default, where it has
    /// one: it gets the field's type and default.
    ///
    /// # Errors
    /// [`Error::Conversion`](crate::Error::Conversion) when the schema lacks its parameters.
    pub fn signature(
        &self,
        method: &MethodInfo,
        default: &dyn Fn(&Type, &super::model::Value) -> Option<String>,
    ) -> Result<String> {
        let (_, params) = self.structure(method.method.params.0)?;
        let (_, results) = self.structure(method.method.results.0)?;
        Ok(format!(
            "{} @{} ({}) -> ({})",
            method.method.name,
            method.ordinal,
            self.fields(params, default),
            self.fields(results, default)
        ))
    }

    fn fields(
        &self,
        layout: &Struct,
        default: &dyn Fn(&Type, &super::model::Value) -> Option<String>,
    ) -> String {
        let fields = layout.fields.iter().filter_map(|field| match &field.place {
            Place::Slot { ty, .. } if self.is_proxy(ty, "Context") => None,
            Place::Slot {
                ty, default: value, ..
            } => {
                let value = default(ty, value).map(|value| format!(" = {value}"));
                let value = value.unwrap_or_default();
                Some(format!("{} :{}{value}", field.name, self.type_name(ty)))
            }
            Place::Group(_) => Some(format!("{} :group", field.name)),
        });
        fields.collect::<Vec<_>>().join(", ")
    }
}
