//! Recomputing everything that must hold, from the journal alone.

use std::time::Duration;

use serde::Serialize;
use tidegate_store::postgres::{Failure, Isolation, Session, TxOptions, TxOutcome, run_tx};

use crate::operations::{Ledger, LedgerError};

/// Rows of a violation that are told.
const ROWS_MAX: usize = 20;

/// How long the look at one invariant may take: it reads the whole journal.
const LOOK_MAX: Duration = Duration::from_secs(3_600);

/// Something that must hold, and the query whose every row breaks it.
struct Invariant {
    name: &'static str,
    says: &'static str,
    sql: &'static str,
}

const INVARIANTS: [Invariant; 11] = [
    Invariant {
        name: "lots_are_credited_once",
        says: "the credits of a lot are its amount",
        sql: include_str!("sql/verify_credited.sql"),
    },
    Invariant {
        name: "nothing_is_overdrawn",
        says: "0 ≤ credit + credit_back − debit − expiry ≤ amount, for each lot",
        sql: include_str!("sql/verify_overdrawn.sql"),
    },
    Invariant {
        name: "only_what_was_debited_came_back",
        says: "credit_back ≤ debit, for each lot",
        sql: include_str!("sql/verify_returned.sql"),
    },
    Invariant {
        name: "totals_are_the_journals",
        says: "each total is the journal's sum, and stands in the lot's place in the order of spending",
        sql: include_str!("sql/verify_totals.sql"),
    },
    Invariant {
        name: "entries_are_of_their_lots_tenant",
        says: "an entry's tenant is its lot's",
        sql: include_str!("sql/verify_tenants.sql"),
    },
    Invariant {
        name: "reservations_add_up",
        says: "what a reservation took is its amount, and a finalized one kept what it charged",
        sql: include_str!("sql/verify_reservations.sql"),
    },
    Invariant {
        name: "entries_name_their_reservations",
        says: "what the journal took or gave back for a reservation is one's that there is",
        sql: include_str!("sql/verify_tags.sql"),
    },
    Invariant {
        name: "usage_is_what_was_charged",
        says: "a usage event's amount is what its reservation charged, and each that is finalized has its event",
        sql: include_str!("sql/verify_usage.sql"),
    },
    Invariant {
        name: "usage_numbers_have_no_gaps",
        says: "a tenant's usage events are numbered from 1 on, without gaps",
        sql: include_str!("sql/verify_numbers.sql"),
    },
    Invariant {
        name: "payments_mint_once",
        says: "a finished payment has exactly one lot, of its amount; one that is not finished, none",
        sql: include_str!("sql/verify_payments.sql"),
    },
    Invariant {
        name: "answers_are_the_journals",
        says: "what was answered under a key, and will be again, is what the journal says of it",
        sql: include_str!("sql/verify_answers.sql"),
    },
];

/// What was found of one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Its name.
    pub invariant: &'static str,
    /// What must hold.
    pub says: &'static str,
    /// Rows that break it, at most twenty, each as JSON.
    pub violations: Vec<String>,
}

impl Ledger {
    /// Looks at every invariant, in one snapshot, over all tenants.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn verify(&self) -> Result<Vec<Verified>, LedgerError> {
        let session = self.system()?.get().await?;
        let options = TxOptions {
            isolation: Isolation::RepeatableRead,
            read_only: true,
            statement_timeout: Some(LOOK_MAX),
            application_prefix: "ledger:".to_owned(),
            ..TxOptions::default()
        };
        let outcome = run_tx(&session, "verify", &options, async |session: &Session| {
            // All rows are read, whatever the planner thinks of how many there are.
            session.run("SET LOCAL enable_nestloop = off").await?;
            // What cannot do without one counts as dear, and would be compiled each time.
            session.run("SET LOCAL jit = off").await?;
            let mut verified = Vec::with_capacity(INVARIANTS.len());
            for Invariant { name, says, sql } in INVARIANTS {
                let rows = session.query(sql, &[]).await?;
                // A row that could not be read must not pass for none.
                let violations =
                    rows.iter().take(ROWS_MAX).map(|row| row.try_get(0)).collect::<Result<_, _>>();
                let violations =
                    violations.map_err(|error| Failure::unusable_answer(format!("{name}: {error}")))?;
                verified.push(Verified { invariant: name, says, violations });
            }
            Ok::<_, Failure>(verified)
        });
        match outcome.await {
            TxOutcome::Committed(verified) => Ok(verified),
            TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure) => Err(failure.into()),
        }
    }
}
