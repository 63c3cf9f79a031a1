//! What an undo's own statements would take of others' rows: found by doing them and rolling them back.

use std::collections::BTreeMap;

use tidegate_runbook::{Action, Migrate, Step};
use tidegate_store::postgres::{Session, Type};

use super::{Counted, Others, counted};
use crate::error::StepError;
use crate::event::LossLine;
use crate::job::Job;
use crate::journal::unsigned;
use crate::outcome::{MadeObject, Outcome};
use crate::verb;

/// Rows of others that the undo deletes or changes in tables that its step did not make.
///
/// An undo of definitions only touches no row of such a table and is not rehearsed.
///
/// # Errors
/// [`StepError`] if the undo fails, or if the server does not count what it touches.
///
/// # Locks
/// What the undo locks, and SHARE ROW EXCLUSIVE on the tables whose rows it touches.
pub(crate) async fn of_undo(
    session: &Session,
    job: Job<'_>,
    migrate: &Migrate,
    outcome: &Outcome,
) -> Result<Vec<LossLine>, StepError> {
    if !is_rehearsed(job.step) {
        return Ok(Vec::new());
    }
    let mut undoing = async |session: &Session| {
        verb::migrate::undo(session, job, migrate).await?;
        Ok(())
    };
    let own = |oid: u32| {
        if outcome.made.iter().any(|object| object.oid == oid && object.sub == 0) {
            Owner::Counted
        } else {
            Owner::Step(outcome.transaction)
        }
    };
    of_deed(session, job, &mut undoing, &own).await
}

/// Rows of others that the statements of a way's `migrate` step would drop, delete or change.
///
/// A row counts as the run's own only if the step that made its table wrote it, or, behind a restore of the same way, if
/// that restore did.
///
/// # Errors
/// As [`of_undo`].
pub(crate) async fn of_way_step(
    session: &Session,
    job: Job<'_>,
    migrate: &Migrate,
) -> Result<Vec<LossLine>, StepError> {
    let mut doing = async |session: &Session| {
        verb::migrate::statements(session, job, &migrate.body).await?;
        Ok(())
    };
    let outcomes = || job.state.steps.values().filter_map(|state| state.outcome());
    let own = |oid: u32| {
        let maker =
            outcomes().find(|outcome| outcome.made.iter().any(|object| object.oid == oid && object.sub == 0));
        Owner::Step(maker.and_then(|outcome| outcome.transaction).or_else(|| restored_by(job)))
    };
    of_deed(session, job, &mut doing, &own).await
}

/// The transaction of the restore of this step's way, if it is done: it made every table and wrote every row.
fn restored_by(job: Job<'_>) -> Option<u64> {
    let way = job.program.way_of(&job.step.id)?;
    let restores = way.steps.iter().filter(|step| matches!(step.action, Action::Restore(_)));
    restores.rev().find_map(|step| job.state.steps.get(&step.id)?.outcome()?.transaction)
}

/// Whose rows do not count as lost.
enum Owner {
    /// All of the table is counted elsewhere.
    Counted,
    /// Those of this transaction.
    Step(Option<u64>),
}

/// What `deed` does to the tables of others, found by doing it twice and rolling it back.
async fn of_deed(
    session: &Session,
    job: Job<'_>,
    deed: &mut impl AsyncFnMut(&Session) -> Result<(), StepError>,
    owner: &dyn Fn(u32) -> Owner,
) -> Result<Vec<LossLine>, StepError> {
    must_be_counted(session).await?;
    let version_table = job.versions.name();
    let before = touched(session, version_table).await?;
    let after = rehearse(session, deed, async |session| touched(session, version_table).await).await?;
    let mut standing = Vec::new();
    for (oid, was) in &before {
        let is = after.get(oid);
        let Owner::Step(transaction) = owner(*oid) else { continue };
        if is == Some(was) {
            continue;
        }
        let Some(counted) = table(session, *oid).await? else { continue };
        session.run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", counted.table)).await?;
        let narrower = is.is_some_and(|is| is.columns < was.columns);
        let others = Others { counted, transaction, ended_below: None, begun_before: None };
        let (rows, newest) = others.count(session).await?;
        standing.push(Standing { others, rows, newest, narrower });
    }
    // Whatever is written anew is written by ids from here on: the tables are locked against all others.
    let next = next_transaction(session).await?;
    let left = rehearse(session, deed, async |session| left_over(session, &standing, next).await).await?;
    Ok(standing
        .into_iter()
        .filter_map(|standing| {
            // A column that goes takes a value of every row along.
            let left = if standing.narrower {
                0
            } else {
                left.get(&standing.others.counted.oid).copied().unwrap_or(0)
            };
            let lost = standing.rows.saturating_sub(left);
            let newest = standing.newest.filter(|_| left == 0);
            let (step, table) = (job.step.id.clone(), standing.others.counted.shown);
            (lost > 0).then_some(LossLine { step, table, rows: lost, newest })
        })
        .collect())
}

