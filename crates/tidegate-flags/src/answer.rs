//! Reading what the server answers.

use tidegate_store::postgres::{Failure, FromSql, Row};

use crate::error::FlagsError;
use crate::stage::Side;

/// Undefined function, undefined table, invalid schema name: what the server says where nothing is installed.
const MISSING: [&str; 3] = ["42883", "42P01", "3F000"];

/// Whether a failure says that the flag tables or functions are not there.
pub(crate) fn is_missing(failure: &Failure) -> bool {
    failure.sqlstate().is_some_and(|state| MISSING.contains(&state))
}

/// As `?`, where what is not there is told by its own name.
pub(crate) fn found<T>(answer: Result<T, Failure>) -> Result<T, FlagsError> {
    answer.map_err(|failure| if is_missing(&failure) { FlagsError::NotInstalled } else { failure.into() })
}

/// One value of a row.
pub(crate) fn value<'a, T: FromSql<'a>>(
    row: &'a Row,
    at: usize,
    what: &'static str,
) -> Result<T, FlagsError> {
    row.try_get(at).map_err(|error| FlagsError::Unreadable { what, why: error.to_string() })
}

/// A number that is never negative.
pub(crate) fn unsigned(row: &Row, at: usize, what: &'static str) -> Result<u64, FlagsError> {
    let number: i64 = value(row, at, what)?;
    u64::try_from(number).map_err(|error| FlagsError::Unreadable { what, why: error.to_string() })
}

/// One side by its name.
pub(crate) fn side(name: &str) -> Result<Side, FlagsError> {
    Side::from_name(name).ok_or_else(|| FlagsError::Unreadable {
        what: "a side",
        why: format!("'{name}' is neither old nor new"),
    })
}

/// A number as the server takes it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whole milliseconds as the server takes them.
pub(crate) fn milliseconds(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
