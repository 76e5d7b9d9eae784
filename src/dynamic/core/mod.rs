//! The peculiarities of Bitcoin Core's interfaces for what calls them by name: how values are shown,
//! which defaults an older node gets, what ends a wait, which methods moved.
//!
//! Knows names of the schemas, and schemas; nothing of connections, but for the calls that are more than
//! one message: [`Submit`], whose place a peer does not tell, and [`Wait`]. The typed interfaces have the same in [`crate::generation`], and the
//! facts that both need are in one table, which `build.rs` reads as well.

mod defaults;
mod interrupt;
mod moved;
mod submit;
mod waiting;
mod way;

use crate::dynamic::json::{Meaning, Options};
use crate::dynamic::schema::model::Type;
use crate::interfaces::{meaning, secrets};

pub use self::defaults::{newest_defaults, with_newest_defaults};
pub use self::interrupt::interrupt_of;
pub use self::moved::is_same;
pub use self::submit::Submit;
pub use self::waiting::{Stop, Wait, was_ended};

/// The parameters that may be left out although no schema gives them a default, each with its method.
pub const OPTIONAL: &[(&str, &str)] = &[("Rpc.executeRpc", "uri"), ("Rpc.executeRpc", "user")];

/// A method that may wait for longer than people expect, and its parameter that says whether it does.
pub const SLOW: (&str, &str) = ("Mining.createNewBlock", "cooldown");

/// Returns the options that people who use Bitcoin Core expect: hashes in display order, durations where
/// a parameter is a timeout, optional values as one field.
#[must_use]
pub fn options() -> Options {
    Options {
        optionals: true,
        ..Options::default().meaning(meaning)
    }
}

/// Returns whether a text, such as a line that a user typed, holds a secret as far as its words tell: a
/// passphrase, a private key, or a call of an RPC command that takes one. Such a text is not to be kept.
#[must_use]
pub fn has_secrets(text: &str) -> bool {
    secrets::are_in(text)
}

/// Returns whether a parameter of this name is a secret.
#[must_use]
pub fn is_secret(parameter: &str) -> bool {
    secrets::is_name(parameter)
}

/// Returns the meaning of a field of Core's interfaces.
pub fn meaning(owner: &str, field: &str, ty: &Type) -> Meaning {
    let is = |key: &str| key.rsplit_once('.') == Some((owner, field));
    let is_data = match ty {
        Type::Data => true,
        Type::List(element) => **element == Type::Data,
        _ => false,
    };
    match ty {
        _ if is_data && meaning::HASHES.iter().any(|(key, _)| is(key)) => Meaning::Hash,
        _ if is_data && meaning::WIRE_HASHES.iter().any(|(key, _)| is(key)) => Meaning::WireHash,
        Type::Float64 if meaning::MILLISECONDS.iter().any(|key| is(key)) => Meaning::Milliseconds,
        _ => Meaning::Plain,
    }
}
