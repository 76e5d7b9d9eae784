//! Both ends of a connection in one process, for tests of implementors.
//!
//! Knows the façade alone: what a test sees is what two processes would see.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use crate::error::{Error, Result};
use crate::ipc::{self, Ipc};
use crate::limits::Limits;
use crate::protocol::capnp::rt::Interface;

/// Serves `init` at one end of a socketpair and returns the remote object at the other end, both in this
/// process. A call goes over the wire as it does between two processes: values are converted, errors
/// and callbacks travel, and objects are destroyed when their handles are dropped.
///
/// ```
/// use bitcoin_ipc::interfaces::init::Init;
/// use bitcoin_ipc::roles::Role;
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// let init = bitcoin_ipc::pair::<dyn Init>(Role::Node.init())?;
/// assert!(init.remote().is_some());
/// let echo = init.make_echo()?.expect("a node makes one");
/// assert_eq!(echo.echo("hi")?, "hi");
/// # Ok(()) }
/// ```
///
/// The connection ends when the last handle to the result, and to every object made from it, is dropped.
/// The serving end then destroys what is left of its objects, releases `init`, and ends its threads,
/// which takes a moment: a test that expects it waits for it.
///
/// # Errors
/// [`Error::Io`] when the operating system gives no sockets or no thread, and the errors of the
/// handshake.
pub fn pair<I: Interface + ?Sized>(init: Arc<I>) -> Result<Arc<I>> {
    let pair = UnixStream::pair();
    let (ours, theirs) = pair.map_err(|error| Error::io("make a socketpair", error))?;
    let server = Ipc::new("pair-server", init)?;
    // Where it cannot serve at all, the handshake fails here.
    let serve = move || drop(server.serve(theirs));
    let thread = thread::Builder::new().name("pair".into()).spawn(serve);
    thread.map_err(|error| Error::io("start the serving thread of a pair", error))?;
    ipc::connect_stream("pair-client", Limits::default(), ours.into())
}
