//! What must hold between a counter kept elsewhere and the journal, and when spending stops until somebody has looked.

use serde_json::{Value, json};
use tidegate_store::postgres::Type;
use uuid::Uuid;

use crate::operations::{Ledger, LedgerError, Parameter};

/// Drift up to which nothing is said, as a part of the limit: one hundredth.
const TOLERATED: i128 = 100;
/// Drift from which on the breaker trips, as a part of the limit: one twentieth. Exactly that trips it.
const TRIPS: i128 = 20;
/// What is tolerated where the limit is 0, in micro-dollars.
const WITHOUT_LIMIT_MICRO: i128 = 100_000;

/// How a counter stands to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Close enough.
    Holds,
    /// Off by more than one hundredth of the limit.
    Drifted,
    /// Off by one twentieth or more: nothing is spent until somebody has looked.
    Tripped,
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Drifted => "drifted",
            Verdict::Tripped => "tripped",
        }
    }
}

/// Judges a counter against the journal, in micro-dollars.
#[must_use]
pub fn judge(counted_micro: i64, journal_micro: i64, limit_micro: i64) -> Verdict {
    let drift = (i128::from(counted_micro) - i128::from(journal_micro)).abs();
    let limit = i128::from(limit_micro.max(0));
    let tolerated = if limit == 0 { WITHOUT_LIMIT_MICRO } else { limit / TOLERATED };
    if drift <= tolerated {
        Verdict::Holds
    } else if drift * TRIPS >= limit {
        Verdict::Tripped
    } else {
        Verdict::Drifted
    }
}

/// Whether a budget is kept: what is committed and reserved is no more than the limit.
#[must_use]
pub fn is_within(limit_micro: i64, committed_micro: i64, reserved_micro: i64) -> bool {
    i128::from(committed_micro) + i128::from(reserved_micro) <= i128::from(limit_micro)
}

impl Ledger {
    /// Holds a counter of a tenant's spending against its usage events, and trips its breaker where they are too far
    /// apart.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn conserve(
        &self,
        community: Uuid,
        counted_micro: i64,
        limit_micro: i64,
    ) -> Result<Value, LedgerError> {
        let sql =
            "SELECT coalesce(sum(amount_micro), 0)::bigint FROM public.usage_events WHERE community_id = $1";
        let rows = self.of_tenant("conserve", community, sql, &[(&community, Type::UUID)]).await?;
        let journal: i64 = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(0);
        let verdict = judge(counted_micro, journal, limit_micro);
        let drift =
            i64::try_from((i128::from(counted_micro) - i128::from(journal)).abs()).unwrap_or(i64::MAX);
        if verdict == Verdict::Tripped {
            let parameters: [Parameter<'_>; 3] =
                [(&community, Type::UUID), (&drift, Type::INT8), (&limit_micro, Type::INT8)];
            self.of_tenant("trip", community, include_str!("sql/trip.sql"), &parameters).await?;
        }
        Ok(json!({
            "verdict": verdict.as_str(), "driftMicro": drift, "countedMicro": counted_micro, "journalMicro": journal,
            "limitMicro": limit_micro,
        }))
    }

    /// Lets a tenant spend again. `false`: its breaker was not open.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn reset_breaker(&self, community: Uuid, by: &str) -> Result<bool, LedgerError> {
        let sql = "UPDATE public.circuit_breakers SET reset_at = clock_timestamp(), reset_by = $2
                   WHERE community_id = $1 AND reset_at IS NULL RETURNING 1";
        let parameters: [Parameter<'_>; 2] = [(&community, Type::UUID), (&by, Type::TEXT)];
        let rows = self.of_tenant("reset breaker", community, sql, &parameters).await?;
        Ok(!rows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules as a table: what is counted, what the journal says, the limit, and what follows.
    const CASES: &str = "
        5000000  5000000  10000000 holds
        5100000  5000000  10000000 holds
        5100001  5000000  10000000 drifted
        4899999  5000000  10000000 drifted
        5499999  5000000  10000000 drifted
        5500000  5000000  10000000 tripped
        4500000  5000000  10000000 tripped
        100000   0        0        holds
        100001   0        0        tripped
        0        0        0        holds
        9223372036854775807 -9223372036854775807 1 tripped
    ";

    #[test]
    fn a_drift_is_tolerated_told_or_stops_the_spending() {
        for case in CASES.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = case.split_whitespace();
            let mut number = || words.next().unwrap().parse::<i64>().unwrap();
            let verdict = judge(number(), number(), number());
            assert_eq!(verdict.as_str(), words.next().unwrap(), "{case}");
        }
    }

    #[test]
    fn a_budget_holds_up_to_its_limit() {
        for (limit, committed, reserved, holds) in
            [(10, 4, 6, true), (10, 5, 6, false), (0, 0, 0, true), (10, i64::MAX, i64::MAX, false)]
        {
            assert_eq!(is_within(limit, committed, reserved), holds, "{limit} {committed} {reserved}");
        }
    }
}
