//! A duration on the command line: `250ms`, `5s`, `5min`, `forever`; a number alone is seconds.
//!
//! Knows its spelling; nothing of what it is for. As a method's parameter a duration has the same
//! units, but a number alone is what the wire has, milliseconds (`dynamic::json`).

use std::str::FromStr;
use std::time::Duration;

/// The units, in seconds.
const UNITS: &[(&str, f64)] = &[
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("", 1.0),
];

/// A duration as users write it; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub(crate) Option<Duration>);

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self(None));
        }
        let refused = || "not a duration such as 250ms, 5s, 5min, 1h or forever".to_owned();
        let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
        let mut units = UNITS.iter();
        let (_, seconds) = units.find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let number: f64 = number.parse().map_err(|_| refused())?;
        Duration::try_from_secs_f64(number * seconds)
            .ok()
            // Later than this the clock itself would overflow.
            .filter(|duration| duration.as_secs() < u64::from(u32::MAX))
            .map(|duration| Self(Some(duration)))
            .ok_or_else(|| "too long a duration; write forever".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        let read = |text: &str| text.parse::<TimeLimit>().map(|limit| limit.0);
        assert_eq!(read("250ms"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(read("1.5s"), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(read("2m"), Ok(Some(Duration::from_secs(120))));
        assert_eq!(read("5min"), Ok(Some(Duration::from_secs(300))));
        assert_eq!(read("5"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(read("0.5"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(read("forever"), Ok(None));
        for bad in [
            "",
            ".",
            "s",
            "5 s",
            "-5s",
            "5d",
            "1e9s",
            "..s",
            "99999999999h",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
