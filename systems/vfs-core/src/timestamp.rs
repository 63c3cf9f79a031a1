//! Points in time, in whole milliseconds.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, from the year 1 to the end of 9999.
///
/// It prints as `YYYY-MM-DDTHH:mm:ss.sssZ`, always that long. It reads what a browser's date parser would take of an
/// ISO 8601 or RFC 3339 text, and RFC 2822: with or without time, with `T` or a space, with any fraction (what is finer
/// than a millisecond is cut off), with any offset. A time without an offset is UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a point in time between the years 1 and 9999")]
pub struct TimestampError;

/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 64;

impl Timestamp {
    /// `0001-01-01T00:00:00.000Z`.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// `9999-12-30T21:59:59.999Z`: later than this the calendar in use gives out.
    pub const MAX: Self = Self(253_402_207_199_999);

    /// From milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Where it lies outside of [`Timestamp::MIN`] to [`Timestamp::MAX`].
    pub fn from_millisecond(millisecond: i64) -> Result<Self, TimestampError> {
        let at = Self(millisecond);
        if (Self::MIN..=Self::MAX).contains(&at) { Ok(at) } else { Err(TimestampError) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millisecond(self) -> i64 {
        self.0
    }

    /// So many milliseconds later; never later than [`Timestamp::MAX`] or earlier than [`Timestamp::MIN`].
    #[must_use]
    pub fn plus_millisecond(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds).clamp(Self::MIN.0, Self::MAX.0))
    }

    fn from_instant(instant: jiff::Timestamp) -> Result<Self, TimestampError> {
        let millisecond = instant.as_nanosecond().div_euclid(1_000_000);
        Self::from_millisecond(i64::try_from(millisecond).map_err(|_| TimestampError)?)
    }
}

impl TryFrom<jiff::Timestamp> for Timestamp {
    type Error = TimestampError;

