//! A call by name, from its parameters to the values in its answers.
//!
//! Knows how values are converted and what the runtime sends; nothing of how objects are held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnp::any_pointer;
use serde_json::{Map, Value as Json};

use super::facts::{MethodFacts, visible};
use super::handles::{Exporting, Importing};
use super::table::{Entry, Inner, no_handle};
use crate::dynamic::json::Converter;
use crate::dynamic::raw::{Pointer, PointerMut};
use crate::error::{Error, Result};
use crate::protocol::capnp::rt::{Build, Object, Outgoing, Read, wire};

/// One call of a chain, in which each is made on the object that the one before it answers.
#[derive(Debug, Clone)]
pub struct Step {
    /// The method's name.
    pub method: String,
    /// Its parameters: an object, or null for none.
    pub params: Json,
}

impl Step {
    /// Creates a call of `method` with `params`.
    pub fn new(method: impl Into<String>, params: Json) -> Self {
        Self {
            method: method.into(),
            params,
        }
    }
}

/// Writes parameters as a message without capabilities.
pub(super) fn scratch(inner: &Inner, facts: &MethodFacts, params: &Json) -> Result<Vec<u8>> {
    let name = facts.schema.full_name();
    let mut handles = Exporting {
        objects: inner,
        build: None,
    };
    let mut message = capnp::message::Builder::new_default();
    let converter = Converter::new(&inner.registry, &inner.options);
    let params = params_of(params.clone());
    let root = message.init_root::<any_pointer::Builder<'_>>();
    converter.write(&params, root, &facts.params(), &mut handles, &name)?;
    let wrong = |e: capnp::Error| Error::conversion(name.as_str(), e.to_string());
    let root: Pointer<'_> = message.get_root_as_reader().map_err(wrong)?;
    let words = root.words().map_err(wrong)?;
    root.canonical(words).map_err(wrong)
}

/// Prepares a call of all the steps. Returns the object to call, the call, and the place of its
/// answers.
pub(super) fn outgoing(
    inner: &Arc<Inner>,
    handle: &str,
    steps: &[Step],
) -> Result<(Object, Outgoing<'static, ()>, Gathered)> {
    let object = match inner.get(handle).ok_or_else(|| no_handle(handle))? {
        Entry::Remote(object, facts) => (object, facts),
        Entry::Local(_) => {
            return Err(Error::Usage(format!(
                "{handle:?} is an object that is hosted here: only its peer calls it"
            )));
        }
    };
    let (object, mut facts) = object;
    let Some(last) = steps.len().checked_sub(1) else {
        return Err(Error::Usage("no method to call".into()));
    };
    let gathered = Gathered::default();
    let mut outgoing: Option<Outgoing<'static, ()>> = None;
    let mut pointer = 0;
    for (index, step) in steps.iter().enumerate() {
        let method = facts.method(&inner.registry, &step.method)?.clone();
        // Errors in the parameters are reported before anything is sent.
        scratch(inner, &method, &step.params)?;
        let fill = fill(inner, &method, step.params.clone());
        let next = match index == last {
            true => None,
            false => Some(method.capability(&inner.registry)?),
        };
        let read = read(
            inner,
            &method,
            &gathered,
            next.as_ref().map(|next| next.field.clone()),
        );
        let held = method.method.clone();
        outgoing = Some(match outgoing.take() {
            None => Outgoing::new(held, fill, read),
            Some(first) => first.then(pointer, held, fill, read),
        });
        if let Some(next) = next {
            pointer = next.pointer;
            facts = inner.facts(next.id, &next.brand)?;
        }
    }
    let outgoing = outgoing.ok_or_else(|| Error::Usage("no method to call".into()))?;
    Ok((object, outgoing, gathered))
}

