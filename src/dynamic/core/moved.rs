//! Methods that another generation has at another place.

use crate::dynamic::schema::model::{Place, Struct, Type};
use crate::dynamic::schema::{MethodInfo, Registry};

/// Returns whether another generation has the same method at the same place. Structs are not compared,
/// and count as different.
pub fn is_same(registry: &Registry, other: &Registry, info: &MethodInfo) -> bool {
    let Ok(there) = other.method_of(info.interface.id, &info.brand, &info.method.name) else {
        return false;
    };
    let same = |here: u64, there: u64| {
        let (Ok((_, here)), Ok((_, there))) = (registry.structure(here), other.structure(there))
        else {
            return false;
        };
        let simple = here.fields.iter().all(|field| match &field.place {
            Place::Slot { ty, .. } => {
                !matches!(ty, Type::Struct(..) | Type::List(_)) || registry.is_proxy(ty, "Context")
            }
            Place::Group(_) => false,
        });
        let layout = |s: &Struct| {
            let fields = s.fields.iter();
            let fields = fields.map(|field| (field.name.clone(), field.place.clone()));
            fields.collect::<Vec<_>>()
        };
        simple && layout(here) == layout(there)
    };
    info.ordinal == there.ordinal
        && same(info.method.params.0, there.method.params.0)
        && same(info.method.results.0, there.method.results.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generation;

    #[test]
    fn what_moved_is_not_the_same() {
        let newest = Registry::core(Generation::NEWEST).unwrap();
        let same = |name: &str, generation| {
            let (interface, method) = name.split_once('.').unwrap();
            let id = newest.find_interface(interface).unwrap().id;
            let brand = crate::dynamic::schema::model::Brand::default();
            let info = newest.method_of(id, &brand, method).unwrap();
            is_same(&newest, &Registry::core(generation).unwrap(), &info)
        };
        for generation in [Generation::Core30, Generation::Core31] {
            for name in ["Echo.echo", "Init.makeEcho", "Mining.isTestChain"] {
                assert!(same(name, generation), "{name} {generation}");
            }
            for name in ["BlockTemplate.submitSolution", "Mining.submitBlock"] {
                assert!(!same(name, generation), "{name} {generation}");
            }
        }
        assert!(!same("Init.makeMining", Generation::Core30));
        assert!(same("Init.makeMining", Generation::Core31));
    }
}
