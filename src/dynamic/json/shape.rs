//! How a schema's fields appear in JSON, as far as reading and writing must agree on it.
//!
//! Knows schemas; nothing of values.

use super::options::Owner;
use crate::dynamic::schema::Registry;
use crate::dynamic::schema::model::{Node, Place, Struct, Type};

/// The key of the object that stands for what any pointer points to.
pub(super) const ANY_KEY: &str = "anyPointer";

/// The key of a union's member that the schema does not have.
pub(super) const UNION_KEY: &str = "$union";

/// The names of a struct's flags `hasX` and of the `x` they belong to.
pub(in crate::dynamic) fn has_flags(layout: &Struct) -> Vec<(&str, &str)> {
    let is_bool = |place: &Place| matches!(place, Place::Slot { ty: Type::Bool, .. });
    let flags = layout.fields.iter().filter_map(|flag| {
        let base = flag
            .name
            .strip_prefix("has")
            .filter(|_| is_bool(&flag.place))?;
        let initial = base.chars().next().filter(char::is_ascii_uppercase)?;
        let field = layout.fields.iter().find(|field| {
            let rest = field.name.strip_prefix(initial.to_ascii_lowercase());
            rest == Some(&base[1..]) && field.discriminant.is_none()
        })?;
        Some((flag.name.as_str(), field.name.as_str()))
    });
    flags.collect()
}

/// The name of a struct as people know it: a method's unnamed one has the method's.
pub(super) fn owner_name(name: &str) -> &str {
    let method = name.strip_suffix("$Params");
    method.or(name.strip_suffix("$Results")).unwrap_or(name)
}

/// Returns the owner of the fields of a struct.
pub(super) fn owner(node: &Node) -> Owner<'_> {
    Owner::new(owner_name(&node.name), node.file)
}

/// Whether values of this type are the runtime's own.
pub(in crate::dynamic) fn is_runtimes(registry: &Registry, ty: &Type) -> bool {
    registry.is_proxy(ty, "Context") || registry.is_proxy(ty, "ThreadMap")
}