/// Rows of others in a table that a deed touches, before it.
struct Standing {
    others: Others,
    rows: u64,
    newest: Option<String>,
    /// Columns of the table go.
    narrower: bool,
}

/// Rows of others that a deed leaves, by table.
async fn left_over(
    session: &Session,
    standing: &[Standing],
    next: u64,
) -> Result<BTreeMap<u32, u64>, StepError> {
    let mut left = BTreeMap::new();
    for Standing { others, .. } in standing {
        let oid = others.counted.oid;
        let Some(counted) = table(session, oid).await? else { continue };
        let transaction = others.transaction;
        let again = Others { counted, transaction, ended_below: None, begun_before: Some(next) };
        left.insert(oid, again.count(session).await?.0);
    }
    Ok(left)
}

/// Whether the step's undo has statements that may change rows.
pub(crate) fn is_rehearsed(step: &Step) -> bool {
    let Action::Migrate(Migrate { undo: Some(undo), .. }) = &step.action else { return false };
    !undo.statements.iter().all(|statement| only_defines(&statement.effect.command))
}

/// Statements that define and hold no row: what they take along is seen by catalog.
fn only_defines(command: &str) -> bool {
    ["CREATE", "DROP", "ALTER", "COMMENT", "GRANT", "REVOKE"].iter().any(|word| command.starts_with(word))
}

async fn must_be_counted(session: &Session) -> Result<(), StepError> {
    let rows = session.query("SELECT current_setting('track_counts') = 'on'", &[]).await?;
    if rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    Err(StepError::refused(
        "the undo changes rows, and the server does not count them (track_counts is off)",
        "Turn track_counts on: without it nobody can say whose rows would be lost.",
    ))
}

/// Does it in a savepoint, looks, and takes it back.
async fn rehearse<T>(
    session: &Session,
    deed: &mut impl AsyncFnMut(&Session) -> Result<(), StepError>,
    look: impl AsyncFnOnce(&Session) -> Result<T, StepError>,
) -> Result<T, StepError> {
    session.run("SAVEPOINT tidegate_rehearsal").await?;
    deed(session).await?;
    let seen = look(session).await?;
    session.run("ROLLBACK TO SAVEPOINT tidegate_rehearsal; RELEASE SAVEPOINT tidegate_rehearsal").await?;
    Ok(seen)
}

/// A table as a deed finds or leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// The file that holds its rows.
    file: u32,
    /// Rows that this transaction has deleted or changed in it.
    changed: i64,
    /// How many columns it has.
    columns: i64,
}

async fn touched(session: &Session, version_table: &str) -> Result<BTreeMap<u32, Shape>, StepError> {
    let rows = session.query(include_str!("touched.sql"), &[(&version_table, Type::TEXT)]).await?;
    let shape = |row: &tidegate_store::postgres::Row| Shape {
        file: row.get(1),
        changed: row.get(2),
        columns: row.get(3),
    };
    Ok(rows.iter().map(|row| (row.get(0), shape(row))).collect())
}

async fn table(session: &Session, oid: u32) -> Result<Option<Counted>, StepError> {
    let object = MadeObject {
        catalog: "pg_class".to_owned(),
        oid,
        sub: 0,
        kind: "table".to_owned(),
        identity: String::new(),
    };
    counted(session, &object).await
}

async fn next_transaction(session: &Session) -> Result<u64, StepError> {
    let sql = "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8";
    let rows = session.query(sql, &[]).await?;
    Ok(rows.first().map_or(0, |row| unsigned(row.get(0))))
}
