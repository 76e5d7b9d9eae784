//! The methods that can be called by name: for now those of `Echo` and `Init`, through the
//! generated traits.
//!
//! The seam for schemas at run time: whatever knows interfaces replaces [`METHODS`] and
//! [`Object`]; the rest of the command line sees names, parameters and values only. Must not know
//! where objects are or how results are printed.

use std::sync::Arc;

use bitcoin_ipc::Error;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::Mining;
use bitcoin_ipc::interfaces::rpc::Rpc;

use super::errors::Failure;

/// A method as users call it: `context` and `threadMap` are not among its parameters.
pub(crate) struct Method {
    pub(crate) interface: &'static str,
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    /// The interface of the object that it returns, if it returns one.
    pub(crate) returns: Option<&'static str>,
    run: fn(&Object, &[Value]) -> Result<Value, Error>,
}

/// A parameter.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
}

/// A parameter's type in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "Text",
        }
    }
}

/// A parameter's or result's value.
#[derive(Clone)]
pub(crate) enum Value {
    /// The method has no result.
    Nothing,
    /// A capability that is not there.
    Null,
    Text(String),
    Object(Object),
}

/// An object of the peer.
#[derive(Clone)]
pub(crate) enum Object {
    Init(Arc<dyn Init>),
    Echo(Arc<dyn Echo>),
    Mining(#[expect(dead_code, reason = "held, and not yet called")] Arc<dyn Mining>),
    Rpc(#[expect(dead_code, reason = "held, and not yet called")] Arc<dyn Rpc>),
}

impl Object {
    pub(crate) fn interface(&self) -> &'static str {
        match self {
            Self::Init(_) => "Init",
            Self::Echo(_) => "Echo",
            Self::Mining(_) => "Mining",
            Self::Rpc(_) => "Rpc",
        }
    }
}

/// Every method, by interface.
static METHODS: &[Method] = &[
    Method {
        interface: "Init",
        name: "makeEcho",
        params: &[],
        returns: Some("Echo"),
        run: |object, _| make(init(object)?.make_echo()?.map(Object::Echo)),
    },
    Method {
        interface: "Init",
        name: "makeMiningOld2",
        params: &[],
        returns: None,
        run: |object, _| init(object)?.make_mining_old2().map(|()| Value::Nothing),
    },
    Method {
        interface: "Init",
        name: "makeMining",
        params: &[],
        returns: Some("Mining"),
        run: |object, _| make(init(object)?.make_mining()?.map(Object::Mining)),
    },
    Method {
        interface: "Init",
        name: "makeRpc",
        params: &[],
        returns: Some("Rpc"),
        run: |object, _| make(init(object)?.make_rpc()?.map(Object::Rpc)),
    },
    Method {
        interface: "Echo",
        name: "echo",
        params: &[Param {
            name: "echo",
            kind: Type::Text,
        }],
        returns: None,
        run: |object, values| match (object, values) {
            (Object::Echo(echo), [Value::Text(text)]) => echo.echo(text).map(Value::Text),
            _ => Err(mismatch()),
        },
    },
];

fn init(object: &Object) -> Result<&dyn Init, Error> {
    match object {
        Object::Init(init) => Ok(&**init),
        _ => Err(mismatch()),
    }
}

fn make(object: Option<Object>) -> Result<Value, Error> {
    Ok(object.map_or(Value::Null, Value::Object))
}

fn mismatch() -> Error {
    Error::Usage("the object is not of the method's interface".into())
}

impl Method {
    /// Calls it on an object of its interface.
    pub(crate) fn call(&self, object: &Object, values: &[Value]) -> Result<Value, Error> {
        (self.run)(object, values)
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.interface, self.name)
    }
}

/// The interfaces' names.
fn interfaces() -> Vec<&'static str> {
    let mut names: Vec<_> = METHODS.iter().map(|method| method.interface).collect();
    names.extend(METHODS.iter().filter_map(|method| method.returns));
    names.sort_unstable();
    names.dedup();
    names
}