fn fill(
    inner: &Arc<Inner>,
    facts: &MethodFacts,
    params: Json,
) -> impl FnOnce(&mut Build<'_>, any_pointer::Builder<'_>) -> Result<()> + Send + 'static {
    let (inner, facts) = (inner.clone(), facts.clone());
    move |build, mut message| {
        let name = facts.schema.full_name();
        let params = params_of(params);
        let converter = Converter::new(&inner.registry, &inner.options);
        let mut handles = Exporting {
            objects: &inner,
            build: Some(build),
        };
        converter.write(
            &params,
            message.reborrow(),
            &facts.params(),
            &mut handles,
            &name,
        )?;
        if let Some(offset) = facts.context {
            let root: PointerMut<'_> = message.get_as().map_err(|e| wrong(&name, &e))?;
            let (_, layout) = inner.registry.structure(facts.schema.method.params.0)?;
            let context = root.pointer_of_struct(layout.data_words, layout.pointers, offset);
            let context = context.map_err(|e| wrong(&name, &e))?;
            build.context(
                context
                    .any()
                    .init_as::<wire::proxy_capnp::context::Builder<'_>>(),
            );
        }
        Ok(())
    }
}

fn read(
    inner: &Arc<Inner>,
    facts: &MethodFacts,
    gathered: &Gathered,
    next: Option<String>,
) -> impl FnOnce(&Read<'_>, any_pointer::Reader<'_>) -> Result<()> + Send + 'static {
    let (inner, facts, gathered) = (inner.clone(), facts.clone(), gathered.clone());
    move |read, results| {
        let name = facts.schema.full_name();
        let converter = Converter::new(&inner.registry, &inner.options);
        let mut handles = Importing {
            objects: &inner,
            read,
            found: Vec::new(),
        };
        let json = converter.read(results, &facts.results(), &mut handles, &name)?;
        let found = handles.found;
        let Some(next) = next else {
            let json = single_result(&inner, &facts, json)?;
            let mut gathered = gathered.lock();
            gathered.answer = Some(json);
            gathered.found = found;
            return Ok(());
        };
        let way = found.into_iter().map(|(_, entry)| entry);
        gathered.lock().way.extend(way);
        match json.get(&next) {
            None | Some(Json::Null) => Err(Error::failed(format!(
                "{name} answered null: nothing to call on"
            ))),
            Some(_) => Ok(()),
        }
    }
}

/// The gathered answers to a call's steps.
#[derive(Clone, Default)]
pub(super) struct Gathered(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    answer: Option<Json>,
    /// The objects in the answer.
    found: Vec<(String, Entry)>,
    /// The objects on the way to it.
    way: Vec<Entry>,
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the answer to the call whose answers these are, and holds the objects in it.
    pub(super) fn finish(&self, inner: &Inner, answer: Result<()>) -> Result<Json> {
        let answers = std::mem::take(&mut *self.lock());
        answer?;
        inner.hold(answers.found);
        answers
            .answer
            .ok_or_else(|| Error::failed("the call ended without an answer"))
    }
}

/// Returns parameters, with none written as an empty object.
pub(super) fn params_of(json: Json) -> Json {
    match json {
        Json::Null => Json::Object(Map::new()),
        given => given,
    }
}

/// Returns a method's only result alone, or all of them.
fn single_result(inner: &Inner, facts: &MethodFacts, json: Json) -> Result<Json> {
    let (_, layout) = inner.registry.structure(facts.schema.method.results.0)?;
    let fields = visible(&inner.registry, layout, inner.options.optionals);
    match (fields.as_slice(), json) {
        // A null pointer to results: all of them have their defaults.
        ([], _) => Ok(Json::Null),
        ([field], Json::Object(mut object)) => Ok(object.remove(&field.name).unwrap_or(Json::Null)),
        (_, json) => Ok(json),
    }
}

/// Returns a method's results as a struct, from the form that [`single_result`] returns.
pub(super) fn results_of(inner: &Inner, facts: &MethodFacts, json: Json) -> Result<Json> {
    let (_, layout) = inner.registry.structure(facts.schema.method.results.0)?;
    let fields = visible(&inner.registry, layout, inner.options.optionals);
    match fields.as_slice() {
        [] if json.is_null() => Ok(params_of(json)),
        [field] => {
            let mut object = Map::new();
            // Null stands for the default of whatever type it is.
            if !json.is_null() {
                object.insert(field.name.clone(), json);
            }
            Ok(Json::Object(object))
        }
        _ => Ok(params_of(json)),
    }
}

fn wrong(name: &str, error: &capnp::Error) -> Error {
    Error::conversion(name, error.to_string())
}
