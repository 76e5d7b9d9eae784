//! The calls that lead to an object of an interface.
//!
//! Knows schemas; nothing of how calls are made.

use std::collections::{HashSet, VecDeque};

use bitcoin_ipc::dynamic::schema::model::Type;

use crate::schema::choice::Schema;
use crate::schema::methods::Method;
use crate::ui::errors::Failure;

/// A call on the way to an object.
#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    /// The interface of the object that it leads to.
    pub(crate) to: u64,
    /// Whether the object is all that it returns, and can be called before it has arrived.
    pub(crate) is_direct: bool,
}

/// Returns the calls that lead from the bootstrap interface to an object of an interface, or of one
/// that extends it; none for the bootstrap interface's own. Those that only return an object come
/// before any with an object in a list or a struct. `None` where no call returns one.
pub(crate) fn way(schema: &Schema, interface: u64) -> Result<Option<Vec<Hop>>, Failure> {
    for in_values in [false, true] {
        let mut open = VecDeque::from([(schema.root.id, Vec::new())]);
        let mut seen = HashSet::new();
        while let Some((id, way)) = open.pop_front() {
            if is_a(schema, id, interface) {
                return Ok(Some(way));
            }
            if !seen.insert(id) {
                continue;
            }
            for method in schema.methods(id)? {
                let (results, brand) = &method.info.method.results;
                let held = match method.returns {
                    Some(returned) => vec![returned],
                    None if in_values => {
                        let brand = brand.within(&method.info.brand);
                        schema
                            .registry
                            .interfaces_in(&Type::Struct(*results, brand))
                    }
                    None => Vec::new(),
                };
                for to in held {
                    let mut way = way.clone();
                    way.push(Hop {
                        is_direct: method.returns.is_some(),
                        method: method.clone(),
                        to,
                    });
                    open.push_back((to, way));
                }
            }
        }
    }
    Ok(None)
}

/// Whether objects of an interface are of another one: the same, or one that it extends.
pub(crate) fn is_a(schema: &Schema, interface: u64, other: u64) -> bool {
    let (mut open, mut seen) = (vec![interface], HashSet::new());
    while let Some(id) = open.pop() {
        if id == other {
            return true;
        }
        if seen.insert(id)
            && let Ok((_, body)) = schema.registry.interface(id)
        {
            open.extend(body.superclasses.iter().map(|(id, _)| *id));
        }
    }
    false
}
