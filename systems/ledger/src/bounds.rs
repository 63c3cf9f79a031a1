//! How much can be booked: bounds that the database keeps, so that no sum overflows.

use tidegate_store::postgres::Failure;

use crate::operations::LedgerError;

/// The largest amount, in micro-dollars: ten billion dollars.
pub const AMOUNT_MAX_MICRO: i64 = 10_000_000_000_000_000;
/// What a tenant's lots were minted with in all, at most, and what was ever debited of one lot: in micro-dollars.
pub const TOTAL_MAX_MICRO: i64 = 9_000_000_000_000_000_000;

/// The constraints that keep [`TOTAL_MAX_MICRO`].
const TOTALS: [&str; 2] = ["tenant_totals_minted_in_range", "lot_totals_turnover_in_range"];

/// Whether the database refused what would lead beyond [`TOTAL_MAX_MICRO`]. Nothing was done then.
pub(crate) fn is_beyond(failure: &Failure) -> bool {
    failure.sqlstate() == Some("23514") && failure.constraint().is_some_and(|name| TOTALS.contains(&name))
}

impl LedgerError {
    /// As [`is_beyond`], for an error of whichever kind.
    pub(crate) fn is_beyond(&self) -> bool {
        matches!(self, LedgerError::Store(failure) if is_beyond(failure))
    }
}