    fn try_from(instant: jiff::Timestamp) -> Result<Self, TimestampError> {
        Self::from_instant(instant)
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(at: Timestamp) -> Self {
        // Every value between the ends is one of the calendar; a test goes through them.
        Self::from_millisecond(at.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        plain(text.as_bytes()).map_or_else(|| Self::of_any(text), Ok)
    }
}

impl Timestamp {
    fn of_any(text: &str) -> Result<Self, TimestampError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX || text.contains('[') {
            return Err(TimestampError);
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Self::from_instant(instant);
        }
        let local = text.parse::<civil::DateTime>().or_else(|_| text.parse::<civil::Date>().map(Into::into));
        if let Ok(local) = local {
            let zoned = local.to_zoned(TimeZone::UTC).map_err(|_| TimestampError)?;
            return Self::from_instant(zoned.timestamp());
        }
        match rfc2822::parse(text) {
            Ok(zoned) => Self::from_instant(zoned.timestamp()),
            Err(_) => Err(TimestampError),
        }
    }
}

/// Days before each month, in a year that is no leap year.
const DAYS_BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
/// Days from the first day of the year 1 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_162;

/// Reads `YYYY-MM-DDTHH:mm:ss`, a fraction of up to nine digits or none, and `Z`, which is what nearly every time looks
/// like. `None`: it looks otherwise, or is no time; whoever asks looks closer.
fn plain(text: &[u8]) -> Option<Timestamp> {
    let [y0, y1, y2, y3, b'-', o0, o1, b'-', d0, d1, b'T', h0, h1, b':', m0, m1, b':', s0, s1, rest @ ..] =
        text
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| Some(digit(*tens)? * 10 + digit(*ones)?);
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(o0, o1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(m0, m1)?, two(s0, s1)?);
    let millisecond = match rest {
        [b'Z'] => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            let mut scaled = 0;
            for (place, byte) in fraction.iter().enumerate() {
                let digit = digit(*byte)?;
                scaled += [100, 10, 1].get(place).map_or(0, |worth| worth * digit);
            }
            scaled
        }
        _ => return None,
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month - 1).ok()?;
    let (before, after) = (*DAYS_BEFORE.get(index)?, *DAYS_BEFORE.get(index + 1)?);
    let days_of_month = after - before + i64::from(is_leap && month == 2);
    if year < 1 || !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 + i64::from(is_leap && month > 2);
    let days = past * 365 + leap_days + before + day - 1 - DAYS_TO_1970;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::from_millisecond(seconds * 1_000 + millisecond).ok()
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> Self {
        at.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = TimeZone::UTC.to_datetime(jiff::Timestamp::from(*self));
        write!(f, "{:04}-{:02}-{:02}T", at.year(), at.month(), at.day())?;
        write!(f, "{:02}:{:02}:{:02}.{:03}Z", at.hour(), at.minute(), at.second(), at.millisecond())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> Option<String> {
        text.parse::<Timestamp>().ok().map(|at| at.to_string())
    }

    #[test]
    fn what_a_database_or_a_browser_writes_is_read_and_printed_in_one_form() {
        for text in [
            "2026-02-14T20:00:00.123Z",
            "2026-02-14T20:00:00.123456+00:00",
            "2026-02-14 20:00:00.123999+00",
            "2026-02-14T21:30:00.123+01:30",
            "2026-02-14T20:00:00.123",
            " 2026-02-14 20:00:00.1239 ",
        ] {
            assert_eq!(printed(text).as_deref(), Some("2026-02-14T20:00:00.123Z"), "{text}");
        }
        assert_eq!(printed("2026-02-14").as_deref(), Some("2026-02-14T00:00:00.000Z"));
        assert_eq!(printed("Sat, 14 Feb 2026 20:00:00 GMT").as_deref(), Some("2026-02-14T20:00:00.000Z"));
    }

    #[test]
    fn what_is_finer_than_a_millisecond_is_cut_off_also_before_1970() {
        assert_eq!(printed("1969-12-31T23:59:59.9999Z").as_deref(), Some("1969-12-31T23:59:59.999Z"));
    }

    #[test]
    fn other_texts_are_no_time() {
        for text in
            ["", " ", "now", "2026-13-01", "2026-02-30T00:00:00Z", "10000-01-01T00:00:00Z", "-000001-01-01"]
        {
            assert_eq!(printed(text), None, "{text}");
        }
        assert_eq!(printed(&"1".repeat(1_000)), None);
    }

    #[test]
    fn the_ends_print_and_are_never_passed() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T21:59:59.999Z");
        assert_eq!(Timestamp::MAX.plus_millisecond(1), Timestamp::MAX);
        assert!(Timestamp::from_millisecond(Timestamp::MAX.as_millisecond() + 1).is_err());
    }

    proptest! {
        #[test]
        fn any_time_survives_its_text(
            millisecond in Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond(),
        ) {
            let at = Timestamp::from_millisecond(millisecond).unwrap();
            let text = at.to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(text.parse::<Timestamp>(), Ok(at));
        }

        #[test]
        fn the_short_way_and_the_long_way_read_the_same(
            parts in (0..10_100_u16, 0..14_u8, 0..33_u8, 0..26_u8, 0..62_u8, 0..62_u8),
            fraction in "(\\.[0-9]{0,11})?",
            zone in "(Z|z|\\+00:00|)",
        ) {
            let (year, month, day, hour, minute, second) = parts;
            let text =
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            if let Some(at) = plain(text.as_bytes()) {
                prop_assert_eq!(Timestamp::of_any(&text), Ok(at));
            }
            prop_assert_eq!(text.parse::<Timestamp>(), Timestamp::of_any(&text));
        }

        #[test]
        fn what_is_printed_is_read_by_the_short_way(
            millisecond in Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond(),
        ) {
            let at = Timestamp::from_millisecond(millisecond).unwrap();
            prop_assert_eq!(plain(at.to_string().as_bytes()), Some(at));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = text.parse::<Timestamp>();
        }
    }
}
