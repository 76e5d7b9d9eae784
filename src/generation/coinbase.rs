//! Reads from Core 30's dummy coinbase the fields that newer generations answer one by one.
//!
//! Knows the serialization of transactions as far as a coinbase goes. The bytes are a peer's: none
//! is trusted, and no count makes this keep more than there are.

use crate::error::{Error, Result};
use crate::interfaces::mining::CoinbaseTx;

/// `OP_0`, with which Core 30 makes the dummy's scriptSig long enough.
const OP_0: u8 = 0x00;
/// `OP_1` to `OP_16`, which push a small number.
const SMALL_NUMBERS: std::ops::RangeInclusive<u8> = 0x51..=0x60;
/// The longest number a script can count with, in bytes. A height has fewer.
const NUMBER_BYTES: u8 = 5;
/// The outpoint that the input of a coinbase spends: null.
const NULL_OUTPOINT: [u8; 36] = {
    let mut bytes = [0; 36];
    let mut index = 32;
    while index < 36 {
        bytes[index] = 0xff;
        index += 1;
    }
    bytes
};

/// Returns the fields of a coinbase from the dummy that Core 30's `getCoinbaseTx` answers, as
/// `CreateNewBlock` in Core 31's `src/node/miner.cpp` takes them from the dummy it makes.
///
/// # Errors
/// [`Error::Conversion`] when the bytes are no coinbase.
pub(crate) fn of_dummy(transaction: &[u8]) -> Result<CoinbaseTx> {
    read(transaction).map_err(|reason| {
        let reason = format!("no coinbase transaction: {reason}");
        Error::conversion("BlockTemplate.getCoinbaseTx.result", reason)
    })
}

type Read<T> = std::result::Result<T, &'static str>;

fn read(transaction: &[u8]) -> Read<CoinbaseTx> {
    let mut bytes = Bytes(transaction);
    let version = u32::from_le_bytes(bytes.array()?);
    // BIP 144: no inputs, then a flag.
    let has_witness = bytes.0.starts_with(&[0, 1]);
    if has_witness {
        bytes.take(2)?;
    }
    if bytes.count()? != 1 {
        return Err("it has not one input");
    }
    if bytes.array()? != NULL_OUTPOINT {
        return Err("its input spends an output");
    }
    let script_sig = bytes.bytes()?;
    let sequence = u32::from_le_bytes(bytes.array()?);
    let (block_reward_remaining, required_outputs) = outputs(&mut bytes)?;
    let witness = match has_witness {
        true => witness(&mut bytes)?,
        false => &[],
    };
    let lock_time = u32::from_le_bytes(bytes.array()?);
    if !bytes.0.is_empty() {
        return Err("bytes follow it");
    }
    Ok(CoinbaseTx {
        version,
        sequence,
        script_sig_prefix: prefix(script_sig).to_vec(),
        witness: witness.to_vec(),
        block_reward_remaining,
        required_outputs,
        lock_time,
    })
}

/// Reads the reward, which the dummy pays to its first output, and the other outputs as they are.
fn outputs(bytes: &mut Bytes<'_>) -> Read<(i64, Vec<Vec<u8>>)> {
    let mut reward = None;
    let mut required = Vec::new();
    // Each output takes bytes, so that a count that is too large ends with them.
    for _ in 0..bytes.count()? {
        let start = bytes.0;
        let value = i64::from_le_bytes(bytes.array()?);
        bytes.bytes()?;
        match reward {
            None => reward = Some(value),
            Some(_) => {
                let length = start.len() - bytes.0.len();
                required.push(Bytes(start).take(length)?.to_vec());
            }
        }
    }
    match reward {
        Some(reward) => Ok((reward, required)),
        None => Err("it has no outputs"),
    }
}

/// Reads the input's witness: BIP 141 requires it to be one element.
fn witness<'a>(bytes: &mut Bytes<'a>) -> Read<&'a [u8]> {
    match bytes.count()? {
        1 => bytes.bytes(),
        _ => Err("its witness is not one element"),
    }
}

/// Returns the scriptSig without the `OP_0` that makes the dummy's long enough
/// (`CScript() << nHeight << OP_0` in Core 30). Returns all of it where a node puts more there,
/// which a block may need.
fn prefix(script_sig: &[u8]) -> &[u8] {
    match script_sig.split_last() {
        Some((&OP_0, height)) if is_number(height) => height,
        _ => script_sig,
    }
}

/// Whether a script does nothing but push a number above 0.
fn is_number(script: &[u8]) -> bool {
    match script {
        [opcode] => SMALL_NUMBERS.contains(opcode),
        [length @ 1..=NUMBER_BYTES, number @ ..] => number.len() == usize::from(*length),
        _ => false,
    }
}

