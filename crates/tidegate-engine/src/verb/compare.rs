//! `compare`: two queries, row by row, by key.
//!
//! Every row of both sides is hashed into buckets by key; only buckets whose sums differ are read again, row by row. A row that differs is overlooked only if its 64-bit hash sums to the same, which has a chance of one in 2^64.

pub(crate) mod certificate;
mod differences;
mod key;
mod query;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_runbook::{Compare, CompareMode, DifferencePart, Equality};
use tidegate_store::postgres::{Session, quote_identifier, quote_literal};

use crate::doors::Entrance;
use crate::error::StepError;
use crate::gate::placed;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::question::sql::set;
use crate::question::{Answered, Reply};
use crate::reads::{self, QueryPlan};
use crate::values::RenderedSql;
use crate::verdict::Verdict;

use differences::Differences;
pub(crate) use differences::{relations, split};
use query::{Queries, Sums};

/// Settings under which rows are written and hashed, so that the same row is the same text whoever asks.
const PINNED: &str = "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC'; \
                      SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL work_mem = '64MB'";

/// Every row is read once and summed at once. The planner takes buckets for as many as keys, and would sort.
const SCANNING: &str =
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_sort = off; SET LOCAL jit = off";

/// Rows of few buckets are looked for, with all the workers that there are.
const SEARCHING: &str =
    "SET LOCAL max_parallel_workers_per_gather TO DEFAULT; SET LOCAL enable_sort TO DEFAULT";

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    /// Rows of the first query.
    pub(crate) left_rows: u64,
    /// Rows of the second.
    pub(crate) right_rows: u64,
    /// The differences, without those that the page accepts.
    pub(crate) found: Differences,
    /// Differences that the page accepts.
    pub(crate) accepted: u64,
    /// Names and types of the key's columns.
    pub(crate) key: Vec<(String, String)>,
    /// Tables that both read, quoted and with their schemas.
    pub(crate) reads: Vec<String>,
    /// When, by the server's clock.
    pub(crate) at: String,
}

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(compare: &Compare) -> String {
    let what = match compare.mode {
        CompareMode::Equal => "compare all rows of both queries",
        CompareMode::Contained => "look for every row of the first query in the second",
    };
    format!("{what} by {}", compare.key.join(", "))
}

/// Compares on connections of its own, in one snapshot.
pub(crate) async fn ask_alone(session: &Session, job: Job<'_>, compare: &Compare) -> Answered {
    let first = alone(session, job, compare).await;
    let settled = match (first, compare.settle) {
        (Ok(first), Some(settle)) if !first.found.is_empty() => {
            tokio::time::sleep(settle).await;
            alone(session, job, compare).await.map(|mut second| {
                second.found.keep_also_in(&first.found);
                second
            })
        }
        (first, _) => first,
    };
    answered(job, compare, settled)
}

async fn alone(session: &Session, job: Job<'_>, compare: &Compare) -> Result<Comparison, StepError> {
    session.run(&begin(job)).await?;
    let compared = perform(session, job, compare, true).await;
    session.run("ROLLBACK").await?;
    compared
}

fn begin(job: Job<'_>) -> String {
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
        job.statement_timeout().as_millis(),
        job.program.runbook.limits.lock_timeout.as_millis()
    )
}

/// Compares inside a gate, whose locks keep writers out, in a savepoint that is rolled back.
pub(crate) async fn ask_in_gate(
    session: &Session,
    job: Job<'_>,
    compare: &Compare,
) -> Result<Answered, StepError> {
    session.run("SAVEPOINT tidegate_compare; SET LOCAL transaction_read_only = on").await?;
    let compared = perform(session, job, compare, false).await;
    session.run("ROLLBACK TO SAVEPOINT tidegate_compare; RELEASE SAVEPOINT tidegate_compare").await?;
    Ok(answered(job, compare, compared))
}

