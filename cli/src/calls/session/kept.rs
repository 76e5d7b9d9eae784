//! The objects in an answer, and the names under which they are kept: `NAME` for an answer that is an
//! object, `NAME.0`, `NAME.field` for objects in a list or in fields.
//!
//! Knows types, values and handles; nothing of connections or lines.

use std::collections::{HashMap, HashSet};

use bitcoin_ipc::dynamic::call::Objects;
use bitcoin_ipc::dynamic::schema::model::{Brand, Place, Type};
use bitcoin_ipc::dynamic::schema::{MethodInfo, Registry};
use serde_json::Value as Json;

/// Whether a name stands for an object that is kept as `name`, or for one in a list or in fields that
/// are kept so.
pub(super) fn is_of(held: &str, name: &str) -> bool {
    let rest = held.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether an answer of the method may have objects.
pub(super) fn may_be_in(registry: &Registry, method: &MethodInfo) -> bool {
    let results = results(registry, method);
    let mut seen = HashSet::new();
    results
        .iter()
        .any(|(_, ty)| may_hold(registry, ty, &mut seen))
}

/// Gives the objects of an answer, which is the method's, names that begin with `name`, in the table and
/// in the answer. What was kept under such names before is released. Returns the handles that the objects
/// had, each with its name; none where the answer has no object.
pub(super) fn keep(
    objects: &Objects,
    method: &MethodInfo,
    answer: &mut Json,
    name: &str,
) -> bitcoin_ipc::Result<Vec<(String, String)>> {
    let registry = objects.registry().clone();
    let mut found: Vec<(String, String)> = Vec::new();
    each(&registry, method, answer, name, &mut |place, handle| {
        // An object that the answer has twice has one name.
        match found.iter().find(|(known, _)| known == handle) {
            Some((_, name)) => handle.clone_from(name),
            None => {
                let before = std::mem::replace(handle, place.to_owned());
                found.push((before, place.to_owned()));
            }
        }
    });
    if found.is_empty() {
        return Ok(found);
    }
    // Out of the way first: an object may have the name that another one is to have.
    let aside: HashMap<&str, String> = found
        .iter()
        .map(|(handle, name)| (handle.as_str(), format!("={name}")))
        .collect();
    for (handle, aside) in &aside {
        objects.rename(handle, aside)?;
    }
    for (held, _) in objects.handles() {
        if is_of(&held, name) {
            objects.release(&held);
        }
    }
    for (handle, name) in &found {
        objects.rename(&aside[handle.as_str()], name)?;
    }
    Ok(found)
}

/// Calls `f` with the place and the handle of each object in an answer.
fn each(
    registry: &Registry,
    method: &MethodInfo,
    answer: &mut Json,
    place: &str,
    f: &mut dyn FnMut(&str, &mut String),
) {
    match results(registry, method).as_slice() {
        // The answer is the only result itself.
        [(_, ty)] => walk(registry, ty, answer, place, f),
        several => {
            for (field, ty) in several {
                if let Some(value) = answer.get_mut(field) {
                    walk(registry, ty, value, &format!("{place}.{field}"), f);
                }
            }
        }
    }
}

fn walk(
    registry: &Registry,
    ty: &Type,
    value: &mut Json,
    place: &str,
    f: &mut dyn FnMut(&str, &mut String),
) {
    match (ty, value) {
        (Type::Interface(..), Json::String(handle)) => f(place, handle),
        (Type::List(element), Json::Array(values)) => {
            for (index, value) in values.iter_mut().enumerate() {
                walk(registry, element, value, &format!("{place}.{index}"), f);
            }
        }
        (Type::Struct(id, brand), Json::Object(values)) => {
            for (field, ty) in fields(registry, *id, brand) {
                if let Some(value) = values.get_mut(&field) {
                    walk(registry, &ty, value, &format!("{place}.{field}"), f);
                }
            }
        }
        _ => {}
    }
}

fn may_hold(registry: &Registry, ty: &Type, seen: &mut HashSet<u64>) -> bool {
    match ty {
        Type::Interface(..) => true,
        Type::List(element) => may_hold(registry, element, seen),
        Type::Struct(id, brand) => {
            seen.insert(*id)
                && fields(registry, *id, brand)
                    .iter()
                    .any(|(_, ty)| may_hold(registry, ty, seen))
        }
        _ => false,
    }
}

/// Returns the results of a method that are shown: a field that says whether another one is set is not.
fn results(registry: &Registry, method: &MethodInfo) -> Vec<(String, Type)> {
    let (id, brand) = &method.method.results;
    let all = fields(registry, *id, &brand.within(&method.brand));
    let is_flag = |name: &str| {
        let of = name.strip_prefix("has").unwrap_or_default();
        all.iter()
            .any(|(other, _)| other != name && other.eq_ignore_ascii_case(of))
    };
    let shown = all
        .iter()
        .filter(|(name, ty)| *ty != Type::Bool || !is_flag(name));
    shown.cloned().collect()
}

fn fields(registry: &Registry, id: u64, brand: &Brand) -> Vec<(String, Type)> {
    let Ok((_, layout)) = registry.structure(id) else {
        return Vec::new();
    };
    let typed = layout.fields.iter().map(|field| {
        let ty = match &field.place {
            Place::Slot { ty, .. } => brand.close(ty),
            Place::Group(id) => Type::Struct(*id, brand.clone()),
        };
        (field.name.clone(), ty)
    });
    typed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_what_begins_with_it() {
        assert!(is_of("ws", "ws") && is_of("ws.0", "ws") && is_of("ws.0.a", "ws"));
        assert!(!is_of("wsx", "ws") && !is_of("w", "ws"));
    }
}
