//! Compaction: operations that a later one has overtaken are forgotten, up to an explicit horizon.
//!
//! The newest operation of each register (an item and a parent, an item and a principal) is kept whatever its age, so
//! that the log always folds to the state, and a snapshot of it is complete. Whoever has read less than the horizon
//! must begin anew with such a snapshot.

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, Type};
use vfs_core::compaction::{ClientRow, CompactionOptions, CompactionPlan, plan as plan_of};
use vfs_core::{Cursor, Timestamp};

use crate::db::{Trouble, column, transact};
use crate::feed::time;

/// Operations that one transaction looks at.
const BATCH: i64 = 10_000;

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The plan, with the number of operations that it would delete.
    #[serde(flatten)]
    pub plan: CompactionPlan,
    /// Where the horizon would be; `None`: it stays.
    pub horizon: Option<i64>,
}

/// Plans a compaction of at most so many operations of the log. Changes nothing.
///
/// # Errors
/// The database's.
pub async fn plan(session: &Session, options: &CompactionOptions, rows_max: i64) -> Result<Planned, Failure> {
    let states = session.query(include_str!("compaction/sql/clients.sql"), &[]).await?;
    let mut clients: Vec<(String, Timestamp, Option<Timestamp>, String)> = Vec::with_capacity(states.len());
    for row in &states {
        let changed_at: jiff::Timestamp = column(row, 2)?;
        let changed_at = Timestamp::try_from(changed_at).ok();
        // Whoever must begin anew anyway is as one that was not seen for long.
        let is_awaited: Option<bool> = column(row, 4)?;
        let updated_at =
            if is_awaited == Some(false) { jiff::Timestamp::UNIX_EPOCH } else { column(row, 1)? };
        clients.push((column(row, 0)?, time(updated_at)?, changed_at, column(row, 3)?));
    }
    let clients: Vec<ClientRow<'_>> = clients
        .iter()
        .map(|(client_key, updated_at, changed_at, change_id)| ClientRow {
            client_key,
            updated_at: *updated_at,
            changed_at: *changed_at,
            change_id,
        })
        .collect();
    let latest = session.query(include_str!("compaction/sql/latest.sql"), &[]).await?;
    let row = latest.first().ok_or_else(|| Failure::unusable_answer("the database has no clock"))?;
    let now = time(column(row, 0)?)?;
    let latest = match (column::<Option<jiff::Timestamp>>(row, 1)?, column::<Option<String>>(row, 2)?) {
        (Some(at), Some(id)) => Cursor::new(time(at)?, &id),
        _ => None,
    };
    let mut plan = plan_of(now, latest.as_ref(), &clients, options);
    let Some(cutoff) = plan.cutoff_occurred_at else { return Ok(Planned { plan, horizon: None }) };
    let cutoff = jiff::Timestamp::from(cutoff);
    let sql = include_str!("compaction/sql/horizon.sql");
    let rows = session.query(sql, &[(&cutoff, Type::TIMESTAMPTZ), (&rows_max, Type::INT8)]).await?;
    let horizon: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    let Some(horizon) = horizon else { return Ok(Planned { plan, horizon: None }) };
    let rows =
        session.query(include_str!("compaction/sql/count_overtaken.sql"), &[(&horizon, Type::INT8)]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    plan.estimated_rows_to_delete = u64::try_from(count).unwrap_or_default();
    Ok(Planned { plan, horizon: Some(horizon) })
}

/// Moves the horizon, and then deletes what was overtaken up to it, in batches. Returns how many were deleted.
///
/// # Idempotence
/// The horizon never goes back; what an earlier run that died left is deleted by the next.
///
/// # Errors
/// [`Trouble`]; what was committed before stays.
pub async fn apply(session: &Session, horizon: i64) -> Result<u64, Trouble> {
    transact!(session, "horizon", "", {
        let sql = include_str!("compaction/sql/move_horizon.sql");
        session.query(sql, &[(&horizon, Type::INT8)]).await?;
        Ok(())
    })?;
    let (mut from, mut deleted) = (0_i64, 0_u64);
    loop {
        let sql = include_str!("compaction/sql/batch.sql");
        let rows =
            session.query(sql, &[(&from, Type::INT8), (&horizon, Type::INT8), (&BATCH, Type::INT8)]).await?;
        let to: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
        let Some(to) = to else { break };
        deleted += transact!(session, "compact", "", {
            let sql = include_str!("compaction/sql/delete_overtaken.sql");
            let rows = session.query(sql, &[(&from, Type::INT8), (&to, Type::INT8)]).await?;
            let count: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })?;
        from = to;
    }
    tracing::info!(
        event = "vfs_crdt_compaction_run",
        horizon,
        deleted,
        "overtaken operations were forgotten"
    );
    Ok(deleted)
}
