//! Any interface of any schema, without generated code: schemas at run time, values as JSON, calls
//! by name.
//!
//! Knows Cap'n Proto's types and the runtime that generated code stands on; nothing of addresses,
//! processes, roles or the command line.
//!
//! - [`schema`] loads compiled schemas and finds what they declare.
//! - [`json`] converts values between JSON and the wire.
//! - [`core`] has what is peculiar to Bitcoin Core's interfaces.
//! - [`call`] calls methods of objects in other processes, and hosts objects whose calls arrive as
//!   JSON.
//!
//! ```
//! use bitcoin_ipc::Generation;
//! use bitcoin_ipc::dynamic::core;
//! use bitcoin_ipc::dynamic::json::Converter;
//! use bitcoin_ipc::dynamic::schema::Registry;
//! use bitcoin_ipc::dynamic::schema::model::{Brand, Type};
//!
//! let registry = Registry::core(Generation::Core32)?;
//! let options = core::options();
//! let block = registry.find_type("BlockRef")?;
//! let value = serde_json::json!({ "hash": "00ff".repeat(16), "height": 7 });
//! let converter = Converter::new(&registry, &options);
//! let ty = Type::Struct(block.id, Brand::default());
//! let words = converter.to_bytes(&value, &ty, "block")?;
//! assert_eq!(converter.from_bytes(&words, &ty, "block")?, value);
//! # Ok::<(), bitcoin_ipc::Error>(())
//! ```

pub mod call;
pub mod core;
pub mod json;
mod raw;
pub mod schema;
