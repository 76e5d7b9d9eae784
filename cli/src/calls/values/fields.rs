//! Fields of structs that are given one by one: `options.useMempool=false`.
//!
//! Knows the fields of schemas; nothing of words or methods.

use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::dynamic::schema::model::{Brand, Place, Type};
use serde_json::{Map, Value as Json};

use crate::schema::methods::{Param, suggest};
use crate::ui::errors::Failure;

/// Returns the type of a parameter, or of its field below `path`.
pub(super) fn type_of(registry: &Registry, param: &Param, path: &str) -> Result<Type, Failure> {
    let mut ty = param.ty.clone();
    let mut place = param.name.clone();
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let Type::Struct(id, brand) = &ty else {
            return Err(Failure::usage(format!(
                "{place} is no struct, so it has no field {name:?}"
            ))
            .hint(format!("its type is {}", registry.type_name(&ty))));
        };
        let (_, body) = registry.structure(*id)?;
        let Some(field) = body.field(name) else {
            let names: Vec<_> = body
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            return Err(Failure::usage(format!("{place} has no field {name:?}"))
                .hint(suggest(name, &names)));
        };
        place = format!("{place}.{name}");
        ty = match &field.place {
            Place::Slot { ty, .. } => brand.close(ty),
            Place::Group(id) => Type::Struct(*id, Brand::default()),
        };
    }
    Ok(ty)
}

/// Returns the objects around a value that `path` names.
pub(super) fn within(path: &str, value: Json) -> Json {
    let names = path.split('.').rev().filter(|name| !name.is_empty());
    names.fold(value, |inner, name| {
        Map::from_iter([(name.to_owned(), inner)]).into()
    })
}

/// Adds the fields of one object to another.
///
/// # Errors
/// Returns the path of a field that both have.
pub(super) fn merge(into: &mut Json, from: Json) -> Result<(), String> {
    let (Json::Object(into), Json::Object(from)) = (into, from) else {
        return Err(String::new());
    };
    for (name, value) in from {
        match into.get_mut(&name) {
            None => {
                into.insert(name, value);
            }
            Some(there) => merge(there, value).map_err(|inner| match inner.as_str() {
                "" => name.clone(),
                inner => format!("{name}.{inner}"),
            })?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_put_together_and_none_is_given_twice() {
        let mut whole = json!({});
        for (path, value) in [("a", json!(1)), ("b.c", json!(2)), ("b.d", json!([3]))] {
            assert_eq!(merge(&mut whole, within(path, value)), Ok(()));
        }
        assert_eq!(whole, json!({ "a": 1, "b": { "c": 2, "d": [3] } }));
        let again = merge(&mut whole, within("b.c", json!(4)));
        assert_eq!(again, Err("b.c".to_owned()));
        assert_eq!(
            merge(&mut whole, within("a.x", json!(4))),
            Err("a".to_owned())
        );
    }
}
