//! The names that generated code may use, and nothing else of this library.
//!
//! Generated code turns values into messages and back, and method calls into [`Outgoing`] calls and
//! [`Answer`]s. It knows no threads, connections or loops; [`Build`] and [`Read`] stand for those.

pub use std::any::Any;
pub use std::borrow::Cow;

pub use crate::error::{Error, Result};
pub use crate::interfaces::{Call, DataValue, NumberValue, Remote, ready};
pub use capnp;

pub use super::calls::{call, call_async, implements};
pub use super::cast::{cast, cast_async, has_interface};
pub use super::convert::{data, data_in, data_value, length, malformed, show, text, text_in};
pub use super::generated;
pub use super::info::{Info, Method, Pace, Role, Show, StaticOrShared};
pub use super::object::Object;
pub use super::outgoing::{Fill, Outgoing, ReadResults};
pub use super::served::{Served, Several};
pub use super::values::{Answer, Build, Imported, Interface, Read};
pub use super::wire;
