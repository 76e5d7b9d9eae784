//! `Debug` for types that hold connections: their name, and nothing of what they hold.
//!
//! Knows names alone.

/// Implements `Debug` for a type, `in [generics]` before it, as its name.
macro_rules! opaque {
    ($(in [$($generics:tt)*])? $type:ty, $name:literal) => {
        impl $(<$($generics)*>)? std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use opaque;
