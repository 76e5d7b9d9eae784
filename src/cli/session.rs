//! Calls by name on one connection, and the objects that they return.
//!
//! Knows methods, values and handles; nothing of where lines come from or how they are printed.

use std::collections::{BTreeMap, HashMap};

use eyre::Result;
use serde_json::Value as Json;

use super::context::Context;
use super::errors::{Failure, Kind};
use super::methods::{self, Method, Object, Value};
use super::output::Shown;
use super::target::Link;
use super::values;

/// A connection and what was made on it. Objects are let go of before the connection.
pub(crate) struct Session {
    context: Context,
    /// What calls that name only an interface are made on.
    made: HashMap<&'static str, Object>,
    /// The objects that the user holds, by handle or by the name given to them.
    kept: BTreeMap<String, Object>,
    /// How many handles each interface has had.
    handles: HashMap<&'static str, u64>,
    link: Link,
}

/// A call whose words have been read.
pub(crate) struct Call {
    on: Option<Object>,
    steps: Vec<&'static Method>,
    values: Vec<Value>,
}

impl Call {
    /// Reads a call that starts from `Init`: before there is a connection, so that a mistake costs
    /// none.
    pub(crate) fn parse(path: &str, words: &[String], stdin_free: bool) -> Result<Self, Failure> {
        Self::new(None, methods::resolve(path, None)?, words, stdin_free)
    }

    fn new(
        on: Option<Object>,
        steps: Vec<&'static Method>,
        words: &[String],
        stdin_free: bool,
    ) -> Result<Self, Failure> {
        let values = match steps.last() {
            Some(method) => values::bind(method, words, stdin_free)?,
            None => Vec::new(),
        };
        Ok(Self { on, steps, values })
    }
}

impl Session {
    pub(crate) fn new(context: &Context, link: Link) -> Self {
        Self {
            context: context.clone(),
            made: HashMap::new(),
            kept: BTreeMap::new(),
            handles: HashMap::new(),
            link,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Lets go of what was made and ends the connection.
    pub(crate) fn end(self) {
        let Self {
            made, kept, link, ..
        } = self;
        drop((made, kept));
        link.end();
    }

    /// Reads a call that may start from an object that is held: `e.echo hi`.
    pub(crate) fn parse(&self, path: &str, words: &[String]) -> Result<Call, Failure> {
        if let Some((name, rest)) = path.split_once('.')
            && let Some(object) = self.kept.get(name)
        {
            let steps = methods::resolve(rest, Some(object.interface()))?;
            return Call::new(Some(object.clone()), steps, words, false);
        }
        Call::parse(path, words, false)
    }

    /// Makes a call.
    pub(crate) fn call(&mut self, call: &Call) -> Result<Value> {
        let name = call
            .steps
            .last()
            .map_or(String::new(), |method| method.full_name());
        let _spinner = self.context.output.spin(&name);
        let context = self.context.clone();
        let result = context.calling(|| self.run(call));
        // A call that a signal cancelled has failed because of the signal.
        self.context.signals.check()?;
        result
    }

    fn run(&mut self, call: &Call) -> Result<Value> {
        let Some(first) = call.steps.first() else {
            return Ok(Value::Nothing);
        };
        let mut object = match &call.on {
            Some(object) => object.clone(),
            None => self.object_of(first.interface)?,
        };
        let mut value = Value::Nothing;
        for (index, method) in call.steps.iter().enumerate() {
            let last = index + 1 == call.steps.len();
            let values: &[Value] = if last { &call.values } else { &[] };
            value = method.call(&object, values)?;
            if !last {
                object = match value {
                    Value::Object(object) => object,
                    _ => return Err(none(&method.full_name()).into()),
                };
                value = Value::Nothing;
            }
        }
        Ok(value)
    }

    /// The object that calls on this interface are made on: `Init`, or what it makes, once.
    fn object_of(&mut self, interface: &'static str) -> Result<Object> {
        let init = Object::Init(self.link.init.clone());
        if interface == init.interface() {
            return Ok(init);
        }
        if let Some(object) = self.made.get(interface) {
            return Ok(object.clone());
        }
        let maker = methods::maker(interface)
            .ok_or_else(|| Failure::usage(format!("Init makes no {interface}")))?;
        match maker.call(&init, &[])? {
            Value::Object(object) => {
                self.made.insert(interface, object.clone());
                Ok(object)
            }
            _ => Err(none(&maker.full_name()).into()),
        }
    }

    /// A result as it is printed. An object is held under its handle, and under `name`.
    pub(crate) fn show(&mut self, value: Value, name: Option<&str>) -> Result<Shown, Failure> {
        let shown = match value {
            Value::Nothing => Shown::Nothing,
            Value::Null => Shown::Scalar(Json::Null),
            Value::Text(text) => Shown::Scalar(Json::String(text)),
            Value::Object(object) => {
                let interface = object.interface();
                let count = self.handles.entry(interface).or_default();
                *count += 1;
                let handle = format!("{interface}#{count}");
                let key = name.map_or_else(|| handle.clone(), ToOwned::to_owned);
                self.kept.insert(key, object);
                return Ok(Shown::Structured(Json::String(handle)));
            }
        };
        match name {
            None => Ok(shown),
            Some(name) => Err(
                Failure::usage(format!("there is no object to keep as {name:?}"))
                    .hint("only a method that returns an object has one to keep"),
            ),
        }
    }

    /// The objects that are held: name and interface.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.kept
            .iter()
            .map(|(name, object)| (name.as_str(), object.interface()))
    }

    /// Lets go of an object.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), Failure> {
        self.kept.remove(name).map(drop).ok_or_else(|| {
            Failure::usage(format!("no object is held as {name:?}"))
                .hint(".caps lists those that are")
        })
    }
}

/// A null capability where an object is needed.
fn none(method: &str) -> Failure {
    Failure::new(
        Kind::Unimplemented,
        format!("the peer does not offer it: {method} is null"),
    )
    .hint("`bitcoin-ipc connect` shows what the peer offers")
}
