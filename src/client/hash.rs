//! The hash of a block.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The size of a hash, in bytes.
const SIZE: usize = 32;

/// The hash of a block: 32 bytes in the order of the wire, which is that of the block header. It is
/// written and shown the other way round, as everywhere in Bitcoin.
///
/// ```
/// use bitcoin_ipc::client::BlockHash;
///
/// let genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
/// let hash: BlockHash = genesis.parse().unwrap();
/// assert_eq!(hash.0[0], 0x06);
/// assert_eq!(hash.to_string(), genesis);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash(pub [u8; SIZE]);

impl BlockHash {
    /// Reads a hash of the wire. `None` where it is empty, as where a wait was interrupted.
    ///
    /// # Errors
    /// Returns [`Error::Conversion`] for any other number of bytes than 32.
    pub fn of_wire(bytes: &[u8]) -> Result<Option<Self>> {
        match bytes.try_into() {
            Ok(hash) => Ok(Some(Self(hash))),
            Err(_) if bytes.is_empty() => Ok(None),
            Err(_) => {
                let reason = format!("{} bytes instead of {SIZE}", bytes.len());
                Err(Error::conversion("the hash of a block", reason))
            }
        }
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .rev()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

impl FromStr for BlockHash {
    type Err = Error;

    /// Reads a hash as it is shown: 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::conversion("the hash of a block", "not 64 hexadecimal digits");
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != SIZE || !rest.is_empty() {
            return Err(refused());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut hash = [0; SIZE];
        for (byte, [high, low]) in hash.iter_mut().rev().zip(pairs) {
            let value = digit(*high).zip(digit(*low)).ok_or_else(refused)?;
            *byte = u8::try_from(value.0 * 16 + value.1).map_err(|_| refused())?;
        }
        Ok(Self(hash))
    }
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
            assert!(wrong.parse::<BlockHash>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hash_has_32_bytes_or_none() {
        assert_eq!(BlockHash::of_wire(&[]).unwrap(), None);
        assert_eq!(
            BlockHash::of_wire(&[7; 32]).unwrap(),
            Some(BlockHash([7; 32]))
        );
        let error = BlockHash::of_wire(&[7; 31]).unwrap_err().to_string();
        assert_eq!(error, "the hash of a block: 31 bytes instead of 32");
    }
}