/// Compares in the session's transaction; `side_by_side`: the second query on another connection, in the same snapshot.
async fn perform(
    session: &Session,
    job: Job<'_>,
    compare: &Compare,
    side_by_side: bool,
) -> Result<Comparison, StepError> {
    session.run(PINNED).await?;
    let left = job.values.sql(&compare.left)?;
    let right = job.values.sql_beside(&compare.right, &left)?;
    let mut reads = BTreeSet::new();
    for rendered in [&left, &right] {
        set(session, rendered).await?;
        let plan = QueryPlan::of(session, &rendered.text).await;
        reads.extend(plan.map_err(|failure| placed(job, failure, rendered))?.tables());
    }
    // A plan leaves out what it knows to be empty, as a table under row security without a policy.
    for name in compare.left.effect.reads.iter().chain(&compare.right.effect.reads) {
        reads.extend(reads::qualified(session, name).await?);
    }
    take_role(session, job).await?;
    must_show_all_rows(session, &reads).await?;
    let left_columns = columns(session, job, &left).await?;
    let right_columns = columns(session, job, &right).await?;
    let queries = Queries::new(compare, &left, &left_columns, &right, &right_columns)?;
    for side in queries.sides() {
        key::must_be_unique(session, side, &compare.key).await?;
    }
    let mut found = Differences::default();
    let second = if side_by_side { Some(second_session(session, job, &right).await?) } else { None };
    let scanned = scan(session, second.as_ref(), job, &queries, [&left, &right]).await;
    if let Some(second) = second {
        second.close().await;
    }
    let (sums, keys) = scanned?;
    if !sums.equal() {
        let differences = queries.differences(session, &sums, keys.as_ref(), compare.at_most).await;
        found = differences.map_err(|failure| placed(job, failure, &left))?;
    }
    let accepted = found.take_accepted(&compare.accepted);
    let key = left_columns.iter().filter(|(name, _)| compare.key.contains(name)).cloned();
    let at = session.query("SELECT pg_catalog.clock_timestamp()::text", &[]).await?;
    Ok(Comparison {
        left_rows: sums.left_rows,
        right_rows: sums.right_rows,
        found,
        accepted,
        key: in_order_of(&compare.key, key.collect()),
        reads: reads.into_iter().collect(),
        at: at.first().map(|row| row.get(0)).unwrap_or_default(),
    })
}

async fn columns(
    session: &Session,
    job: Job<'_>,
    rendered: &RenderedSql,
) -> Result<Vec<(String, String)>, StepError> {
    session.describe(&rendered.text).await.map_err(|failure| placed(job, failure, rendered))
}

/// Another connection in the same snapshot, for the second query.
async fn second_session(session: &Session, job: Job<'_>, right: &RenderedSql) -> Result<Session, StepError> {
    let exported = session.query("SELECT pg_catalog.pg_export_snapshot()", &[]).await?;
    let snapshot: String = exported.first().map(|row| row.get(0)).unwrap_or_default();
    let second = job.doors.connect(job.store(), &Entrance::Direct, &job.application()).await?;
    second
        .run(&format!(
            "{}; SET TRANSACTION SNAPSHOT {}; {PINNED}; {SCANNING}",
            begin(job),
            quote_literal(&snapshot)
        ))
        .await?;
    set(&second, right).await?;
    take_role(&second, job).await?;
    Ok(second)
}

/// Sums both sides, and finds the keys that differ where they are few. Each side on its own connection, if there are two:
/// what a scan's own workers would gain, sending every row to the process that sums them would cost again.
async fn scan(
    session: &Session,
    second: Option<&Session>,
    job: Job<'_>,
    queries: &Queries,
    rendered: [&RenderedSql; 2],
) -> Result<(Sums, Option<BTreeSet<String>>), StepError> {
    let [of_left, of_right] = queries.sides();
    let [left, right] = rendered;
    let place = |failure, rendered| placed(job, failure, rendered);
    session.run(SCANNING).await?;
    let (left_sums, right_sums) = match second {
        Some(second) => tokio::join!(queries.sums(session, of_left), queries.sums(second, of_right)),
        None => (queries.sums(session, of_left).await, queries.sums(session, of_right).await),
    };
    let left_sums = left_sums.map_err(|failure| place(failure, left))?;
    let right_sums = right_sums.map_err(|failure| place(failure, right))?;
    let sums = Sums::of(&left_sums, &right_sums, queries.mode());
    let mut keys = None;
    if !sums.equal() {
        let (of_left, of_right) = match second {
            Some(second) => tokio::join!(
                queries.candidates(session, of_left, &sums),
                queries.candidates(second, of_right, &sums)
            ),
            None => (
                queries.candidates(session, of_left, &sums).await,
                queries.candidates(session, of_right, &sums).await,
            ),
        };
        let of_left = of_left.map_err(|failure| place(failure, left))?;
        keys = sums.keys(&of_left, &of_right.map_err(|failure| place(failure, right))?);
    }
    session.run(SEARCHING).await?;
    Ok((sums, keys))
}

