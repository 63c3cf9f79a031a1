//! The text of a parameter's value, checked against its type and brought into one form.

use crate::duration::{NotADuration, format_duration, parse_duration};
use crate::value::{Parameter, ParameterType};

/// Longest value of a parameter, in bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Why a text is no value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAValue {
    /// It is not of the parameter's type.
    #[error("{shown} is no {kind}: write {wanted}")]
    WrongType {
        /// The text as given; `…` for a secret.
        shown: String,
        /// The type's name.
        kind: &'static str,
        /// What is accepted.
        wanted: &'static str,
    },
    /// It is no span of time.
    #[error(transparent)]
    NotADuration(#[from] NotADuration),
    /// It is not among the `allowed` values.
    #[error("{shown} is not allowed: write one of {}", allowed.join(", "))]
    NotAllowed {
        /// The text as given; `…` for a secret.
        shown: String,
        /// What is accepted.
        allowed: Vec<String>,
    },
    /// It has more bytes than a value may have.
    #[error("the value has {bytes} bytes; at most {max} are taken", max = VALUE_BYTES_MAX)]
    TooLong {
        /// Bytes given.
        bytes: usize,
    },
}

impl ParameterType {
    /// Reads the type's name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL_TYPES.into_iter().find(|kind| kind.name() == name)
    }

    /// The name as `[parameters]` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Bool => "bool",
            Self::Uuid => "uuid",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Ratio => "ratio",
            Self::Ident => "ident",
            Self::Path => "path",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Text => "any text without NUL",
            Self::Int => "a whole number of 64 bits",
            Self::Decimal => "digits with at most one point, such as 12.50",
            Self::Bool => "true or false",
            Self::Uuid => "a UUID such as 0192d3c5-0000-7000-8000-000000000000",
            Self::Timestamp => "an RFC 3339 timestamp with offset, such as 2026-01-31T22:00:00Z",
            Self::Duration => "a span of time such as 2h30m",
            Self::Ratio => "a number from 0 to 1, or a percentage such as 5%",
            Self::Ident => "a name of 1 to 63 bytes without NUL",
            Self::Path => "a path without NUL",
        }
    }
}

/// Every type, in the order in which messages list them.
pub(crate) const ALL_TYPES: [ParameterType; 10] = [
    ParameterType::Text,
    ParameterType::Int,
    ParameterType::Decimal,
    ParameterType::Bool,
    ParameterType::Uuid,
    ParameterType::Timestamp,
    ParameterType::Duration,
    ParameterType::Ratio,
    ParameterType::Ident,
    ParameterType::Path,
];

/// Checks a value of `parameter` and returns its canonical text.
///
/// Canonical: integers and decimals without superfluous zeros or plus sign, UUIDs in lower case with hyphens,
/// timestamps in UTC, spans of time in their shortest form, ratios as decimals. Other types are kept as they are.
///
/// # Errors
/// [`NotAValue`] when the text is not of the parameter's type or not among its `allowed` values. The text of a secret
/// is never part of the error.
pub fn parse_parameter_value(parameter: &Parameter, text: &str) -> Result<String, NotAValue> {
    let shown = || if parameter.secret { "…".to_owned() } else { format!("{text:?}") };
    if text.len() > VALUE_BYTES_MAX {
        return Err(NotAValue::TooLong { bytes: text.len() });
    }
    let kind = parameter.kind;
    let canonical = match kind {
        ParameterType::Duration => match parse_duration(text) {
            Ok(duration) => Some(format_duration(duration)),
            Err(_) if parameter.secret => None,
            Err(error) => return Err(error.into()),
        },
        ParameterType::Text => without_nul(text).then(|| text.to_owned()),
        ParameterType::Path => (without_nul(text) && !text.is_empty()).then(|| text.to_owned()),
        ParameterType::Ident => {
            (without_nul(text) && (1..=63).contains(&text.len())).then(|| text.to_owned())
        }
        ParameterType::Int => text.parse::<i64>().ok().map(|number| number.to_string()),
        ParameterType::Bool => matches!(text, "true" | "false").then(|| text.to_owned()),
        ParameterType::Uuid => uuid::Uuid::try_parse(text).ok().map(|id| id.hyphenated().to_string()),
        ParameterType::Timestamp => text.parse::<jiff::Timestamp>().ok().map(|time| time.to_string()),
        ParameterType::Decimal => decimal(text),
        ParameterType::Ratio => ratio(text),
    };
    let canonical = canonical.ok_or_else(|| NotAValue::WrongType {
        shown: shown(),
        kind: kind.name(),
        wanted: kind.wanted(),
    })?;
    if !parameter.allowed.is_empty() && !parameter.allowed.contains(&canonical) {
        return Err(NotAValue::NotAllowed { shown: shown(), allowed: parameter.allowed.clone() });
    }
    Ok(canonical)
}