/// The method of `Init` that makes an object of this interface.
pub(crate) fn maker(interface: &str) -> Option<&'static Method> {
    METHODS
        .iter()
        .find(|method| method.interface == "Init" && method.returns == Some(interface))
}

/// The methods that `A.b/c/d` names, each on what the one before it returns. `on` is the
/// interface of the object that it starts from; without one it is in `A`, or is the only one that
/// has the method.
pub(crate) fn resolve(path: &str, on: Option<&str>) -> Result<Vec<&'static Method>, Failure> {
    let mut names = path.split('/');
    let first = names.next().unwrap_or_default();
    let mut method = match (on, first.split_once('.')) {
        (Some(interface), _) => find(interface, first)?,
        (None, Some((interface, name))) => find(known_interface(interface)?, name)?,
        (None, None) => only(first)?,
    };
    let mut steps = vec![method];
    for name in names {
        let interface = method.returns.ok_or_else(|| {
            Failure::usage(format!(
                "{} returns no object to call {name:?} on",
                method.full_name()
            ))
            .hint("in A.b/c, b returns the object whose method c is")
        })?;
        method = find(interface, name)?;
        steps.push(method);
    }
    Ok(steps)
}

fn known_interface(name: &str) -> Result<&'static str, Failure> {
    interfaces()
        .into_iter()
        .find(|interface| interface.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Failure::usage(format!("unknown interface {name:?}")).hint(suggest(name, &interfaces()))
        })
}

fn find(interface: &str, name: &str) -> Result<&'static Method, Failure> {
    let of_interface = || {
        METHODS
            .iter()
            .filter(|method| method.interface == interface)
    };
    of_interface()
        .find(|method| method.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = of_interface().map(|method| method.name).collect();
            Failure::usage(format!("{interface} has no method {name:?}"))
                .hint(suggest(name, &names))
        })
}

fn only(name: &str) -> Result<&'static Method, Failure> {
    let found: Vec<_> = METHODS
        .iter()
        .filter(|method| method.name == name)
        .collect();
    match found.as_slice() {
        [method] => Ok(method),
        [] => {
            let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
            Err(Failure::usage(format!("unknown method {name:?}")).hint(suggest(name, &names)))
        }
        several => {
            let names: Vec<_> = several.iter().map(|method| method.full_name()).collect();
            Err(
                Failure::usage(format!("several interfaces have a method {name:?}"))
                    .hint(format!("name one: {}", names.join(", "))),
            )
        }
    }
}

/// The nearest of the names, or all of them.
pub(crate) fn suggest(name: &str, names: &[&str]) -> String {
    let distance =
        |other: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    match names.iter().min_by_key(distance) {
        Some(near) if distance(&near) <= 1 + near.len() / 3 => format!("did you mean {near}?"),
        Some(_) => format!("it is one of {}", names.join(", ")),
        None => "none of its methods can be called yet".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn steps(path: &str) -> Result<Vec<String>, Failure> {
        resolve(path, None).map(|steps| steps.iter().map(|method| method.full_name()).collect())
    }

    #[test]
    fn paths_are_resolved() {
        assert_eq!(steps("echo").unwrap(), ["Echo.echo"]);
        assert_eq!(steps("eCHO.echo").unwrap(), ["Echo.echo"]);
        assert_eq!(
            steps("Init.makeEcho/echo").unwrap(),
            ["Init.makeEcho", "Echo.echo"]
        );
    }

    #[test]
    fn unknown_names_come_with_the_nearest() {
        for (path, message, hint) in [
            (
                "Ecko.echo",
                "unknown interface \"Ecko\"",
                "did you mean Echo?",
            ),
            (
                "Echo.ecco",
                "Echo has no method \"ecco\"",
                "did you mean echo?",
            ),
            (
                "makeEhco",
                "unknown method \"makeEhco\"",
                "did you mean makeEcho?",
            ),
        ] {
            let failure = steps(path).unwrap_err();
            assert_eq!(
                (failure.message.as_str(), failure.hint.as_deref()),
                (message, Some(hint))
            );
        }
        assert!(steps("Echo.echo/echo").is_err());
        assert!(steps("").is_err());
    }
}
