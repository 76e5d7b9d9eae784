//! The method that ends a wait.

use crate::dynamic::schema::model::{Brand, Place};
use crate::dynamic::schema::{MethodInfo, Registry};
use crate::error::Result;

/// The beginning of the names of methods that end others: `Mining.interrupt`,
/// `BlockTemplate.interruptWait`.
const INTERRUPT: &str = "interrupt";

/// Returns the method that ends a method of an interface: of those without parameters and results
/// the one called `interrupt`, or else the only one whose name begins so. Nothing ends such a
/// method itself.
///
/// # Errors
/// Fails where the schema has no such interface.
pub fn interrupt_of(
    registry: &Registry,
    interface: u64,
    method: &str,
) -> Result<Option<MethodInfo>> {
    let mut enders = Vec::new();
    for info in registry.methods(interface, &Brand::default())? {
        let (_, params) = registry.structure(info.method.params.0)?;
        let (_, results) = registry.structure(info.method.results.0)?;
        let is_context = |place: &Place| match place {
            Place::Slot { ty, .. } => registry.is_proxy(ty, "Context"),
            Place::Group(_) => false,
        };
        let is_bare = params.fields.iter().all(|field| is_context(&field.place));
        if is_bare && results.fields.is_empty() && info.method.name.starts_with(INTERRUPT) {
            enders.push(info);
        }
    }
    if enders.iter().any(|ender| ender.method.name == method) {
        return Ok(None);
    }
    Ok(
        match enders
            .iter()
            .position(|ender| ender.method.name == INTERRUPT)
        {
            Some(exact) => Some(enders.swap_remove(exact)),
            None => enders.pop().filter(|_| enders.is_empty()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generation;

    #[test]
    fn the_schema_tells_what_ends_a_method() {
        let ends = |generation, interface: &str, method: &str| {
            let registry = Registry::core(generation).unwrap();
            let id = registry.find_interface(interface).unwrap().id;
            let ender = interrupt_of(&registry, id, method).unwrap();
            ender.map(|ender| ender.full_name())
        };
        let (old, new) = (Generation::OLDEST, Generation::NEWEST);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            ends(new, "Mining", "waitTipChanged"),
            some("Mining.interrupt")
        );
        assert_eq!(ends(new, "Mining", "interrupt"), None);
        assert_eq!(ends(old, "Mining", "waitTipChanged"), None);
        for generation in [old, new] {
            let found = ends(generation, "BlockTemplate", "waitNext");
            assert_eq!(found, some("BlockTemplate.interruptWait"));
            assert_eq!(ends(generation, "Echo", "echo"), None);
        }
    }
}