fn without_nul(text: &str) -> bool {
    !text.contains('\0')
}

/// Digits with at most one point, without superfluous zeros.
fn decimal(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// A decimal from 0 to 1, or a percentage from 0 to 100, as a decimal.
pub(crate) fn ratio(text: &str) -> Option<String> {
    let number = match text.strip_suffix('%') {
        Some(percentage) => {
            let canonical = decimal(percentage)?;
            let (whole, fraction) = canonical.split_once('.').unwrap_or((&canonical, ""));
            let padded = format!("{whole:0>3}");
            let (ones, hundredths) = padded.split_at_checked(padded.len().checked_sub(2)?)?;
            decimal(&format!("{ones}.{hundredths}{fraction}"))?
        }
        None => decimal(text)?,
    };
    (number == "0" || number == "1" || number.starts_with("0.")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;
    use crate::source::{SourcePath, Span};

    fn parameter(kind: ParameterType) -> Parameter {
        Parameter {
            name: Name::parse("a").expect("a name"),
            kind,
            secret: false,
            env: None,
            default: None,
            allowed: Vec::new(),
            span: Span { path: SourcePath("a.md".into()), range: 0..0 },
        }
    }

    fn read(kind: ParameterType, text: &str) -> Result<String, NotAValue> {
        parse_parameter_value(&parameter(kind), text)
    }

    #[test]
    fn only_allowed_values_are_taken_in_any_of_their_forms() {
        let parameter =
            Parameter { allowed: vec!["0.05".into(), "1".into()], ..parameter(ParameterType::Ratio) };
        assert_eq!(parse_parameter_value(&parameter, "5%"), Ok("0.05".to_owned()));
        let refused = parse_parameter_value(&parameter, "6%").expect_err("not allowed");
        assert_eq!(refused.to_string(), "\"6%\" is not allowed: write one of 0.05, 1");
    }

    #[test]
    fn a_secret_is_never_part_of_the_error() {
        for kind in ALL_TYPES {
            let secret = Parameter { secret: true, allowed: vec!["other".into()], ..parameter(kind) };
            let error = parse_parameter_value(&secret, "hunter2\0").expect_err("refused").to_string();
            assert!(!error.contains("hunter2"), "{error}");
            let error = parse_parameter_value(&secret, "hunter2").expect_err("refused").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn values_are_brought_into_one_form() {
        for (kind, text, canonical) in [
            (ParameterType::Int, "+007", "7"),
            (ParameterType::Int, "-9223372036854775808", "-9223372036854775808"),
            (ParameterType::Decimal, "-0012.500", "-12.5"),
            (ParameterType::Decimal, "-0.0", "0"),
            (ParameterType::Ratio, "5%", "0.05"),
            (ParameterType::Ratio, "100%", "1"),
            (ParameterType::Ratio, "0.5%", "0.005"),
            (ParameterType::Ratio, "1.0", "1"),
            (ParameterType::Uuid, "0192D3C5000070008000000000000000", "0192d3c5-0000-7000-8000-000000000000"),
            (ParameterType::Timestamp, "2026-01-31T22:00:00+01:00", "2026-01-31T21:00:00Z"),
            (ParameterType::Duration, "90m", "1h30m"),
            (ParameterType::Bool, "true", "true"),
            (ParameterType::Path, "/tmp", "/tmp"),
        ] {
            assert_eq!(read(kind, text), Ok(canonical.to_owned()), "{text}");
        }
    }

    #[test]
    fn values_of_another_type_are_refused() {
        for (kind, text) in [
            (ParameterType::Int, "1.0"),
            (ParameterType::Int, "9223372036854775808"),
            (ParameterType::Decimal, "1e5"),
            (ParameterType::Decimal, "."),
            (ParameterType::Decimal, "1."),
            (ParameterType::Ratio, "101%"),
            (ParameterType::Ratio, "1.01"),
            (ParameterType::Ratio, "-5%"),
            (ParameterType::Ratio, "%"),
            (ParameterType::Bool, "yes"),
            (ParameterType::Uuid, "x"),
            (ParameterType::Timestamp, "2026-01-31T22:00:00"),
            (ParameterType::Duration, "soon"),
            (ParameterType::Ident, ""),
            (ParameterType::Path, ""),
            (ParameterType::Text, "a\0"),
        ] {
            assert!(read(kind, text).is_err(), "{text:?}");
        }
    }
}
