//! The answers of older generations in the newest one's shape.
//!
//! Knows the methods whose results have changed; the typed interfaces have the same by `generation`'s
//! adapters.

use serde_json::{Value as Json, json};

use crate::dynamic::json::{hex, unhex};
use crate::error::{Error, Result};
use crate::generation::{Generation, coinbase_of_dummy};

/// Returns the answer of a method, by its full name, of a peer of a generation as one of the newest
/// generation answers. Objects of other programs, which have none, are left alone.
///
/// - `BlockTemplate.submitSolution` tells before Core 32 whether the block was taken, without a reason.
/// - `BlockTemplate.getCoinbaseTx` is in Core 30 a whole dummy transaction.
///
/// # Errors
/// Returns [`Error::Conversion`] where the answer cannot be read.
pub fn newest_answer(generation: Option<Generation>, method: &str, answer: Json) -> Result<Json> {
    if generation.is_none() {
        return Ok(answer);
    }
    match (method, answer) {
        ("BlockTemplate.submitSolution", Json::Bool(result)) => {
            Ok(json!({ "reason": "", "debug": "", "result": result }))
        }
        ("BlockTemplate.getCoinbaseTx", Json::String(digits)) => coinbase(&digits),
        (_, answer) => Ok(answer),
    }
}

fn coinbase(digits: &str) -> Result<Json> {
    let bytes = unhex(digits)
        .map_err(|reason| Error::conversion("BlockTemplate.getCoinbaseTx.result", reason))?;
    let found = coinbase_of_dummy(&bytes)?;
    let outputs = found.required_outputs.iter().map(|output| hex(output));
    Ok(json!({
        "version": found.version,
        "sequence": found.sequence,
        "scriptSigPrefix": hex(&found.script_sig_prefix),
        "witness": hex(&found.witness),
        "blockRewardRemaining": found.block_reward_remaining,
        "requiredOutputs": outputs.collect::<Vec<_>>(),
        "lockTime": found.lock_time,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FAULTS E6.
    #[test]
    fn answers_have_the_newest_shape() {
        let newest = |method: &str, answer| newest_answer(Some(Generation::Core30), method, answer);
        let submitted = newest("BlockTemplate.submitSolution", json!(true)).unwrap();
        assert_eq!(
            submitted,
            json!({ "reason": "", "debug": "", "result": true })
        );
        assert_eq!(newest("Echo.echo", json!(true)).unwrap(), true);
        let zeros = "00".repeat(32);
        let input = format!("{zeros}ffffffff03010200feffffff");
        let outputs = "0200f2052a01000000015100000000000000000151";
        let dummy = format!("02000000000101{input}{outputs}0120{zeros}01000000");
        let found = newest("BlockTemplate.getCoinbaseTx", dummy.into()).unwrap();
        let expected = json!({
            "version": 2,
            "sequence": 0xffff_fffe_u32,
            "scriptSigPrefix": "0102",
            "witness": "00".repeat(32),
            "blockRewardRemaining": 5_000_000_000_i64,
            "requiredOutputs": ["00000000000000000151"],
            "lockTime": 1,
        });
        assert_eq!(found, expected);
        let broken = newest("BlockTemplate.getCoinbaseTx", json!("00")).unwrap_err();
        assert!(
            broken.to_string().contains("no coinbase transaction"),
            "{broken}"
        );
        // The newest answers so itself, and another program what it likes.
        let whole = json!({ "lockTime": 7 });
        let same = newest_answer(
            Some(Generation::NEWEST),
            "BlockTemplate.getCoinbaseTx",
            whole.clone(),
        );
        assert_eq!(same.unwrap(), whole);
        let others = newest_answer(None, "BlockTemplate.submitSolution", json!(true));
        assert_eq!(others.unwrap(), true);
    }
}
