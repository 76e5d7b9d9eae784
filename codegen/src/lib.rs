//! Generates traits, proxies, servers and value types for `bitcoin-ipc` from compiled Cap'n Proto
//! schemas: what `mpgen` of libmultiprocess does for C++.
//!
//! A `build.rs` says where the schema is:
//!
//! ```no_run
//! fn main() -> Result<(), bitcoin_ipc_codegen::Error> {
//!     bitcoin_ipc_codegen::Builder::new("schema/compiled.bin").generate("closure")
//! }
//! ```
//!
//! and the crate includes the code as a module, `crate::closure` here:
//!
//! ```ignore
//! mod closure {
//!     bitcoin_ipc::include_schema!("closure");
//! }
//! ```
//!
//! The compiled schema is what `capnp compile -o- -I <folder with mp/proxy.capnp> *.capnp` writes.
//! Commit it, and a build needs no `capnp` tool; or give [`Builder::sources`] the `.capnp` files.
//!
//! # What a schema becomes
//!
//! A file `echo.capnp` becomes a module `echo`.
//!
//! - An interface is a trait. Each method has a blocking form and an async one, which ends in
//!   `_async`. Implement the blocking one; the async one answers with it.
//! - `context :Proxy.Context` is filled in, `destroy` is the drop of a proxy, and the method that
//!   swaps thread maps is the runtime's: none of them is in the trait.
//! - One result is the value returned, whatever its name; several are a struct, such as
//!   `MiningCheckBlockResults`. A result with the annotation `Proxy.exception` makes it a
//!   `Result<Result<T, E>>`.
//! - `x` with `hasX :Bool` is an `Option`. An interface is an `Option<Arc<dyn X>>`: null is `None`.
//! - A struct is a plain struct with the schema's defaults, and a setter for each field. An enum keeps values
//!   it does not name.
//! - An interface with no methods but `destroy` and `call` is implemented by closures.
//! - A method that would have the name of another's async form gets an underscore: beside `callFn`,
//!   `callFnAsync` is `call_fn_async_`.
//!
//! Types that no interface uses are left out. Unions, groups, generics, `AnyPointer`, streaming and
//! defaults of structs and lists are errors that name the place.

mod builder;
mod compile;
mod docs;
mod emit;
mod error;
mod generations;
mod layout;
mod model;
mod names;
mod request;
mod wire;

pub use builder::Builder;
pub use error::{Error, Result};
#[doc(hidden)]
pub use generations::Generations;

#[cfg(test)]
mod generation_tests;
#[cfg(test)]
mod tests;
