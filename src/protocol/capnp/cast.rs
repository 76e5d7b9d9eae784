//! Objects as ones of other interfaces: asks an object of the peer whether it answers by an interface's id.
//!
//! Knows interfaces' ids, and the words with which Cap'n Proto refuses a call; nothing of methods.

use std::sync::Arc;

use futures_util::FutureExt;

use super::calls::{at, call, call_async};
use super::convert::NO_INTERFACE;
use super::info::{Info, Method};
use super::object::{NO_ORDINAL, Object};
use super::outgoing::Outgoing;
use super::served::{Local, Served, local};
use super::values::Interface;
use crate::error::{Error, NO_METHOD, Result};
use crate::interfaces::{Call, ready};

/// Returns an object as one of interface `J`; `None` where it is none.
///
/// An object of a peer is asked whether it answers by the interface's id, each time the first time only,
/// also where `object` has that interface already: a peer may answer with an object of another interface
/// than the schema says, as releases of Bitcoin Core do that have another method at the same ordinal.
/// Nothing runs in the peer: it is called at an ordinal at which no interface has a method, and refuses
/// that in one way where it has the interface, and in another way where it does not.
///
/// The result is another handle to the same object, which the peer destroys when the last one is dropped.
///
/// An object of this process has its own interface and those that [`Several`](crate::Several) gave it.
///
/// ```no_run
/// use bitcoin_ipc::cast;
/// use bitcoin_ipc::interfaces::init::Init;
/// use bitcoin_ipc::interfaces::rpc::Rpc;
///
/// # fn see(init: &dyn Init) -> bitcoin_ipc::Result<()> {
/// if let Some(made) = init.make_rpc()? {
///     match cast::<dyn Rpc>(&made)? {
///         Some(rpc) => println!("{}", rpc.execute_rpc("help", "", "")?),
///         None => println!("this peer has something else where Core 32 has makeRpc"),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// `J` is called by the ordinals of its newest generation. A `Mining` of any generation is what
/// [`Init::make_mining`](crate::interfaces::init::Init::make_mining) returns.
///
/// # Errors
/// Fails when the connection fails; with the peer's error where it refuses every call; and as
/// [`Error::Unimplemented`] where the words of its refusal are not those of Cap'n Proto's C++ and Rust, by
/// which the two are told apart.
pub fn cast<J: Interface + ?Sized>(
    object: &Arc<impl Interface + ?Sized>,
) -> Result<Option<Arc<J>>> {
    let Some(remote) = remote(object) else {
        return Ok(within(object));
    };
    let has = has_interface(remote, J::INFO)?;
    Ok(has.then(|| J::client(remote.with_interface(J::INFO.into()))))
}

/// Tells whether an object of a peer answers by an interface's id, as [`cast`] does.
///
/// # Errors
/// Returns the errors of [`cast`].
pub fn has_interface(object: &Object, interface: &Info) -> Result<bool> {
    let method = at(interface, NO_ORDINAL);
    match object.known(&method) {
        Some(known) => Ok(known),
        None => learn(
            object,
            &method,
            call(object, Outgoing::empty(method.clone())),
        ),
    }
}

/// Returns an object as one of interface `J`, as [`cast`] does. The peer is asked when this is called.
pub fn cast_async<J: Interface + ?Sized>(
    object: &Arc<impl Interface + ?Sized>,
) -> Call<Option<Arc<J>>> {
    let Some(remote) = remote(object) else {
        return ready(Ok(within(object)));
    };
    let method = at(J::INFO, NO_ORDINAL);
    let asked = remote.clone();
    let object = move || J::client(asked.with_interface(J::INFO.into()));
    if let Some(known) = remote.known(&method) {
        return ready(Ok(known.then(object)));
    }
    let asked = remote.clone();
    let answer = call_async(remote, Outgoing::empty(method.clone()));
    let judge = move |answer| Ok(learn(&asked, &method, answer)?.then(object));
    answer.map(judge).boxed()
}

/// Returns the object of a peer behind a handle.
fn remote<I: Interface + ?Sized>(object: &Arc<I>) -> Option<&Object> {
    I::remote(object).and_then(|remote| remote.as_any().downcast_ref())
}

/// Returns an object of this process as one of interface `J`.
fn within<I: Interface + ?Sized, J: Interface + ?Sized>(object: &Arc<I>) -> Option<Arc<J>> {
    let object: Arc<dyn Served> = Arc::new(Local(object.clone()));
    local(&object)
}

/// Records and returns whether the object has the interface, by the answer to a call of a method that is
/// not there.
///
/// # Errors
/// Returns the answer where it does not tell.
fn learn(object: &Object, method: &Method, answer: Result<()>) -> Result<bool> {
    let has = match answer {
        Ok(()) => true,
        Err(Error::Unimplemented(text)) if text.starts_with(NO_METHOD) => true,
        Err(Error::Unimplemented(text)) if text.starts_with(NO_INTERFACE) => false,
        Err(error) => return Err(error),
    };
    object.learn(method, has);
    Ok(has)
}
