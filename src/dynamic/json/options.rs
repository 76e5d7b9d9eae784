//! How values are shown, and how much of them.
//!
//! Knows what people want to see of which field; nothing of how values are read or written.

use crate::dynamic::schema::model::Type;

/// How values are shown and taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How `Data` is shown. Default: hex.
    pub data: DataFormat,
    /// What a field means beyond its type. Default: nothing. [`core_meaning`] knows Bitcoin Core's
    /// fields.
    pub meaning: Rule,
    /// Whether `x` with `hasX :Bool` is one field that is null when `hasX` is false. Default: no.
    pub optionals: bool,
    /// How much a value may hold.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: DataFormat::Hex,
            meaning: |_, _, _| Meaning::Plain,
            optionals: false,
            bounds: Bounds::default(),
        }
    }
}

impl Options {
    /// As people who use Bitcoin Core expect: hashes in display order, durations where a parameter
    /// is a timeout, optional values as one field.
    pub fn core() -> Self {
        Self {
            meaning: core_meaning,
            optionals: true,
            ..Self::default()
        }
    }

    /// With [`data`](Self::data).
    #[must_use]
    pub fn with_data(mut self, data: DataFormat) -> Self {
        self.data = data;
        self
    }

    /// With [`meaning`](Self::meaning).
    #[must_use]
    pub fn with_meaning(mut self, meaning: Rule) -> Self {
        self.meaning = meaning;
        self
    }

    /// With [`optionals`](Self::optionals).
    #[must_use]
    pub fn with_optionals(mut self, optionals: bool) -> Self {
        self.optionals = optionals;
        self
    }

    /// With [`bounds`](Self::bounds).
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

/// How `Data` is shown. Both forms are taken, whatever is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataFormat {
    /// A string of hex digits.
    #[default]
    Hex,
    /// An array of the bytes' numbers, as the `capnp` tool has it.
    Array,
}

/// What a field means beyond its type, by the name of its struct or method
/// (`BlockRef`, `Mining.waitTipChanged`), its own name and its type.
pub type Rule = fn(owner: &str, field: &str, ty: &Type) -> Meaning;

/// What a field means beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meaning {
    /// Nothing.
    #[default]
    Plain,
    /// `Data`, or a list of it, that is a hash: people write the bytes in reverse.
    Hash,
    /// A number of milliseconds: `"5s"`, `"250ms"` and `"forever"` are taken too, and the largest
    /// number is shown as `"forever"`.
    Milliseconds,
}

/// What Bitcoin Core's fields mean.
pub fn core_meaning(owner: &str, field: &str, ty: &Type) -> Meaning {
    let is_data = match ty {
        Type::Data => true,
        Type::List(element) => **element == Type::Data,
        _ => false,
    };
    match (owner, field, ty) {
        ("BlockRef", "hash", _)
        | ("Mining.waitTipChanged", "currentTip", _)
        | ("Mining.getTransactionsByTxID", "txids", _)
        | ("Mining.getTransactionsByWitnessID", "wtxids", _)
            if is_data =>
        {
            Meaning::Hash
        }
        (_, "timeout", Type::Float64) => Meaning::Milliseconds,
        _ => Meaning::Plain,
    }
}

/// How much a value may hold, so that nobody can make much of little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// How many levels of structs and lists. Default 64, as on the C++ sides.
    pub depth: u32,
    /// How many elements one list may have. Default 4 million.
    pub list: u32,
    /// How many bytes the JSON of a value may take in memory, roughly. Default 512 MiB.
    pub json_bytes: usize,
    /// How many bytes a value may take on the wire. Default 64 MiB, beyond which the C++ sides
    /// read nothing.
    pub wire_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            depth: 64,
            list: 4 * 1024 * 1024,
            json_bytes: 512 * MIB,
            wire_bytes: 64 * MIB,
        }
    }
}

impl Bounds {
    /// With [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// With [`list`](Self::list).
    #[must_use]
    pub fn with_list(mut self, list: u32) -> Self {
        self.list = list;
        self
    }

    /// With [`json_bytes`](Self::json_bytes).
    #[must_use]
    pub fn with_json_bytes(mut self, json_bytes: usize) -> Self {
        self.json_bytes = json_bytes;
        self
    }

    /// With [`wire_bytes`](Self::wire_bytes).
    #[must_use]
    pub fn with_wire_bytes(mut self, wire_bytes: usize) -> Self {
        self.wire_bytes = wire_bytes;
        self
    }
}
