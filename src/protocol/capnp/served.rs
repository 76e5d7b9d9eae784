//! Objects of this process as a peer's calls reach them, of one interface or of several.
//!
//! Knows interfaces, and to which object a method belongs; nothing of requests, threads or lifetimes.

use std::any::Any;
use std::sync::Arc;

use capnp::any_pointer;

use super::info::{Info, StaticOrShared};
use super::values::{Answer, Interface, Read};
use crate::error::{Error, Result};

/// An object of this process that is served to peers, whether its interface is one of generated code or
/// of a schema at run time.
pub trait Served: Any + Send + Sync {
    /// Returns its interface. That of several interfaces has the name and id of the first one, and the
    /// methods of all.
    fn info(&self) -> StaticOrShared<Info>;

    /// Calls a method of the object, as [`Interface::dispatch`] does.
    ///
    /// # Errors
    /// Returns the errors of [`Interface::dispatch`].
    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()>;

    /// Returns the objects that it consists of, one for each interface, where it has several.
    fn parts(&self) -> Option<&Arc<Parts>> {
        None
    }
}

/// An object of interface `I` of generated code.
pub struct Local<I: Interface + ?Sized>(pub Arc<I>);

impl<I: Interface + ?Sized> Served for Local<I> {
    fn info(&self) -> StaticOrShared<Info> {
        match self.parts() {
            None => I::INFO.into(),
            Some(parts) => parts.info.clone().into(),
        }
    }

    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        match self.parts() {
            None => I::dispatch(&*self.0, method, read, params, answer),
            Some(parts) => parts.dispatch(method, read, params, answer),
        }
    }

    fn parts(&self) -> Option<&Arc<Parts>> {
        I::several(&*self.0).and_then(|several| several.downcast_ref())
    }
}

/// Returns an object as one of interface `I` of generated code, if it or one of its parts is. Where it has
/// several interfaces, so has the result.
pub fn local<I: Interface + ?Sized>(object: &Arc<dyn Served>) -> Option<Arc<I>> {
    if let Some(object) = is(object) {
        return Some(object);
    }
    let parts = object.parts()?;
    let several = Several {
        first: part(parts)?,
        parts: parts.clone(),
    };
    Some(I::of_several(several))
}

/// Returns an object that is served as one of interface `I`.
fn is<I: Interface + ?Sized>(object: &Arc<dyn Served>) -> Option<Arc<I>> {
    let object: Arc<dyn Any + Send + Sync> = object.clone();
    let local = object.downcast::<Local<I>>().ok()?;
    Some(local.0.clone())
}

/// Returns the first part that is of interface `I`. Parts may have several interfaces too.
fn part<I: Interface + ?Sized>(parts: &Parts) -> Option<Arc<I>> {
    let mut objects = parts.objects.iter();
    objects.find_map(|object| is(object).or_else(|| part(object.parts()?)))
}

/// An object that answers as several interfaces, each by its id.
///
/// A method's result has one interface in the schema. A peer that got the object as that one may know it
/// as another one, and calls it by the id of that. For instance, the method at `Init @4` makes an `Rpc`
/// in one release of Bitcoin Core and a `Chain` in another: one object that answers as both serves
/// clients of both.
///
/// It is an object of its first interface, on which every method is called as on the object that
/// [`Several::new`] was given. [`cast`](crate::cast()) returns the others, in this process and in a
/// peer's.
///
/// ```
/// use std::sync::Arc;
///
/// use bitcoin_ipc::interfaces::echo::Echo;
/// use bitcoin_ipc::interfaces::init::Init;
/// use bitcoin_ipc::interfaces::rpc::Rpc;
/// use bitcoin_ipc::{Result, Several, cast, pair};
///
/// struct Node;
///
/// impl Rpc for Node {
///     fn execute_rpc(&self, request: &str, _uri: &str, _user: &str) -> Result<String> {
///         Ok(format!("the answer to {request}"))
///     }
/// }
///
/// impl Echo for Node {
///     fn echo(&self, echo: &str) -> Result<String> {
///         Ok(echo.to_owned())
///     }
/// }
///
/// impl Init for Node {
///     fn make_rpc(&self) -> Result<Option<Arc<dyn Rpc>>> {
///         let rpc: Arc<dyn Rpc> = Arc::new(Node);
///         let echo: Arc<dyn Echo> = Arc::new(Node);
///         Ok(Some(Arc::new(Several::new(rpc).and(echo))))
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let init = pair::<dyn Init>(Arc::new(Node))?;
/// let rpc = init.make_rpc()?.expect("a node makes one");
/// assert_eq!(rpc.execute_rpc("help", "", "")?, "the answer to help");
/// let echo = cast::<dyn Echo>(&rpc)?.expect("this one is an Echo as well");
/// assert_eq!(echo.echo("hi")?, "hi");
/// # Ok(()) }
/// ```
///
/// For a peer it is one object: `destroy` of any of the interfaces destroys it, and with it all objects
/// that it was made of, unless something else holds them. A method that two interfaces inherit from a
/// third one is called on the object that was added first. An object of another process that it is made
/// of is called by this process: a peer does not get that object itself, and so
/// [`remote`](crate::interfaces::Remote) returns `None` here.
pub struct Several<I: ?Sized> {
    first: Arc<I>,
    parts: Arc<Parts>,
}

impl<I: Interface + ?Sized> Several<I> {
    /// Makes an object that answers as the interface of `first` alone. `I` is a trait object type, such as
    /// `dyn Rpc`.
    pub fn new(first: Arc<I>) -> Self {
        let object = Arc::new(Local(first.clone()));
        Self {
            first,
            parts: Parts::new(vec![object]),
        }
    }

    /// Adds an object that answers the calls by the ids of its interface, and of those that it inherits,
    /// where no object before it does.
    #[must_use]
    pub fn and<J: Interface + ?Sized>(mut self, other: Arc<J>) -> Self {
        let mut objects = self.parts.objects.clone();
        objects.push(Arc::new(Local(other)));
        self.parts = Parts::new(objects);
        self
    }

    /// Returns the object of the first interface.
    #[doc(hidden)]
    pub fn first(this: &Self) -> &I {
        &this.first
    }

    /// Returns all objects, for [`Interface::several`].
    #[doc(hidden)]
    pub fn all(this: &Self) -> &dyn Any {
        &this.parts
    }
}

/// The objects of several interfaces that a peer knows as one.
pub struct Parts {
    /// The methods of all, one object's after the other's.
    info: Arc<Info>,
    objects: Vec<Arc<dyn Served>>,
}

impl Parts {
    /// Joins objects, of which the first has the name and id of the whole.
    fn new(objects: Vec<Arc<dyn Served>>) -> Arc<Self> {
        let infos: Vec<_> = objects.iter().map(|object| object.info()).collect();
        let methods = infos.iter().flat_map(|info| info.methods.iter().cloned());
        let first = infos.first();
        let info = Info {
            name: first.map(|info| info.name.clone()).unwrap_or_default(),
            id: first.map(|info| info.id).unwrap_or_default(),
            methods: methods.collect(),
        };
        Arc::new(Self {
            info: Arc::new(info),
            objects,
        })
    }

    /// Calls the method at this place among those of all objects.
    fn dispatch(
        &self,
        method: usize,
        read: &Read<'_>,
        params: any_pointer::Reader<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let mut place = method;
        for object in &self.objects {
            let count = object.info().methods.len();
            if place < count {
                return object.dispatch(place, read, params, answer);
            }
            place -= count;
        }
        let name = &self.info.name;
        Err(Error::Usage(format!("{name} has no method {method}")))
    }
}
