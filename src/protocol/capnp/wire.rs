//! The messages of the built-in interfaces, as capnpc generates them from `schema/`: those of the
//! newest generation.
//!
//! Knows the layout of messages; nothing of what they are for.

include!(concat!(env!("OUT_DIR"), "/newest/wire.rs"));
