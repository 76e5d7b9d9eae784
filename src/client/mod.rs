//! Clients of a node: one connection, or one that is made again whenever it ends, and what a program
//! follows over it.
//!
//! Knows the typed interfaces and the façade's way to connect; nothing of messages. A client serves
//! nothing.

mod connection;
mod following;
mod pump;
mod reconnecting;
mod supervisor;
mod templates;
mod tips;

pub use self::connection::{Client, ClientBuilder};
pub use self::pump::Pumped;
pub use self::reconnecting::Reconnecting;
pub use self::supervisor::{Event, warm_up};
pub use self::templates::{TemplateOptions, Templates, Work};
pub use self::tips::{Tip, Tips, Wait};
