//! The types that stand for data and numbers in the interfaces: hashes and durations.
//!
//! Knows the standard library and errors; nothing of fields, which [`super::meaning`] lists.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};

/// The size of a hash, in bytes.
const SIZE: usize = 32;

/// A type that stands for a `Data` field.
pub trait DataValue: Copy + Default + Send + 'static {
    /// The name of such a value, for errors.
    const NAME: &'static str;

    /// Reads the bytes of the wire; `None` where they are no such value.
    fn of_wire(bytes: &[u8]) -> Option<Self>;

    /// Returns the bytes of the wire.
    fn to_wire(&self) -> &[u8];
}

/// A type that stands for a `Float64` field.
pub trait NumberValue: Copy + Default + Send + 'static {
    /// Reads the number of the wire, whatever it is.
    fn of_wire(number: f64) -> Self;

    /// Returns the number of the wire.
    fn to_wire(self) -> f64;
}

/// A number of milliseconds, as C++ has its `MillisecondsDouble`. [`Duration::MAX`] stands for every number
/// beyond it, and is written as the largest double: for ever. What is below zero, or no number, is zero.
impl NumberValue for Duration {
    fn of_wire(number: f64) -> Self {
        if number.is_nan() || number <= 0.0 {
            return Self::ZERO;
        }
        Self::try_from_secs_f64(number / 1000.0).unwrap_or(Self::MAX)
    }

    fn to_wire(self) -> f64 {
        match self {
            Self::MAX => f64::MAX,
            time => time.as_secs_f64() * 1000.0,
        }
    }
}

/// Defines a hash of 32 bytes.
macro_rules! hash {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        ///
        /// 32 bytes in the order of the wire, which is that of blocks and transactions. A hash is written
        /// and shown the other way round, as everywhere in Bitcoin.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; SIZE]);

        impl $name {
            /// The hash of nothing, as Bitcoin Core's `uint256::ZERO`.
            pub const ZERO: Self = Self([0; SIZE]);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads a hash as it is shown: 64 hexadecimal digits.
            fn from_str(text: &str) -> Result<Self> {
                let hash = read(text).map(Self);
                hash.ok_or_else(|| Error::conversion($what, "not 64 hexadecimal digits"))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; SIZE]> for $name {
            fn from(bytes: [u8; SIZE]) -> Self {
                Self(bytes)
            }
        }

        impl DataValue for $name {
            const NAME: &'static str = $what;

            fn of_wire(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            fn to_wire(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

hash! {
    /// The hash of a block.
    ///
    /// ```
    /// use bitcoin_ipc::BlockHash;
    ///
    /// let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
    /// let hash: BlockHash = genesis.parse().unwrap();
    /// assert_eq!(hash.0[0], 0x06);
    /// assert_eq!(hash.to_string(), genesis);
    /// ```
    BlockHash, "the hash of a block"
}

hash! {
    /// The id of a transaction: its hash without the witness.
    Txid, "the id of a transaction"
}

hash! {
    /// The witness id of a transaction: its hash with the witness.
    Wtxid, "the witness id of a transaction"
}

hash! {
    /// A hash of a merkle tree.
    MerkleHash, "a hash of a merkle tree"
}

fn show(hash: &[u8; SIZE], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut bytes = hash.iter().rev();
    bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn read(text: &str) -> Option<[u8; SIZE]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != SIZE || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut hash = [0; SIZE];
    for (byte, [high, low]) in hash.iter_mut().rev().zip(pairs) {
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        let hash = BlockHash(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let text = hash.to_string();
        assert!(text.starts_with("1f1e1d") && text.ends_with("020100"));
        assert_eq!(text.parse::<BlockHash>().unwrap(), hash);
        assert_eq!(text.to_uppercase().parse::<BlockHash>().unwrap(), hash);
        for wrong in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &text.replace('a', "g"),
        ] {
            let error = wrong.parse::<Txid>().unwrap_err().to_string();
            let expected = "the id of a transaction: not 64 hexadecimal digits";
            assert_eq!(error, expected, "{wrong}");
        }
    }

    #[test]
    fn a_duration_is_a_number_of_milliseconds() {
        for (number, duration) in [
            (250.0, Duration::from_millis(250)),
            (0.5, Duration::from_micros(500)),
            (0.0, Duration::ZERO),
            (f64::MAX, Duration::MAX),
        ] {
            assert_eq!(<Duration as NumberValue>::of_wire(number), duration);
            assert_eq!(duration.to_wire(), number);
        }
        for number in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(<Duration as NumberValue>::of_wire(number), Duration::ZERO);
        }
        assert_eq!(
            <Duration as NumberValue>::of_wire(f64::INFINITY),
            Duration::MAX
        );
    }
}
