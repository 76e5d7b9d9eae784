//! The command line of a spawned child. Knows words, not descriptors.

use std::ffi::OsStr;
use std::os::fd::RawFd;

use crate::error::{Error, Result};

/// The descriptor that the parent gave, if `args` (the program's name first) is the command line
/// of a spawned child: exactly the three words `<program> -ipcfd <N>`, as in Bitcoin Core's
/// `checkSpawned`. Any other command line is that of a normal start and gives `None`.
///
/// The descriptor is not looked at; [`inherited_stream`](super::inherited_stream) does that.
///
/// # Errors
/// [`Error::Usage`] where `<N>` is not a decimal 32-bit integer, in Core's words.
pub fn check_spawned<S: AsRef<OsStr>>(args: &[S]) -> Result<Option<RawFd>> {
    let [_program, flag, number] = args else {
        return Ok(None);
    };
    if flag.as_ref() != "-ipcfd" {
        return Ok(None);
    }
    let number = number.as_ref();
    number
        .to_str()
        // Core's ToIntegral takes no plus sign.
        .filter(|word| !word.starts_with('+'))
        .and_then(|word| word.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Error::Usage(format!(
                "Invalid -ipcfd number '{}'",
                number.to_string_lossy()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words_are_a_spawned_child() {
        assert_eq!(
            check_spawned(&["bitcoin-node", "-ipcfd", "7"]).unwrap(),
            Some(7)
        );
        assert_eq!(check_spawned(&["x", "-ipcfd", "-1"]).unwrap(), Some(-1));
    }

    #[test]
    fn any_other_command_line_is_a_normal_start() {
        for args in [
            &[][..],
            &["bitcoin-node"],
            &["bitcoin-node", "-ipcfd"],
            &["bitcoin-node", "-ipcfd=7"],
            &["bitcoin-node", "-ipcfd", "7", "-regtest"],
            &["bitcoin-node", "--ipcfd", "7"],
            &["bitcoin-node", "-regtest", "-ipcfd"],
        ] {
            assert_eq!(check_spawned(args).unwrap(), None, "{args:?}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_an_error_in_the_words_of_core() {
        for word in ["x", "", "+3", " 3", "3 ", "3x", "0x3", "2147483648"] {
            assert_eq!(
                check_spawned(&["bitcoin-node", "-ipcfd", word])
                    .unwrap_err()
                    .to_string(),
                format!("Invalid -ipcfd number '{word}'")
            );
        }
    }
}
