//! Options of the conversion: how values are shown, and how much of them.
//!
//! Knows what people want to see of which field; nothing of how values are read or written.

use crate::dynamic::schema::model::Type;

/// Options for showing and taking values.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The form in which `Data` is shown. Default: hex.
    pub data: DataFormat,
    /// The rule for the meaning of a field beyond its type. Default: none.
    /// [`core::meaning`](crate::dynamic::core::meaning) knows Bitcoin Core's fields.
    pub meaning: Rule,
    /// Whether `x` with `hasX :Bool` is one field that is null when `hasX` is false. Default: no.
    pub optionals: bool,
    /// The bounds on the size of a value.
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
    /// Sets the field `data`.
    #[must_use]
    pub fn data(mut self, data: DataFormat) -> Self {
        self.data = data;
        self
    }

    /// Sets the field `meaning`.
    #[must_use]
    pub fn meaning(mut self, meaning: Rule) -> Self {
        self.meaning = meaning;
        self
    }

    /// Sets the field `optionals`.
    #[must_use]
    pub fn optionals(mut self, optionals: bool) -> Self {
        self.optionals = optionals;
        self
    }

    /// Sets the field `bounds`.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

/// The form in which `Data` is shown. Both forms are taken, whichever is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DataFormat {
    /// A string of hex digits.
    #[default]
    Hex,
    /// An array of the bytes' numbers, as the `capnp` tool has it.
    Array,
}

/// Decides the meaning of a field beyond its type, by its struct or method, its own name and its type.
pub type Rule = fn(owner: Owner<'_>, field: &str, ty: &Type) -> Meaning;

/// The struct or method that a field is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner<'a> {
    /// Its name, such as `BlockRef` or `Mining.waitTipChanged`.
    pub name: &'a str,
    /// The id of the file that declares it: another file's struct of the same name is another.
    pub file: u64,
}

impl<'a> Owner<'a> {
    /// The struct or method of this name in the file with this id.
    #[must_use]
    pub fn new(name: &'a str, file: u64) -> Self {
        Self { name, file }
    }
}

/// The meaning of a field beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Meaning {
    /// None.
    #[default]
    Plain,
    /// `Data`, or a list of it, that is a hash of 32 bytes, which people write in reverse.
    Hash,
    /// `Data`, or a list of it, that is a hash of 32 bytes, which people write in the order of the wire.
    WireHash,
    /// A number of milliseconds: `"5s"`, `"250ms"` and `"forever"` are taken too, and the largest
    /// number is shown as `"forever"`.
    Milliseconds,
}

/// Bounds on the size of a value, so that a small input cannot make a large output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The maximum number of levels of structs and lists. Default 64, as on the C++ sides.
    pub depth: u32,
    /// The maximum number of elements in one list. Default 4 million.
    pub list: u32,
    /// The maximum number of bytes that the JSON of a value takes in memory, approximately. Default
    /// 512 MiB.
    pub json_bytes: usize,
    /// The maximum number of bytes that a value takes on the wire. Default 64 MiB, beyond which the
    /// C++ sides read nothing.
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
    /// Sets the field `depth`.
    #[must_use]
    pub fn depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the field `list`.
    #[must_use]
    pub fn list(mut self, list: u32) -> Self {
        self.list = list;
        self
    }

    /// Sets the field `json_bytes`.
    #[must_use]
    pub fn json_bytes(mut self, json_bytes: usize) -> Self {
        self.json_bytes = json_bytes;
        self
    }

    /// Sets the field `wire_bytes`.
    #[must_use]
    pub fn wire_bytes(mut self, wire_bytes: usize) -> Self {
        self.wire_bytes = wire_bytes;
        self
    }
}
