//! Spans of time as a page writes them: `90s`, `5m`, `2h30m`, `14d`.

use std::time::Duration;

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a span of time: write whole numbers with d, h, m, s or ms, largest first, such as 90s or 2h30m"
)]
pub struct NotADuration {
    /// The text as written.
    pub text: String,
}

/// Units in the order in which they may follow each other, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a span of time.
///
/// # Errors
/// [`NotADuration`] when `text` is not a row of whole numbers with units, each unit at most once and largest first,
/// or when it does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let refuse = || NotADuration { text: text.to_owned() };
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0_usize;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(refuse)?;
        let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).ok_or_else(refuse)?;
        let (position, millis) = UNITS
            .iter()
            .enumerate()
            .skip(next_unit)
            .find_map(|(position, (name, millis))| (*name == unit).then_some((position, *millis)))
            .ok_or_else(refuse)?;
        let number: u64 = number.parse().map_err(|_| refuse())?;
        total = number.checked_mul(millis).and_then(|part| total.checked_add(part)).ok_or_else(refuse)?;
        next_unit = position + 1;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a span of time as [`parse_duration`] reads it, in its shortest form; parts of a millisecond are cut off.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, millis) in UNITS {
        let count = rest / millis;
        rest %= millis;
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_and_written() {
        for (text, millis) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h30m", 9_000_000),
            ("14d", 1_209_600_000),
            ("1s500ms", 1_500),
        ] {
            let read = parse_duration(text).expect(text);
            assert_eq!(read, Duration::from_millis(millis), "{text}");
            assert_eq!(parse_duration(&format_duration(read)).expect("canonical"), read, "{text}");
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_no_span_of_time_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "30m2h",
            "5m5m",
            "5w",
            "5M",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