/// The bytes that are left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it is cut off")?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Reads a CompactSize, which must be in its shortest form.
    fn count(&mut self) -> Read<u64> {
        let [first] = self.array()?;
        let (count, least) = match first {
            0xfd => (u16::from_le_bytes(self.array()?).into(), 0xfd),
            0xfe => (u32::from_le_bytes(self.array()?).into(), 0x1_0000),
            0xff => (u64::from_le_bytes(self.array()?), 0x1_0000_0000),
            small => (small.into(), 0),
        };
        match count >= least {
            true => Ok(count),
            false => Err("a length is not in its shortest form"),
        }
    }

    /// Reads bytes that follow their length.
    fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.count()?).map_err(|_| "it is cut off")?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REWARD: i64 = 5_000_000_123;

    /// Returns a dummy as Core 30 makes it, for a block of this height's push.
    fn dummy(height: &[u8], witness: bool) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0];
        if witness {
            bytes.extend([0, 1]);
        }
        bytes.push(1);
        bytes.extend(NULL_OUTPOINT);
        bytes.push(height.len() as u8 + 1);
        bytes.extend(height);
        bytes.push(OP_0);
        bytes.extend(0xffff_fffe_u32.to_le_bytes());
        bytes.push(if witness { 2 } else { 1 });
        bytes.extend(REWARD.to_le_bytes());
        bytes.extend([1, 0x51]);
        if witness {
            bytes.extend(commitment());
            bytes.extend([1, 32]);
            bytes.extend([0; 32]);
        }
        bytes.extend(100_u32.to_le_bytes());
        bytes
    }

    /// Returns the output of a witness commitment.
    fn commitment() -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.extend([38, 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed]);
        bytes.extend([7; 32]);
        bytes
    }

    fn reason(bytes: &[u8]) -> String {
        match of_dummy(bytes) {
            Err(Error::Conversion { field, reason }) => {
                assert_eq!(field, "BlockTemplate.getCoinbaseTx.result");
                reason
            }
            other => panic!("taken: {other:?}"),
        }
    }

    #[test]
    fn a_dummy_with_a_witness() {
        let expected = CoinbaseTx {
            version: 2,
            sequence: 0xffff_fffe,
            script_sig_prefix: vec![1, 101],
            witness: vec![0; 32],
            block_reward_remaining: REWARD,
            required_outputs: vec![commitment()],
            lock_time: 100,
        };
        assert_eq!(of_dummy(&dummy(&[1, 101], true)).unwrap(), expected);
    }

    #[test]
    fn a_dummy_without_a_witness() {
        let coinbase = of_dummy(&dummy(&[1, 101], false)).unwrap();
        assert!(coinbase.witness.is_empty());
        assert!(coinbase.required_outputs.is_empty());
        assert_eq!(coinbase.block_reward_remaining, REWARD);
        assert_eq!(coinbase.lock_time, 100);
    }

    #[test]
    fn the_prefix_is_the_height() {
        let heights: [&[u8]; 6] = [
            &[0x51],                // 1
            &[0x60],                // 16
            &[1, 17],               // 17
            &[2, 0x80, 0],          // 128, which ends as OP_0 does
            &[3, 0xa0, 0xbb, 0x0d], // 900000
            &[4, 0, 0, 0, 1],
        ];
        for height in heights {
            let coinbase = of_dummy(&dummy(height, true)).unwrap();
            assert_eq!(coinbase.script_sig_prefix, height);
            // Without that `OP_0`, or with anything else after it, all of it is returned.
            assert_eq!(prefix(height), height);
            for other in [&[height, &[0x51]].concat(), &[height, &[0, 0]].concat()] {
                assert_eq!(prefix(other), other);
            }
        }
        for none in [&[][..], &[0], &[0, 0], &[6, 1, 2, 3, 4, 5, 6, 0], &[2, 0]] {
            assert_eq!(prefix(none), none);
        }
    }

    #[test]
    fn what_is_no_coinbase_is_refused() {
        let good = dummy(&[1, 101], true);
        assert!(reason(b"coinbase").contains("no coinbase transaction"));
        assert!(reason(&[&good[..], &[0]].concat()).contains("bytes follow"));
        let change = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            reason(&bytes)
        };
        assert!(change(6, 2).contains("not one input"));
        assert!(change(7, 1).contains("spends an output"));
        assert!(change(42, 0).contains("spends an output"));
        let witness = good.len() - 4 - 34;
        assert_eq!(good[witness..witness + 2], [1, 32]);
        assert!(change(witness, 2).contains("witness"));
        let outputs = 4 + 2 + 1 + 36 + 1 + 3 + 4;
        assert_eq!(good[outputs], 2);
        assert!(change(outputs, 0).contains("no outputs"));
        assert!(change(outputs, 0xfd).contains("cut off"));
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused() {
        let good = dummy(&[1, 101], true);
        for at in [6, 43, 50, 59, 62] {
            for length in [
                &[0xfd, 0xff, 0xff][..],
                &[0xfe, 0xff, 0xff, 0xff, 0xff],
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ] {
                let mut bytes = good.clone();
                bytes.splice(at..=at, length.iter().copied());
                reason(&bytes);
            }
        }
        let mut long = good.clone();
        long.splice(6..=6, [0xfd, 1, 0]);
        assert!(reason(&long).contains("shortest form"));
    }

    #[test]
    fn hostile_bytes_are_no_panic() {
        let good = dummy(&[3, 1, 2, 3], true);
        for end in 0..good.len() {
            reason(&good[..end]);
        }
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let _ = of_dummy(&bytes);
            }
        }
    }
}
