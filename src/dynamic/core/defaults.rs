//! The defaults that a node of an older generation gets.
//!
//! A Core 30 node takes a parameter that is left out as zero, and its schema has no defaults. The newest
//! schema has them, so what is left out is sent with its value there.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::dynamic::json::Converter;
use crate::dynamic::schema::model::{Brand, Place, Type};
use crate::dynamic::schema::{MethodInfo, Registry};
use crate::generation::Generation;

use super::options;

/// Returns the newest schema, and the same method there, if the generation is an older one.
fn newer(
    generation: Option<Generation>,
    info: &MethodInfo,
) -> Option<(&'static Registry, MethodInfo)> {
    static NEWEST: LazyLock<Option<Registry>> =
        LazyLock::new(|| Registry::core(Generation::NEWEST).ok());
    generation.filter(|generation| *generation < Generation::NEWEST)?;
    let newest = NEWEST.as_ref()?;
    // By its id: a schema of the user's may have an interface of the same name.
    let id = newest.interface(info.interface.id).ok()?.0.id;
    let method = newest
        .method_of(id, &Brand::default(), &info.method.name)
        .ok()?;
    Some((newest, method))
}

/// Returns the parameters of the same method that have a default in the newest schema, if `generation` is
/// an older one; none for a schema that is not Core's.
#[must_use]
pub fn newest_defaults(generation: Option<Generation>, info: &MethodInfo) -> Vec<String> {
    let Some((newest, method)) = newer(generation, info) else {
        return Vec::new();
    };
    let Ok((_, layout)) = newest.structure(method.method.params.0) else {
        return Vec::new();
    };
    let has_default = |place: &Place| match place {
        Place::Slot { default, .. } => !default.is_zero(),
        Place::Group(_) => false,
    };
    let fields = layout
        .fields
        .iter()
        .filter(|field| has_default(&field.place));
    fields.map(|field| field.name.clone()).collect()
}

/// Returns the parameters with the defaults of the newest generation for what is left out, if `generation`
/// is an older one. `is_optional` tells which parameters may be left out.
#[must_use]
pub fn with_newest_defaults(
    generation: Option<Generation>,
    info: &MethodInfo,
    is_optional: impl Fn(&str) -> bool,
    params: Json,
) -> Json {
    let template = || {
        let (newest, method) = newer(generation, info)?;
        let (id, brand) = method.method.params;
        let options = options();
        let converter = Converter::new(newest, &options);
        let ty = Type::Struct(id, brand);
        converter.template(&ty, &method.method.name).ok()
    };
    let Some(Json::Object(mut newest)) = template() else {
        return params;
    };
    newest.retain(|name, value| is_optional(name) && !value.is_null());
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
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_older_node_gets_the_defaults_of_the_newest() {
        let generation = Generation::Core30;
        let older = Registry::core(generation).unwrap();
        let filled = |name, params| {
            let id = older.find_interface("Mining").unwrap().id;
            let info = older.method_of(id, &Brand::default(), name).unwrap();
            with_newest_defaults(Some(generation), &info, |name| name != "currentTip", params)
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
            }, "cooldown": true})
        );
        assert_eq!(
            filled("waitTipChanged", json!({"currentTip": "00"})),
            json!({"currentTip": "00", "timeout": "forever"})
        );
        assert_eq!(filled("getTip", json!({})), json!({}));
    }
}