async fn take_role(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    Ok(())
}

fn in_order_of(names: &[String], mut columns: Vec<(String, String)>) -> Vec<(String, String)> {
    columns.sort_by_key(|(name, _)| names.iter().position(|known| known == name));
    columns
}

/// Row security hides rows from a comparison, which would then pass over them.
async fn must_show_all_rows(session: &Session, tables: &BTreeSet<String>) -> Result<(), StepError> {
    for table in tables {
        let rows = session
            .query(
                "SELECT pg_catalog.row_security_active($1::text::regclass)",
                &[(table, tokio_postgres::types::Type::TEXT)],
            )
            .await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Err(StepError::refused(
                format!("row security hides rows of {table} from this role, so they would not be compared"),
                "Compare as a role with BYPASSRLS, or as the owner of a table without FORCE ROW LEVEL SECURITY.",
            ));
        }
    }
    Ok(())
}

fn answered(job: Job<'_>, compare: &Compare, compared: Result<Comparison, StepError>) -> Answered {
    match compared {
        Ok(comparison) if comparison.found.is_empty() || compare.expect_differences => {
            if comparison.found.more {
                return Answered::failed(format!(
                    "more than {} differences, which cannot all be kept: raise `@at-most`",
                    compare.at_most
                ));
            }
            Answered::new(Verdict::Pass, Reply::Compared(Box::new(comparison)))
        }
        Ok(comparison) => {
            let verdict = Verdict::Fail(comparison.sentence(&compare.key, job.step.evidence_rows));
            Answered::new(verdict, Reply::Compared(Box::new(comparison)))
        }
        Err(StepError::Refused { message, next }) => {
            Answered::unknown(crate::advice::followed_by(&message, &next))
        }
        Err(error) => {
            let found = crate::advice::message(&error);
            if error.is_unknown() { Answered::unknown(found) } else { Answered::failed(found) }
        }
    }
}

impl Comparison {
    /// What is journaled: counts, and what a certificate needs.
    #[must_use]
    pub(crate) fn outcome(&self, compare: &Compare) -> Outcome {
        let summary = if self.found.is_empty() {
            match compare.mode {
                CompareMode::Equal => format!("equal: {} rows on each side", self.left_rows),
                CompareMode::Contained => {
                    format!("contained: {} rows, in {}", self.left_rows, self.right_rows)
                }
            }
        } else {
            format!("differences kept: {}", self.found.counts())
        };
        let summary = match self.accepted {
            0 => summary,
            accepted => format!("{summary}; {accepted} accepted"),
        };
        let count = |part| self.found.count(part);
        Outcome {
            summary,
            figures: BTreeMap::from([
                ("left_rows".to_owned(), self.left_rows),
                ("right_rows".to_owned(), self.right_rows),
                ("missing".to_owned(), count(DifferencePart::Missing)),
                ("extra".to_owned(), count(DifferencePart::Extra)),
                ("differing".to_owned(), count(DifferencePart::Differing)),
                ("accepted".to_owned(), self.accepted),
            ]),
            texts: BTreeMap::from([
                ("reads".to_owned(), self.reads.join(", ")),
                ("compared_at".to_owned(), self.at.clone()),
                ("equality".to_owned(), equality(compare.equal).to_owned()),
            ]),
            ..Outcome::default()
        }
    }

    fn sentence(&self, key: &[String], with_values: bool) -> String {
        format!(
            "{} of {} and {} rows: {}",
            self.found.counts(),
            self.left_rows,
            self.right_rows,
            self.found.listed(key, with_values)
        )
    }
}

fn equality(equality: Equality) -> &'static str {
    match equality {
        Equality::Text => "text",
        Equality::Values => "values",
    }
}
