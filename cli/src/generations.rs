//! Differences between the generations of Bitcoin Core, method by method.
//!
//! Knows schemas and parameters; nothing of connections.

use bitcoin_ipc::dynamic::json::{Converter, Options as Manner};
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::{Brand, Place, Struct, Type};
use serde_json::{Map, Value as Json};

use super::methods::Method;
use super::schemas::{NEWEST, Schema};

/// Whether another generation has the same method at the same place. Structs are not compared.
pub(crate) fn is_same(registry: &Registry, other: &Schema, method: &Method) -> bool {
    let info = &method.info;
    let Ok(there) = other.find(info.interface.id, method.name()) else {
        return false;
    };
    let same = |here: u64, there: u64| {
        let (Ok((_, here)), Ok((_, there))) =
            (registry.structure(here), other.registry.structure(there))
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
    info.ordinal == there.info.ordinal
        && same(info.method.params.0, there.info.method.params.0)
        && same(info.method.results.0, there.info.method.results.0)
}

/// Returns the parameters with the defaults of the newest generation where the peer's schema has
/// none: a Core 30 node takes a parameter that is left out as zero.
pub(crate) fn with_newest_defaults(schema: &Schema, method: &Method, params: Json) -> Json {
    let template = || {
        schema
            .generation
            .filter(|generation| *generation < NEWEST)?;
        let newest = Registry::core(NEWEST).ok()?;
        let id = newest.find_interface(&method.info.interface.name).ok()?.id;
        let newer = newest
            .method_of(id, &Brand::default(), method.name())
            .ok()?;
        let (id, brand) = newer.method.params;
        let manner = Manner::core();
        let converter = Converter::new(&newest, &manner);
        let template = converter.template(&Type::Struct(id, brand), method.name());
        template.ok()
    };
    let Some(Json::Object(mut newest)) = template() else {
        return params;
    };
    newest.retain(|name, value| {
        let known = method.params.iter().find(|param| param.name == *name);
        known.is_some_and(|param| param.optional) && !value.is_null()
    });
    merged(params, newest)
}

/// Returns the object with missing members taken from `defaults`.
fn merged(given: Json, defaults: Map<String, Json>) -> Json {
    let mut object = match given {
        Json::Null => Map::new(),
        Json::Object(object) => object,
        other => return other,
    };
    for (name, default) in defaults {
        match (object.remove(&name), default) {
            (Some(value @ (Json::Object(_) | Json::Null)), Json::Object(inner)) => {
                object.insert(name, merged(value, inner));
            }
            (Some(value), _) => {
                object.insert(name, value);
            }
            (None, default) => {
                object.insert(name, default);
            }
        }
    }
    Json::Object(object)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bitcoin_ipc::Generation;
    use serde_json::json;

    #[test]
    fn what_moved_is_not_the_same() {
        let newest = Schema::of_core(NEWEST);
        let same = |name, generation| {
            let (_, method) = newest.named(name).unwrap();
            is_same(&newest.registry, &Schema::of_core(generation), &method)
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

    #[test]
    fn an_older_node_gets_the_defaults_of_the_newest() {
        let older = Schema::of_core(Generation::Core30);
        let filled = |name, params| {
            let (_, method) = older.named(name).unwrap();
            with_newest_defaults(&older, &method, params)
        };
        assert_eq!(
            filled(
                "createNewBlock",
                json!({"options": {"blockReservedWeight": 4000}})
            ),
            json!({"options": {
                "blockReservedWeight": 4000,
                "useMempool": true,
                "coinbaseOutputMaxAdditionalSigops": 400,
            }})
        );
        assert_eq!(
            filled("waitTipChanged", json!({"currentTip": "00"})),
            json!({"currentTip": "00", "timeout": "forever"})
        );
        assert_eq!(filled("getTip", json!({})), json!({}));
    }
}
