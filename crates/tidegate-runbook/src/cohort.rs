//! Steps done once for each row of a recorded relation, in waves.

use std::fmt;
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, ValueUse};
use crate::names::Name;
use crate::parameter_value::ratio;
use crate::step_reader::Reader;
use crate::value::ValueRef;
use crate::vocabulary::Verb;

/// Most subjects of one wave.
const WAVE_MAX: u32 = 1_000;

/// Subjects of a wave where the page does not say.
const WAVE: u32 = 10;

/// What the columns of the row at hand are asked for by: `{{each.column}}`.
pub const EACH: &str = "each";

/// `@for-each`: the step is done once for each row of what a record kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// The record whose rows are the subjects.
    pub over: Name,
    /// `@wave`: subjects that are dealt with before the failures are counted.
    pub wave: u32,
    /// `@max-failure-rate`: with a greater one after a wave, the step stops.
    pub max_failure_rate: FailureRate,
    /// `@between-waves`: how long it waits between two waves; none: not at all.
    pub between_waves: Duration,
}

/// A share of failures, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureRate {
    millionths: u32,
}

impl FailureRate {
    /// Reads a number from 0 to 1, or a percentage; six digits behind the point count.
    fn parse(text: &str) -> Option<Self> {
        let canonical = ratio(text)?;
        let fraction = match canonical.split_once('.') {
            None if canonical == "1" => return Some(Self { millionths: 1_000_000 }),
            None => "0",
            Some((_, fraction)) => fraction,
        };
        let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
        Some(Self { millionths: digits.parse().ok()? })
    }

    /// Whether so many failures of so many are more than this.
    #[must_use]
    pub fn is_exceeded_by(self, failed: u64, of: u64) -> bool {
        u128::from(failed) * 1_000_000 > u128::from(self.millionths) * u128::from(of)
    }
}

impl fmt::Display for FailureRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.millionths / 10_000, self.millionths % 10_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        write!(f, "{whole}.{} %", format!("{rest:04}").trim_end_matches('0'))
    }
}

/// The properties of a cohort; `None` where the step has no `@for-each`.
pub(crate) fn read(reader: &mut Reader<'_, '_>) -> Option<Cohort> {
    let Some(over) = reader.property("for-each") else {
        for word in ["wave", "max-failure-rate", "between-waves"] {
            if let Some(property) = reader.property(word) {
                let message = format!("`@{word}` has no meaning without `@for-each`");
                let help = "add `# @for-each record`, or remove the line";
                reader.diagnostics.push(Diagnostic::error(
                    "misplaced-property",
                    property.span,
                    message,
                    help,
                ));
            }
        }
        return None;
    };
    let name = match Name::parse(over.text) {
        Ok(name) => name,
        Err(error) => {
            reader.refuse(&over, format!("`@for-each`: {error}"), "write the id of one record with `@rows`");
            return None;
        }
    };
    reader.uses.push(ValueUse {
        value: ValueRef { root: name.clone(), field: None },
        span: over.span,
        handing: Handing::Relation(None),
    });
    let wave = reader.count("wave", WAVE_MAX).unwrap_or(WAVE);
    let rate =
        reader.property("max-failure-rate").map(|property| (FailureRate::parse(property.text), property));
    let max_failure_rate = match rate {
        None => FailureRate::default(),
        Some((Some(rate), _)) => rate,
        Some((None, property)) => {
            let message = format!("{:?} is no rate", property.text);
            reader.refuse(&property, message, "write a number from 0 to 1, or a percentage such as 1%");
            FailureRate::default()
        }
    };
    let between_waves = reader.duration("between-waves").unwrap_or_default();
    if reader.verb == Verb::Check {
        for word in ["wave", "between-waves"] {
            if let Some(property) = reader.property(word) {
                let message = format!("a check asks about all its rows at once, so `@{word}` has no meaning");
                let help = "remove the line";
                reader.diagnostics.push(Diagnostic::error(
                    "misplaced-property",
                    property.span,
                    message,
                    help,
                ));
            }
        }
    }
    Some(Cohort { over: name, wave, max_failure_rate, between_waves })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_shown_and_exceeded_by_more_than_themselves() {
        for (text, shown) in
            [("1%", "1 %"), ("0", "0 %"), ("0.005", "0.5 %"), ("1", "100 %"), ("0.1234567", "12.3456 %")]
        {
            assert_eq!(FailureRate::parse(text).expect(text).to_string(), shown);
        }
        for text in ["101%", "-1", "x", "2"] {
            assert_eq!(FailureRate::parse(text), None, "{text}");
        }
        let rate = FailureRate::parse("1%").expect("a rate");
        assert!(!rate.is_exceeded_by(0, 0));
        assert!(!rate.is_exceeded_by(1, 100));
        assert!(rate.is_exceeded_by(2, 100));
        assert!(FailureRate::default().is_exceeded_by(1, u64::MAX));
    }
}
