//! Reading a child's output line by line, whatever it writes.

use std::io::{BufRead, BufReader, Read};

/// The longest line that is passed on, in bytes. A longer one is cut into several.
pub const MAX_LINE: usize = 64 * 1024;

/// Calls `on_line` for each line of `input`, without its newline, until the input ends or
/// cannot be read. What is not UTF-8 is replaced by U+FFFD; a last line without a newline counts.
pub(super) fn read_lines(input: impl Read, on_line: &mut dyn FnMut(&str)) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        // One more than a line may have, so that its newline fits.
        let room = (MAX_LINE + 1 - line.len()) as u64;
        match input.by_ref().take(room).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                on_line(&String::from_utf8_lossy(&line));
                line.clear();
            }
            Ok(_) if line.len() > MAX_LINE => {
                let rest = line.split_off(character_start(&line, MAX_LINE));
                on_line(&String::from_utf8_lossy(&line));
                line = rest;
            }
            // The input ended within a line: the next read says so.
            Ok(_) => {}
        }
    }
    if !line.is_empty() {
        on_line(&String::from_utf8_lossy(&line));
    }
}

/// Where to cut before `at` without cutting a UTF-8 character in two.
fn character_start(line: &[u8], at: usize) -> usize {
    let continues = |index: usize| line[index] & 0xC0 == 0x80;
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|&index| !continues(index))
        .unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        read_lines(input, &mut |line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_with_and_without_a_last_newline() {
        assert_eq!(lines(b""), [""; 0]);
        assert_eq!(lines(b"a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(lines(b"a\nb"), ["a", "b"]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(lines(b"a\xffb\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_long_line_is_cut_at_the_bound_and_nothing_is_lost() {
        let whole = vec![b'x'; MAX_LINE];
        let ended = [&whole[..], b"\n"].concat();
        assert_eq!(lines(&ended).len(), 1, "as long as a line may be");

        let long = lines(&[&whole[..], b"yz\nnext\n"].concat());
        assert_eq!(long.len(), 3);
        assert_eq!(long[0].len(), MAX_LINE);
        assert_eq!(long[1..], ["yz", "next"]);
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        let input = format!("x{}", "€".repeat(MAX_LINE / 3 + 10));
        let cut = lines(input.as_bytes());
        assert_eq!(cut.len(), 2);
        assert!(cut[0].len() <= MAX_LINE && !cut.concat().contains('\u{fffd}'));
        assert_eq!(cut.concat(), input);
    }

    #[test]
    fn a_cut_through_bytes_that_are_no_characters_goes_on() {
        let cut = lines(&vec![0x80; 3 * MAX_LINE]);
        assert_eq!(
            cut.iter().map(|line| line.chars().count()).sum::<usize>(),
            3 * MAX_LINE
        );
    }
}
