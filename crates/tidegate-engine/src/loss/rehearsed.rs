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
    must_be_counted(session).await?;
    let version_table = job.versions.name();
    let before = touched(session, version_table).await?;
    let after =
        rehearse(session, job, migrate, async |session| touched(session, version_table).await).await?;
    let mut tables = Vec::new();
    for (oid, (file, changed)) in &after {
        let was = before.get(oid).copied().unwrap_or_default();
        let made = outcome.made.iter().any(|object| object.oid == *oid && object.sub == 0);
        if !made && (was.0 != *file || was.1 != *changed) {
            tables.extend(table(session, *oid).await?);
        }
    }
    for table in &tables {
        session.run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.table)).await?;
    }
    let mut standing = Vec::new();
    for counted in tables {
        let others =
            Others { counted, transaction: outcome.transaction, ended_below: None, begun_before: None };
        let (rows, _) = others.count(session).await?;
        standing.push((others, rows));
    }
    // Whatever the undo writes anew is written by ids from here on: the tables are locked against all others.
    let next = next_transaction(session).await?;
    let left = rehearse(session, job, migrate, async |session| {
        let mut left = BTreeMap::new();
        for (others, _) in &standing {
            let oid = others.counted.oid;
            let Some(counted) = table(session, oid).await? else { continue };
            let again = Others {
                counted,
                transaction: others.transaction,
                ended_below: None,
                begun_before: Some(next),
            };
            left.insert(oid, again.count(session).await?.0);
        }
        Ok(left)
    })
    .await?;
    Ok(standing
        .into_iter()
        .filter_map(|(others, rows)| {
            let lost = rows.saturating_sub(left.get(&others.counted.oid).copied().unwrap_or(0));
            let step = job.step.id.clone();
            (lost > 0).then(|| LossLine { step, table: others.counted.shown, rows: lost, newest: None })
        })
        .collect())
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

/// Undoes in a savepoint, looks, and takes the undo back.
async fn rehearse<T>(
    session: &Session,
    job: Job<'_>,
    migrate: &Migrate,
    look: impl AsyncFnOnce(&Session) -> Result<T, StepError>,
) -> Result<T, StepError> {
    session.run("SAVEPOINT tidegate_rehearsal").await?;
    verb::migrate::undo(session, job, migrate).await?;
    let seen = look(session).await?;
    session.run("ROLLBACK TO SAVEPOINT tidegate_rehearsal; RELEASE SAVEPOINT tidegate_rehearsal").await?;
    Ok(seen)
}

/// By table: its file, and rows that this transaction has deleted or changed.
async fn touched(session: &Session, version_table: &str) -> Result<BTreeMap<u32, (u32, i64)>, StepError> {
    let rows = session.query(include_str!("touched.sql"), &[(&version_table, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
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
