//! What a restore would lose: rows that others wrote since the backup's snapshot.

use tidegate_store::postgres::{FailureKind, Session, quote_identifier};
use tokio_postgres::types::{ToSql, Type};

use crate::doors::Entrance;
use crate::error::StepError;
use crate::event::LossLine;
use crate::job::Job;
use crate::journal::{signed, unsigned};
use crate::outcome::Outcome;
use crate::verb::backup::snapshot;

/// A table that stands there now.
struct Table {
    schema: String,
    name: String,
    /// The column that says when a row was written.
    written_at: Option<String>,
}

/// Per table of the database as it is now: rows written since the backup, by others than this run's transactions.
///
/// A row counts if the transaction that wrote its present version was not visible in the backup's snapshot. A table
/// made since is so counted whole. Rows that were deleted since are not there to be counted; a restore brings them
/// back. In a cluster that has used up its transaction numbers more than once, rows frozen before the last turn may
/// be counted too. A table that a transaction of this run rewrote as a whole looks as if the run had written every
/// row of it, and rows that others had written before that are missing from its line.
///
/// # Locks
/// ACCESS SHARE on each table. Where row security would hide rows from the table's own owner it is taken off for the
/// count and put back by rolling back: ACCESS EXCLUSIVE for that time, bounded by the lock timeout.
pub(crate) async fn loss(
    job: Job<'_>,
    session: &Session,
    backup_outcome: &Outcome,
) -> Result<Vec<LossLine>, StepError> {
    let Some(snapshot) = backup_outcome.texts.get("snapshot") else {
        return Err(StepError::refused(
            "the backup's outcome does not name its snapshot, so what was written since cannot be counted",
            "Restore by hand with pg_restore.",
        ));
    };
    let own: Vec<i64> = job
        .state
        .steps
        .values()
        .filter_map(|step| step.outcome().and_then(|outcome| outcome.transaction))
        .map(signed)
        .collect();
    let dump = match snapshot::entrance(job)? {
        entrance @ Entrance::Login(_) => {
            Some(job.doors.connect(job.store(), &entrance, &job.application()).await?)
        }
        _ => None,
    };
    let counting = dump.as_ref().unwrap_or(session);
    let limits = &job.program.runbook.limits;
    counting
        .run(&format!(
            "BEGIN; SET LOCAL row_security = off; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            job.statement_timeout().as_millis(),
            limits.lock_timeout.as_millis()
        ))
        .await?;
    let lines = lines(job, counting, snapshot, &own).await;
    counting.run("ROLLBACK").await?;
    lines
}

async fn lines(
    job: Job<'_>,
    session: &Session,
    snapshot: &str,
    own: &[i64],
) -> Result<Vec<LossLine>, StepError> {
    let mut lines = Vec::new();
    let rows = session.query(include_str!("loss_tables.sql"), &[]).await?;
    for row in rows {
        let table = Table { schema: row.get(0), name: row.get(1), written_at: row.get(2) };
        let (rows, newest) = table.since(session, snapshot, own).await?;
        if rows > 0 {
            let table = format!("{}.{}", table.schema, table.name);
            lines.push(LossLine { step: job.step.id.clone(), table, rows, newest });
        }
    }
    Ok(lines)
}

impl Table {
    fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    async fn since(
        &self,
        session: &Session,
        snapshot: &str,
        own: &[i64],
    ) -> Result<(u64, Option<String>), StepError> {
        session.run("SAVEPOINT tidegate_loss").await?;
        let counted = match self.count(session, snapshot, own).await {
            Err(StepError::Server { failure, .. }) if failure.kind() == FailureKind::PermissionDenied => {
                session.run("ROLLBACK TO SAVEPOINT tidegate_loss").await?;
                session.run(&format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", self.quoted())).await?;
                self.count(session, snapshot, own).await
            }
            counted => counted,
        };
        session.run("ROLLBACK TO SAVEPOINT tidegate_loss; RELEASE SAVEPOINT tidegate_loss").await?;
        counted
    }

    async fn count(
        &self,
        session: &Session,
        snapshot: &str,
        own: &[i64],
    ) -> Result<(u64, Option<String>), StepError> {
        let newest = self.written_at.as_deref().map_or_else(
            || "NULL::text".to_owned(),
            |column| format!("max(w.{})::text", quote_identifier(column)),
        );
        let written_since = include_str!("written_since.sql");
        let sql = format!("SELECT count(*), {newest} FROM ONLY {} AS w WHERE {written_since}", self.quoted());
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&snapshot, Type::TEXT), (&own, Type::INT8_ARRAY)];
        let rows = session.query(&sql, &parameters).await?;
        Ok(rows.first().map_or((0, None), |row| (unsigned(row.get(0)), row.get(1))))
    }
}
